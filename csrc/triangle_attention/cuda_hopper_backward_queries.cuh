// Gradient of the queries for Hopper: a warpgroup owns 64 queries of a row and goes through the keys, 64 at a time.
#pragma once

#include "triangle_attention/cuda_hopper_backward.cuh"

namespace structdiff::gpu {

template <class T, int Channels>
struct HopperQueryGradient {
  using Problem = HopperBackwardProblem<T>;
  using Bias = BiasAhead<T, 1, 64>;
  static constexpr int kThreads = 128;
  static constexpr int kMinBlocks = Channels <= 32 ? 4 : 3;
  static constexpr int kStartRegisters = 64;  // elsewhere the kernel is empty and needs fewer, see `hopper_can_run`
  static constexpr int kTokens = kGroupTokens;
  static constexpr int kRowBytes = Channels * 2;
  static constexpr int kTile = kGroupBytes<Channels>;
  static constexpr int kStageBytes = 2 * kTile + 4 * Bias::kBytes;
  // The copies' tiles begin at multiples of 1024 bytes, which the block's memory need not.
  static constexpr int64_t kSharedBytes = 1024 + 2 * (kStageBytes + static_cast<int>(sizeof(Arrivals)));
  using Gradient = float[Channels / 8][4];
  using Left = uint32_t[Channels / 16][4];
  using Scores = float[8][4];

  // What a step of 64 keys has in shared memory.
  struct Stage {
    unsigned char* keys;
    unsigned char* values;
    unsigned char* bias;  // this warp's
  };
  STRUCTDIFF_DEVICE static Stage stage_of(unsigned char* tiles, int index, int warp) {
    unsigned char* from = tiles + index * kStageBytes;
    return {from, from + kTile, from + 2 * kTile + warp * Bias::kBytes};
  }

  STRUCTDIFF_DEVICE static void run(const Problem& p, unsigned char* shared) {
    if constexpr (kHopper) work(p, aligned_tiles(shared));
  }

  STRUCTDIFF_DEVICE static void work(const Problem& p, unsigned char* tiles) {
    const Sizes& s = p.sizes;
    const GroupPlace at(s, s.queries);
    Gradient grad = {};
    // A row without keys does not depend on its queries.
    if (load(p.mask.row(s, at.b, at.i) + p.mask.words) == 0) go_through_keys(p, at, tiles, grad);
    T* to = p.grad_q.at(at.b, at.i, at.h);
    write_gradient<T>(p.grad_q, to, at.first_of_warp, s.queries, s.channels, grad, p.scale, nullptr, at.lane);
  }

  STRUCTDIFF_DEVICE static void go_through_keys(
      const Problem& p, const GroupPlace& at, unsigned char* tiles, Gradient& grad) {
    const Sizes& s = p.sizes;
    const uint64_t* words = p.mask.row(s, at.b, at.i);
    Left q, grad_out;
    load_rows<T, Channels>(q, p.q, p.q.at(at.b, at.i, at.h), at.first_of_warp, s.queries, s.channels, at.lane);
    const T* const slopes = p.grad_out.at(at.b, at.i, at.h);
    load_rows<T, Channels>(grad_out, p.grad_out, slopes, at.first_of_warp, s.queries, s.channels, at.lane);
    float2 numbers[2];
    const int64_t line = at.line(s);
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const int query = at.first_of_warp + (at.lane >> 2) + half * 8;
      numbers[half] = QueryNumbers::of(p.lse, p.delta, line, query, s.queries).in_base_2();
    }
    const Bias bias(p.bias, at.b, at.h, at.first_of_warp / 16, at.lane);
    const bool large = any(is_large(numbers[0].x) || is_large(numbers[1].x));
    TwoStages stages(tiles + 2 * kStageBytes);
    const auto fetch = [&](int tile, int buffer) {
      if (tile >= p.mask.words) return;
      const Stage to = stage_of(tiles, buffer, at.warp);
      bias.fetch(to.bias, tile * kTokens, at.lane);
      copy_async_commit();
      if (!stages.elected()) return;
      Arrivals* full = stages.full + buffer;
      arrive_expecting(full, 2 * kTile);
      p.k_map.copy(to.keys, full, tile * kTokens, at.h, at.i, at.b);
      p.v_map.copy(to.values, full, tile * kTokens, at.h, at.i, at.b);
    };
    uint64_t bits = 0;
    int tile = next_tile<kTokens>(words, 0, p.mask.words, bits);
    fetch(tile, 0);
    for (int buffer = 0; tile < p.mask.words; buffer ^= 1) {
      uint64_t next_bits = 0;
      const int next = next_tile<kTokens>(words, tile + 1, p.mask.words, next_bits);
      copy_async_wait<0>();
      barrier();  // the step before is over
      fetch(next, buffer ^ 1);
      stages.wait();
      add_tile(p.scale, stage_of(tiles, buffer, at.warp), q, grad_out, numbers, large, bits, at.lane, grad);
      tile = next;
      bits = next_bits;
    }
  }

  STRUCTDIFF_DEVICE static void add_tile(
      float scale, const Stage& stage, Left& q, Left& grad_out, const float2 (&numbers)[2], bool large,
      uint64_t bits, int lane, Gradient& grad) {
    Scores weights, slopes;
    start(weights, slopes, stage, numbers, 1.0f / scale, lane);
    multiply_rows_of_two<T, Channels>(weights, slopes, q, grad_out, stage.keys, stage.values);
    if (bits != ~0ull) hide_keys(weights, bits, false, lane, -kInfinity);
    const float lse[1][2] = {{numbers[0].x, numbers[1].x}};
    if (large) {
      weigh<true, true>(weights, scale * kLog2E, lse);
    } else {
      weigh<true, false>(weights, scale * kLog2E, lse);
    }
    products_wait<0>();
    hold(slopes);
#pragma unroll
    for (int n = 0; n < 8; ++n) {
#pragma unroll
      for (int e = 0; e < 4; ++e) slopes[n][e] *= weights[n][e];
    }
    uint32_t left[4][4];
    pack_left<T>(left, slopes);
    hold(left);
    hold(grad);
    uint64_t key_rows[4];
    parts_of<kRowBytes>(key_rows, stage.keys, false);
    products_begin();
#pragma unroll
    for (int j = 0; j < 4; ++j) GroupProduct<T>::template add<1>(grad, left[j], key_rows[j]);
    products_commit();
    products_wait<0>();
    hold(grad);
  }

  // Scores begin as bias / scale, slopes as -delta.
  STRUCTDIFF_DEVICE static void start(
      Scores& weights, Scores& slopes, const Stage& stage, const float2 (&numbers)[2], float inverse_scale, int lane) {
#pragma unroll
    for (int n = 0; n < 8; n += 2) {
      Bias::read(weights[n], weights[n + 1], stage.bias, 0, n, lane);
#pragma unroll
      for (int e = 0; e < 8; ++e) {
        weights[n + e / 4][e % 4] *= inverse_scale;
        slopes[n + e / 4][e % 4] = -numbers[e % 4 / 2].y;
      }
    }
  }
};

}  // namespace structdiff::gpu

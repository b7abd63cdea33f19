// Gradients of keys and values for Hopper: a warpgroup owns 64 keys of a row and goes through the queries, 64 each step.
//
// As in cuda_backward_keys.cuh scores are keys by queries, so that weights and slopes are left operands as they come.
#pragma once

#include "triangle_attention/cuda_hopper_backward.cuh"

namespace structdiff::gpu {

template <class T, int Channels>
struct HopperKeyGradient {
  using Problem = HopperBackwardProblem<T>;
  using Bias = BiasAhead<T, 1, 64>;
  static constexpr int kThreads = 128;
  static constexpr int kMinBlocks = Channels <= 32 ? 3 : 2;
  static constexpr int kStartRegisters = 64;  // elsewhere the kernel is empty and needs fewer, see `hopper_can_run`
  static constexpr int kTokens = kGroupTokens;
  static constexpr int kRowBytes = Channels * 2;
  static constexpr int kTile = kGroupBytes<Channels>;
  static constexpr int kStageBytes = 2 * kTile + 4 * Bias::kBytes;
  static constexpr int kNumbers = (2 * kTokens + 4) * static_cast<int>(sizeof(float));
  // The copies' tiles begin at multiples of 1024 bytes, which the block's memory need not.
  static constexpr int64_t kSharedBytes = 1024 + 2 * (kStageBytes + kNumbers + static_cast<int>(sizeof(Arrivals)));
  using Gradient = float[Channels / 8][4];
  using Left = uint32_t[Channels / 16][4];
  using Scores = float[8][4];

  // What a step of 64 queries has in shared memory.
  struct Stage {
    unsigned char* queries;
    unsigned char* slopes;
    unsigned char* bias;  // this warp's
    float* lse;           // in base 2
    float* delta;         // negative
    uint32_t* large;      // of the first and the last 32 logarithms, whether any is
  };
  STRUCTDIFF_DEVICE static Stage stage_of(unsigned char* tiles, int index, int warp) {
    unsigned char* from = tiles + index * kStageBytes;
    float* numbers = reinterpret_cast<float*>(tiles + 2 * kStageBytes + index * kNumbers);
    return {from, from + kTile, from + 2 * kTile + warp * Bias::kBytes, numbers, numbers + kTokens,
            reinterpret_cast<uint32_t*>(numbers + 2 * kTokens)};
  }

  STRUCTDIFF_DEVICE static void run(const Problem& p, unsigned char* shared) {
    if constexpr (kHopper) work(p, aligned_tiles(shared));
  }

  STRUCTDIFF_DEVICE static void work(const Problem& p, unsigned char* tiles) {
    const Sizes& s = p.sizes;
    const GroupPlace at(s, s.keys);
    const uint64_t* words = p.mask.row(s, at.b, at.i);
    Gradient grad_k = {}, grad_v = {};
    if (load(words + p.mask.words) != 0) {
      go_through_queries<true>(p, at, tiles, grad_k, grad_v);
    } else if (load(words + at.first / kWordKeys) != 0) {
      go_through_queries<false>(p, at, tiles, grad_k, grad_v);
    }
    T* const to_k = p.grad_k.at(at.b, at.i, at.h);
    T* const to_v = p.grad_v.at(at.b, at.i, at.h);
    write_gradient<T>(p.grad_k, to_k, at.first_of_warp, s.keys, s.channels, grad_k, p.scale, words, at.lane);
    write_gradient<T>(p.grad_v, to_v, at.first_of_warp, s.keys, s.channels, grad_v, 1.0f, words, at.lane);
  }

  // A row without keys gives the mean of its values, and is `Dead`.
  template <bool Dead>
  STRUCTDIFF_DEVICE static void go_through_queries(
      const Problem& p, const GroupPlace& at, unsigned char* tiles, Gradient& grad_k, Gradient& grad_v) {
    const Sizes& s = p.sizes;
    const int thread = thread_index();
    Left k, v;
    load_rows<T, Channels>(k, p.k, p.k.at(at.b, at.i, at.h), at.first_of_warp, s.keys, s.channels, at.lane);
    load_rows<T, Channels>(v, p.v, p.v.at(at.b, at.i, at.h), at.first_of_warp, s.keys, s.channels, at.lane);
    const Bias bias(p.bias_transposed, at.b, at.h, at.first_of_warp / 16, at.lane);
    const int64_t line = at.line(s);
    const int count = divide_up(s.queries, kTokens);
    // The first 64 threads bring lse, the others delta: asked for a step ahead, and multiplied when they are there.
    const float* number = (thread < kTokens ? p.lse : p.delta) + line + thread % kTokens;
    const float none = thread < kTokens ? kInfinity : 0.0f;
    const float factor = thread < kTokens ? kLog2E : -1.0f;
    const auto number_of = [&](int tile) {
      return tile * kTokens + thread % kTokens < s.queries ? load(number + tile * kTokens) : none;
    };
    TwoStages stages(tiles + 2 * (kStageBytes + kNumbers));
    const auto fetch = [&](int tile) {
      const Stage to = stage_of(tiles, tile & 1, at.warp);
      bias.fetch(to.bias, tile * kTokens, at.lane);
      copy_async_commit();
      if (!stages.elected()) return;
      Arrivals* full = stages.full + (tile & 1);
      arrive_expecting(full, 2 * kTile);
      p.q_map.copy(to.queries, full, tile * kTokens, at.h, at.i, at.b);
      p.grad_out_map.copy(to.slopes, full, tile * kTokens, at.h, at.i, at.b);
    };
    fetch(0);
    float next = number_of(0);
    for (int tile = 0; tile < count; ++tile) {
      const Stage stage = stage_of(tiles, tile & 1, at.warp);
      shared_store(stage.lse + thread, next * factor);
      if (thread < kTokens) {
        const uint32_t large = ballot(is_large(next));
        if (at.lane == 0) shared_store(stage.large + at.warp, large);
      }
      copy_async_wait<0>();
      barrier();  // the step before is over, and all numbers are there
      if (tile + 1 < count) {
        fetch(tile + 1);
        next = number_of(tile + 1);
      }
      stages.wait();
      if constexpr (Dead) {
        add_mean(1.0f / static_cast<float>(s.keys), stage, grad_v);
      } else {
        add_tile(p.scale, stage, k, v, at.lane, grad_k, grad_v);
      }
    }
  }

  STRUCTDIFF_DEVICE static void add_tile(
      float scale, const Stage& stage, Left& k, Left& v, int lane, Gradient& grad_k, Gradient& grad_v) {
    Scores weights, slopes;
    start(weights, slopes, stage, 1.0f / scale, lane);
    multiply_rows_of_two<T, Channels>(weights, slopes, k, v, stage.queries, stage.slopes);
    float lse[8][2];
#pragma unroll
    for (int n = 0; n < 8; ++n) {
      const float2 two = shared_load(reinterpret_cast<const float2*>(stage.lse + n * 8 + (lane & 3) * 2));
      lse[n][0] = two.x;
      lse[n][1] = two.y;
    }
    const uint2 large = shared_load(reinterpret_cast<const uint2*>(stage.large));
    if ((large.x | large.y) == 0) {
      weigh<false, false>(weights, scale * kLog2E, lse);
    } else {
      weigh<false, true>(weights, scale * kLog2E, lse);
    }
    products_wait<0>();
    hold(slopes);
#pragma unroll
    for (int n = 0; n < 8; ++n) {
#pragma unroll
      for (int e = 0; e < 4; ++e) slopes[n][e] *= weights[n][e];
    }
    uint32_t left_weights[4][4], left_slopes[4][4];
    pack_left<T>(left_weights, weights);
    pack_left<T>(left_slopes, slopes);
    hold(left_weights);
    hold(left_slopes);
    hold(grad_k);
    hold(grad_v);
    uint64_t query_rows[4], grad_rows[4];
    parts_of<kRowBytes>(query_rows, stage.queries, false);
    parts_of<kRowBytes>(grad_rows, stage.slopes, false);
    products_begin();
#pragma unroll
    for (int j = 0; j < 4; ++j) GroupProduct<T>::template add<1>(grad_v, left_weights[j], grad_rows[j]);
#pragma unroll
    for (int j = 0; j < 4; ++j) GroupProduct<T>::template add<1>(grad_k, left_slopes[j], query_rows[j]);
    products_commit();
    products_wait<0>();
    hold(grad_v);
    hold(grad_k);
  }

  STRUCTDIFF_DEVICE static void add_mean(float share, const Stage& stage, Gradient& grad_v) {
    uint32_t weights[4][4];
#pragma unroll
    for (int j = 0; j < 4; ++j) weights[j][0] = weights[j][1] = weights[j][2] = weights[j][3] = pack<T>(share, share);
    uint64_t grad_rows[4];
    parts_of<kRowBytes>(grad_rows, stage.slopes, false);
    hold(weights);
    hold(grad_v);
    products_begin();
#pragma unroll
    for (int j = 0; j < 4; ++j) GroupProduct<T>::template add<1>(grad_v, weights[j], grad_rows[j]);
    products_commit();
    products_wait<0>();
    hold(grad_v);
  }

  // Scores begin as bias / scale, slopes as -delta.
  STRUCTDIFF_DEVICE static void start(
      Scores& weights, Scores& slopes, const Stage& stage, float inverse_scale, int lane) {
#pragma unroll
    for (int n = 0; n < 8; n += 2) {
      Bias::read(weights[n], weights[n + 1], stage.bias, 0, n, lane);
#pragma unroll
      for (int e = 0; e < 8; ++e) weights[n + e / 4][e % 4] *= inverse_scale;
    }
#pragma unroll
    for (int n = 0; n < 8; ++n) {
      const float2 delta = shared_load(reinterpret_cast<const float2*>(stage.delta + n * 8 + (lane & 3) * 2));
      slopes[n][0] = slopes[n][2] = delta.x;
      slopes[n][1] = slopes[n][3] = delta.y;
    }
  }
};

}  // namespace structdiff::gpu

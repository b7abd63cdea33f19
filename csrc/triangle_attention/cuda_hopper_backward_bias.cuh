// Gradient of the bias for Hopper: a warpgroup owns a tile of 64 queries by 64 keys and goes through the rows, the sum
// in registers.
#pragma once

#include "triangle_attention/cuda_backward_rows.cuh"
#include "triangle_attention/cuda_hopper_backward.cuh"

namespace structdiff::gpu {

template <class T, int Channels>
struct HopperBiasGradient {
  using Problem = HopperBackwardProblem<T>;
  using Tile = TileOfRows<kGroupTokens, kGroupTokens>;
  static constexpr int kThreads = 128;
  static constexpr int kMinBlocks = Channels <= 32 ? 3 : 2;
  static constexpr int kStartRegisters = 64;  // elsewhere the kernel is empty and needs fewer, see `hopper_can_run`
  static constexpr int kTokens = kGroupTokens;
  static constexpr int kRowBytes = Channels * 2;
  static constexpr int kTile = kGroupBytes<Channels>;
  static constexpr int kStageBytes = 4 * kTile;
  static constexpr int kNumbers = kTokens * static_cast<int>(sizeof(float2));
  // The copies' tiles begin at multiples of 1024 bytes, which the block's memory need not.
  static constexpr int64_t kSharedBytes = 1024 + 2 * (kStageBytes + kNumbers + static_cast<int>(sizeof(Arrivals)));
  using Scores = float[8][4];

  // What a step has of its row in shared memory.
  struct Stage {
    unsigned char* queries;
    unsigned char* slopes;
    unsigned char* keys;
    unsigned char* values;
    float2* numbers;
  };
  STRUCTDIFF_DEVICE static Stage stage_of(unsigned char* tiles, int index) {
    unsigned char* from = tiles + index * kStageBytes;
    float2* numbers = reinterpret_cast<float2*>(tiles + 2 * kStageBytes + index * kNumbers);
    return {from, from + kTile, from + 2 * kTile, from + 3 * kTile, numbers};
  }

  STRUCTDIFF_DEVICE static void run(const Problem& p, unsigned char* shared) {
    if constexpr (kHopper) work(p, aligned_tiles(shared));
  }

  STRUCTDIFF_DEVICE static void work(const Problem& p, unsigned char* tiles) {
    const Sizes& s = p.sizes;
    const Tile at(s, p.splits);
    const int thread = thread_index();
    const int lane = thread & 31;
    const int warp = thread / 32;
    Scores start, sum = {};
    start_with_bias<T, 8>(start, p.bias, at.b, at.h, at.first_query / 16 + warp, at.first_key, lane, 1.0f / p.scale);
    RowWalk<kTokens> walk(p.mask, s, at, lane);
    TwoStages stages(tiles + 2 * (kStageBytes + kNumbers));
    QueryNumbers numbers{};
    int64_t line = ((static_cast<int64_t>(at.b) * s.rows + walk.row) * s.heads + at.h) * s.queries;
    const auto fetch = [&](int buffer) {
      if (!walk.there()) return;
      if (thread < kTokens) numbers = QueryNumbers::of(p.lse, p.delta, line, at.first_query + thread, s.queries);
      if (!stages.elected()) return;
      const Stage to = stage_of(tiles, buffer);
      Arrivals* full = stages.full + buffer;
      arrive_expecting(full, 4 * kTile);
      p.q_map.copy(to.queries, full, at.first_query, at.h, walk.row, at.b);
      p.grad_out_map.copy(to.slopes, full, at.first_query, at.h, walk.row, at.b);
      p.k_map.copy(to.keys, full, at.first_key, at.h, walk.row, at.b);
      p.v_map.copy(to.values, full, at.first_key, at.h, walk.row, at.b);
    };
    fetch(0);
    for (int buffer = 0; walk.there(); buffer ^= 1) {
      const Stage stage = stage_of(tiles, buffer);
      if (thread < kTokens) shared_store(stage.numbers + thread, numbers.in_base_2());
      barrier();  // the step before is over, and all numbers are there
      const uint64_t bits = walk.bits;
      line += static_cast<int64_t>(walk.advance(p.mask, s, at, lane) * s.heads) * s.queries;
      fetch(buffer ^ 1);
      stages.wait();
      add_row(p.scale * kLog2E, stage, warp, bits, start, sum, lane);
    }
    at.write(p.grad_bias, s, at.first_query + warp * 16, at.first_key, sum, lane);
  }

  STRUCTDIFF_DEVICE static void add_row(
      float factor, const Stage& stage, int warp, uint64_t bits, const Scores& start, Scores& sum, int lane) {
    uint32_t q[Channels / 16][4], grad_out[Channels / 16][4];
    load_rows<Channels>(q, stage.queries, warp * 16, lane);
    load_rows<Channels>(grad_out, stage.slopes, warp * 16, lane);
    float2 numbers[2];
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      numbers[half] = shared_load(stage.numbers + warp * 16 + (lane >> 2) + half * 8);
    }
    Scores weights, slopes;
#pragma unroll
    for (int n = 0; n < 8; ++n) {
#pragma unroll
      for (int e = 0; e < 4; ++e) {
        weights[n][e] = start[n][e];
        slopes[n][e] = -numbers[e / 2].y;
      }
    }
    multiply_rows_of_two<T, Channels>(weights, slopes, q, grad_out, stage.keys, stage.values);
    if (bits != ~0ull) hide_keys(weights, bits, false, lane, -kInfinity);
    const float lse[1][2] = {{numbers[0].x, numbers[1].x}};
    if (any(is_large(numbers[0].x) || is_large(numbers[1].x))) {
      weigh<true, true>(weights, factor, lse);
    } else {
      weigh<true, false>(weights, factor, lse);
    }
    products_wait<0>();
    hold(slopes);
#pragma unroll
    for (int n = 0; n < 8; ++n) {
#pragma unroll
      for (int e = 0; e < 4; ++e) sum[n][e] += slopes[n][e] * weights[n][e];
    }
  }
};

}  // namespace structdiff::gpu

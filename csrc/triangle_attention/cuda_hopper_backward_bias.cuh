// Gradient of the bias for Hopper: a warpgroup owns a tile of 64 queries by 64 keys and goes through the rows, the sum in
// registers.
#pragma once

#include "triangle_attention/cuda_backward_rows.cuh"
#include "triangle_attention/cuda_hopper_backward.cuh"

namespace structdiff::gpu {

template <class T, int Channels>
struct HopperBiasGradient {
  using Problem = BackwardProblem<T>;
  using Tiles = GroupTiles<T, Channels>;
  using Tile = TileOfRows<64, 64>;
  static constexpr int kThreads = 128;
  static constexpr int kMinBlocks = Channels <= 32 ? 3 : 2;
  static constexpr int kStartRegisters = 128;  // elsewhere the kernel is empty and needs fewer, see `hopper_can_run`
  static constexpr int kTokens = 64;
  static constexpr int kStageBytes = 4 * Tiles::kBytes;
  static constexpr int64_t kSharedBytes = 1024 + 2 * (kStageBytes + kTokens * static_cast<int>(sizeof(float2)));
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
    float2* numbers = reinterpret_cast<float2*>(tiles + 2 * kStageBytes) + index * kTokens;
    return {from, from + Tiles::kBytes, from + 2 * Tiles::kBytes, from + 3 * Tiles::kBytes, numbers};
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
    Tiles queries(p.q, at.b, walk.row, at.h, thread), slopes(p.grad_out, at.b, walk.row, at.h, thread);
    Tiles keys(p.k, at.b, walk.row, at.h, thread), values(p.v, at.b, walk.row, at.h, thread);
    queries.skip(p.q, at.first_query);
    slopes.skip(p.grad_out, at.first_query);
    keys.skip(p.k, at.first_key);
    values.skip(p.v, at.first_key);
    QueryNumbers numbers{};
    int64_t line = ((static_cast<int64_t>(at.b) * s.rows + walk.row) * s.heads + at.h) * s.queries;
    const auto advance = [&] {
      const int rows = walk.advance(p.mask, s, at, lane);
      line += static_cast<int64_t>(rows * s.heads) * s.queries;
      queries.skip_rows(p.q, rows);
      slopes.skip_rows(p.grad_out, rows);
      keys.skip_rows(p.k, rows);
      values.skip_rows(p.v, rows);
    };
    const auto fetch = [&](const Stage& to) {
      queries.fetch(to.queries, p.q, at.first_query, s.queries, s.channels, thread);
      slopes.fetch(to.slopes, p.grad_out, at.first_query, s.queries, s.channels, thread);
      keys.fetch(to.keys, p.k, at.first_key, s.keys, s.channels, thread);
      values.fetch(to.values, p.v, at.first_key, s.keys, s.channels, thread);
      if (thread < kTokens) {
        numbers = QueryNumbers::of(p.lse, p.delta, line, at.first_query + thread, s.queries);
      }
    };
    bool there = walk.there();
    if (there) fetch(stage_of(tiles, 0));
    copy_async_commit();
    for (int buffer = 0; there; buffer ^= 1) {
      const Stage stage = stage_of(tiles, buffer);
      if (thread < kTokens) shared_store(stage.numbers + thread, numbers.in_base_2());
      copy_async_wait<0>();
      reads_before_copies();  // and writes before products, for these read as the copy engine does
      barrier();
      const uint64_t bits = walk.bits;
      advance();
      there = walk.there();
      if (there) fetch(stage_of(tiles, buffer ^ 1));
      copy_async_commit();
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
    hold(weights);
    hold(slopes);
    hold(q);
    hold(grad_out);
    uint64_t keys[Channels / 16], values[Channels / 16];
    parts_of<Tiles::kRowBytes>(keys, stage.keys, true);
    parts_of<Tiles::kRowBytes>(values, stage.values, true);
    products_begin();
#pragma unroll
    for (int c = 0; c < Channels / 16; ++c) GroupProduct<T>::template add<0>(weights, q[c], keys[c]);
    products_commit();
#pragma unroll
    for (int c = 0; c < Channels / 16; ++c) GroupProduct<T>::template add<0>(slopes, grad_out[c], values[c]);
    products_commit();
    products_wait<1>();
    hold(weights);
    if (bits != ~0ull) hide_keys(weights, bits, false, lane, -kInfinity);
#pragma unroll
    for (int n = 0; n < 8; ++n) {
#pragma unroll
      for (int e = 0; e < 4; ++e) weights[n][e] = weight(weights[n][e], factor, numbers[e / 2].x);
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

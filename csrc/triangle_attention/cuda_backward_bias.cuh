// Gradient of the bias: the sum over all rows i of the slopes. A block owns a tile of queries by keys and goes through the
// rows, the sum in registers: no atomics, the same bits every time. Where tiles are too few to fill a GPU, the rows are
// shared out, and `SumShares` adds the shares up in order.
#pragma once

#include "triangle_attention/cuda_backward_rows.cuh"

namespace structdiff::gpu {

template <class T, int Channels>
struct BiasGradient {
  using Problem = BackwardProblem<T>;
  static constexpr bool kHalf = sizeof(T) == 2;
  static constexpr int kTiles = kHalf && Channels <= 64 ? 2 : 1;
  static constexpr int kWarpKeys = kHalf || Channels <= 64 ? 32 : 16;
  static constexpr int kScores = kWarpKeys / 8;
  static constexpr bool kLarge = Channels > (kHalf ? 64 : 32);
  static constexpr int kQueryWarps = kLarge && !kHalf && Channels > 64 ? 1 : 2;
  static constexpr int kKeyWarps = kLarge ? 1 : 2;
  static constexpr int kQueries = kQueryWarps * kTiles * 16;
  static constexpr int kKeys = kKeyWarps * kWarpKeys;
  static constexpr int kThreads = kQueryWarps * kKeyWarps * 32;
  static constexpr int kMinBlocks = kHalf && Channels <= 32 ? 3 : 1;
  static constexpr bool kInRegisters = kHalf && Channels <= 32;      // a warp's queries and slopes
  static constexpr int kPart = kInRegisters ? 16 : kWarpKeys;        // keys that are weighed at once
  using QueryTiles = RowTiles<T, Channels, kQueries>;
  using KeyTiles = RowTiles<T, Channels, kKeys>;
  using Rows = Resident<T, Channels, kTiles, kInRegisters>;
  using Sums = float[kTiles][kScores][4];
  static constexpr int kStage = 2 * (QueryTiles::kElements + KeyTiles::kElements);
  static constexpr int64_t kSharedBytes =
      static_cast<int64_t>(sizeof(T)) * 2 * kStage + 2 * kQueries * static_cast<int64_t>(sizeof(float2));

  using Tile = TileOfRows<kQueries, kKeys>;

  STRUCTDIFF_DEVICE static void run(const Problem& p, unsigned char* shared) {
    const Sizes& s = p.sizes;
    const Tile at(s, p.splits);
    const int thread = thread_index();
    const int lane = thread & 31;
    const int warp_query = thread / 32 / kKeyWarps * kTiles * 16;
    const int warp_key = thread / 32 % kKeyWarps * kWarpKeys;
    Sums start, sum = {};
#pragma unroll
    for (int m = 0; m < kTiles; ++m) {
      const int tile_16 = (at.first_query + warp_query) / 16 + m;
      const int column = tile_column(at.first_key + warp_key, s.keys);
      start_with_bias<T, kScores>(start[m], p.bias, at.b, at.h, tile_16, column, lane, kLog2E);
    }
    T* tiles = reinterpret_cast<T*>(shared);
    float2* all_numbers = reinterpret_cast<float2*>(tiles + 2 * kStage);
    RowWalk<kKeys> walk(p.mask, s, at, lane);
    QueryTiles queries(p.q, at.b, walk.row, at.h, thread), slopes(p.grad_out, at.b, walk.row, at.h, thread);
    KeyTiles keys(p.k, at.b, walk.row, at.h, thread), values(p.v, at.b, walk.row, at.h, thread);
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
    const auto fetch = [&](T* to) {
      queries.fetch(to, p.q, at.b, walk.row, at.h, at.first_query, s.queries, s.channels, thread, kThreads);
      to += QueryTiles::kElements;
      slopes.fetch(to, p.grad_out, at.b, walk.row, at.h, at.first_query, s.queries, s.channels, thread, kThreads);
      to += QueryTiles::kElements;
      keys.fetch(to, p.k, at.b, walk.row, at.h, at.first_key, s.keys, s.channels, thread, kThreads);
      to += KeyTiles::kElements;
      values.fetch(to, p.v, at.b, walk.row, at.h, at.first_key, s.keys, s.channels, thread, kThreads);
      if (thread < kQueries) {
        numbers = QueryNumbers::of(p.lse, p.delta, line, at.first_query + thread, s.queries);
      }
    };
    bool there = walk.there();
    if (there) {
      fetch(tiles);
      put_numbers(all_numbers, numbers);
    }
    copy_async_commit();
    for (int buffer = 0; there; buffer ^= 1) {
      copy_async_wait<0>();
      barrier();
      const uint64_t bits = walk.bits;
      advance();
      there = walk.there();
      if (there) fetch(tiles + (buffer ^ 1) * kStage);
      copy_async_commit();
      add_row(p.scale * kLog2E, all_numbers + buffer * kQueries, warp_query, warp_key, bits >> warp_key, start, sum,
              tiles + buffer * kStage, lane);
      if (there) put_numbers(all_numbers + (buffer ^ 1) * kQueries, numbers);
    }
#pragma unroll
    for (int m = 0; m < kTiles; ++m) {
      at.write(p.grad_bias, s, at.first_query + warp_query + m * 16, at.first_key + warp_key, sum[m], lane);
    }
  }

  STRUCTDIFF_DEVICE static void put_numbers(float2* to, const QueryNumbers& numbers) {
    if (thread_index() < kQueries) shared_store(to + thread_index(), numbers.in_base_2());
  }

  // Beyond the last key there is no packed tile; any other stands in, its sums are not written.
  STRUCTDIFF_DEVICE static int tile_column(int key, int keys) { return key < divide_up(keys, kWordKeys) * kWordKeys ? key : 0; }

  STRUCTDIFF_DEVICE static void add_row(
      float factor, const float2* numbers, int warp_query, int warp_key, uint64_t bits, const Sums& start, Sums& sum,
      const T* tiles, int lane) {
    float2 of_row[kTiles][2];
#pragma unroll
    for (int m = 0; m < kTiles; ++m) {
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        of_row[m][half] = shared_load(numbers + warp_query + m * 16 + (lane >> 2) + half * 8);
      }
    }
    Rows queries, grad_out;
    queries.take(tiles, warp_query, lane);
    grad_out.take(tiles + QueryTiles::kElements, warp_query, lane);
    const T* keys = tiles + 2 * QueryTiles::kElements + warp_key * kPitch<T, Channels>;
#pragma unroll
    for (int part = 0; part < kWarpKeys; part += kPart) {
      float scores[kTiles][kPart / 8][4] = {};
      float slopes[kTiles][kPart / 8][4];
#pragma unroll
      for (int m = 0; m < kTiles; ++m) {
#pragma unroll
        for (int n = 0; n < kPart / 8; ++n) {
#pragma unroll
          for (int e = 0; e < 4; ++e) slopes[m][n][e] = -of_row[m][e / 2].y;
        }
      }
      const T* part_keys = keys + part * kPitch<T, Channels>;
      multiply_rows<T, Channels>(scores, queries, part_keys, lane);
      multiply_rows<T, Channels>(slopes, grad_out, part_keys + KeyTiles::kElements, lane);
      const uint64_t part_bits = bits >> part & kAllBits<kPart>;
#pragma unroll
      for (int m = 0; m < kTiles; ++m) {
        if (part_bits != kAllBits<kPart>) hide_keys(scores[m], part_bits, false, lane, -kInfinity);
#pragma unroll
        for (int n = 0; n < kPart / 8; ++n) {
#pragma unroll
          for (int e = 0; e < 4; ++e) {
            const float base = start[m][part / 8 + n][e] - of_row[m][e / 2].x;
            const float weight = exp2_fast(fminf(fmaf(scores[m][n][e], factor, base), 0.0f));
            sum[m][part / 8 + n][e] += slopes[m][n][e] * weight;
          }
        }
      }
    }
  }
};

}  // namespace structdiff::gpu

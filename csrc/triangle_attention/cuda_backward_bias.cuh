// Gradient of the bias: the sum over all rows i of the slopes. A block owns a tile of queries by keys and goes through the
// rows, the sum in registers: no atomics, the same bits every time. Where tiles are too few to fill a GPU, the rows are
// shared out, and `SumShares` adds the shares up in order.
#pragma once

#include "triangle_attention/cuda_products.cuh"

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
  static constexpr int kMinBlocks = 1;
  static constexpr int kQueryTile = kQueries * kPitch<T, Channels>;
  static constexpr int kKeyTile = kKeys * kPitch<T, Channels>;
  static constexpr int kStage = 2 * (kQueryTile + kKeyTile);
  static constexpr int64_t kSharedBytes = static_cast<int64_t>(sizeof(T)) * 2 * kStage;

  STRUCTDIFF_BOTH static int64_t tiles(const Problem& p) {
    return static_cast<int64_t>(p.bias_batches) * p.sizes.heads * divide_up(p.sizes.queries, kQueries) *
           divide_up(p.sizes.keys, kKeys);
  }

  // The next row from `row` on that has a key in this tile, or `end`; rows are counted through all batch entries.
  STRUCTDIFF_DEVICE static int64_t next_row(const Problem& p, int64_t row, int64_t end, int first_key, uint64_t& bits) {
    for (; row < end; ++row) {
      const uint64_t* words = p.mask.data + row * (p.mask.words + 1);
      bits = load(words + first_key / kWordKeys) >> (first_key % kWordKeys) & kAllBits<kKeys>;
      if (bits != 0 && load(words + p.mask.words) == 0) break;
    }
    return row;
  }

  STRUCTDIFF_DEVICE static void run(const Problem& p, unsigned char* shared) {
    const Sizes& s = p.sizes;
    const int lane = thread_index() & 31;
    const int warp = thread_index() / 32;
    int64_t block = block_index();
    const int key_blocks = divide_up(s.keys, kKeys);
    const int query_blocks = divide_up(s.queries, kQueries);
    const int first_key = static_cast<int>(block % key_blocks) * kKeys;
    block /= key_blocks;
    const int first_query = static_cast<int>(block % query_blocks) * kQueries;
    block /= query_blocks;
    const int h = static_cast<int>(block % s.heads);
    block /= s.heads;
    const int bias_batch = static_cast<int>(block % p.bias_batches);
    const int share = static_cast<int>(block / p.bias_batches);
    const int64_t all = static_cast<int64_t>(p.bias_batches == 1 ? s.batch : 1) * s.rows;
    const int64_t first = bias_batch * all + all * share / p.splits;
    const int64_t end = bias_batch * all + all * (share + 1) / p.splits;

    const int warp_query = warp / kKeyWarps * kTiles * 16;
    const int warp_key = warp % kKeyWarps * kWarpKeys;
    float start[kTiles][kScores][4];
    float sum[kTiles][kScores][4] = {};
#pragma unroll
    for (int m = 0; m < kTiles; ++m) {
      start_with_bias<T, kScores>(
          start[m], p.bias, bias_batch, h, (first_query + warp_query) / 16 + m, tile_column(first_key + warp_key, s.keys),
          lane, 1.0f / p.scale);
    }
    T* tiles = reinterpret_cast<T*>(shared);
    uint64_t bits = 0;
    int64_t row = next_row(p, first, end, first_key, bits);
    if (row < end) fetch(p, row, h, first_query, first_key, tiles);
    copy_async_commit();
    for (int buffer = 0; row < end; buffer ^= 1) {
      copy_async_wait<0>();
      barrier();
      uint64_t next_bits = 0;
      const int64_t next = next_row(p, row + 1, end, first_key, next_bits);
      if (next < end) fetch(p, next, h, first_query, first_key, tiles + (buffer ^ 1) * kStage);
      copy_async_commit();
      add_row(p, row, h, first_query + warp_query, warp_query, warp_key, bits >> warp_key, start, sum,
              tiles + buffer * kStage, lane);
      row = next;
      bits = next_bits;
    }
    const int64_t plane = (static_cast<int64_t>(share) * p.bias_batches + bias_batch) * s.heads + h;
    write(p.grad_bias + plane * s.queries * s.keys, s, first_query + warp_query, first_key + warp_key, sum, lane);
  }

  // Beyond the last key there is no packed tile; any other stands in, its sums are not written.
  STRUCTDIFF_DEVICE static int tile_column(int key, int keys) { return key < divide_up(keys, kWordKeys) * kWordKeys ? key : 0; }

  STRUCTDIFF_DEVICE static void fetch(
      const Problem& p, int64_t row, int h, int first_query, int first_key, T* to) {
    const Sizes& s = p.sizes;
    const int b = static_cast<int>(row / s.rows);
    const int i = static_cast<int>(row % s.rows);
    const int thread = thread_index();
    stage<T, Channels>(to, p.q.table(b, i, h), first_query, kQueries, s.queries, s.channels, thread, kThreads);
    to += kQueryTile;
    stage<T, Channels>(to, p.grad_out.table(b, i, h), first_query, kQueries, s.queries, s.channels, thread, kThreads);
    to += kQueryTile;
    stage<T, Channels>(to, p.k.table(b, i, h), first_key, kKeys, s.keys, s.channels, thread, kThreads);
    to += kKeyTile;
    stage<T, Channels>(to, p.v.table(b, i, h), first_key, kKeys, s.keys, s.channels, thread, kThreads);
  }

  STRUCTDIFF_DEVICE static void add_row(
      const Problem& p, int64_t row, int h, int query, int warp_query, int warp_key, uint64_t bits,
      const float (&start)[kTiles][kScores][4], float (&sum)[kTiles][kScores][4], const T* tiles, int lane) {
    const Sizes& s = p.sizes;
    float scores[kTiles][kScores][4];
    float slopes[kTiles][kScores][4];
    float lse[kTiles][2];
#pragma unroll
    for (int m = 0; m < kTiles; ++m) {
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        const int at_query = query + m * 16 + (lane >> 2) + half * 8;
        const int64_t at = (row * s.heads + h) * s.queries + at_query;
        lse[m][half] = at_query < s.queries ? load(p.lse + at) * kLog2E : kInfinity;
        const float delta = at_query < s.queries ? load(p.delta + at) : 0.0f;
#pragma unroll
        for (int n = 0; n < kScores; ++n) {
#pragma unroll
          for (int e = half * 2; e < half * 2 + 2; ++e) {
            scores[m][n][e] = start[m][n][e];
            slopes[m][n][e] = -delta;
          }
        }
      }
    }
    const T* keys = tiles + 2 * kQueryTile + warp_key * kPitch<T, Channels>;
    Resident<T, Channels, kTiles, false> rows;
    rows.take(tiles, warp_query, lane);
    multiply_rows<T, Channels>(scores, rows, keys, lane);
    rows.take(tiles + kQueryTile, warp_query, lane);
    multiply_rows<T, Channels>(slopes, rows, keys + kKeyTile, lane);
    bits &= kAllBits<kWarpKeys>;
#pragma unroll
    for (int m = 0; m < kTiles; ++m) {
      if (bits != kAllBits<kWarpKeys>) hide_keys(scores[m], bits, false, lane, -kInfinity);
#pragma unroll
      for (int n = 0; n < kScores; ++n) {
#pragma unroll
        for (int e = 0; e < 4; ++e) {
          sum[m][n][e] += slopes[m][n][e] * weight(scores[m][n][e], p.scale * kLog2E, lse[m][e / 2]);
        }
      }
    }
  }

  STRUCTDIFF_DEVICE static void write(
      float* to, const Sizes& s, int query, int key, const float (&sum)[kTiles][kScores][4], int lane) {
#pragma unroll
    for (int m = 0; m < kTiles; ++m) {
#pragma unroll
      for (int n = 0; n < kScores; ++n) {
#pragma unroll
        for (int e = 0; e < 4; ++e) {
          const int row = query + m * 16 + (lane >> 2) + e / 2 * 8;
          const int column = key + n * 8 + (lane & 3) * 2 + (e & 1);
          if (row < s.queries && column < s.keys) {
            store(to + static_cast<int64_t>(row) * s.keys + column, sum[m][n][e]);
          }
        }
      }
    }
  }
};

}  // namespace structdiff::gpu

// Gradient of the queries: as attention forward, once more through the keys.
//
// With p the weights (from lse) and delta = grad_out . out: slope = p (grad_out . v - delta), grad_q = scale slope k.
#pragma once

#include "triangle_attention/cuda_products.cuh"

namespace structdiff::gpu {

template <class T, int Channels>
struct QueryGradient {
  using Problem = BackwardProblem<T>;
  static constexpr bool kHalf = sizeof(T) == 2;
  static constexpr int kThreads = 256;
  static constexpr int kMinBlocks = 1;
  static constexpr int kTiles = kHalf && Channels <= 32 ? 2 : 1;
  static constexpr int kWarpTokens = kTiles * 16;
  static constexpr int kKeys = kHalf || Channels <= 64 ? 32 : 16;
  static constexpr int kScores = kKeys / 8;
  static constexpr int kTile = kKeys * kPitch<T, Channels>;
  static constexpr bool kInRegisters = kHalf ? Channels <= 64 : Channels <= 16;
  using Rows = Resident<T, Channels, kTiles, kInRegisters>;

  STRUCTDIFF_BOTH static constexpr int64_t slot_bytes(int warps_per_row) {
    return static_cast<int64_t>(sizeof(T)) * (2 * 2 * kTile + 2 * warps_per_row * kWarpTokens * kPitch<T, Channels>);
  }

  STRUCTDIFF_DEVICE static void run(const Problem& p, unsigned char* shared) {
    const Sizes& s = p.sizes;
    const int lane = thread_index() & 31;
    const int warp = thread_index() / 32;
    const int slot = warp / p.warps_per_row;
    const int block_queries = p.warps_per_row * kWarpTokens;
    const int query_blocks = divide_up(s.queries, block_queries);
    int64_t block = block_index();
    const int first_query = static_cast<int>(block % query_blocks) * block_queries;
    block /= query_blocks;
    const int h = static_cast<int>(block % s.heads);
    block /= s.heads;
    const int row_blocks = divide_up(s.rows, p.rows_per_block);
    const int i = static_cast<int>(block % row_blocks) * p.rows_per_block + slot;
    const int b = static_cast<int>(block / row_blocks);
    if (i >= s.rows) return;

    const int threads = p.warps_per_row * 32;
    const int thread = thread_index() - slot * threads;
    T* tiles = reinterpret_cast<T*>(shared + slot * slot_bytes(p.warps_per_row));
    T* queries = tiles + 2 * 2 * kTile;
    T* slopes = queries + block_queries * kPitch<T, Channels>;
    const int warp_query = warp % p.warps_per_row * kWarpTokens;
    stage<T, Channels>(queries, p.q.table(b, i, h), first_query, block_queries, s.queries, s.channels, thread, threads);
    stage<T, Channels>(
        slopes, p.grad_out.table(b, i, h), first_query, block_queries, s.queries, s.channels, thread, threads);
    copy_async_commit();
    copy_async_wait<0>();
    barrier(1 + slot, threads);
    Rows q, grad_out;
    q.take(queries, warp_query, lane);
    grad_out.take(slopes, warp_query, lane);
    go_through_keys(p, b, i, h, first_query + warp_query, q, grad_out, tiles, thread, threads, 1 + slot, lane);
  }

  STRUCTDIFF_DEVICE static void go_through_keys(
      const Problem& p, int b, int i, int h, int query, const Rows& q, const Rows& grad_out, T* tiles, int thread,
      int threads, int name, int lane) {
    const Sizes& s = p.sizes;
    const uint64_t* words = p.mask.row(s, b, i);
    // A row without keys does not depend on its queries.
    const int count = load(words + p.mask.words) != 0 ? 0 : divide_up(s.keys, kKeys);
    const Table<T> keys = p.k.table(b, i, h);
    const Table<T> values = p.v.table(b, i, h);
    float lse[kTiles][2], delta[kTiles][2];
#pragma unroll
    for (int m = 0; m < kTiles; ++m) {
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        const int row = query + m * 16 + (lane >> 2) + half * 8;
        const int64_t at = ((static_cast<int64_t>(b) * s.rows + i) * s.heads + h) * s.queries + row;
        lse[m][half] = row < s.queries ? load(p.lse + at) * kLog2E : kInfinity;
        delta[m][half] = row < s.queries ? load(p.delta + at) : 0.0f;
      }
    }

    uint64_t bits = 0;
    int tile = next_tile<kKeys>(words, 0, count, bits);
    const auto fetch = [&](int which, int buffer) {
      T* to = tiles + buffer * 2 * kTile;
      stage<T, Channels>(to, keys, which * kKeys, kKeys, s.keys, s.channels, thread, threads);
      stage<T, Channels>(to + kTile, values, which * kKeys, kKeys, s.keys, s.channels, thread, threads);
    };
    if (tile < count) fetch(tile, 0);
    copy_async_commit();
    const float inverse_scale = 1.0f / p.scale;
    float grad[kTiles][Channels / 8][4] = {};
    for (int buffer = 0; tile < count; buffer ^= 1) {
      // Asked for before the wait, so that both come at once.
      float scores[kTiles][kScores][4];
      float slopes[kTiles][kScores][4];
#pragma unroll
      for (int m = 0; m < kTiles; ++m) {
        start_with_bias<T, kScores>(scores[m], p.bias, b, h, query / 16 + m, tile * kKeys, lane, inverse_scale);
#pragma unroll
        for (int n = 0; n < kScores; ++n) {
#pragma unroll
          for (int e = 0; e < 4; ++e) slopes[m][n][e] = -delta[m][e / 2];
        }
      }
      copy_async_wait<0>();
      barrier(name, threads);
      uint64_t next_bits = 0;
      const int next = next_tile<kKeys>(words, tile + 1, count, next_bits);
      if (next < count) fetch(next, buffer ^ 1);
      copy_async_commit();
      const T* k = tiles + buffer * 2 * kTile;
      if (query < s.queries) {
        multiply_rows<T, Channels>(scores, q, k, lane);
        multiply_rows<T, Channels>(slopes, grad_out, k + kTile, lane);
#pragma unroll
        for (int m = 0; m < kTiles; ++m) {
          if (bits != kAllBits<kKeys>) hide_keys(scores[m], bits, false, lane, -kInfinity);
#pragma unroll
          for (int n = 0; n < kScores; ++n) {
#pragma unroll
            for (int e = 0; e < 4; ++e) {
              slopes[m][n][e] *= weight(scores[m][n][e], p.scale * kLog2E, lse[m][e / 2]);
            }
          }
        }
        multiply_columns<T, Channels>(grad, slopes, k, lane);
      }
      tile = next;
      bits = next_bits;
    }
#pragma unroll
    for (int m = 0; m < kTiles; ++m) {
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        const int row = query + m * 16 + (lane >> 2) + half * 8;
        if (row >= s.queries) continue;
        T* to = p.grad_q.at(b, i, h) + row * p.grad_q.token;
#pragma unroll
        for (int c = 0; c < Channels / 8; ++c) {
          const int column = c * 8 + (lane & 3) * 2;
          if (column >= s.channels) continue;
          store_pair<T>(to, p.grad_q.channel, p.grad_q.vectors, column, grad[m][c][half * 2] * p.scale,
                        grad[m][c][half * 2 + 1] * p.scale);
        }
      }
    }
  }
};

}  // namespace structdiff::gpu

// Gradients of keys and values: a warp owns 16 or 32 keys and goes through the queries.
//
// Scores are computed transposed, keys by queries, so that weights and slopes are left operands as they come:
// grad_v = p' grad_out, grad_k = scale slope' q.
#pragma once

#include "triangle_attention/cuda_products.cuh"

namespace structdiff::gpu {

template <class T, int Channels>
struct KeyGradient {
  using Problem = BackwardProblem<T>;
  static constexpr bool kHalf = sizeof(T) == 2;
  static constexpr int kThreads = 256;
  static constexpr int kMinBlocks = 1;
  static constexpr int kTiles = kHalf && Channels <= 32 ? 2 : 1;
  static constexpr int kWarpTokens = kTiles * 16;
  static constexpr int kQueries = kHalf || Channels <= 64 ? 32 : 16;  // of a step
  static constexpr int kScores = kQueries / 8;
  static constexpr int kTile = kQueries * kPitch<T, Channels>;
  static constexpr bool kInRegisters = kHalf ? Channels <= 64 : Channels <= 16;
  using Rows = Resident<T, Channels, kTiles, kInRegisters>;
  using Gradient = float[kTiles][Channels / 8][4];

  STRUCTDIFF_BOTH static constexpr int64_t slot_bytes(int warps_per_row) {
    return static_cast<int64_t>(sizeof(T)) * (2 * 2 * kTile + 2 * warps_per_row * kWarpTokens * kPitch<T, Channels>);
  }

  STRUCTDIFF_DEVICE static void run(const Problem& p, unsigned char* shared) {
    const Sizes& s = p.sizes;
    const int lane = thread_index() & 31;
    const int warp = thread_index() / 32;
    const int slot = warp / p.warps_per_row;
    const int block_keys = p.warps_per_row * kWarpTokens;
    const int key_blocks = divide_up(s.keys, block_keys);
    int64_t block = block_index();
    const int first_key = static_cast<int>(block % key_blocks) * block_keys;
    block /= key_blocks;
    const int h = static_cast<int>(block % s.heads);
    block /= s.heads;
    const int row_blocks = divide_up(s.rows, p.rows_per_block);
    const int i = static_cast<int>(block % row_blocks) * p.rows_per_block + slot;
    const int b = static_cast<int>(block / row_blocks);
    if (i >= s.rows) return;

    const int threads = p.warps_per_row * 32;
    const int thread = thread_index() - slot * threads;
    T* tiles = reinterpret_cast<T*>(shared + slot * slot_bytes(p.warps_per_row));
    T* keys = tiles + 2 * 2 * kTile;
    T* values = keys + block_keys * kPitch<T, Channels>;
    const int warp_key = warp % p.warps_per_row * kWarpTokens;
    stage<T, Channels>(keys, p.k.table(b, i, h), first_key, block_keys, s.keys, s.channels, thread, threads);
    stage<T, Channels>(values, p.v.table(b, i, h), first_key, block_keys, s.keys, s.channels, thread, threads);
    copy_async_commit();
    copy_async_wait<0>();
    barrier(1 + slot, threads);
    Rows k, v;
    k.take(keys, warp_key, lane);
    v.take(values, warp_key, lane);
    Gradient grad_k = {}, grad_v = {};
    const int key = first_key + warp_key;
    go_through_queries(p, b, i, h, key, k, v, grad_k, grad_v, tiles, thread, threads, 1 + slot, lane);
    if (key >= s.keys) return;
    const uint64_t* words = p.mask.row(s, b, i);
    write(p.grad_k, s, words, b, i, h, key, grad_k, p.scale, lane);
    write(p.grad_v, s, words, b, i, h, key, grad_v, 1.0f, lane);
  }

  STRUCTDIFF_DEVICE static void go_through_queries(
      const Problem& p, int b, int i, int h, int key, const Rows& k, const Rows& v, Gradient& grad_k,
      Gradient& grad_v, T* tiles, int thread, int threads, int name, int lane) {
    const Sizes& s = p.sizes;
    const uint64_t* words = p.mask.row(s, b, i);
    const bool dead = load(words + p.mask.words) != 0;
    const bool active = key < s.keys && any_key(words, key);
    const Table<T> queries = p.q.table(b, i, h);
    const Table<T> slopes_out = p.grad_out.table(b, i, h);
    const int count = divide_up(s.queries, kQueries);
    const auto fetch = [&](int which, int buffer) {
      T* to = tiles + buffer * 2 * kTile;
      stage<T, Channels>(to, queries, which * kQueries, kQueries, s.queries, s.channels, thread, threads);
      stage<T, Channels>(to + kTile, slopes_out, which * kQueries, kQueries, s.queries, s.channels, thread, threads);
    };
    fetch(0, 0);
    copy_async_commit();
    const float inverse_scale = 1.0f / p.scale;
    for (int tile = 0; tile < count; ++tile) {
      copy_async_wait<0>();
      barrier(name, threads);
      if (tile + 1 < count) fetch(tile + 1, (tile + 1) & 1);
      copy_async_commit();
      if (!active) continue;
      const T* q = tiles + (tile & 1) * 2 * kTile;
      float weights[kTiles][kScores][4];
      float slopes[kTiles][kScores][4];
      if (dead) {
#pragma unroll
        for (int m = 0; m < kTiles; ++m) {
#pragma unroll
          for (int n = 0; n < kScores; ++n) {
#pragma unroll
            for (int e = 0; e < 4; ++e) weights[m][n][e] = 1.0f / static_cast<float>(s.keys);
          }
        }
        multiply_columns<T, Channels>(grad_v, weights, q + kTile, lane);
        continue;
      }
      const int64_t line = ((static_cast<int64_t>(b) * s.rows + i) * s.heads + h) * s.queries;
      float lse[kScores][2];
#pragma unroll
      for (int n = 0; n < kScores; ++n) {
#pragma unroll
        for (int e = 0; e < 2; ++e) {
          const int query = tile * kQueries + n * 8 + (lane & 3) * 2 + e;
          lse[n][e] = query < s.queries ? load(p.lse + line + query) * kLog2E : kInfinity;
          const float delta = query < s.queries ? load(p.delta + line + query) : 0.0f;
#pragma unroll
          for (int m = 0; m < kTiles; ++m) slopes[m][n][e] = slopes[m][n][e + 2] = -delta;
        }
      }
#pragma unroll
      for (int m = 0; m < kTiles; ++m) {
        start_with_bias<T, kScores>(
            weights[m], p.bias_transposed, b, h, key / 16 + m, tile * kQueries, lane, inverse_scale);
      }
      multiply_rows<T, Channels>(weights, k, q, lane);
      multiply_rows<T, Channels>(slopes, v, q + kTile, lane);
#pragma unroll
      for (int m = 0; m < kTiles; ++m) {
#pragma unroll
        for (int n = 0; n < kScores; ++n) {
#pragma unroll
          for (int e = 0; e < 4; ++e) {
            weights[m][n][e] = weight(weights[m][n][e], p.scale * kLog2E, lse[n][e & 1]);
            slopes[m][n][e] *= weights[m][n][e];
          }
        }
      }
      multiply_columns<T, Channels>(grad_v, weights, q + kTile, lane);
      multiply_columns<T, Channels>(grad_k, slopes, q, lane);
    }
  }

  // Whether any of this warp's keys takes part.
  STRUCTDIFF_DEVICE static bool any_key(const uint64_t* words, int key) {
    const uint64_t bits = load(words + key / kWordKeys) >> (key % kWordKeys);
    return (bits & ((1ull << kWarpTokens) - 1)) != 0;
  }

  // Keys that take no part get zeros, whatever their scores were.
  STRUCTDIFF_DEVICE static void write(
      const Tokens<T>& tokens, const Sizes& s, const uint64_t* words, int b, int i, int h, int key,
      const Gradient& grad, float factor, int lane) {
#pragma unroll
    for (int m = 0; m < kTiles; ++m) {
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        const int row = key + m * 16 + (lane >> 2) + half * 8;
        if (row >= s.keys) continue;
        const bool there = (load(words + row / kWordKeys) >> (row % kWordKeys) & 1) != 0;
        T* to = tokens.at(b, i, h) + row * tokens.token;
#pragma unroll
        for (int c = 0; c < Channels / 8; ++c) {
          const int column = c * 8 + (lane & 3) * 2;
          if (column >= s.channels) continue;
          store_pair<T>(to, tokens.channel, tokens.vectors, column, there ? grad[m][c][half * 2] * factor : 0.0f,
                        there ? grad[m][c][half * 2 + 1] * factor : 0.0f);
        }
      }
    }
  }
};

}  // namespace structdiff::gpu

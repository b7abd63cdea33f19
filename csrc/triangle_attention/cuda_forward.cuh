// Attention forward: softmax in one pass over the keys, scores in registers.
//
// A block has `rows_per_block` rows i, and for each of them `warps_per_row` warps with 16 or 32 queries each. The warps of
// a row share its keys and values in shared memory, copied one tile ahead; all rows of a block read the same tile of the
// bias, from the first-level cache, straight into the accumulators of q . k. Rows wait for their own warps only.
#pragma once

#include "triangle_attention/cuda_products.cuh"

namespace structdiff::gpu {

template <class T, int Channels>
struct ForwardShape {
  static constexpr bool kHalf = sizeof(T) == 2;
  static constexpr int kTiles = kHalf && Channels <= 64 ? 2 : 1;  // of 16 queries a warp
  static constexpr int kWarpQueries = kTiles * 16;
  static constexpr int kKeys = kHalf && Channels <= 32 ? 64 : 32;  // of a step
  static constexpr int kStages = 2;
  static constexpr int kTile = kKeys * kPitch<T, Channels>;  // elements of a staged tile
  static constexpr bool kInRegisters = kHalf || Channels <= 32;  // the queries

  STRUCTDIFF_BOTH static constexpr int64_t slot_bytes(int warps_per_row) {
    const int copies = kStages * 2 * kTile;
    const int queries = warps_per_row * kWarpQueries * kPitch<T, Channels>;
    return static_cast<int64_t>(sizeof(T)) * (kInRegisters ? larger(copies, queries) : copies + queries);
  }
};


template <class T, int Channels>
struct Forward {
  using Problem = ForwardProblem<T>;
  using Shape = ForwardShape<T, Channels>;
  static constexpr int kThreads = 256;
  static constexpr int kMinBlocks = 1;
  static constexpr int kScores = Shape::kKeys / 8;
  static constexpr int kOut = Channels / 8;
  static constexpr int kTiles = Shape::kTiles;
  using Queries = Resident<T, Channels, kTiles, Shape::kInRegisters>;

  // What a warp knows of one tile of 16 queries: rows g and g + 8 of it a lane.
  struct State {
    float top[2];  // the largest score so far
    float sum[2];  // of this lane's weights
  };

  STRUCTDIFF_DEVICE static void run(const Problem& p, unsigned char* shared) {
    const Sizes& s = p.sizes;
    const int lane = thread_index() & 31;
    const int warp = thread_index() / 32;
    const int slot = warp / p.warps_per_row;
    const int block_queries = p.warps_per_row * Shape::kWarpQueries;
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
    T* tiles = reinterpret_cast<T*>(shared + slot * Shape::slot_bytes(p.warps_per_row));
    T* queries = tiles + (Shape::kInRegisters ? 0 : Shape::kStages * 2 * Shape::kTile);
    const int warp_query = warp % p.warps_per_row * Shape::kWarpQueries;

    stage<T, Channels>(queries, p.q.table(b, i, h), first_query, block_queries, s.queries, s.channels, thread, threads);
    copy_async_commit();
    copy_async_wait<0>();
    barrier(1 + slot, threads);
    Queries q;
    q.take(queries, warp_query, lane);
    if (Shape::kInRegisters) barrier(1 + slot, threads);
    go_through_keys(p, b, i, h, first_query + warp_query, q, tiles, thread, threads, 1 + slot, lane);
  }

  STRUCTDIFF_DEVICE static void go_through_keys(
      const Problem& p, int b, int i, int h, int query, const Queries& q, T* tiles,
      int thread, int threads, int name, int lane) {
    const Sizes& s = p.sizes;
    const uint64_t* words = p.mask.row(s, b, i);
    const bool dead = load(words + p.mask.words) != 0;
    const Table<T> keys = p.k.table(b, i, h);
    const Table<T> values = p.v.table(b, i, h);
    const int count = divide_up(s.keys, Shape::kKeys);
    State state[kTiles];
#pragma unroll
    for (int m = 0; m < kTiles; ++m) {
      state[m].top[0] = state[m].top[1] = -kInfinity;
      state[m].sum[0] = state[m].sum[1] = 0.0f;
    }
    float out[kTiles][kOut][4] = {};

    uint64_t bits = 0;
    int tile = next_tile<Shape::kKeys>(words, 0, count, bits);
    const auto fetch = [&](int which, int buffer) {
      T* to = tiles + buffer * 2 * Shape::kTile;
      const int first = which * Shape::kKeys;
      stage<T, Channels>(to, keys, first, Shape::kKeys, s.keys, s.channels, thread, threads);
      stage<T, Channels>(to + Shape::kTile, values, first, Shape::kKeys, s.keys, s.channels, thread, threads);
    };
    if (tile < count) fetch(tile, 0);
    copy_async_commit();
    const float inverse_scale = 1.0f / p.scale;
    for (int buffer = 0; tile < count; buffer ^= 1) {
      // Asked for before the wait, so that both come at once.
      float scores[kTiles][kScores][4];
#pragma unroll
      for (int m = 0; m < kTiles; ++m) {
        start_with_bias<T, kScores>(
            scores[m], p.bias, b, h, query / 16 + m, tile * Shape::kKeys, lane, inverse_scale);
      }
      copy_async_wait<0>();
      barrier(name, threads);
      uint64_t next_bits = 0;
      const int next = next_tile<Shape::kKeys>(words, tile + 1, count, next_bits);
      if (next < count) fetch(next, buffer ^ 1);
      copy_async_commit();
      const T* k = tiles + buffer * 2 * Shape::kTile;
      if (query < s.queries) {
        multiply_rows<T, Channels>(scores, q, k, lane);
        if (bits != kAllBits<Shape::kKeys> || dead) {
#pragma unroll
          for (int m = 0; m < kTiles; ++m) hide_keys(scores[m], bits, dead, lane, -kInfinity);
        }
#pragma unroll
        for (int m = 0; m < kTiles; ++m) weigh(state[m], out[m], scores[m], p.scale * kLog2E);
        multiply_columns<T, Channels>(out, scores, k + Shape::kTile, lane);
      }
      tile = next;
      bits = next_bits;
    }
#pragma unroll
    for (int m = 0; m < kTiles; ++m) finish(p, state[m], out[m], b, i, h, query + m * 16, dead, lane);
  }

  // Scores to weights relative to the largest score so far; what was summed before is scaled to it.
  STRUCTDIFF_DEVICE static void weigh(
      State& state, float (&out)[kOut][4], float (&scores)[kScores][4], float factor) {
    float base[2], keep[2];
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      float top = state.top[half];
#pragma unroll
      for (int n = 0; n < kScores; ++n) top = fmaxf(top, fmaxf(scores[n][half * 2], scores[n][half * 2 + 1]));
      top = fmaxf(top, shuffle_xor(top, 1));
      top = fmaxf(top, shuffle_xor(top, 2));
      // A bias of -infinity may leave no score yet.
      base[half] = top == -kInfinity ? 0.0f : rounded_product(top, factor);
      keep[half] = exp2_fast(rounded_product(state.top[half], factor) - base[half]);
      state.top[half] = top;
    }
    exponentiate(scores, base, factor);
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      float sum = state.sum[half] * keep[half];
#pragma unroll
      for (int n = 0; n < kScores; ++n) {
#pragma unroll
        for (int e = half * 2; e < half * 2 + 2; ++e) sum += scores[n][e];
      }
#pragma unroll
      for (int c = 0; c < kOut; ++c) {
        out[c][half * 2] *= keep[half];
        out[c][half * 2 + 1] *= keep[half];
      }
      state.sum[half] = sum;
    }
  }

  STRUCTDIFF_DEVICE static void finish(
      const Problem& p, const State& state, const float (&out)[kOut][4], int b, int i, int h, int query, bool dead,
      int lane) {
    const Sizes& s = p.sizes;
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      float sum = state.sum[half];
      sum += shuffle_xor(sum, 1);
      sum += shuffle_xor(sum, 2);
      const int row = query + (lane >> 2) + half * 8;
      if (row >= s.queries) continue;
      const float inverse = 1.0f / sum;
      T* to = p.out.at(b, i, h) + row * p.out.token;
#pragma unroll
      for (int c = 0; c < kOut; ++c) {
        const int column = c * 8 + (lane & 3) * 2;
        if (column >= s.channels) continue;
        store_pair<T>(to, p.out.channel, p.out.vectors, column, out[c][half * 2] * inverse,
                      out[c][half * 2 + 1] * inverse);
      }
      if (p.lse && (lane & 3) == 0) {
        const int64_t at = ((static_cast<int64_t>(b) * s.rows + i) * s.heads + h) * s.queries + row;
        store(p.lse + at, dead ? kInfinity : state.top[half] * p.scale + log_accurate(sum));
      }
    }
  }
};

}  // namespace structdiff::gpu

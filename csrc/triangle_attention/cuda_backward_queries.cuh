// Gradient of the queries: as attention forward, once more through the keys.
//
// With p the weights (from lse) and delta = grad_out . out: slope = p (grad_out . v - delta), grad_q = scale slope k.
#pragma once

#include "triangle_attention/cuda_backward_staging.cuh"

namespace structdiff::gpu {

template <class T, int Channels>
struct QueryGradient {
  using Problem = BackwardProblem<T>;
  static constexpr bool kHalf = sizeof(T) == 2;
  static constexpr int kThreads = 128;
  static constexpr int kMinBlocks = kHalf && Channels <= 32 ? 3 : 2;
  static constexpr int kTiles = kHalf && Channels <= 32 ? 2 : 1;
  static constexpr int kWarpTokens = kTiles * 16;
  static constexpr int kKeys = kHalf || Channels <= 64 ? 32 : 16;  // of a step
  static constexpr int kPart = kTiles == 2 ? 16 : kKeys;           // of what registers hold at once
  static constexpr int kScores = kPart / 8;
  static constexpr bool kInRegisters = kHalf ? Channels <= 64 : Channels <= 32;
  using Copies = RowTiles<T, Channels, kKeys>;
  using Rows = Resident<T, Channels, kTiles, kInRegisters>;
  using Gradient = float[kTiles][Channels / 8][4];

  // Shared memory of a row: two steps' keys and values (before them its queries and slopes, which stay where registers do
  // not hold them), and each warp's bias.
  STRUCTDIFF_BOTH static constexpr int64_t row_bytes(int warps_per_row) {
    const int64_t tiles = 2 * 2 * Copies::kElements;
    const int64_t queries = 2 * warps_per_row * kWarpTokens * kPitch<T, Channels>;
    return static_cast<int64_t>(sizeof(T)) * (kInRegisters ? larger(tiles, queries) : tiles + queries);
  }
  STRUCTDIFF_BOTH static constexpr int64_t slot_bytes(int warps_per_row, bool float_bias) {
    const int bias = float_bias ? BiasAhead<float, kTiles, kKeys>::kBytes : BiasAhead<T, kTiles, kKeys>::kBytes;
    return row_bytes(warps_per_row) + 2 * warps_per_row * bias;
  }

  // Which queries the warp has, and who it shares the row with.
  struct Place {
    int b, i, h, query, lane, thread, threads, name;
  };

  STRUCTDIFF_DEVICE static void run(const Problem& p, unsigned char* shared) {
    const Sizes& s = p.sizes;
    Place at;
    at.lane = thread_index() & 31;
    const int slot = thread_index() / 32 / p.warps_per_row;
    const int warp = thread_index() / 32 % p.warps_per_row;
    const int block_queries = p.warps_per_row * kWarpTokens;
    const int query_blocks = divide_up(s.queries, block_queries);
    int64_t block = block_index();
    const int first_query = static_cast<int>(block % query_blocks) * block_queries;
    block /= query_blocks;
    at.h = static_cast<int>(block % s.heads);
    block /= s.heads;
    const int row_blocks = divide_up(s.rows, p.rows_per_block);
    at.i = static_cast<int>(block % row_blocks) * p.rows_per_block + slot;
    at.b = static_cast<int>(block / row_blocks);
    if (at.i >= s.rows) return;

    at.threads = p.warps_per_row * 32;
    at.thread = thread_index() - slot * at.threads;
    at.name = 1 + slot;
    at.query = first_query + warp * kWarpTokens;
    unsigned char* own = shared + slot * slot_bytes(p.warps_per_row, p.bias.is_float);
    T* tiles = reinterpret_cast<T*>(own);
    T* queries = tiles + (kInRegisters ? 0 : 2 * 2 * Copies::kElements);
    T* slopes = queries + block_queries * kPitch<T, Channels>;
    stage<T, Channels>(queries, p.q.table(at.b, at.i, at.h), first_query, block_queries, s.queries, s.channels, at.thread,
                       at.threads);
    stage<T, Channels>(slopes, p.grad_out.table(at.b, at.i, at.h), first_query, block_queries, s.queries, s.channels,
                       at.thread, at.threads);
    copy_async_commit();
    copy_async_wait<0>();
    barrier(at.name, at.threads);
    Rows q, grad_out;
    q.take(queries, warp * kWarpTokens, at.lane);
    grad_out.take(slopes, warp * kWarpTokens, at.lane);
    if (kInRegisters) barrier(at.name, at.threads);
    Gradient grad = {};
    unsigned char* bias = own + row_bytes(p.warps_per_row);
    if (!kHalf || p.bias.is_float) {
      go_through_keys<float>(p, at, tiles, bias + warp * 2 * BiasAhead<float, kTiles, kKeys>::kBytes, q, grad_out, grad);
    } else {
      go_through_keys<T>(p, at, tiles, bias + warp * 2 * BiasAhead<T, kTiles, kKeys>::kBytes, q, grad_out, grad);
    }
#pragma unroll
    for (int m = 0; m < kTiles; ++m) {
      T* to = p.grad_q.at(at.b, at.i, at.h);
      write_gradient<T>(p.grad_q, to, at.query + m * 16, s.queries, s.channels, grad[m], p.scale, nullptr, at.lane);
    }
  }

  // `own_bias` is this warp's.
  template <class B>
  STRUCTDIFF_DEVICE static void go_through_keys(
      const Problem& p, const Place& at, T* tiles, unsigned char* own_bias, const Rows& q, const Rows& grad_out,
      Gradient& grad) {
    using Bias = BiasAhead<B, kTiles, kKeys>;
    const Sizes& s = p.sizes;
    const uint64_t* words = p.mask.row(s, at.b, at.i);
    // A row without keys does not depend on its queries.
    const int count = load(words + p.mask.words) != 0 ? 0 : divide_up(s.keys, kKeys);
    const bool active = at.query < s.queries;
    float2 numbers[kTiles][2];
    const int64_t line = ((static_cast<int64_t>(at.b) * s.rows + at.i) * s.heads + at.h) * s.queries;
#pragma unroll
    for (int m = 0; m < kTiles; ++m) {
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        const int row = at.query + m * 16 + (at.lane >> 2) + half * 8;
        numbers[m][half] = QueryNumbers::of(p.lse, p.delta, line, row, s.queries).in_base_2();
      }
    }

    Copies keys(p.k, at.b, at.i, at.h, at.thread);
    Copies values(p.v, at.b, at.i, at.h, at.thread);
    int reached = 0;
    const Bias bias(p.bias, at.b, at.h, at.query / 16, at.lane);
    const auto fetch = [&](int tile, int buffer) {
      if (tile < count) {
        T* to = tiles + buffer * 2 * Copies::kElements;
        const int first = tile * kKeys;
        keys.skip(p.k, first - reached);
        keys.fetch(to, p.k, at.b, at.i, at.h, first, s.keys, s.channels, at.thread, at.threads);
        to += Copies::kElements;
        values.skip(p.v, first - reached);
        values.fetch(to, p.v, at.b, at.i, at.h, first, s.keys, s.channels, at.thread, at.threads);
        reached = first;
        if (active) bias.fetch(own_bias + buffer * Bias::kBytes, first, at.lane);
      }
      copy_async_commit();
    };
    uint64_t bits = 0;
    int tile = next_tile<kKeys>(words, 0, count, bits);
    fetch(tile, 0);
    for (int buffer = 0; tile < count; buffer ^= 1) {
      uint64_t next_bits = 0;
      const int next = next_tile<kKeys>(words, tile + 1, count, next_bits);
      copy_async_wait<0>();
      barrier(at.name, at.threads);
      fetch(next, buffer ^ 1);
      if (active) {
        const T* k = tiles + buffer * 2 * Copies::kElements;
#pragma unroll 1
        for (int part = 0; part < kKeys; part += kPart) {
          add_part<Bias>(p.scale * kLog2E, q, grad_out, numbers, k + part * kPitch<T, Channels>,
                         own_bias + buffer * Bias::kBytes, part / 8, bits >> part, at.lane, grad);
        }
      }
      tile = next;
      bits = next_bits;
    }
  }

  template <class Bias>
  STRUCTDIFF_DEVICE static void add_part(
      float factor, const Rows& q, const Rows& grad_out, const float2 (&numbers)[kTiles][2], const T* k,
      const unsigned char* bias, int tile, uint64_t bits, int lane, Gradient& grad) {
    float scores[kTiles][kScores][4] = {};
    float slopes[kTiles][kScores][4];
#pragma unroll
    for (int m = 0; m < kTiles; ++m) {
#pragma unroll
      for (int n = 0; n < kScores; ++n) {
#pragma unroll
        for (int e = 0; e < 4; ++e) slopes[m][n][e] = -numbers[m][e / 2].y;
      }
    }
    multiply_rows<T, Channels>(scores, q, k, lane);
    multiply_rows<T, Channels>(slopes, grad_out, k + Copies::kElements, lane);
    if ((bits & kAllBits<kPart>) != kAllBits<kPart>) {
#pragma unroll
      for (int m = 0; m < kTiles; ++m) hide_keys(scores[m], bits, false, lane, -kInfinity);
    }
#pragma unroll
    for (int m = 0; m < kTiles; ++m) {
#pragma unroll
      for (int n = 0; n < kScores; n += 2) {
        float values[2][4];
        Bias::read(values[0], values[1], bias, m, tile + n, lane);
#pragma unroll
        for (int e = 0; e < 8; ++e) {
          slopes[m][n + e / 4][e % 4] *=
              weight_of(scores[m][n + e / 4][e % 4], factor, values[e / 4][e % 4], numbers[m][e % 4 / 2].x);
        }
      }
    }
    multiply_columns<T, Channels>(grad, slopes, k, lane);
  }
};

}  // namespace structdiff::gpu

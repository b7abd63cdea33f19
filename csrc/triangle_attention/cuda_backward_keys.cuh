// Gradients of keys and values: a warp owns 16 or 32 keys and goes through the queries.
//
// Scores are computed transposed, keys by queries, so that weights and slopes are left operands as they come:
// grad_v = p' grad_out, grad_k = scale slope' q.
#pragma once

#include "triangle_attention/cuda_backward_staging.cuh"

namespace structdiff::gpu {

template <class T, int Channels>
struct KeyGradient {
  using Problem = BackwardProblem<T>;
  static constexpr bool kHalf = sizeof(T) == 2;
  static constexpr int kThreads = 128;
  static constexpr int kMinBlocks = kHalf && Channels <= 32 ? 3 : 2;
  static constexpr int kTiles = kHalf && Channels <= 32 ? 2 : 1;
  static constexpr int kWarpTokens = kTiles * 16;
  static constexpr int kQueries = kHalf || Channels <= 64 ? 32 : 16;  // of a step
  static constexpr int kPart = kTiles == 2 ? 16 : kQueries;           // of what registers hold at once
  static constexpr int kScores = kPart / 8;
  static constexpr bool kInRegisters = kHalf ? Channels <= 64 : Channels <= 32;
  using Copies = RowTiles<T, Channels, kQueries>;
  using Rows = Resident<T, Channels, kTiles, kInRegisters>;
  using Gradient = float[kTiles][Channels / 8][4];

  // Shared memory of a row: two steps' queries and slopes (before them its keys and values, which stay where registers do
  // not hold them), their numbers, and each warp's bias.
  struct Slot {
    T* tiles;
    T* keys;
    T* values;
    float2* numbers;
    unsigned char* bias;
  };

  STRUCTDIFF_BOTH static constexpr int64_t row_bytes(int warps_per_row) {
    const int64_t tiles = 2 * 2 * Copies::kElements;
    const int64_t keys = 2 * warps_per_row * kWarpTokens * kPitch<T, Channels>;
    return static_cast<int64_t>(sizeof(T)) * (kInRegisters ? larger(tiles, keys) : tiles + keys);
  }
  STRUCTDIFF_BOTH static constexpr int64_t slot_bytes(int warps_per_row, bool float_bias) {
    const int bias = float_bias ? BiasAhead<float, kTiles, kQueries>::kBytes : BiasAhead<T, kTiles, kQueries>::kBytes;
    return row_bytes(warps_per_row) + 2 * kQueries * static_cast<int64_t>(sizeof(float2)) + 2 * warps_per_row * bias;
  }

  STRUCTDIFF_DEVICE static Slot slot_of(unsigned char* shared, int warps_per_row) {
    Slot slot;
    slot.tiles = reinterpret_cast<T*>(shared);
    slot.keys = slot.tiles + (kInRegisters ? 0 : 2 * 2 * Copies::kElements);
    slot.values = slot.keys + warps_per_row * kWarpTokens * kPitch<T, Channels>;
    slot.numbers = reinterpret_cast<float2*>(shared + row_bytes(warps_per_row));
    slot.bias = reinterpret_cast<unsigned char*>(slot.numbers + 2 * kQueries);
    return slot;
  }

  // Which keys the warp has, and who it shares the row with.
  struct Place {
    int b, i, h, key, warp, lane, thread, threads, name;
  };

  STRUCTDIFF_DEVICE static void run(const Problem& p, unsigned char* shared) {
    const Sizes& s = p.sizes;
    Place at;
    at.lane = thread_index() & 31;
    const int warp = thread_index() / 32;
    const int slot_index = warp / p.warps_per_row;
    const int block_keys = p.warps_per_row * kWarpTokens;
    const int key_blocks = divide_up(s.keys, block_keys);
    int64_t block = block_index();
    const int first_key = static_cast<int>(block % key_blocks) * block_keys;
    block /= key_blocks;
    at.h = static_cast<int>(block % s.heads);
    block /= s.heads;
    const int row_blocks = divide_up(s.rows, p.rows_per_block);
    at.i = static_cast<int>(block % row_blocks) * p.rows_per_block + slot_index;
    at.b = static_cast<int>(block / row_blocks);
    if (at.i >= s.rows) return;

    at.threads = p.warps_per_row * 32;
    at.thread = thread_index() - slot_index * at.threads;
    at.name = 1 + slot_index;
    at.warp = warp % p.warps_per_row;
    const Slot slot = slot_of(shared + slot_index * slot_bytes(p.warps_per_row, p.bias.is_float), p.warps_per_row);
    stage<T, Channels>(slot.keys, p.k.table(at.b, at.i, at.h), first_key, block_keys, s.keys, s.channels, at.thread,
                       at.threads);
    stage<T, Channels>(slot.values, p.v.table(at.b, at.i, at.h), first_key, block_keys, s.keys, s.channels, at.thread,
                       at.threads);
    copy_async_commit();
    copy_async_wait<0>();
    barrier(at.name, at.threads);
    Rows k, v;
    k.take(slot.keys, at.warp * kWarpTokens, at.lane);
    v.take(slot.values, at.warp * kWarpTokens, at.lane);
    if (kInRegisters) barrier(at.name, at.threads);
    Gradient grad_k = {}, grad_v = {};
    at.key = first_key + at.warp * kWarpTokens;
    if (!kHalf || p.bias.is_float) {
      go_through_queries<float>(p, at, slot, k, v, grad_k, grad_v);
    } else {
      go_through_queries<T>(p, at, slot, k, v, grad_k, grad_v);
    }
    if (at.key >= s.keys) return;
    const uint64_t* words = p.mask.row(s, at.b, at.i);
#pragma unroll
    for (int m = 0; m < kTiles; ++m) {
      const int key = at.key + m * 16;
      write_gradient<T>(p.grad_k, p.grad_k.at(at.b, at.i, at.h), key, s.keys, s.channels, grad_k[m], p.scale, words, at.lane);
      write_gradient<T>(p.grad_v, p.grad_v.at(at.b, at.i, at.h), key, s.keys, s.channels, grad_v[m], 1.0f, words, at.lane);
    }
  }

  template <class B>
  STRUCTDIFF_DEVICE static void go_through_queries(
      const Problem& p, const Place& at, const Slot& slot, const Rows& k, const Rows& v, Gradient& grad_k,
      Gradient& grad_v) {
    using Bias = BiasAhead<B, kTiles, kQueries>;
    const Sizes& s = p.sizes;
    const uint64_t* words = p.mask.row(s, at.b, at.i);
    const bool dead = load(words + p.mask.words) != 0;
    const bool active = at.key < s.keys && any_key(words, at.key);
    Copies queries(p.q, at.b, at.i, at.h, at.thread);
    Copies slopes(p.grad_out, at.b, at.i, at.h, at.thread);
    const Bias bias(p.bias_transposed, at.b, at.h, at.key / 16, at.lane);
    unsigned char* own_bias = slot.bias + at.warp * 2 * Bias::kBytes;
    const int64_t line = ((static_cast<int64_t>(at.b) * s.rows + at.i) * s.heads + at.h) * s.queries;
    const int count = divide_up(s.queries, kQueries);
    const auto fetch = [&](int tile) {
      T* to = slot.tiles + (tile & 1) * 2 * Copies::kElements;
      const int first = tile * kQueries;
      queries.fetch(to, p.q, at.b, at.i, at.h, first, s.queries, s.channels, at.thread, at.threads);
      queries.skip(p.q, kQueries);
      to += Copies::kElements;
      slopes.fetch(to, p.grad_out, at.b, at.i, at.h, first, s.queries, s.channels, at.thread, at.threads);
      slopes.skip(p.grad_out, kQueries);
      if (active && !dead) bias.fetch(own_bias + (tile & 1) * Bias::kBytes, first, at.lane);
      copy_async_commit();
    };
    const auto take_numbers = [&](int tile) {
      return at.thread < kQueries
                 ? QueryNumbers::of(p.lse, p.delta, line, tile * kQueries + at.thread, s.queries)
                 : QueryNumbers{};
    };
    const auto put_numbers = [&](int tile, const QueryNumbers& numbers) {
      if (at.thread < kQueries) {
        shared_store(slot.numbers + (tile & 1) * kQueries + at.thread, numbers.in_base_2());
      }
    };
    fetch(0);
    put_numbers(0, take_numbers(0));
    for (int tile = 0; tile < count; ++tile) {
      copy_async_wait<0>();
      barrier(at.name, at.threads);
      QueryNumbers next{};
      if (tile + 1 < count) {
        fetch(tile + 1);
        next = take_numbers(tile + 1);
      }
      if (active) {
        const T* q = slot.tiles + (tile & 1) * 2 * Copies::kElements;
        const float2* numbers = slot.numbers + (tile & 1) * kQueries;
        const unsigned char* step_bias = own_bias + (tile & 1) * Bias::kBytes;
#pragma unroll 1
        for (int part = 0; part < kQueries; part += kPart) {
          const T* part_q = q + part * kPitch<T, Channels>;
          if (dead) {
            add_mean(1.0f / static_cast<float>(s.keys), part_q + Copies::kElements, at.lane, grad_v);
          } else {
            add_part<Bias>(p.scale * kLog2E, k, v, part_q, numbers + part, step_bias, part / 8, at.lane, grad_k, grad_v);
          }
        }
      }
      if (tile + 1 < count) put_numbers(tile + 1, next);
    }
  }

  // A row without keys gives the mean of its values.
  STRUCTDIFF_DEVICE static void add_mean(float share, const T* grad_out, int lane, Gradient& grad_v) {
    float weights[kTiles][kScores][4];
#pragma unroll
    for (int m = 0; m < kTiles; ++m) {
#pragma unroll
      for (int n = 0; n < kScores; ++n) {
#pragma unroll
        for (int e = 0; e < 4; ++e) weights[m][n][e] = share;
      }
    }
    multiply_columns<T, Channels>(grad_v, weights, grad_out, lane);
  }

  template <class Bias>
  STRUCTDIFF_DEVICE static void add_part(
      float factor, const Rows& k, const Rows& v, const T* q, const float2* numbers, const unsigned char* bias, int tile,
      int lane, Gradient& grad_k, Gradient& grad_v) {
    float weights[kTiles][kScores][4] = {};
    float slopes[kTiles][kScores][4];
    float lse[kScores][2];
#pragma unroll
    for (int n = 0; n < kScores; ++n) {
      const float4 two = shared_load(reinterpret_cast<const float4*>(numbers + n * 8 + (lane & 3) * 2));
      lse[n][0] = two.x;
      lse[n][1] = two.z;
#pragma unroll
      for (int m = 0; m < kTiles; ++m) {
        slopes[m][n][0] = slopes[m][n][2] = -two.y;
        slopes[m][n][1] = slopes[m][n][3] = -two.w;
      }
    }
    const T* grad_out = q + Copies::kElements;
    multiply_rows<T, Channels>(weights, k, q, lane);
    multiply_rows<T, Channels>(slopes, v, grad_out, lane);
#pragma unroll
    for (int m = 0; m < kTiles; ++m) {
#pragma unroll
      for (int n = 0; n < kScores; n += 2) {
        float values[2][4];
        Bias::read(values[0], values[1], bias, m, tile + n, lane);
#pragma unroll
        for (int e = 0; e < 8; ++e) {
          float& weight = weights[m][n + e / 4][e % 4];
          weight = weight_of(weight, factor, values[e / 4][e % 4], lse[n + e / 4][e & 1]);
          slopes[m][n + e / 4][e % 4] *= weight;
        }
      }
    }
    multiply_columns<T, Channels>(grad_v, weights, grad_out, lane);
    multiply_columns<T, Channels>(grad_k, slopes, q, lane);
  }

  // Whether any of this warp's keys takes part.
  STRUCTDIFF_DEVICE static bool any_key(const uint64_t* words, int key) {
    const uint64_t bits = load(words + key / kWordKeys) >> (key % kWordKeys);
    return (bits & ((1ull << kWarpTokens) - 1)) != 0;
  }
};

}  // namespace structdiff::gpu

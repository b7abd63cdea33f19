// Gradient of the bias: the sum over all rows i of the slopes. A block owns a tile of queries by keys and goes through the
// rows, the sum in registers: no atomics, the same bits every time. Where tiles are too few to fill a GPU, the rows are
// shared out, and `SumShares` adds the shares up in order.
#pragma once

#include "triangle_attention/cuda_backward_staging.cuh"

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

  STRUCTDIFF_BOTH static int64_t tiles(const Problem& p) {
    return static_cast<int64_t>(p.sizes.batch) * p.sizes.heads * divide_up(p.sizes.queries, kQueries) *
           divide_up(p.sizes.keys, kKeys);
  }

  // The block's tile, and its share of the rows: from `first` to `end`.
  struct Place {
    int b, h, first_query, first_key, share, first, end;
  };

  STRUCTDIFF_DEVICE static Place place_of(const Problem& p) {
    const Sizes& s = p.sizes;
    Place at;
    int64_t block = block_index();
    const int key_blocks = divide_up(s.keys, kKeys);
    const int query_blocks = divide_up(s.queries, kQueries);
    at.first_key = static_cast<int>(block % key_blocks) * kKeys;
    block /= key_blocks;
    at.first_query = static_cast<int>(block % query_blocks) * kQueries;
    block /= query_blocks;
    at.h = static_cast<int>(block % s.heads);
    block /= s.heads;
    at.b = static_cast<int>(block % s.batch);
    at.share = static_cast<int>(block / s.batch);
    at.first = static_cast<int>(static_cast<int64_t>(s.rows) * at.share / p.splits);
    at.end = static_cast<int>(static_cast<int64_t>(s.rows) * (at.share + 1) / p.splits);
    return at;
  }

  // Goes from row to row that has keys in the tile, and has what is needed of each brought a step ahead.
  struct Rower {
    QueryTiles queries, slopes;
    KeyTiles keys, values;
    const uint64_t* words;  // of the mask
    int64_t line;           // of lse and delta
    int row;
    uint64_t bits;         // of the row's keys
    uint64_t ahead, dead;  // words of the row behind it, looked at a step after they were asked for
    QueryNumbers numbers;

    STRUCTDIFF_DEVICE Rower(const Problem& p, const Place& at)
        : queries(p.q, at.b, at.first, at.h, thread_index()),
          slopes(p.grad_out, at.b, at.first, at.h, thread_index()),
          keys(p.k, at.b, at.first, at.h, thread_index()),
          values(p.v, at.b, at.first, at.h, thread_index()),
          words(p.mask.row(p.sizes, at.b, at.first)),
          line(((static_cast<int64_t>(at.b) * p.sizes.rows + at.first) * p.sizes.heads + at.h) * p.sizes.queries),
          row(at.first),
          numbers{} {
      queries.skip(p.q, at.first_query);
      slopes.skip(p.grad_out, at.first_query);
      keys.skip(p.k, at.first_key);
      values.skip(p.v, at.first_key);
      look(p, at);
      if (take(at)) return;
      look_ahead(p, at);
      advance(p, at);
    }

    STRUCTDIFF_DEVICE bool there(const Place& at) const { return row < at.end; }

    // Asks for the words of the row where `words` is.
    STRUCTDIFF_DEVICE void look(const Problem& p, const Place& at) {
      ahead = load(words + at.first_key / kWordKeys);
      dead = load(words + p.mask.words);
    }

    // The keys of the tile that take part; in a row without any key none does.
    STRUCTDIFF_DEVICE bool take(const Place& at) {
      bits = dead != 0 ? 0 : ahead >> (at.first_key % kWordKeys) & kAllBits<kKeys>;
      return bits != 0;
    }

    // Goes on to the next row with keys, after it was looked ahead.
    STRUCTDIFF_DEVICE void advance(const Problem& p, const Place& at) {
      for (bool found = false; !found && row < at.end;) {
        ++row;
        line += static_cast<int64_t>(p.sizes.heads) * p.sizes.queries;
        queries.skip_row(p.q);
        slopes.skip_row(p.grad_out);
        keys.skip_row(p.k);
        values.skip_row(p.v);
        found = row < at.end && take(at);
        if (!found) look_ahead(p, at);
      }
    }
    STRUCTDIFF_DEVICE void look_ahead(const Problem& p, const Place& at) {
      if (row + 1 >= at.end) return;
      words += p.mask.words + 1;
      look(p, at);
    }

    STRUCTDIFF_DEVICE void fetch(const Problem& p, const Place& at, T* to) {
      const Sizes& s = p.sizes;
      const int thread = thread_index();
      look_ahead(p, at);
      queries.fetch(to, p.q, at.b, row, at.h, at.first_query, s.queries, s.channels, thread, kThreads);
      to += QueryTiles::kElements;
      slopes.fetch(to, p.grad_out, at.b, row, at.h, at.first_query, s.queries, s.channels, thread, kThreads);
      to += QueryTiles::kElements;
      keys.fetch(to, p.k, at.b, row, at.h, at.first_key, s.keys, s.channels, thread, kThreads);
      to += KeyTiles::kElements;
      values.fetch(to, p.v, at.b, row, at.h, at.first_key, s.keys, s.channels, thread, kThreads);
      if (thread < kQueries) {
        numbers = QueryNumbers::of(p.lse, p.delta, line, at.first_query + thread, s.queries);
      }
    }
  };

  STRUCTDIFF_DEVICE static void run(const Problem& p, unsigned char* shared) {
    const Place at = place_of(p);
    const int lane = thread_index() & 31;
    const int warp = thread_index() / 32;
    const int warp_query = warp / kKeyWarps * kTiles * 16;
    const int warp_key = warp % kKeyWarps * kWarpKeys;
    Sums start, sum = {};
#pragma unroll
    for (int m = 0; m < kTiles; ++m) {
      const int tile_16 = (at.first_query + warp_query) / 16 + m;
      const int column = tile_column(at.first_key + warp_key, p.sizes.keys);
      start_with_bias<T, kScores>(start[m], p.bias, at.b, at.h, tile_16, column, lane, kLog2E);
    }
    T* tiles = reinterpret_cast<T*>(shared);
    float2* all_numbers = reinterpret_cast<float2*>(tiles + 2 * kStage);
    Rower rower(p, at);
    bool there = rower.there(at);
    uint64_t bits = rower.bits;
    if (there) {
      rower.fetch(p, at, tiles);
      put_numbers(all_numbers, rower.numbers);
    }
    copy_async_commit();
    for (int buffer = 0; there; buffer ^= 1) {
      copy_async_wait<0>();
      barrier();
      rower.advance(p, at);
      const bool more = rower.there(at);
      if (more) rower.fetch(p, at, tiles + (buffer ^ 1) * kStage);
      copy_async_commit();
      add_row(p.scale * kLog2E, all_numbers + buffer * kQueries, warp_query, warp_key, bits >> warp_key, start, sum,
              tiles + buffer * kStage, lane);
      if (more) put_numbers(all_numbers + (buffer ^ 1) * kQueries, rower.numbers);
      there = more;
      bits = rower.bits;
    }
    const int64_t plane = (static_cast<int64_t>(at.share) * p.sizes.batch + at.b) * p.sizes.heads + at.h;
    write(p.grad_bias + plane * p.sizes.queries * p.sizes.keys, p.sizes, at.first_query + warp_query,
          at.first_key + warp_key, sum, lane);
  }

  STRUCTDIFF_DEVICE static void put_numbers(float2* to, const QueryNumbers& numbers) {
    if (thread_index() < kQueries) shared_store(to + thread_index(), float2{numbers.lse, numbers.delta});
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

  STRUCTDIFF_DEVICE static void write(
      float* to, const Sizes& s, int query, int key, const Sums& sum, int lane) {
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

// What is laid out anew before attention: the bias in the order of accumulators, masks as words, and for the gradient
// delta = grad_out . out of every query. A fraction of the pair table's size, read and written once.
#pragma once

#include "triangle_attention/cuda_problem.cuh"

namespace structdiff::gpu {

// bias[batch, head, row, column] to tiles of 16 rows x 64 columns.
struct BiasSource {
  const void* data;
  int64_t batch, head, row, column;
  int rows, columns;
};

template <class T>
struct PrepareProblem {
  Sizes sizes;
  int bias_batches;
  bool bias_is_float;
  float widened_by;  // what the packed bias is multiplied by, and float then; 0: it stays as it is
  BiasSource bias;
  void* packed;
  void* packed_transposed;  // or null: no gradient
  const uint8_t* mask;      // or null
  int64_t mask_batch, mask_row, mask_key;
  uint64_t* words;
  Tokens<T> out, grad_out;  // for delta
  float* delta;             // or null: no gradient
};

// One warp packs one tile, or one row's mask, or the deltas of four queries at a time.
template <class T>
struct Prepare {
  using Problem = PrepareProblem<T>;
  static constexpr int kThreads = 128;
  static constexpr int kMinBlocks = 1;
  static constexpr int kDeltaQueries = 32;  // of one warp

  STRUCTDIFF_BOTH static int64_t bias_tiles(const Problem& p, bool transposed) {
    const int rows = transposed ? p.sizes.keys : p.sizes.queries;
    const int columns = transposed ? p.sizes.queries : p.sizes.keys;
    return static_cast<int64_t>(p.bias_batches) * p.sizes.heads * divide_up(rows, kTileQueries) *
           divide_up(columns, kWordKeys);
  }
  STRUCTDIFF_BOTH static int64_t masks(const Problem& p) { return static_cast<int64_t>(p.sizes.batch) * p.sizes.rows; }
  STRUCTDIFF_BOTH static int64_t deltas(const Problem& p) {
    return p.delta ? masks(p) * p.sizes.heads * divide_up(p.sizes.queries, kDeltaQueries) : 0;
  }
  STRUCTDIFF_BOTH static int64_t warps(const Problem& p) {
    return bias_tiles(p, false) + (p.packed_transposed ? bias_tiles(p, true) : 0) + masks(p) + deltas(p);
  }

  STRUCTDIFF_DEVICE static void run(const Problem& p, unsigned char*) {
    int64_t work = block_index() * (kThreads / 32) + thread_index() / 32;
    const int lane = thread_index() & 31;
    if (work < masks(p)) return pack_mask(p, static_cast<int>(work), lane);
    work -= masks(p);
    if (work < bias_tiles(p, false)) return pack_bias(p, work, lane, false);
    work -= bias_tiles(p, false);
    if (p.packed_transposed) {
      if (work < bias_tiles(p, true)) return pack_bias(p, work, lane, true);
      work -= bias_tiles(p, true);
    }
    if (work < deltas(p)) find_deltas(p, work, lane);
  }

  STRUCTDIFF_DEVICE static void pack_mask(const Problem& p, int work, int lane) {
    const int b = work / p.sizes.rows;
    const int i = work % p.sizes.rows;
    const int count = divide_up(p.sizes.keys, kWordKeys);
    uint64_t* words = p.words + static_cast<int64_t>(work) * (count + 1);
    const uint8_t* mask = p.mask ? p.mask + b * p.mask_batch + i * p.mask_row : nullptr;
    bool any = false;
    for (int word = 0; word < count; ++word) {
      const uint64_t bits = word_of(p, mask, word, lane);
      any = any || bits != 0;
      if (lane == 0) store(words + word, bits);
    }
    if (!any) {
      for (int word = 0; word < count; ++word) {
        const uint64_t bits = word_of(p, nullptr, word, lane);
        if (lane == 0) store(words + word, bits);
      }
    }
    if (lane == 0) store(words + count, static_cast<uint64_t>(!any));
  }

  STRUCTDIFF_DEVICE static uint64_t word_of(const Problem& p, const uint8_t* mask, int word, int lane) {
    uint64_t bits = 0;
    for (int half = 0; half < 2; ++half) {
      const int key = word * kWordKeys + half * 32 + lane;
      bool there = key < p.sizes.keys;
      if (there && mask) there = load(mask + key * p.mask_key) != 0;
      bits |= static_cast<uint64_t>(ballot(there)) << (half * 32);
    }
    return bits;
  }

  STRUCTDIFF_DEVICE static void pack_bias(const Problem& p, int64_t work, int lane, bool transposed) {
    if (p.bias_is_float) {
      pack_tile<float, float>(p, work, lane, transposed, p.widened_by == 0.0f ? 1.0f : p.widened_by);
    } else if (p.widened_by != 0.0f) {
      pack_tile<T, float>(p, work, lane, transposed, p.widened_by);
    } else {
      pack_tile<T, T>(p, work, lane, transposed, 1.0f);
    }
  }

  // What is finite stays so when it is divided by the scale: where all keys have the lowest number there is, all take
  // part alike.
  template <class B>
  STRUCTDIFF_DEVICE static B bounded(B bias) {
    constexpr float kMost = 1e35f;
    const float x = to_float(bias);
    const bool beyond = (x > kMost || x < -kMost) && x != kInfinity && x != -kInfinity;
    return beyond ? from_float<B>(x > 0.0f ? kMost : -kMost) : bias;
  }

  template <class B, class To>
  STRUCTDIFF_DEVICE static void pack_tile(const Problem& p, int64_t work, int lane, bool transposed, float factor) {
    const BiasSource& s = p.bias;
    const int rows = transposed ? p.sizes.keys : p.sizes.queries;
    const int columns = transposed ? p.sizes.queries : p.sizes.keys;
    const int64_t row_stride = transposed ? s.column : s.row;
    const int64_t column_stride = transposed ? s.row : s.column;
    const int tiles_64 = divide_up(columns, kWordKeys);
    const int tiles_16 = divide_up(rows, kTileQueries);
    // Heads lie side by side in most biases: warps that read the same lines follow each other.
    const int h = static_cast<int>(work % p.sizes.heads);
    work /= p.sizes.heads;
    const int tile_64 = static_cast<int>(work % tiles_64);
    const int tile_16 = static_cast<int>(work / tiles_64 % tiles_16);
    const int64_t b = work / tiles_64 / tiles_16;
    const int column = tile_64 * kWordKeys;
    const int row = tile_16 * kTileQueries;
    const B* from = static_cast<const B*>(s.data) + b * s.batch + h * s.head;
    const int64_t tile = ((b * p.sizes.heads + h) * tiles_16 + tile_16) * tiles_64 + tile_64;
    To* to = static_cast<To*>(transposed ? p.packed_transposed : p.packed) + tile * kTileValues;
    constexpr int kVector = 16 / static_cast<int>(sizeof(To));
    for (int value = 0; value < 32; value += kVector) {
      alignas(16) To vector[kVector];
#pragma unroll
      for (int e = 0; e < kVector; ++e) {
        const int at = value + e;
        const int y = row + (lane >> 2) + (at & 2) * 4;
        const int x = column + at / 4 * 8 + (lane & 3) * 2 + (at & 1);
        const B bias = y < rows && x < columns ? bounded(load(from + y * row_stride + x * column_stride)) : B{};
        if constexpr (sizeof(To) == sizeof(B) && sizeof(To) == 2) {
          vector[e] = bias;
        } else {
          vector[e] = to_float(bias) * factor;
        }
      }
      store(reinterpret_cast<uint4*>(to + (value / kVector * 32 + lane) * kVector),
            *reinterpret_cast<const uint4*>(vector));
    }
  }

  STRUCTDIFF_DEVICE static void find_deltas(const Problem& p, int64_t work, int lane) {
    const Sizes& s = p.sizes;
    const int chunks = divide_up(s.queries, kDeltaQueries);
    const int64_t group = work / chunks;  // [batch, row, head]
    const int h = static_cast<int>(group % s.heads);
    const int i = static_cast<int>(group / s.heads % s.rows);
    const int b = static_cast<int>(group / s.heads / s.rows);
    for (int step = 0; step < kDeltaQueries; step += 4) {
      const int query = static_cast<int>(work % chunks) * kDeltaQueries + step + lane / 8;
      float sum = 0.0f;
      if (query < s.queries) {
        const T* x = p.out.at(b, i, h) + query * p.out.token;
        const T* y = p.grad_out.at(b, i, h) + query * p.grad_out.token;
        for (int c = lane & 7; c < s.channels; c += 8) {
          sum += to_float(load(x + c * p.out.channel)) * to_float(load(y + c * p.grad_out.channel));
        }
      }
      for (int lanes = 1; lanes < 8; lanes *= 2) sum += shuffle_xor(sum, lanes);
      if ((lane & 7) == 0 && query < s.queries) store(p.delta + group * s.queries + query, sum);
    }
  }
};

}  // namespace structdiff::gpu

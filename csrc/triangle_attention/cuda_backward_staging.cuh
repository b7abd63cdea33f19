// What the backward kernels have brought to shared memory a step ahead: rows of tables, values of the bias, numbers of rows.
#pragma once

#include "triangle_attention/cuda_products.cuh"

namespace structdiff::gpu {

// Tiles of `Rows` tokens of one row and head of a table, brought by the threads of the row one after the other: a thread
// keeps no more than where it reads next.
template <class T, int Channels, int Rows>
struct RowTiles {
  static constexpr int kVector = 16 / static_cast<int>(sizeof(T));
  static constexpr int kVectors = Channels / kVector;
  // Then a thread has the same channels of every token it copies.
  static constexpr bool kRegular = (kVectors & (kVectors - 1)) == 0;
  static constexpr int kElements = Rows * kPitch<T, Channels>;

  const T* next;

  STRUCTDIFF_DEVICE RowTiles(const Tokens<T>& tokens, int b, int i, int h, int thread)
      : next(tokens.at(b, i, h) + (thread / kVectors * tokens.token + thread % kVectors * kVector)) {}

  STRUCTDIFF_DEVICE void skip(const Tokens<T>& tokens, int count) { next += count * tokens.token; }
  STRUCTDIFF_DEVICE void skip_rows(const Tokens<T>& tokens, int count) { next += count * tokens.row; }

  // Tokens [first, first + Rows) of those that exist, where `next` must be.
  STRUCTDIFF_DEVICE void fetch(
      T* tile, const Tokens<T>& tokens, int b, int i, int h, int first, int existing, int channels, int thread,
      int threads) const {
    if (!kRegular || !tokens.vectors) {
      return stage<T, Channels>(tile, tokens.table(b, i, h), first, Rows, existing, channels, thread, threads);
    }
    if (threads == 128) {
      fetch_by<128>(tile, tokens.token, first, existing, channels, thread);
    } else {
      fetch_by<32>(tile, tokens.token, first, existing, channels, thread, threads);
    }
  }

  // By `Least` threads or a multiple of them.
  template <int Least>
  STRUCTDIFF_DEVICE void fetch_by(
      T* tile, int64_t stride, int first, int existing, int channels, int thread, int threads = Least) const {
    constexpr int kLeastApart = larger(Least / kVectors, 1);
    const int row = thread / kVectors;
    const int column = thread % kVectors * kVector;
    const int last = column < channels ? existing - first : 0;
    const int apart = Least == 128 ? kLeastApart : threads / kVectors;
    T* to = tile + row * kPitch<T, Channels> + column;
    const T* from = next;
#pragma unroll
    for (int done = 0; done < Rows; done += kLeastApart) {
      const int at = row + done / kLeastApart * apart;
      if ((Rows % kLeastApart != 0 || Least != 128) && at >= Rows) break;
      copy_async_16(to + (at - row) * kPitch<T, Channels>, from, at < last);
      from += apart * stride;
    }
  }
};

// The bias of a warp's Tiles x 16 rows, `Columns` columns a step. Packed tiles have the values of a lane side by side, so
// every lane copies what it reads itself, and nobody else waits for it.
template <class B, int Tiles, int Columns>
struct BiasAhead {
  // 16 rows of 8 columns lie side by side, whatever tile of 64 columns they are of.
  static constexpr int kRowBytes = 16 * static_cast<int>(sizeof(B));  // of a column
  static constexpr int kTileBytes = Columns * kRowBytes;
  static constexpr int kBytes = Tiles * kTileBytes;  // of a step
  static constexpr int kSpan = 512;                  // what a warp copies at once

  const unsigned char* from;
  int64_t next_tile;  // bytes
  int tiles;          // of 16 rows that exist

  STRUCTDIFF_DEVICE BiasAhead(const PackedBias& bias, int b, int h, int tile_16, int lane) {
    next_tile = static_cast<int64_t>(bias.tiles_64) * kTileValues * sizeof(B);
    const int64_t tile = static_cast<int64_t>(h) * bias.tiles_16 + tile_16;
    from = static_cast<const unsigned char*>(bias.data) + b * bias.batch * sizeof(B) + tile * next_tile + lane * 16;
    tiles = bias.tiles_16 - tile_16;
  }

  // `to` is this warp's.
  STRUCTDIFF_DEVICE void fetch(unsigned char* to, int column, int lane) const {
#pragma unroll
    for (int m = 0; m < Tiles; ++m) {
      const unsigned char* at = from + m * next_tile + column * kRowBytes;
#pragma unroll
      for (int span = 0; span < kTileBytes; span += kSpan) {
        copy_async_16(to + m * kTileBytes + span + lane * 16, at + span, m < tiles);
      }
    }
  }

  // The values of the accumulators of tiles `tile` (even) and `tile` + 1 of 8 columns.
  STRUCTDIFF_DEVICE static void read(
      float (&d0)[4], float (&d1)[4], const unsigned char* from, int m, int tile, int lane) {
    const unsigned char* at = from + m * kTileBytes + tile * 8 * kRowBytes + lane * 16;
    if constexpr (sizeof(B) == 4) {
      const float4 x = shared_load(reinterpret_cast<const float4*>(at));
      const float4 y = shared_load(reinterpret_cast<const float4*>(at + kSpan));
      d0[0] = x.x, d0[1] = x.y, d0[2] = x.z, d0[3] = x.w;
      d1[0] = y.x, d1[1] = y.y, d1[2] = y.z, d1[3] = y.w;
    } else {
      const uint4 words = shared_load(reinterpret_cast<const uint4*>(at));
      const float2 values[4] = {unpack<B>(words.x), unpack<B>(words.y), unpack<B>(words.z), unpack<B>(words.w)};
      d0[0] = values[0].x, d0[1] = values[0].y, d0[2] = values[1].x, d0[3] = values[1].y;
      d1[0] = values[2].x, d1[1] = values[2].y, d1[2] = values[3].x, d1[3] = values[3].y;
    }
  }
};

// The logarithm of the denominator and the delta of a query. Queries that do not exist have no weight.
struct QueryNumbers {
  float lse, delta;

  STRUCTDIFF_DEVICE static QueryNumbers of(const float* lse, const float* delta, int64_t line, int query, int queries) {
    if (query >= queries) return {kInfinity, 0.0f};
    return {load(lse + line + query), load(delta + line + query)};
  }

  // Apart from `of`, so that what is asked for a step ahead is not waited for at once.
  STRUCTDIFF_DEVICE float2 in_base_2() const { return {lse * kLog2E, delta}; }
};

// The weight of a key, 2^(score factor + bias - lse), which is 1 at most: it is kept there where scores are so large that
// lse is rounded to more than a weight. `lse` is in base 2, the bias is not.
STRUCTDIFF_DEVICE float weight_of(float score, float factor, float bias, float lse) {
  return exp2_fast(fminf(fmaf(score, factor, fmaf(bias, kLog2E, -lse)), 0.0f));
}

// Writes 16 rows of a gradient times `factor`, of those that exist. With `words` of the mask, keys that take no part get zeros,
// whatever their scores were.
template <class T, int Blocks>
STRUCTDIFF_DEVICE void write_gradient(
    const Tokens<T>& tokens, T* data, int first, int existing, int channels, const float (&grad)[Blocks][4], float factor,
    const uint64_t* words, int lane) {
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    const int row = first + (lane >> 2) + half * 8;
    if (row >= existing) continue;
    const bool there = words == nullptr || (load(words + row / kWordKeys) >> (row % kWordKeys) & 1) != 0;
    T* to = data + row * tokens.token;
#pragma unroll
    for (int c = 0; c < Blocks; ++c) {
      const int column = c * 8 + (lane & 3) * 2;
      if (column >= channels) continue;
      store_pair<T>(to, tokens.channel, tokens.vectors, column, there ? grad[c][half * 2] * factor : 0.0f,
                    there ? grad[c][half * 2 + 1] * factor : 0.0f);
    }
  }
}

}  // namespace structdiff::gpu

// What the backward kernels made for Hopper have in common: tiles of 64 rows as products of a warpgroup take them, and the
// numbers of 64 queries. A block is one warpgroup, several blocks share a multiprocessor: while one waits for its products,
// others weigh.
#pragma once

#include "common/cuda_hopper.cuh"
#include "triangle_attention/cuda_backward_staging.cuh"

namespace structdiff::gpu {

// Tiles of 64 tokens of one row and head of a table, channels side by side and rows at multiples of 16 bytes, brought by 128
// threads to rows of Channels elements, scrambled as `swizzle_mode` says.
template <class T, int Channels>
struct GroupTiles {
  static constexpr int kRows = 64;
  static constexpr int kRowBytes = Channels * 2;
  static constexpr int kBytes = kRows * kRowBytes;
  static constexpr int kVectors = Channels / 8;  // of 16 bytes in a row
  static constexpr int kApart = 128 / kVectors;  // rows between two that a thread copies: a multiple of 8
  static constexpr int kScrambled = kRowBytes == 128 ? 7 : kRowBytes == 64 ? 3 : 1;

  const T* next;  // where this thread reads of the next tile
  int to;         // and writes

  STRUCTDIFF_DEVICE GroupTiles(const Tokens<T>& tokens, int b, int i, int h, int thread)
      : next(tokens.at(b, i, h) + (thread / kVectors * tokens.token + thread % kVectors * 8)) {
    const int linear = thread / kVectors * kRowBytes + thread % kVectors * 16;
    to = linear ^ (linear >> 7 & kScrambled) << 4;
  }

  STRUCTDIFF_DEVICE void skip(const Tokens<T>& tokens, int count) { next += count * tokens.token; }
  STRUCTDIFF_DEVICE void skip_rows(const Tokens<T>& tokens, int count) { next += count * tokens.row; }

  // Tokens [first, first + 64) of those that exist, where `next` must be.
  STRUCTDIFF_DEVICE void fetch(
      unsigned char* tile, const Tokens<T>& tokens, int first, int existing, int channels, int thread) const {
    const int last = thread % kVectors * 8 < channels ? existing - first - thread / kVectors : 0;
    const T* from = next;
#pragma unroll
    for (int row = 0; row < kRows; row += kApart) {
      copy_async_16(tile + to + row * kRowBytes, from, row < last);
      from += kApart * tokens.token;
    }
  }
};

// A warp's 16 rows of such a tile, from `first` on, as left operand.
template <int Channels>
STRUCTDIFF_DEVICE void load_rows(uint32_t (&rows)[Channels / 16][4], const unsigned char* tile, int first, int lane) {
  constexpr int kRowBytes = Channels * 2;
  constexpr int kScrambled = kRowBytes == 128 ? 7 : kRowBytes == 64 ? 3 : 1;
#pragma unroll
  for (int c = 0; c < Channels / 16; ++c) {
    const int linear = (first + (lane & 15)) * kRowBytes + c * 32 + (lane >> 4) * 16;
    load_matrices(rows[c], tile + (linear ^ (linear >> 7 & kScrambled) << 4));
  }
}

// The parts of a tile that products over 16 take one after the other: 32 bytes of every row where the rows are columns of the
// right operand, 16 rows where the channels are.
template <int RowBytes, int Count>
STRUCTDIFF_DEVICE void parts_of(uint64_t (&parts)[Count], const unsigned char* tile, bool rows_are_columns) {
  const uint64_t first = matrix_in_shared(shared_address(tile), RowBytes);
#pragma unroll
  for (int part = 0; part < Count; ++part) parts[part] = first + part * (rows_are_columns ? 2 : RowBytes);
  hold(parts);
}

// A warp's 16 rows as left operand, straight from global memory.
template <class T, int Channels>
STRUCTDIFF_DEVICE void load_rows(
    uint32_t (&rows)[Channels / 16][4], const Tokens<T>& tokens, const T* data, int first, int existing, int channels,
    int lane) {
#pragma unroll
  for (int c = 0; c < Channels / 16; ++c) {
#pragma unroll
    for (int part = 0; part < 4; ++part) {
      const int row = first + (lane >> 2) + (part & 1) * 8;
      const int channel = c * 16 + (lane & 3) * 2 + (part >> 1) * 8;
      const bool there = row < existing && channel < channels;
      rows[c][part] = there ? load(reinterpret_cast<const uint32_t*>(data + row * tokens.token + channel)) : 0u;
    }
  }
}

// Sums of products as the left operand of the next.
template <class T>
STRUCTDIFF_DEVICE void pack_left(uint32_t (&left)[4][4], const float (&sums)[8][4]) {
#pragma unroll
  for (int n = 0; n < 8; ++n) {
    left[n / 2][n % 2 * 2] = pack<T>(sums[n][0], sums[n][1]);
    left[n / 2][n % 2 * 2 + 1] = pack<T>(sums[n][2], sums[n][3]);
  }
}

// The block's memory from a multiple of 1024 bytes on, where scrambled tiles may begin.
STRUCTDIFF_DEVICE unsigned char* aligned_tiles(unsigned char* shared) {
  return shared + ((1024 - (shared_address(shared) & 1023)) & 1023);
}

}  // namespace structdiff::gpu

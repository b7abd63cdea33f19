// The matrix products of attention, and which keys take part in them.
#pragma once

#include "triangle_attention/cuda_problem.cuh"

namespace structdiff::gpu {

// The next tile of kKeys keys from `tile` on in which there is a key, or `tiles`; its bits.
template <int Keys>
STRUCTDIFF_DEVICE int next_tile(const uint64_t* words, int tile, int tiles, uint64_t& bits) {
  for (; tile < tiles; ++tile) {
    constexpr int kPerWord = kWordKeys / Keys;
    bits = load(words + tile / kPerWord);
    if (Keys < kWordKeys) bits = bits >> (tile % kPerWord * Keys) & ((1ull << (Keys % 64)) - 1);
    if (bits != 0) break;
  }
  return tile;
}

template <int Keys>
constexpr uint64_t kAllBits = Keys == 64 ? ~0ull : (1ull << (Keys % 64)) - 1;

// Scores of keys that do not take part become `fill`; in a row without keys the others become 0.
template <int Tiles>
STRUCTDIFF_DEVICE void hide_keys(float (&s)[Tiles][4], uint64_t bits, bool dead, int lane, float fill) {
  bits >>= (lane & 3) * 2;
#pragma unroll
  for (int n = 0; n < Tiles; ++n) {
#pragma unroll
    for (int e = 0; e < 4; ++e) {
      const bool there = (bits >> (n * 8 + (e & 1)) & 1) != 0;
      s[n][e] = there ? (dead ? 0.0f : s[n][e]) : fill;
    }
  }
}

// Scores to 2^(score factor - base). Where the base is so large that the rounding error of a product matters, a fused
// multiply-add would leave that error, and not the 0 of the largest score.
template <int Tiles>
STRUCTDIFF_DEVICE void exponentiate(float (&s)[Tiles][4], const float (&base)[2], float factor) {
  constexpr float kLarge = 1 << 22;
  if (ballot(base[0] > kLarge || base[0] < -kLarge || base[1] > kLarge || base[1] < -kLarge) == 0) {
#pragma unroll
    for (int n = 0; n < Tiles; ++n) {
#pragma unroll
      for (int e = 0; e < 4; ++e) s[n][e] = exp2_fast(fmaf(s[n][e], factor, -base[e / 2]));
    }
  } else {
#pragma unroll
    for (int n = 0; n < Tiles; ++n) {
#pragma unroll
      for (int e = 0; e < 4; ++e) s[n][e] = exp2_fast(rounded_product(s[n][e], factor) - base[e / 2]);
    }
  }
}

// The weight of a key: 2^(score factor - lse), which is 1 at most, as it is kept where scores are so large that lse is
// rounded to more than a weight.
STRUCTDIFF_DEVICE float weight(float score, float factor, float lse) {
  return exp2_fast(fminf(fmaf(score, factor, -lse), 0.0f));
}

// Rows of a left operand, Tiles x 16 of them, that a warp multiplies again and again: in registers, or where those do not
// suffice in shared memory.
template <class T, int Channels, int Tiles, bool InRegisters>
struct Resident {
  Left<T> held[InRegisters ? Tiles : 1][InRegisters ? Channels / 16 : 1];
  const T* tile;
  int row;

  STRUCTDIFF_DEVICE void take(const T* from, int first_row, int lane) {
    tile = from;
    row = first_row;
    if constexpr (InRegisters) {
#pragma unroll
      for (int m = 0; m < Tiles; ++m) {
#pragma unroll
        for (int c = 0; c < Channels / 16; ++c) {
          load_left<T>(held[m][c], from, kPitch<T, Channels>, first_row + m * 16, c * 16, lane);
        }
      }
    }
  }

  STRUCTDIFF_DEVICE Left<T> left(int m, int c, int lane) const {
    if constexpr (InRegisters) {
      return held[m][c];
    } else {
      Left<T> a;
      load_left<T>(a, tile, kPitch<T, Channels>, row + m * 16, c * 16, lane);
      return a;
    }
  }
};

// s += a b', with the rows of b, Columns * 8 of them, in shared memory.
template <class T, int Channels, int Tiles, int Columns, bool InRegisters>
STRUCTDIFF_DEVICE void multiply_rows(
    float (&s)[Tiles][Columns][4], const Resident<T, Channels, Tiles, InRegisters>& a, const T* b, int lane) {
  // Unrolled whole, float32 would load so far ahead that it runs out of registers.
  [[maybe_unused]] constexpr int kUnrolled = sizeof(T) == 4 && !InRegisters ? 2 : Channels / 16;
#pragma unroll kUnrolled
  for (int c = 0; c < Channels / 16; ++c) {
    Left<T> left[Tiles];
#pragma unroll
    for (int m = 0; m < Tiles; ++m) left[m] = a.left(m, c, lane);
#pragma unroll
    for (int n = 0; n < Columns; n += 2) {
      Right<T> right;
      load_right<T>(right, b, kPitch<T, Channels>, n * 8, c * 16, lane);
#pragma unroll
      for (int m = 0; m < Tiles; ++m) {
        multiply<T>(s[m][n], left[m], right, 0);
        multiply<T>(s[m][n + 1], left[m], right, 1);
      }
    }
  }
}

// out += s b, with s the products of before and the rows of b, Columns * 8 of them, in shared memory.
template <class T, int Channels, int Tiles, int Columns>
STRUCTDIFF_DEVICE void multiply_columns(
    float (&out)[Tiles][Channels / 8][4], const float (&s)[Tiles][Columns][4], const T* b, int lane) {
  Left<T> left[Columns / 2][Tiles];
#pragma unroll
  for (int j = 0; j < Columns / 2; ++j) {
#pragma unroll
    for (int m = 0; m < Tiles; ++m) left_of_products<T>(left[j][m], s[m][2 * j], s[m][2 * j + 1]);
  }
#pragma unroll
  for (int c = 0; c < Channels / 8; c += 2) {
#pragma unroll
    for (int j = 0; j < Columns / 2; ++j) {
      Right<T> right;
      load_right_transposed<T>(right, b, kPitch<T, Channels>, c * 8, j * 16, lane);
#pragma unroll
      for (int m = 0; m < Tiles; ++m) {
        multiply<T>(out[m][c], left[j][m], right, 0);
        multiply<T>(out[m][c + 1], left[j][m], right, 1);
      }
    }
  }
}

}  // namespace structdiff::gpu

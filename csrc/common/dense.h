// Vectors of the processor's own width, their exponential, and small dense matrix products on blocks that lie in the
// cache. Compiled once for each level of the processor; float32.
//
// Vectors are those of GCC and Clang (vector_size), so that one source serves SSE, AVX2, AVX-512 and NEON.
#pragma once

#include <cstdint>
#include <cstring>

#if defined(__SSE__)
#include <immintrin.h>
#endif

namespace structdiff {

// Rows of a tile of two vectors, and of a wide one of three: what the registers hold.
#if defined(__AVX512F__)
#define STRUCTDIFF_VECTOR_BYTES 64
constexpr int kTileRows = 8, kWideTileRows = 8;
#elif defined(__AVX__)
#define STRUCTDIFF_VECTOR_BYTES 32
constexpr int kTileRows = 6, kWideTileRows = 4;
#else
#define STRUCTDIFF_VECTOR_BYTES 16
#if defined(__aarch64__)
constexpr int kTileRows = 6, kWideTileRows = 8;
#else
constexpr int kTileRows = 6, kWideTileRows = 3;
#endif
#endif

typedef float Vector __attribute__((vector_size(STRUCTDIFF_VECTOR_BYTES)));
typedef int32_t IntVector __attribute__((vector_size(STRUCTDIFF_VECTOR_BYTES)));
constexpr int kLanes = STRUCTDIFF_VECTOR_BYTES / 4;
// Channels come in multiples of this, at every level: results then do not depend on how rows end.
constexpr int kChannelStep = 16;

inline Vector load(const float* at) {
  Vector out;
  std::memcpy(&out, at, sizeof out);
  return out;
}

inline void store(float* at, Vector value) { std::memcpy(at, &value, sizeof value); }

// Not 0 + value: that is not value where value is -0, and would be computed at every load.
inline Vector broadcast(float value) { return value - Vector{}; }

inline float sum_of(Vector value) {
  float parts[kLanes], total = 0;
  store(parts, value);
  for (int lane = 0; lane < kLanes; ++lane) total += parts[lane];
  return total;
}

// b where one of them is NaN. Compilers see a maximum in the last form only where they know that there is no NaN.
inline Vector larger(Vector a, Vector b) {
#if defined(__AVX__) && !defined(__AVX512F__)
  return (Vector)_mm256_max_ps((__m256)a, (__m256)b);
#elif defined(__SSE__) && !defined(__AVX__)
  return (Vector)_mm_max_ps((__m128)a, (__m128)b);
#else
  return a > b ? a : b;
#endif
}
inline Vector smaller(Vector a, Vector b) {
#if defined(__AVX__) && !defined(__AVX512F__)
  return (Vector)_mm256_min_ps((__m256)a, (__m256)b);
#elif defined(__SSE__) && !defined(__AVX__)
  return (Vector)_mm_min_ps((__m128)a, (__m128)b);
#else
  return a < b ? a : b;
#endif
}

// Whether any lane is set, as comparisons set them: to -1.
inline bool any(IntVector lanes) {
#if defined(__AVX512F__)
  return _mm512_test_epi32_mask((__m512i)lanes, (__m512i)lanes) != 0;
#elif defined(__AVX__)
  return _mm256_movemask_ps((__m256)lanes) != 0;
#elif defined(__SSE__)
  return _mm_movemask_ps((__m128)lanes) != 0;
#else
  int32_t found = 0;
  for (int lane = 0; lane < kLanes; ++lane) found |= lanes[lane];
  return found != 0;
#endif
}

// e^x to 1 unit in the last place, for x from -87 to 88; beyond, the value at the bound.
inline Vector exponential(Vector x) {
  x = smaller(larger(x, broadcast(-87.0f)), broadcast(88.0f));
  // Adding 1.5 * 2^23 rounds to a whole number, which then stands in the lowest bits.
  const Vector shifted = x * 1.44269504088896341f + 12582912.0f;
  const Vector whole = shifted - 12582912.0f;
  const Vector r = (x - whole * 0.693359375f) + whole * 2.12194440e-4f;
  Vector p = r * 1.9875691500e-4f + 1.3981999507e-3f;  // Cephes' expf
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * (r * r) + r + 1.0f;
  return (Vector)((IntVector)p + ((IntVector)shifted << 23));
}

// The natural logarithm of normal numbers above 0.
inline Vector logarithm(Vector x) {
  // x = m * 2^e with m from sqrt(1/2) to sqrt(2).
  const IntVector bits = (IntVector)x - 0x3f3504f3;
  const Vector exponent = __builtin_convertvector(bits >> 23, Vector);
  const Vector m = (Vector)((bits & 0x007fffff) + 0x3f3504f3) - 1.0f;
  Vector p = m * 7.0376836292e-2f - 1.1514610310e-1f;  // Cephes' logf
  p = p * m + 1.1676998740e-1f;
  p = p * m - 1.2420140846e-1f;
  p = p * m + 1.4249322787e-1f;
  p = p * m - 1.6668057665e-1f;
  p = p * m + 2.0000714765e-1f;
  p = p * m - 2.4999993993e-1f;
  p = p * m + 3.3333331174e-1f;
  const Vector square = m * m;
  return (m * square * p - exponent * 2.12194440e-4f - 0.5f * square + m) + exponent * 0.693359375f;
}

// Adding 1.5 * 2^23 rounds to a whole number, which then stands in the lowest bits.
constexpr float kRounding = 12582912.0f;

// 2^(r + n) to 1 unit in the last place, for r from -1/2 to 1/2 and a whole number n in the lowest bits of `shifted`.
__attribute__((always_inline)) inline Vector shifted_power_of_two(Vector r, Vector shifted) {
  Vector p = r * 1.3276471782e-3f + 9.6755413328e-3f;  // minimax for relative error, 7.5e-8
  p = p * r + 5.5507132742e-2f;
  p = p * r + 2.4022119724e-1f;
  p = p * r + 6.9314696706e-1f;
  p = p * r + 1.0f;
  return (Vector)((IntVector)p + ((IntVector)shifted << 23));
}

// 2^x to 1 unit in the last place, for x from -126 to 126.
__attribute__((always_inline)) inline Vector small_power_of_two(Vector x) {
  const Vector shifted = x + kRounding;
  return shifted_power_of_two(x - (shifted - kRounding), shifted);
}

// 1 / (1 + 2^x). NaN stays NaN.
__attribute__((always_inline)) inline Vector opened(Vector x) {
  x = smaller(broadcast(126.0f), larger(broadcast(-126.0f), x));
  return 1.0f / (1.0f + small_power_of_two(x));
}

inline Vector sigmoid(Vector x) { return 1.0f / (1.0f + exponential(-x)); }

#if defined(__AVX__)
// Eight by eight: two four by four side by side in each register.
inline void transpose_8(const float* from, int64_t from_row, float* to, int64_t to_row) {
#pragma GCC unroll 2
  for (int c = 0; c < 8; c += 4, from += 4, to += 4 * to_row) {
    __m256 rows[4];
#pragma GCC unroll 4
    for (int r = 0; r < 4; ++r)
      rows[r] = _mm256_insertf128_ps(_mm256_castps128_ps256(_mm_loadu_ps(from + r * from_row)),
                                     _mm_loadu_ps(from + (r + 4) * from_row), 1);
    const __m256 w = _mm256_unpacklo_ps(rows[0], rows[1]), x = _mm256_unpackhi_ps(rows[0], rows[1]);
    const __m256 y = _mm256_unpacklo_ps(rows[2], rows[3]), z = _mm256_unpackhi_ps(rows[2], rows[3]);
    _mm256_storeu_ps(to, _mm256_shuffle_ps(w, y, 0x44));
    _mm256_storeu_ps(to + to_row, _mm256_shuffle_ps(w, y, 0xee));
    _mm256_storeu_ps(to + 2 * to_row, _mm256_shuffle_ps(x, z, 0x44));
    _mm256_storeu_ps(to + 3 * to_row, _mm256_shuffle_ps(x, z, 0xee));
  }
}
#endif

// to[c][p] = from[p][c]; rows and columns multiples of 4.
inline void transpose(int rows, int columns, const float* from, int64_t from_row, float* to, int64_t to_row) {
#if defined(__AVX__)
  if (rows % 8 == 0 && columns % 8 == 0) {
    for (int r = 0; r < rows; r += 8)
      for (int c = 0; c < columns; c += 8) transpose_8(from + r * from_row + c, from_row, to + c * to_row + r, to_row);
    return;
  }
#endif
  for (int r = 0; r < rows; r += 4)
    for (int c = 0; c < columns; c += 4) {
      const float* source = from + r * from_row + c;
      float* target = to + c * to_row + r;
#if defined(__SSE__)
      __m128 w = _mm_loadu_ps(source), x = _mm_loadu_ps(source + from_row), y = _mm_loadu_ps(source + 2 * from_row),
             z = _mm_loadu_ps(source + 3 * from_row);
      _MM_TRANSPOSE4_PS(w, x, y, z);
      _mm_storeu_ps(target, w);
      _mm_storeu_ps(target + to_row, x);
      _mm_storeu_ps(target + 2 * to_row, y);
      _mm_storeu_ps(target + 3 * to_row, z);
#else
      for (int i = 0; i < 4; ++i)
        for (int j = 0; j < 4; ++j) target[j * to_row + i] = source[i * from_row + j];
#endif
    }
}

// One tile in registers: finish(r, v, start(r, v) + sum_k a[r * a_row + k * a_column] b[k * b_row + v * kLanes]).
template <int Rows, int Vectors, class Start, class Finish>
__attribute__((always_inline)) inline void tile(int depth, const float* a, int64_t a_row, int64_t a_column,
                                                const float* b, int64_t b_row, Start start, Finish finish) {
  Vector sums[Rows][Vectors];
#pragma GCC unroll 8
  for (int r = 0; r < Rows; ++r)
#pragma GCC unroll 3
    for (int v = 0; v < Vectors; ++v) sums[r][v] = start(r, v);
  // At least once: a loop that may not run at all makes GCC keep the sums in memory as well.
  do {
    Vector right[Vectors];
#pragma GCC unroll 3
    for (int v = 0; v < Vectors; ++v) right[v] = load(b + v * kLanes);
#pragma GCC unroll 8
    for (int r = 0; r < Rows; ++r) {
      const Vector left = broadcast(a[r * a_row]);
#pragma GCC unroll 3
      for (int v = 0; v < Vectors; ++v) sums[r][v] += left * right[v];
    }
    a += a_column;
    b += b_row;
  } while (--depth > 0);
#pragma GCC unroll 8
  for (int r = 0; r < Rows; ++r)
#pragma GCC unroll 3
    for (int v = 0; v < Vectors; ++v) finish(r, v, sums[r][v]);
}

template <int Rows, int Vectors>
inline void product_tile(int depth, const float* a, int64_t a_row, int64_t a_column, const float* b, int64_t b_row,
                         float* c, int64_t c_row, bool accumulate) {
  // What is there is added last: started from, it would round every product at the size of the whole sum.
  tile<Rows, Vectors>(depth, a, a_row, a_column, b, b_row, [](int, int) { return Vector{}; },
                      [=](int r, int v, Vector sum) {
                        float* to = c + r * c_row + v * kLanes;
                        store(to, accumulate ? load(to) + sum : sum);
                      });
}

template <int Rows, int Vectors>
inline void product_rows(int rows, int depth, const float* a, int64_t a_row, int64_t a_column, const float* b,
                         int64_t b_row, float* c, int64_t c_row, bool accumulate) {
  if constexpr (Rows > 0) {
    if (rows != Rows)
      return product_rows<Rows - 1, Vectors>(rows, depth, a, a_row, a_column, b, b_row, c, c_row, accumulate);
    product_tile<Rows, Vectors>(depth, a, a_row, a_column, b, b_row, c, c_row, accumulate);
  }
}

// c[r][n] = or += sum_k a[r * a_row + k * a_column] b[k * b_row + n], columns a multiple of kLanes, depth at least 1. For
// operands that lie in the cache: nothing is packed.
inline void product(int rows, int columns, int depth, const float* a, int64_t a_row, int64_t a_column, const float* b,
                    int64_t b_row, float* c, int64_t c_row, bool accumulate = false) {
  for (int n = 0; n < columns;) {
    const bool two = n + 2 * kLanes <= columns;
    for (int r = 0; r < rows; r += kTileRows) {
      const int height = rows - r < kTileRows ? rows - r : kTileRows;
      const float* left = a + r * a_row;
      float* out = c + r * c_row + n;
      if (two)
        product_rows<kTileRows, 2>(height, depth, left, a_row, a_column, b + n, b_row, out, c_row, accumulate);
      else
        product_rows<kTileRows, 1>(height, depth, left, a_row, a_column, b + n, b_row, out, c_row, accumulate);
    }
    n += two ? 2 * kLanes : kLanes;
  }
}

}  // namespace structdiff

#include "triangle_multiplication/cpu_contraction.h"

#include <algorithm>

#include "common/dense.h"

namespace structdiff {
namespace {

constexpr int64_t kStrip = 2 * kLanes;  // columns of a packed strip
constexpr int64_t kDepth = 256;         // a strip of b of this depth stays in the first-level cache
constexpr int64_t kRows = 96;           // a panel of a of this height stays in the second-level cache

int64_t rounded_up(int64_t value, int64_t step) { return (value + step - 1) / step * step; }

// Tiles of `width` rows of a, each [depth][width]; zeros where the matrix ends.
void pack_rows(Matrix a, int64_t first, int64_t rows, int64_t k0, int64_t depth, float* out) {
  for (int64_t r = 0; r < rows; r += kTileRows) {
    const int64_t here = std::min<int64_t>(kTileRows, rows - r);
    const float* from = a.data + (first + r) * a.row + k0 * a.column;
    for (int64_t k = 0; k < depth; ++k, out += kTileRows) {
      for (int64_t i = 0; i < here; ++i) out[i] = from[i * a.row + k * a.column];
      for (int64_t i = here; i < kTileRows; ++i) out[i] = 0;
    }
  }
}

void pack_strip(Matrix b, int64_t first, int64_t columns, int64_t k0, int64_t depth, float* out) {
  const float* from = b.data + first * b.column + k0 * b.row;
  if (columns < kStrip) std::fill_n(out, depth * kStrip, 0.0f);
  if (b.column == 1) {
    for (int64_t k = 0; k < depth; ++k) std::copy_n(from + k * b.row, columns, out + k * kStrip);
  } else {
    for (int64_t n = 0; n < columns; ++n)
      for (int64_t k = 0; k < depth; ++k) out[k * kStrip + n] = from[k * b.row + n * b.column];
  }
}

void add_tile(int64_t depth, const float* a, const float* b, int64_t rows, int64_t columns, bool accumulate, float* out,
              int64_t out_row) {
  if (rows == kTileRows && columns == kStrip) {
    product_tile<kTileRows, 2>(static_cast<int>(depth), a, 1, kTileRows, b, kStrip, out, out_row, accumulate);
    return;
  }
  float whole[kTileRows * kStrip];
  product_tile<kTileRows, 2>(static_cast<int>(depth), a, 1, kTileRows, b, kStrip, whole, kStrip, false);
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t n = 0; n < columns; ++n)
      out[r * out_row + n] = whole[r * kStrip + n] + (accumulate ? out[r * out_row + n] : 0.0f);
}

}  // namespace

int64_t contraction_scratch(int64_t rows, int64_t columns, int64_t depth) {
  depth = std::min(depth, kDepth);
  return depth * (rounded_up(std::min(rows, kRows), kTileRows) + rounded_up(columns, kStrip));
}

void contract(int64_t rows, int64_t columns, int64_t depth, Matrix a, Matrix b, float* out, int64_t out_row,
              float* scratch) {
  for (int64_t k0 = 0; k0 < depth; k0 += kDepth) {
    const int64_t deep = std::min(kDepth, depth - k0);
    float* strips = scratch;
    for (int64_t n = 0; n < columns; n += kStrip)
      pack_strip(b, n, std::min(kStrip, columns - n), k0, deep, strips + n * deep);
    float* panel = scratch + rounded_up(columns, kStrip) * deep;
    for (int64_t r0 = 0; r0 < rows; r0 += kRows) {
      const int64_t high = std::min(kRows, rows - r0);
      pack_rows(a, r0, high, k0, deep, panel);
      for (int64_t n = 0; n < columns; n += kStrip)
        for (int64_t r = 0; r < high; r += kTileRows)
          add_tile(deep, panel + r * deep, strips + n * deep, std::min<int64_t>(kTileRows, high - r),
                   std::min(kStrip, columns - n), k0 > 0, out + (r0 + r) * out_row + n, out_row);
    }
  }
}

}  // namespace structdiff

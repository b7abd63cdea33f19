#include "triangle_multiplication/cpu_contraction.h"

#include <algorithm>

#include "common/dense.h"

namespace structdiff {
namespace {

constexpr int64_t kStrip = 2 * kLanes;  // columns of a packed strip
constexpr int64_t kDepth = 256;         // a strip of b of this depth stays in the first-level cache
constexpr int64_t kRows = 96;           // a panel of a of this height and
constexpr int64_t kColumns = 256;       // strips of so many columns stay in the second-level cache
// Floats between rows of a panel, known to the compiler; an odd number of cache lines, so that rows spread over the cache.
constexpr int64_t kPanelRow = kDepth + 16;

// panel[r][kPanelRow]: `high` rows of a, `deep` columns from k0 on, a multiple of kRun.
void pack_panel(Matrix a, int64_t first, int64_t high, int64_t k0, int64_t deep, float* panel) {
  const float* from = a.data + first * a.row + k0 / kRun * a.run;
  if (a.column == 1) {
    for (int64_t r = 0; r < high; ++r)
      for (int64_t k = 0; k < deep; k += kRun)
        std::copy_n(from + r * a.row + k / kRun * a.run, std::min(kRun, deep - k), panel + r * kPanelRow + k);
    return;
  }
  const int64_t whole = deep / 4 * 4;
  transpose(static_cast<int>(whole), static_cast<int>((high + 3) / 4 * 4), from, a.column, panel, kPanelRow);
  for (int64_t k = whole; k < deep; ++k)
    for (int64_t r = 0; r < high; ++r) panel[r * kPanelRow + k] = from[k * a.column + r];
}

// strip[k][kStrip]: the same of b, zeros beyond its last column.
void pack_strip(Matrix b, int64_t first, int64_t columns, int64_t k0, int64_t deep, float* strip) {
  const float* from = b.data + k0 * b.row + first / kRun * b.run + first % kRun * b.column;
  if (columns < kStrip) std::fill_n(strip, deep * kStrip, 0.0f);
  if (b.column == 1 && columns == kStrip) {
    for (int64_t k = 0; k < deep; ++k)
      for (int64_t n = 0; n < kStrip; n += kLanes) store(strip + k * kStrip + n, load(from + k * b.row + n));
  } else if (columns == kStrip) {
    transpose(static_cast<int>(kStrip), static_cast<int>((deep + 3) / 4 * 4), from, b.column, strip, kStrip);
  } else {
    for (int64_t k = 0; k < deep; ++k)
      for (int64_t n = 0; n < columns; ++n) strip[k * kStrip + n] = from[k * b.row + n * b.column];
  }
}

template <int Rows, bool Add>
void add_tile(int64_t deep, const float* a, const float* strip, float* out, int64_t out_row) {
  tile<Rows, 2>(
      static_cast<int>(deep), a, kPanelRow, 1, strip, kStrip, [](int, int) { return Vector{}; },
      // What is there is added last: started from, it would round every product at the size of the whole sum.
      [=](int r, int v, Vector sum) {
        float* to = out + r * out_row + v * kLanes;
        store(to, Add ? load(to) + sum : sum);
      });
}

template <int Rows, bool Add>
void add_last_rows(int64_t rows, int64_t deep, const float* a, const float* strip, float* out, int64_t out_row) {
  if constexpr (Rows > 0) {
    if (rows == Rows) return add_tile<Rows, Add>(deep, a, strip, out, out_row);
    add_last_rows<Rows - 1, Add>(rows, deep, a, strip, out, out_row);
  }
}

template <bool Add>
void add_rows(int64_t rows, int64_t deep, const float* a, const float* strip, float* out, int64_t out_row) {
  for (; rows >= kTileRows; rows -= kTileRows, a += kTileRows * kPanelRow, out += kTileRows * out_row)
    add_tile<kTileRows, Add>(deep, a, strip, out, out_row);
  add_last_rows<kTileRows - 1, Add>(rows, deep, a, strip, out, out_row);
}

}  // namespace

int64_t contraction_scratch() { return (kDepth + 4) * kColumns + (kRows + 4) * kPanelRow; }

void contract(int64_t rows, int64_t columns, int64_t depth, Matrix a, Matrix b, Target out, float* scratch) {
  const int64_t parts = (depth + kDepth - 1) / kDepth, part = ((depth + parts - 1) / parts + kRun - 1) / kRun * kRun;
  float *const strips = scratch, *const panel = scratch + (kDepth + 4) * kColumns;
  for (int64_t n0 = 0; n0 < columns; n0 += kColumns)
    for (int64_t k0 = 0; k0 < depth; k0 += part) {
      const int64_t deep = std::min(part, depth - k0), end = std::min(kColumns, columns - n0);
      for (int64_t n = 0; n < end; n += kStrip)
        pack_strip(b, n0 + n, std::min(kStrip, end - n), k0, deep, strips + n * (kDepth + 4));
      for (int64_t r0 = 0; r0 < rows; r0 += kRows) {
        const int64_t high = std::min(kRows, rows - r0);
        pack_panel(a, r0, high, k0, deep, panel);
        for (int64_t n = 0; n < end; n += kStrip) {
          const float* strip = strips + n * (kDepth + 4);
          float* to = out.data + r0 * out.row + (n0 + n) / kRun * out.run + (n0 + n) % kRun;
          (k0 > 0 ? add_rows<true> : add_rows<false>)(high, deep, panel, strip, to, out.row);
        }
      }
    }
}

}  // namespace structdiff

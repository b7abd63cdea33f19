// The matrix product of one channel of a pair table: large operands of any strides, packed for the cache.
#pragma once

#include <cstdint>

namespace structdiff {

struct Matrix {
  const float* data;
  int64_t row, column;  // strides in elements
};

// Floats of scratch that contract() needs.
int64_t contraction_scratch(int64_t rows, int64_t columns, int64_t depth);

// out[r * out_row + n] = sum_k a[r, k] b[k, n]
void contract(int64_t rows, int64_t columns, int64_t depth, Matrix a, Matrix b, float* out, int64_t out_row,
              float* scratch);

}  // namespace structdiff

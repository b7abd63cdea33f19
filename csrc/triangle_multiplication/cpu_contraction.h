// The matrix product of one channel of a pair table: large operands, packed for the cache.
#pragma once

#include <cstdint>

namespace structdiff {

constexpr int64_t kRun = 64;  // columns that lie together where a matrix comes in blocks of columns

// Row r and column c are at data[r * row + c / kRun * run + c % kRun * column]. One of row and column is 1. Where column
// is not 1, rows may be read up to a multiple of 4 (their values are not used), and run is kRun * column.
struct Matrix {
  const float* data;
  int64_t row, column, run;
};

// The same with column 1, to be written to; columns are written up to a multiple of two vectors.
struct Target {
  float* data;
  int64_t row, run;
};

// Floats of scratch that contract() needs.
int64_t contraction_scratch();

// out[r, n] = sum_k a[r, k] b[k, n]
void contract(int64_t rows, int64_t columns, int64_t depth, Matrix a, Matrix b, Target out, float* scratch);

}  // namespace structdiff

// Tiles of global memory brought to shared memory.
#pragma once

#include "common/cuda_operands.cuh"

namespace structdiff::gpu {

// A table of rows in global memory, one row a token.
template <class T>
struct Table {
  const T* data;
  int64_t row_stride;
  int64_t column_stride;
  bool vectors;  // columns lie side by side, and every row starts at a multiple of 16 bytes
};

// Brings rows [first, first + count) to `tile`, Columns wide at a pitch of kPitch; zeros beyond `rows` and `columns`.
// All `threads` threads take part. The copies are asynchronous where the table allows: commit, wait and a barrier
// must follow before anybody reads.
template <class T, int Columns>
STRUCTDIFF_DEVICE void stage(
    T* tile, const Table<T>& table, int first, int count, int rows, int columns, int thread, int threads) {
  constexpr int kVector = 16 / static_cast<int>(sizeof(T));
  constexpr int kVectors = Columns / kVector;
  if (table.vectors) {
    for (int index = thread; index < count * kVectors; index += threads) {
      const int row = index / kVectors;
      const int column = index % kVectors * kVector;
      const bool valid = first + row < rows && column < columns;
      const T* from = table.data + (valid ? (first + row) * table.row_stride + column : 0);
      copy_async_16(tile + row * kPitch<T, Columns> + column, from, valid);
    }
  } else {
    for (int index = thread; index < count * Columns; index += threads) {
      const int row = index / Columns;
      const int column = index % Columns;
      T value{};
      if (first + row < rows && column < columns) {
        value = load(table.data + (first + row) * table.row_stride + column * table.column_stride);
      }
      shared_store(tile + row * kPitch<T, Columns> + column, value);
    }
  }
}

// Writes two neighbouring elements of a row.
template <class T>
STRUCTDIFF_DEVICE void store_pair(T* row, int64_t column_stride, bool vectors, int column, float x, float y) {
  if (!vectors) {
    store(row + column * column_stride, from_float<T>(x));
    store(row + (column + 1) * column_stride, from_float<T>(y));
  } else if constexpr (sizeof(T) == 2) {
    store(reinterpret_cast<uint32_t*>(row + column), pack<T>(x, y));
  } else {
    store(reinterpret_cast<float2*>(row + column), float2{x, y});
  }
}

}  // namespace structdiff::gpu

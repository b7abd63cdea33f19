// What contracts ask of the tensors that they are given.
#pragma once

#include <initializer_list>

#include "common/abi.h"

namespace structdiff {

inline bool has_sizes(const structdiff_tensor& tensor, std::initializer_list<int64_t> sizes) {
  if (tensor.rank != static_cast<int64_t>(sizes.size())) return false;
  const int64_t* size = tensor.size;
  for (const int64_t each : sizes)
    if (*size++ != each) return false;
  return true;
}

inline bool same_sizes(const structdiff_tensor& a, const structdiff_tensor& b) {
  bool same = a.rank == b.rank;
  for (int64_t axis = 0; same && axis < a.rank; ++axis) same = a.size[axis] == b.size[axis];
  return same;
}

// Whether one can stand for the other: the same sizes and dtype.
inline bool alike(const structdiff_tensor& a, const structdiff_tensor& b) {
  return a.dtype == b.dtype && same_sizes(a, b);
}

// Whether it is there, of that dtype, and its numbers lie one after the other.
inline bool is_contiguous(const structdiff_tensor& tensor, int64_t dtype) {
  if (tensor.data == nullptr || tensor.dtype != dtype) return false;
  int64_t expected = 1;
  for (int64_t axis = tensor.rank - 1; axis >= 0; --axis) {
    if (tensor.size[axis] != 1 && tensor.stride[axis] != expected) return false;
    expected *= tensor.size[axis];
  }
  return true;
}

}  // namespace structdiff

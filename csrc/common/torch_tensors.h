// Tensors of PyTorch read from C, so that Python need not ask each for its address, sizes and strides.
#pragma once

#include "common/abi.h"

// What PyTorch exports for compiled models (torch/csrc/inductor/aoti_torch/c/shim.h), found by Python at run time: nothing
// is compiled or linked against PyTorch. Each takes the address of a tensor's handle and returns 0 where it succeeds.
typedef struct structdiff_torch {
  int32_t (*data)(void*, void**);
  int32_t (*rank)(void*, int64_t*);
  int32_t (*sizes)(void*, int64_t**);
  int32_t (*strides)(void*, int64_t**);
  int32_t (*dtype)(void*, int32_t*);
  int32_t (*device_type)(void*, int32_t*);
  int32_t (*device_index)(void*, int32_t*);
  int32_t dtypes[4];  // PyTorch's numbers, by structdiff_dtype
} structdiff_torch;

// Writes a view of each tensor, given by the address that Python calls `_cdata`. Returns 0, or 1 where one of them is on
// another device than `device_type` and `device_index` say, or cannot be read: Python then says what is wrong.
STRUCTDIFF_API int32_t structdiff_torch_views(
    const structdiff_torch* torch, const uint64_t* tensors, int32_t count, int32_t device_type, int32_t device_index,
    structdiff_tensor* views);

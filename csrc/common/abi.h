// What every operator's contract is written in: plain C, so that one binary serves every version of Python and PyTorch.
#pragma once

#include <stdint.h>

#ifdef __cplusplus
#define STRUCTDIFF_API extern "C" __attribute__((visibility("default")))
#else
#define STRUCTDIFF_API __attribute__((visibility("default")))
#endif

// Raised by one whenever a contract changes; structdiff/kernels/libraries.py holds the same number and takes no other.
#define STRUCTDIFF_ABI_VERSION 2

typedef enum structdiff_dtype {
  STRUCTDIFF_FLOAT32 = 0,
  STRUCTDIFF_FLOAT16 = 1,
  STRUCTDIFF_BFLOAT16 = 2,
  STRUCTDIFF_BOOL = 3,  // one byte, 0 or 1
} structdiff_dtype;

// What a kernel returns. After STRUCTDIFF_UNSUPPORTED nothing was written and the caller takes the reference.
typedef enum structdiff_status {
  STRUCTDIFF_OK = 0,
  STRUCTDIFF_UNSUPPORTED = 1,    // this dtype, size or stride is not one of ours
  STRUCTDIFF_BAD_ARGUMENT = 2,   // sizes that do not fit together: a fault of the caller
  STRUCTDIFF_OUT_OF_MEMORY = 3,
  STRUCTDIFF_DEVICE_ERROR = 4,   // CUDA said no: structdiff_cuda_error() has the words
} structdiff_status;

#define STRUCTDIFF_MAX_RANK 5

// A view of somebody else's memory. Sizes and strides in elements, first axis first; strides may be 0 (a broadcast
// axis) in inputs. A tensor that is not given is a null pointer to the view, or a view with null data. All fields are
// 8 bytes wide: Python writes the struct as 13 integers.
typedef struct structdiff_tensor {
  void* data;
  int64_t dtype;  // structdiff_dtype
  int64_t rank;
  int64_t size[STRUCTDIFF_MAX_RANK];
  int64_t stride[STRUCTDIFF_MAX_RANK];
} structdiff_tensor;

// Every library exports these.
STRUCTDIFF_API int64_t structdiff_abi_version(void);
// A hash of its sources as they were when the library was built (csrc/source_hash.py).
STRUCTDIFF_API const char* structdiff_source_hash(void);

// CPU libraries: the best x86-64 level this processor has (2, 3 or 4), or 0 where there are no levels (arm64).
STRUCTDIFF_API int32_t structdiff_cpu_level(void);

// CPU libraries: kernels that this process calls from now on run on the threads of an OpenMP runtime, given by the address
// of its GOMP_parallel; null: on threads of their own, which is what a child after fork() does in any case.
STRUCTDIFF_API void structdiff_share_threads(void* gomp_parallel);

// CUDA library: what went wrong last on this thread, in CUDA's words; never null.
STRUCTDIFF_API const char* structdiff_cuda_error(void);

// What the CUDA library says about itself, and what went wrong.
#include <cstdio>

#include "common/cuda_launch.cuh"

#ifndef STRUCTDIFF_SOURCE_HASH
#define STRUCTDIFF_SOURCE_HASH "unknown"
#endif

namespace structdiff::gpu {

static thread_local char last_error[256] = "no error";

#if defined(__CUDACC__)
int32_t remember(cudaError_t error) {
  cudaGetLastError();  // or the next launch would be blamed for it
  std::snprintf(last_error, sizeof(last_error), "%s: %s", cudaGetErrorName(error), cudaGetErrorString(error));
  return error == cudaErrorMemoryAllocation ? STRUCTDIFF_OUT_OF_MEMORY : STRUCTDIFF_DEVICE_ERROR;
}

int32_t remember(const char* words, int number) {
  if (number == 0) {
    std::snprintf(last_error, sizeof(last_error), "%s", words);
  } else {
    std::snprintf(last_error, sizeof(last_error), "%s (driver error %d)", words, number);
  }
  return STRUCTDIFF_DEVICE_ERROR;
}
#endif

}  // namespace structdiff::gpu

int64_t structdiff_abi_version(void) { return STRUCTDIFF_ABI_VERSION; }

const char* structdiff_source_hash(void) { return STRUCTDIFF_SOURCE_HASH; }

const char* structdiff_cuda_error(void) { return structdiff::gpu::last_error; }

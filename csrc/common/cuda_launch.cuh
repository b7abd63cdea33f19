// Kernels started: on a stream by CUDA, or by the emulation on the host.
//
// A kernel is a struct with `Problem` (its arguments, passed by value), `kThreads`, `kMinBlocks` and `run`.
#pragma once

#include "common/abi.h"
#include "common/cuda_device.cuh"

#if defined(__CUDACC__)
#include <atomic>
#endif

namespace structdiff::gpu {

// What every GPU since compute capability 8.0 gives one block; 8.6, 8.9 and 12.x give no more.
constexpr int64_t kSharedLimit = 99 * 1024;
// What 9.0 gives one block.
constexpr int64_t kHopperSharedLimit = 227 * 1024;

#if defined(__CUDACC__)

using Stream = cudaStream_t;

// Keeps CUDA's words for structdiff_cuda_error().
int32_t remember(cudaError_t error);

// The same for words of our own, with the number of an error that the driver gave if it is not 0.
int32_t remember(const char* words, int number = 0);

template <class Kernel>
__global__ void __launch_bounds__(Kernel::kThreads, Kernel::kMinBlocks)
    entry(const __grid_constant__ typename Kernel::Problem problem) {
  extern __shared__ __align__(128) unsigned char shared[];
  Kernel::run(problem, shared);
}

// Raises what a block may have to `limit`, the first time on each device. Always the same number for a kernel: another
// thread may launch it with less between this call and the launch.
template <class Kernel>
cudaError_t allow_shared(int64_t limit) {
  static std::atomic<uint64_t> allowed{0};  // a bit for each device
  int device = 0;
  cudaError_t error = cudaGetDevice(&device);
  if (error != cudaSuccess) return error;
  const uint64_t bit = device < 64 ? uint64_t{1} << device : 0;
  if (allowed.load(std::memory_order_relaxed) & bit) return cudaSuccess;
  error = cudaFuncSetAttribute(
      entry<Kernel>, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(limit));
  if (error == cudaSuccess) allowed.fetch_or(bit, std::memory_order_relaxed);
  return error;
}

template <class Kernel>
int32_t launch(
    const typename Kernel::Problem& problem, int64_t blocks, int threads, int64_t shared_bytes, Stream stream,
    int64_t shared_limit = kSharedLimit) {
  if (blocks == 0) return STRUCTDIFF_OK;
  if (blocks > 0x7fffffff || shared_bytes > shared_limit) return STRUCTDIFF_UNSUPPORTED;
  if (shared_bytes > 48 * 1024) {
    const cudaError_t error = allow_shared<Kernel>(shared_limit);
    if (error != cudaSuccess) return remember(error);
  }
  entry<Kernel><<<static_cast<unsigned>(blocks), static_cast<unsigned>(threads), static_cast<size_t>(shared_bytes),
                  stream>>>(problem);
  const cudaError_t error = cudaGetLastError();
  return error == cudaSuccess ? STRUCTDIFF_OK : remember(error);
}

// What kernels that stay on a multiprocessor, block after block of work, ask of the current device.
struct Multiprocessors {
  int device;
  int count;
  int64_t shared_limit;  // of a block
};

inline Multiprocessors multiprocessors() {
  constexpr int kDevices = 64;
  static int known[kDevices][2] = {};
  int device = 0;
  if (cudaGetDevice(&device) != cudaSuccess || device < 0 || device >= kDevices) return {device, 1, kSharedLimit};
  if (known[device][0] == 0) {
    int count = 1, bytes = kSharedLimit;
    cudaDeviceGetAttribute(&bytes, cudaDevAttrMaxSharedMemoryPerBlockOptin, device);
    cudaDeviceGetAttribute(&count, cudaDevAttrMultiProcessorCount, device);
    known[device][1] = bytes;
    known[device][0] = count;
  }
  return {device, known[device][0], known[device][1]};
}

// The device for the calls that follow, and the one of before in the end.
class OnDevice {
 public:
  explicit OnDevice(int32_t device) {
    cudaError_t error = cudaGetDevice(&before_);
    if (error == cudaSuccess && before_ != device) {
      error = cudaSetDevice(device);
      changed_ = error == cudaSuccess;
    }
    status_ = error == cudaSuccess ? STRUCTDIFF_OK : remember(error);
  }
  ~OnDevice() {
    if (changed_) cudaSetDevice(before_);
  }
  OnDevice(const OnDevice&) = delete;
  OnDevice& operator=(const OnDevice&) = delete;
  int32_t status() const { return status_; }

 private:
  int before_ = 0;
  bool changed_ = false;
  int32_t status_ = STRUCTDIFF_OK;
};

#else

using Stream = void*;

template <class Kernel>
int32_t launch(
    const typename Kernel::Problem& problem, int64_t blocks, int threads, int64_t shared_bytes, Stream,
    int64_t shared_limit = kSharedLimit) {
  if (threads > Kernel::kThreads || shared_bytes > shared_limit) return STRUCTDIFF_DEVICE_ERROR;
  emulation::run_grid(blocks, threads, shared_bytes, shared_limit, [&](unsigned char* shared) { Kernel::run(problem, shared); });
  return STRUCTDIFF_OK;
}

struct Multiprocessors {
  int device;
  int count;
  int64_t shared_limit;
};

// Few enough that blocks go on to further work.
inline Multiprocessors multiprocessors() { return {0, 2, kSharedLimit}; }

class OnDevice {
 public:
  explicit OnDevice(int32_t) {}
  int32_t status() const { return STRUCTDIFF_OK; }
};

#endif

// Shares out the caller's scratch memory; with null only counts.
class Scratch {
 public:
  explicit Scratch(void* data) : data_(static_cast<unsigned char*>(data)) {}

  template <class V>
  V* take(int64_t count) {
    unsigned char* at = data_ ? data_ + used_ : nullptr;
    used_ += (count * static_cast<int64_t>(sizeof(V)) + 255) / 256 * 256;
    return reinterpret_cast<V*>(at);
  }
  int64_t used() const { return used_; }

 private:
  unsigned char* data_;
  int64_t used_ = 0;
};

}  // namespace structdiff::gpu

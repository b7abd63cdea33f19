// Tables in global memory described for Hopper's copy engine, and whether the kernels made for Hopper can run.
#pragma once

#include <cstdlib>
#include <cstring>

#include "common/cuda_hopper.cuh"
#include "common/cuda_launch.cuh"

#if defined(__CUDACC__)
#include <cuda.h>
#endif

namespace structdiff::gpu {

// A table of 16-bit elements as the copy engine takes it: channels side by side, then four more axes, the smallest stride
// first; boxes of `box_channels` channels by `box_rows` of axis `box_axis`.
struct TableShape {
  const void* data;
  int64_t size[5];
  int64_t stride[5];  // in elements; stride[0] is 1
  int box_channels, box_axis, box_rows;
  bool bfloat;
};

#if defined(__CUDACC__)

// The driver's own function, found at run time: nothing is linked against the driver.
inline CUresult (*encode_tiled())(
    CUtensorMap*, CUtensorMapDataType, cuuint32_t, void*, const cuuint64_t*, const cuuint64_t*, const cuuint32_t*,
    const cuuint32_t*, CUtensorMapInterleave, CUtensorMapSwizzle, CUtensorMapL2promotion, CUtensorMapFloatOOBfill) {
  static void* const function = [] {
    void* found = nullptr;
    cudaDriverEntryPointQueryResult result;
#if CUDART_VERSION >= 12050
    const cudaError_t error =
        cudaGetDriverEntryPointByVersion("cuTensorMapEncodeTiled", &found, 12000, cudaEnableDefault, &result);
#else
    const cudaError_t error = cudaGetDriverEntryPoint("cuTensorMapEncodeTiled", &found, cudaEnableDefault, &result);
#endif
    if (error != cudaSuccess) cudaGetLastError();  // or the next launch would be blamed for it
    return error == cudaSuccess && result == cudaDriverEntryPointSuccess ? found : nullptr;
  }();
  return reinterpret_cast<decltype(encode_tiled())>(function);
}

// STRUCTDIFF_OK, or STRUCTDIFF_DEVICE_ERROR where the driver has no such function or will not describe this table.
inline int32_t describe(TensorMap& map, const TableShape& table) {
  const auto encode = encode_tiled();
  if (encode == nullptr) return remember("this driver has no cuTensorMapEncodeTiled");
  cuuint64_t size[5], stride[4];
  cuuint32_t box[5], step[5];
  for (int axis = 0; axis < 5; ++axis) {
    size[axis] = static_cast<cuuint64_t>(table.size[axis]);
    box[axis] = 1;
    step[axis] = 1;
    if (axis > 0) stride[axis - 1] = static_cast<cuuint64_t>(table.stride[axis]) * 2;
  }
  box[0] = static_cast<cuuint32_t>(table.box_channels);
  box[table.box_axis] = static_cast<cuuint32_t>(table.box_rows);
  const int row_bytes = table.box_channels * 2;
  const CUtensorMapSwizzle swizzle = row_bytes == 128  ? CU_TENSOR_MAP_SWIZZLE_128B
                                     : row_bytes == 64 ? CU_TENSOR_MAP_SWIZZLE_64B
                                                       : CU_TENSOR_MAP_SWIZZLE_32B;
  static_assert(sizeof(CUtensorMap) == sizeof(TensorMap), "a tensor map has 128 bytes");
  const CUresult result = encode(
      reinterpret_cast<CUtensorMap*>(&map),
      table.bfloat ? CU_TENSOR_MAP_DATA_TYPE_BFLOAT16 : CU_TENSOR_MAP_DATA_TYPE_FLOAT16, 5,
      const_cast<void*>(table.data), size, stride, box, step, CU_TENSOR_MAP_INTERLEAVE_NONE, swizzle,
      CU_TENSOR_MAP_L2_PROMOTION_L2_128B, CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
  return result == CUDA_SUCCESS ? STRUCTDIFF_OK : remember("cuTensorMapEncodeTiled refused a table", result);
}

// Whether this device is a Hopper and the library holds the kernel for it: elsewhere its body is empty and needs next to
// no registers. With fewer than those that warpgroups share out, one would wait for ever for what is not there.
template <class Kernel>
bool is_hopper_with(int32_t device) {
  constexpr int kDevices = 64;
  static signed char known[kDevices] = {};  // 0 unknown, 1 yes, -1 no
  if (device < 0 || device >= kDevices) return false;
  if (known[device] == 0) {
    int major = 0, minor = 0;
    cudaFuncAttributes attributes{};
    const bool can = cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device) == cudaSuccess &&
                     cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, device) == cudaSuccess &&
                     major == 9 && minor == 0 &&
                     cudaFuncGetAttributes(&attributes, entry<Kernel>) == cudaSuccess &&
                     attributes.numRegs >= Kernel::kStartRegisters;
    if (!can) cudaGetLastError();  // not an error of the caller's
    known[device] = can ? 1 : -1;
  }
  return known[device] > 0;
}

#else

inline int32_t describe(TensorMap& map, const TableShape& table) {
  map = {};
  map.data = table.data;
  for (int axis = 0; axis < 5; ++axis) {
    map.size[axis] = table.size[axis];
    map.stride[axis] = table.stride[axis];
    map.box[axis] = 1;
  }
  map.box[0] = table.box_channels;
  map.box[table.box_axis] = table.box_rows;
  return emulation::takes(map) ? STRUCTDIFF_OK : STRUCTDIFF_DEVICE_ERROR;
}

// Of the machine that is emulated device 0 is a Hopper; there is no other, but kernels for every GPU are asked for by its number.
template <class Kernel>
bool is_hopper_with(int32_t device) {
  return device == 0;
}

#endif

// Whether a kernel made for Hopper runs on this device; with STRUCTDIFF_CUDA_SPECIAL=0 those for every GPU run in its place.
template <class Kernel>
bool hopper_can_run(int32_t device) {
  const char* asked = std::getenv("STRUCTDIFF_CUDA_SPECIAL");
  return (asked == nullptr || std::strcmp(asked, "0") != 0) && is_hopper_with<Kernel>(device);
}

}  // namespace structdiff::gpu

// What the kernels ask of a GPU, one small function each: barriers, shuffles, asynchronous copies, matrix products.
//
// Kernels are written in these words alone. nvcc turns them into instructions; a C++ compiler turns the same kernels into
// an emulation that runs on the host (tests/kernels/emulation/device.h), with the fragment layouts of the PTX manual written out.
#pragma once

#include <cstdint>

#if defined(__CUDACC__)

#include <cuda_runtime.h>

#define STRUCTDIFF_DEVICE __device__ __forceinline__
#define STRUCTDIFF_BOTH __host__ __device__ __forceinline__

namespace structdiff::gpu {

STRUCTDIFF_DEVICE int thread_index() { return static_cast<int>(threadIdx.x); }
STRUCTDIFF_DEVICE int block_threads() { return static_cast<int>(blockDim.x); }
STRUCTDIFF_DEVICE int64_t block_index() { return static_cast<int64_t>(blockIdx.x); }

// Waits for all threads of the block.
STRUCTDIFF_DEVICE void barrier() { __syncthreads(); }

// Waits for `threads` threads of the block, a multiple of 32, that name the same barrier (1 to 15).
STRUCTDIFF_DEVICE void barrier(int name, int threads) {
  asm volatile("bar.sync %0, %1;" ::"r"(name), "r"(threads) : "memory");
}

STRUCTDIFF_DEVICE float shuffle_xor(float value, int lanes) { return __shfl_xor_sync(0xffffffffu, value, lanes); }
STRUCTDIFF_DEVICE uint32_t ballot(bool value) { return __ballot_sync(0xffffffffu, value); }
// What lane `lane` has.
STRUCTDIFF_DEVICE uint64_t shuffle(uint64_t value, int lane) {
  return __shfl_sync(0xffffffffu, static_cast<unsigned long long>(value), lane);
}
// The number of the lowest bit that is set; there must be one.
STRUCTDIFF_DEVICE int lowest_bit(uint32_t bits) { return __ffs(static_cast<int>(bits)) - 1; }

template <class V>
STRUCTDIFF_DEVICE V load(const V* address) {
  return *address;
}
template <class V>
STRUCTDIFF_DEVICE void store(V* address, const V& value) {
  *address = value;
}
template <class V>
STRUCTDIFF_DEVICE V shared_load(const V* address) {
  return *address;
}
template <class V>
STRUCTDIFF_DEVICE void shared_store(V* address, const V& value) {
  *address = value;
}

STRUCTDIFF_DEVICE uint32_t shared_address(const void* pointer) {
  return static_cast<uint32_t>(__cvta_generic_to_shared(pointer));
}

// Copies 16 bytes to shared memory while the thread goes on; zeros where not `valid`, and then nothing is read.
STRUCTDIFF_DEVICE void copy_async_16(void* shared, const void* global, bool valid) {
  const int bytes = valid ? 16 : 0;
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(shared_address(shared)), "l"(global), "r"(bytes)
               : "memory");
}
STRUCTDIFF_DEVICE void copy_async_commit() { asm volatile("cp.async.commit_group;" ::: "memory"); }
// Waits until at most `Pending` of the groups that this thread committed are still under way.
template <int Pending>
STRUCTDIFF_DEVICE void copy_async_wait() {
  asm volatile("cp.async.wait_group %0;" ::"n"(Pending) : "memory");
}

// Four 8 x 8 matrices of 16-bit elements; lane l gives the address of row l % 8 of matrix l / 8.
STRUCTDIFF_DEVICE void load_matrices(uint32_t (&r)[4], const void* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(shared_address(row))
               : "memory");
}
STRUCTDIFF_DEVICE void load_matrices_transposed(uint32_t (&r)[4], const void* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(shared_address(row))
               : "memory");
}

// d += a b for a tile of 16 x 8, over 16.
STRUCTDIFF_DEVICE void multiply_bfloat16(float (&d)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1) {
  asm(
      "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}
STRUCTDIFF_DEVICE void multiply_float16(float (&d)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1) {
  asm(
      "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

// 2 to the power of x: 2 units in the last place, 0 for -infinity.
STRUCTDIFF_DEVICE float exp2_fast(float x) {
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}
STRUCTDIFF_DEVICE float log_accurate(float x) { return logf(x); }
// A product that is rounded, whatever is added to it afterwards.
STRUCTDIFF_DEVICE float rounded_product(float x, float y) { return __fmul_rn(x, y); }
STRUCTDIFF_DEVICE float inverse_root(float x) { return 1.0f / sqrtf(x); }
// To the last place but one; 0 for infinity.
STRUCTDIFF_DEVICE float inverse_fast(float x) {
  float y;
  asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}
STRUCTDIFF_DEVICE float as_float(uint32_t bits) { return __uint_as_float(bits); }
STRUCTDIFF_DEVICE uint32_t as_bits(float value) { return __float_as_uint(value); }

// Two floats to 16 bits each, the first in the lower half.
STRUCTDIFF_DEVICE uint32_t pack_bfloat16(float low, float high) {
  uint32_t r;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(r) : "f"(high), "f"(low));
  return r;
}
STRUCTDIFF_DEVICE uint32_t pack_float16(float low, float high) {
  uint32_t r;
  asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(r) : "f"(high), "f"(low));
  return r;
}
STRUCTDIFF_DEVICE float float16_to_float(uint16_t bits) {
  float r;
  asm("cvt.f32.f16 %0, %1;" : "=f"(r) : "h"(bits));
  return r;
}

}  // namespace structdiff::gpu

#else
#include "emulation/device.h"
#endif

namespace structdiff::gpu {

constexpr float kInfinity = __builtin_huge_valf();
constexpr float kLog2E = 1.4426950408889634f;

// 16-bit numbers as they lie in memory.
struct bfloat16 {
  uint16_t bits;
};
struct float16 {
  uint16_t bits;
};

STRUCTDIFF_DEVICE float to_float(float x) { return x; }
STRUCTDIFF_DEVICE float to_float(bfloat16 x) { return as_float(static_cast<uint32_t>(x.bits) << 16); }
STRUCTDIFF_DEVICE float to_float(float16 x) { return float16_to_float(x.bits); }

// Two numbers as one word, and back.
template <class T>
STRUCTDIFF_DEVICE uint32_t pack(float low, float high);
template <>
STRUCTDIFF_DEVICE uint32_t pack<bfloat16>(float low, float high) {
  return pack_bfloat16(low, high);
}
template <>
STRUCTDIFF_DEVICE uint32_t pack<float16>(float low, float high) {
  return pack_float16(low, high);
}

template <class T>
STRUCTDIFF_DEVICE T from_float(float x) {
  T out;
  out.bits = static_cast<uint16_t>(pack<T>(x, 0.0f));
  return out;
}
template <>
STRUCTDIFF_DEVICE float from_float<float>(float x) {
  return x;
}

template <class T>
STRUCTDIFF_DEVICE float2 unpack(uint32_t word) {
  T low, high;
  low.bits = static_cast<uint16_t>(word);
  high.bits = static_cast<uint16_t>(word >> 16);
  return float2{to_float(low), to_float(high)};
}

template <class N>
STRUCTDIFF_BOTH constexpr N divide_up(N a, N b) {
  return (a + b - 1) / b;
}
template <class N>
STRUCTDIFF_BOTH constexpr N smaller(N a, N b) {
  return b < a ? b : a;
}
template <class N>
STRUCTDIFF_BOTH constexpr N larger(N a, N b) {
  return a < b ? b : a;
}

}  // namespace structdiff::gpu

// The words of common/cuda_device.cuh on the host: a thread of a block is a coroutine, a warp meets at every shuffle and
// matrix product, and every access to memory is checked.
//
// What is checked, beside the results: reads and writes outside of registered memory (global) or of the block's own
// (shared); shared memory read before it was written, which holds NaN; two threads that touch the same shared byte
// between the same two barriers, one of them writing; asynchronous copies, which arrive only when waited for; barriers
// that not all threads reach. Rounding of matrix products is as on tensor cores, or worse: products are exact, sums are
// cut off, not rounded, after each product over 16.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>
#include <functional>
#include <string>

#define STRUCTDIFF_DEVICE inline
#define STRUCTDIFF_BOTH inline

struct alignas(8) float2 {
  float x, y;
};
struct alignas(16) float4 {
  float x, y, z, w;
};
struct alignas(8) uint2 {
  uint32_t x, y;
};
struct alignas(16) uint4 {
  uint32_t x, y, z, w;
};

namespace structdiff::gpu {

namespace emulation {

// Runs `body` in every thread of every block, blocks one after the other. `order` 0 starts threads from the first, 1
// from the last, 2 and above in an order drawn from that number: results may not depend on it.
void run_grid(
    int64_t blocks, int threads, int64_t shared_bytes, int64_t shared_limit,
    const std::function<void(unsigned char*)>& body);
void set_order(int order);

// Memory that kernels may touch.
void allow(const void* data, int64_t bytes);
void forget_all();
// What was done wrong since this was last asked, or nothing.
std::string take_fault();
// The host's calls, for the library's own entry points.
int64_t launches();

int thread_index();
int block_threads();
int64_t block_index();
void barrier(int name, int threads);
void check_global(const void* address, int64_t bytes);
void check_shared(const void* address, int64_t bytes, bool writes);
void copy_async(void* shared, const void* global, bool valid);
void copy_commit();
void copy_wait(int pending);
// Hands `bytes` of this thread's to its warp, and returns those of all 32 lanes, `stride` bytes apart.
const unsigned char* exchange(const void* mine, int64_t bytes);
constexpr int64_t kExchangeStride = 64;
void multiply(float (&d)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1, float (*widen)(uint16_t));
void load_matrices(uint32_t (&r)[4], const void* row, bool transposed);
float widen_bfloat16(uint16_t bits);
float widen_float16(uint16_t bits);
uint16_t narrow_bfloat16(float value);
uint16_t narrow_float16(float value);

}  // namespace emulation

inline int thread_index() { return emulation::thread_index(); }
inline int block_threads() { return emulation::block_threads(); }
inline int64_t block_index() { return emulation::block_index(); }
inline void barrier() { emulation::barrier(0, emulation::block_threads()); }
inline void barrier(int name, int threads) { emulation::barrier(name, threads); }

inline float shuffle_xor(float value, int lanes) {
  const unsigned char* all = emulation::exchange(&value, sizeof(value));
  float other;
  std::memcpy(&other, all + ((emulation::thread_index() & 31) ^ lanes) * emulation::kExchangeStride, sizeof(other));
  return other;
}
inline uint32_t ballot(bool value) {
  const unsigned char mine = value;
  const unsigned char* all = emulation::exchange(&mine, 1);
  uint32_t bits = 0;
  for (int lane = 0; lane < 32; ++lane) bits |= uint32_t{all[lane * emulation::kExchangeStride]} << lane;
  return bits;
}
inline uint64_t shuffle(uint64_t value, int lane) {
  const unsigned char* all = emulation::exchange(&value, sizeof(value));
  std::memcpy(&value, all + lane * emulation::kExchangeStride, sizeof(value));
  return value;
}
inline int lowest_bit(uint32_t bits) { return __builtin_ctz(bits); }

template <class V>
inline V load(const V* address) {
  emulation::check_global(address, sizeof(V));
  return *address;
}
template <class V>
inline void store(V* address, const V& value) {
  emulation::check_global(address, sizeof(V));
  *address = value;
}
template <class V>
inline V shared_load(const V* address) {
  emulation::check_shared(address, sizeof(V), false);
  return *address;
}
template <class V>
inline void shared_store(V* address, const V& value) {
  emulation::check_shared(address, sizeof(V), true);
  *address = value;
}

inline void copy_async_16(void* shared, const void* global, bool valid) { emulation::copy_async(shared, global, valid); }
inline void copy_async_commit() { emulation::copy_commit(); }
template <int Pending>
inline void copy_async_wait() {
  emulation::copy_wait(Pending);
}
inline void load_matrices(uint32_t (&r)[4], const void* row) { emulation::load_matrices(r, row, false); }
inline void load_matrices_transposed(uint32_t (&r)[4], const void* row) { emulation::load_matrices(r, row, true); }
inline void multiply_bfloat16(float (&d)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1) {
  emulation::multiply(d, a, b0, b1, emulation::widen_bfloat16);
}
inline void multiply_float16(float (&d)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1) {
  emulation::multiply(d, a, b0, b1, emulation::widen_float16);
}

inline float exp2_fast(float x) { return std::exp2(x); }
inline float rounded_product(float x, float y) {
  volatile float product = x * y;
  return product;
}
inline float log_accurate(float x) { return std::log(x); }
inline float inverse_root(float x) { return 1.0f / std::sqrt(x); }
inline float inverse_fast(float x) { return 1.0f / x; }
inline float as_float(uint32_t bits) {
  float value;
  std::memcpy(&value, &bits, sizeof(value));
  return value;
}
inline uint32_t as_bits(float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof(bits));
  return bits;
}
inline uint32_t pack_bfloat16(float low, float high) {
  return emulation::narrow_bfloat16(low) | uint32_t{emulation::narrow_bfloat16(high)} << 16;
}
inline uint32_t pack_float16(float low, float high) {
  return emulation::narrow_float16(low) | uint32_t{emulation::narrow_float16(high)} << 16;
}
inline float float16_to_float(uint16_t bits) { return emulation::widen_float16(bits); }

}  // namespace structdiff::gpu

// The words of common/cuda_hopper.cuh on the host, as the PTX manual has them: barriers with phases, the copy engine with
// its scrambled rows and zeros outside of a table, products of a warpgroup whose matrices are found by their descriptors.
//
// Everything that runs by itself is as late as it may be: a copy arrives when nobody can go on without it, a product's sums
// when they are waited for; until then there is NaN in their place. Words that a thread gives others are there when the
// phase ends in which it arrived; who reads them sooner is at fault. What is read meanwhile must not be written: a copy into
// memory, or a change of registers, that a product still reads is a fault. So are barriers that nobody started, that get
// more arrivals than they count, or copies that nobody waits for.
#pragma once

#include "emulation/device.h"

namespace structdiff::gpu {

constexpr bool kHopper = true;

struct TensorMap {
  const void* data;
  int64_t size[5], stride[5];  // elements
  int box[5];
};

namespace emulation {

// Whether the copy engine takes such a table.
bool takes(const TensorMap& map);
uint32_t address_of(const void* shared);
void start_barrier(Arrivals* barrier, int count);
void arrive(Arrivals* barrier, int bytes);
void wait_for(Arrivals* barrier, int parity);
void give(uint64_t* shared, uint64_t word);
uint64_t given(const uint64_t* shared);
void copy_box(void* shared, const TensorMap& map, Arrivals* barrier, const int (&at)[5]);
void copy_bytes(void* shared, const void* global, int bytes, Arrivals* barrier);
void begin_products();
void multiply_group(float* d, int blocks, const uint32_t* a, uint64_t matrix, bool transposed, float (*widen)(uint16_t));
void multiply_tiles(
    float* d, int blocks, uint64_t left, bool left_transposed, uint64_t right, bool right_transposed,
    float (*widen)(uint16_t));
void commit_products();
void wait_for_products(int pending);
void set_registers(int count);

}  // namespace emulation

inline uint32_t shared_address(const void* pointer) { return emulation::address_of(pointer); }
inline void warp_barrier() {
  const unsigned char nothing = 0;
  emulation::exchange(&nothing, 1);
}
inline bool any(bool value) { return ballot(value) != 0; }
inline void arrivals_start(Arrivals* barrier, int count) { emulation::start_barrier(barrier, count); }
inline void arrivals_started() {}
inline void reads_before_copies() {}
inline void arrive(Arrivals* barrier) { emulation::arrive(barrier, 0); }
inline void arrive_expecting(Arrivals* barrier, int bytes) { emulation::arrive(barrier, bytes); }
inline void wait_for(Arrivals* barrier, int parity) { emulation::wait_for(barrier, parity); }
inline void give(uint64_t* shared, uint64_t word) { emulation::give(shared, word); }
inline uint64_t given(const uint64_t* shared) { return emulation::given(shared); }
inline void copy_box(void* shared, const TensorMap& map, Arrivals* barrier, const int (&at)[5]) {
  emulation::copy_box(shared, map, barrier, at);
}
inline void copy_bytes(void* shared, const void* global, int bytes, Arrivals* barrier) {
  emulation::copy_bytes(shared, global, bytes, barrier);
}
template <int Registers>
inline void give_registers() {
  emulation::set_registers(Registers);
}
template <int Registers>
inline void take_registers() {
  emulation::set_registers(Registers);
}
inline void products_begin() { emulation::begin_products(); }
inline void products_commit() { emulation::commit_products(); }
template <int Pending>
inline void products_wait() {
  emulation::wait_for_products(Pending);
}
template <class Registers>
inline void hold(Registers&) {}
template <int Transposed, int Blocks>
inline void multiply_group_bfloat16(float (&d)[Blocks][4], const uint32_t (&a)[4], uint64_t matrix) {
  emulation::multiply_group(&d[0][0], Blocks, a, matrix, Transposed != 0, emulation::widen_bfloat16);
}
template <int Transposed, int Blocks>
inline void multiply_group_float16(float (&d)[Blocks][4], const uint32_t (&a)[4], uint64_t matrix) {
  emulation::multiply_group(&d[0][0], Blocks, a, matrix, Transposed != 0, emulation::widen_float16);
}

}  // namespace structdiff::gpu

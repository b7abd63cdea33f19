// What kernels ask of Hopper (compute capability 9.0, architecture 9.0a) beyond cuda_device.cuh, one small function each:
// copies of whole tiles that arrive by themselves, barriers that count arrivals and bytes, products of a warpgroup.
//
// As there, nvcc turns them into instructions, and a C++ compiler into an emulation (tests/kernels/emulation/hopper.h). On
// other architectures they are empty: kernels made of them are never started there (`hopper_is_compiled`).
#pragma once

#include "common/cuda_device.cuh"

namespace structdiff::gpu {

// Counts arrivals of threads and bytes of copies; a phase ends when all are there, and the next begins.
struct alignas(8) Arrivals {
  uint64_t state;
};

// How rows of 32, 64 or 128 bytes are scrambled in shared memory so that no two threads meet in a bank: the 16 bytes at
// an address have their place within the row changed by the number of the row (bits 4.. by bits 7..).
STRUCTDIFF_BOTH constexpr int swizzle_mode(int row_bytes) { return row_bytes == 128 ? 1 : row_bytes == 64 ? 2 : 3; }

}  // namespace structdiff::gpu

#if defined(__CUDACC__)

namespace structdiff::gpu {

// CUtensorMap: a table in global memory as the copy engine sees it. Made by the host (cuda_tensor_map.cuh).
struct alignas(64) TensorMap {
  unsigned char opaque[128];
};

#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
#define STRUCTDIFF_HOPPER_ASM(...) asm volatile(__VA_ARGS__)
constexpr bool kHopper = true;
#else
#define STRUCTDIFF_HOPPER_ASM(...)
constexpr bool kHopper = false;
#endif

STRUCTDIFF_DEVICE void warp_barrier() { __syncwarp(); }
STRUCTDIFF_DEVICE bool any(bool value) { return __any_sync(0xffffffffu, value) != 0; }

STRUCTDIFF_DEVICE void arrivals_start([[maybe_unused]] Arrivals* barrier, [[maybe_unused]] int count) {
  STRUCTDIFF_HOPPER_ASM("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(shared_address(barrier)), "r"(count) : "memory");
}
// Makes barriers that were just started known to the copy engine; the block's own barrier must follow.
STRUCTDIFF_DEVICE void arrivals_started() {
  STRUCTDIFF_HOPPER_ASM("fence.mbarrier_init.release.cluster;" ::: "memory");
  STRUCTDIFF_HOPPER_ASM("fence.proxy.async.shared::cta;" ::: "memory");
}
STRUCTDIFF_DEVICE void arrive([[maybe_unused]] Arrivals* barrier) {
  STRUCTDIFF_HOPPER_ASM("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(shared_address(barrier)) : "memory");
}
// Arrives, and has the phase wait for so many bytes of copies too.
STRUCTDIFF_DEVICE void arrive_expecting([[maybe_unused]] Arrivals* barrier, [[maybe_unused]] int bytes) {
  STRUCTDIFF_HOPPER_ASM("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(shared_address(barrier)),
                        "r"(bytes)
                        : "memory");
}
// What this thread read of shared memory comes before the copies that others ask for after its arrival.
STRUCTDIFF_DEVICE void reads_before_copies() { STRUCTDIFF_HOPPER_ASM("fence.proxy.async.shared::cta;" ::: "memory"); }
// Waits for the end of the phase with that parity. What takes 20 s never ends, and is made an error rather than a
// process that hangs: a wait may last as long as the system likes, so that counting them would not do.
STRUCTDIFF_DEVICE void wait_for([[maybe_unused]] Arrivals* barrier, [[maybe_unused]] int parity) {
#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
  const uint32_t address = shared_address(barrier);
  for (uint64_t began = 0;;) {
    uint32_t done;
    asm volatile(
        "{\n.reg .pred p;\nmbarrier.try_wait.parity.shared::cta.b64 p, [%1], %2;\nselp.b32 %0, 1, 0, p;\n}"
        : "=r"(done)
        : "r"(address), "r"(parity)
        : "memory");
    if (done != 0) return;
    uint64_t now;
    asm volatile("mov.u64 %0, %%globaltimer;" : "=l"(now));
    if (began == 0) began = now;
    if (now - began > 20000000000ull) __trap();
  }
#endif
}

// A word for others, who read it after the phase in which this thread arrives next.
STRUCTDIFF_DEVICE void give(uint64_t* shared, uint64_t word) { *shared = word; }
STRUCTDIFF_DEVICE uint64_t given(const uint64_t* shared) { return *shared; }

// One thread has the copy engine bring the box at these coordinates (channel first) of a table.
STRUCTDIFF_DEVICE void copy_box(
    [[maybe_unused]] void* shared, [[maybe_unused]] const TensorMap& map, [[maybe_unused]] Arrivals* barrier,
    [[maybe_unused]] const int (&at)[5]) {
  STRUCTDIFF_HOPPER_ASM(
      "cp.async.bulk.tensor.5d.shared::cluster.global.tile.mbarrier::complete_tx::bytes [%0], [%1, {%3, %4, %5, %6, %7}], "
      "[%2];" ::"r"(shared_address(shared)),
      "l"(&map), "r"(shared_address(barrier)), "r"(at[0]), "r"(at[1]), "r"(at[2]), "r"(at[3]), "r"(at[4])
      : "memory");
}
// The same for bytes that lie one after the other: a multiple of 16, at multiples of 16.
STRUCTDIFF_DEVICE void copy_bytes(
    [[maybe_unused]] void* shared, [[maybe_unused]] const void* global, [[maybe_unused]] int bytes,
    [[maybe_unused]] Arrivals* barrier) {
  STRUCTDIFF_HOPPER_ASM(
      "cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1], %2, [%3];" ::"r"(
          shared_address(shared)),
      "l"(global), "r"(bytes), "r"(shared_address(barrier))
      : "memory");
}

// Registers of each thread of this warpgroup from here on; what is given up others can take.
template <int Registers>
STRUCTDIFF_DEVICE void give_registers() {
  STRUCTDIFF_HOPPER_ASM("setmaxnreg.dec.sync.aligned.u32 %0;" ::"n"(Registers));
}
template <int Registers>
STRUCTDIFF_DEVICE void take_registers() {
  STRUCTDIFF_HOPPER_ASM("setmaxnreg.inc.sync.aligned.u32 %0;" ::"n"(Registers));
}

// Products of a warpgroup run by themselves: `products_begin` after registers they use were written, then multiplies, then
// `products_commit` makes a group of them. Registers of a group are nobody else's until it was waited for.
STRUCTDIFF_DEVICE void products_begin() { STRUCTDIFF_HOPPER_ASM("wgmma.fence.sync.aligned;" ::: "memory"); }
STRUCTDIFF_DEVICE void products_commit() { STRUCTDIFF_HOPPER_ASM("wgmma.commit_group.sync.aligned;" ::: "memory"); }
template <int Pending>
STRUCTDIFF_DEVICE void products_wait() {
  STRUCTDIFF_HOPPER_ASM("wgmma.wait_group.sync.aligned %0;" ::"n"(Pending) : "memory");
}

// Keeps the compiler from moving what writes these registers behind, or what reads them before, this place: to be said of
// all that products use before `products_begin`, and of their sums after `products_wait`.
template <int Rows, int Columns>
STRUCTDIFF_DEVICE void hold(float (&registers)[Rows][Columns]) {
#pragma unroll
  for (int i = 0; i < Rows; ++i) {
#pragma unroll
    for (int j = 0; j < Columns; ++j) STRUCTDIFF_HOPPER_ASM("" : "+f"(registers[i][j])::"memory");
  }
}
template <int Rows, int Columns>
STRUCTDIFF_DEVICE void hold(uint32_t (&registers)[Rows][Columns]) {
#pragma unroll
  for (int i = 0; i < Rows; ++i) {
#pragma unroll
    for (int j = 0; j < Columns; ++j) STRUCTDIFF_HOPPER_ASM("" : "+r"(registers[i][j])::"memory");
  }
}

template <int Count>
STRUCTDIFF_DEVICE void hold(uint64_t (&registers)[Count]) {
#pragma unroll
  for (int i = 0; i < Count; ++i) STRUCTDIFF_HOPPER_ASM("" : "+l"(registers[i])::"memory");
}

// d += a b for 64 x N, over 16: a in registers (each warp 16 rows, as in cuda_operands.cuh), b in shared memory, described
// by `matrix`; `Transposed` where the columns of b lie side by side rather than what is summed over.
#define STRUCTDIFF_D(i) "+f"(d[i][0]), "+f"(d[i][1]), "+f"(d[i][2]), "+f"(d[i][3])
#define STRUCTDIFF_AB "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(matrix), "n"(Transposed)
#define STRUCTDIFF_D2 STRUCTDIFF_D(0), STRUCTDIFF_D(1)
#define STRUCTDIFF_D4 STRUCTDIFF_D2, STRUCTDIFF_D(2), STRUCTDIFF_D(3)
#define STRUCTDIFF_D8 STRUCTDIFF_D4, STRUCTDIFF_D(4), STRUCTDIFF_D(5), STRUCTDIFF_D(6), STRUCTDIFF_D(7)
#define STRUCTDIFF_PRODUCT(name, type)                                                                                \
  template <int Transposed>                                                                                           \
  STRUCTDIFF_DEVICE void name(                                                                                        \
      [[maybe_unused]] float (&d)[2][4], [[maybe_unused]] const uint32_t (&a)[4], [[maybe_unused]] uint64_t matrix) { \
    STRUCTDIFF_HOPPER_ASM("{\n.reg .pred p;\nsetp.ne.b32 p, 1, 0;\n"                                                  \
        "wgmma.mma_async.sync.aligned.m64n16k16.f32." type "." type " {%0,%1,%2,%3,%4,%5,%6,%7}, "                    \
        "{%8,%9,%10,%11}, %12, p, 1, 1, %13;\n}" : STRUCTDIFF_D2 : STRUCTDIFF_AB);                                    \
  }                                                                                                                   \
  template <int Transposed>                                                                                           \
  STRUCTDIFF_DEVICE void name(                                                                                        \
      [[maybe_unused]] float (&d)[4][4], [[maybe_unused]] const uint32_t (&a)[4], [[maybe_unused]] uint64_t matrix) { \
    STRUCTDIFF_HOPPER_ASM("{\n.reg .pred p;\nsetp.ne.b32 p, 1, 0;\n"                                                  \
        "wgmma.mma_async.sync.aligned.m64n32k16.f32." type "." type " {%0,%1,%2,%3,%4,%5,%6,%7,"                      \
        "%8,%9,%10,%11,%12,%13,%14,%15}, {%16,%17,%18,%19}, %20, p, 1, 1, %21;\n}"                                    \
        : STRUCTDIFF_D4 : STRUCTDIFF_AB);                                                                             \
  }                                                                                                                   \
  template <int Transposed>                                                                                           \
  STRUCTDIFF_DEVICE void name(                                                                                        \
      [[maybe_unused]] float (&d)[8][4], [[maybe_unused]] const uint32_t (&a)[4], [[maybe_unused]] uint64_t matrix) { \
    STRUCTDIFF_HOPPER_ASM("{\n.reg .pred p;\nsetp.ne.b32 p, 1, 0;\n"                                                  \
        "wgmma.mma_async.sync.aligned.m64n64k16.f32." type "." type " {%0,%1,%2,%3,%4,%5,%6,%7,"                      \
        "%8,%9,%10,%11,%12,%13,%14,%15,%16,%17,%18,%19,%20,%21,%22,%23,%24,%25,%26,%27,%28,%29,%30,%31}, "            \
        "{%32,%33,%34,%35}, %36, p, 1, 1, %37;\n}" : STRUCTDIFF_D8 : STRUCTDIFF_AB);                                  \
  }
STRUCTDIFF_PRODUCT(multiply_group_bfloat16, "bf16")
STRUCTDIFF_PRODUCT(multiply_group_float16, "f16")
#undef STRUCTDIFF_PRODUCT
#undef STRUCTDIFF_D8
#undef STRUCTDIFF_D4
#undef STRUCTDIFF_D2
#undef STRUCTDIFF_AB
#undef STRUCTDIFF_D

}  // namespace structdiff::gpu

#else
#include "emulation/hopper.h"
#endif

namespace structdiff::gpu {

// A matrix in shared memory for products of a warpgroup: rows of 32, 64 or 128 bytes, scrambled as `swizzle_mode` says, one
// after the other, the first of a tile at a multiple of eight rows. Bits as in the PTX manual, "matrix descriptor".
STRUCTDIFF_DEVICE uint64_t matrix_in_shared(uint32_t address, int row_bytes) {
  const uint64_t start = (address & 0x3ffff) >> 4;
  const uint64_t eight_rows = static_cast<uint64_t>(row_bytes) * 8 >> 4;
  return start | 1ull << 16 | eight_rows << 32 | static_cast<uint64_t>(swizzle_mode(row_bytes)) << 62;
}

// The parts of a tile that products over 16 take one after the other: 32 bytes of every row where the rows are columns of the
// right operand, 16 rows where the channels are.
template <int RowBytes, int Count>
STRUCTDIFF_DEVICE void parts_of(uint64_t (&parts)[Count], const unsigned char* tile, bool rows_are_columns) {
  const uint64_t first = matrix_in_shared(shared_address(tile), RowBytes);
#pragma unroll
  for (int part = 0; part < Count; ++part) parts[part] = first + part * (rows_are_columns ? 2 : RowBytes);
  hold(parts);
}

// The block's memory from a multiple of 1024 bytes on, where scrambled tiles may begin.
STRUCTDIFF_DEVICE unsigned char* aligned_tiles(unsigned char* shared) {
  return shared + ((1024 - (shared_address(shared) & 1023)) & 1023);
}

template <class T>
struct GroupProduct;
template <>
struct GroupProduct<bfloat16> {
  template <int Transposed, int Blocks>
  STRUCTDIFF_DEVICE static void add(float (&d)[Blocks][4], const uint32_t (&a)[4], uint64_t matrix) {
    multiply_group_bfloat16<Transposed>(d, a, matrix);
  }
};
template <>
struct GroupProduct<float16> {
  template <int Transposed, int Blocks>
  STRUCTDIFF_DEVICE static void add(float (&d)[Blocks][4], const uint32_t (&a)[4], uint64_t matrix) {
    multiply_group_float16<Transposed>(d, a, matrix);
  }
};

}  // namespace structdiff::gpu

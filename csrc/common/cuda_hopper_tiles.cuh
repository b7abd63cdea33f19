// Products of a warpgroup whose operands both lie in shared memory (Hopper, see cuda_hopper.cuh).
#pragma once

#include "common/cuda_hopper.cuh"

namespace structdiff::gpu {

#if defined(__CUDACC__)

// d += a b for 64 x 128, over 16; each operand `Transposed` where its rows, or columns, lie side by side rather than what is
// summed over.
#define STRUCTDIFF_D(i) "+f"(d[i][0]), "+f"(d[i][1]), "+f"(d[i][2]), "+f"(d[i][3])
#define STRUCTDIFF_D4(i) STRUCTDIFF_D(i), STRUCTDIFF_D(i + 1), STRUCTDIFF_D(i + 2), STRUCTDIFF_D(i + 3)
#define STRUCTDIFF_PRODUCT(name, type)                                                                             \
  template <int LeftTransposed, int RightTransposed>                                                               \
  STRUCTDIFF_DEVICE void name(                                                                                     \
      [[maybe_unused]] float (&d)[16][4], [[maybe_unused]] uint64_t left, [[maybe_unused]] uint64_t right) {       \
    STRUCTDIFF_HOPPER_ASM("{\n.reg .pred p;\nsetp.ne.b32 p, 1, 0;\n"                                               \
        "wgmma.mma_async.sync.aligned.m64n128k16.f32." type "." type " {%0,%1,%2,%3,%4,%5,%6,%7,"                  \
        "%8,%9,%10,%11,%12,%13,%14,%15,%16,%17,%18,%19,%20,%21,%22,%23,%24,%25,%26,%27,%28,%29,%30,%31,"           \
        "%32,%33,%34,%35,%36,%37,%38,%39,%40,%41,%42,%43,%44,%45,%46,%47,%48,%49,%50,%51,%52,%53,%54,%55,"         \
        "%56,%57,%58,%59,%60,%61,%62,%63}, %64, %65, p, 1, 1, %66, %67;\n}"                                        \
        : STRUCTDIFF_D4(0), STRUCTDIFF_D4(4), STRUCTDIFF_D4(8), STRUCTDIFF_D4(12)                                  \
        : "l"(left), "l"(right), "n"(LeftTransposed), "n"(RightTransposed));                                       \
  }
STRUCTDIFF_PRODUCT(multiply_tiles_bfloat16, "bf16")
STRUCTDIFF_PRODUCT(multiply_tiles_float16, "f16")
#undef STRUCTDIFF_PRODUCT
#undef STRUCTDIFF_D4
#undef STRUCTDIFF_D

#else

template <int LeftTransposed, int RightTransposed>
inline void multiply_tiles_bfloat16(float (&d)[16][4], uint64_t left, uint64_t right) {
  emulation::multiply_tiles(&d[0][0], 16, left, LeftTransposed != 0, right, RightTransposed != 0, emulation::widen_bfloat16);
}
template <int LeftTransposed, int RightTransposed>
inline void multiply_tiles_float16(float (&d)[16][4], uint64_t left, uint64_t right) {
  emulation::multiply_tiles(&d[0][0], 16, left, LeftTransposed != 0, right, RightTransposed != 0, emulation::widen_float16);
}

#endif

// The same as `matrix_in_shared` for a transposed matrix that is wider than its rows: every `columns_bytes` the next columns.
STRUCTDIFF_DEVICE uint64_t matrix_in_shared(uint32_t address, int row_bytes, int columns_bytes) {
  return matrix_in_shared(address, row_bytes) + (static_cast<uint64_t>(columns_bytes / 16 - 1) << 16);
}

template <class T>
struct TileProduct;
template <>
struct TileProduct<bfloat16> {
  template <int LeftTransposed, int RightTransposed>
  STRUCTDIFF_DEVICE static void add(float (&d)[16][4], uint64_t left, uint64_t right) {
    multiply_tiles_bfloat16<LeftTransposed, RightTransposed>(d, left, right);
  }
};
template <>
struct TileProduct<float16> {
  template <int LeftTransposed, int RightTransposed>
  STRUCTDIFF_DEVICE static void add(float (&d)[16][4], uint64_t left, uint64_t right) {
    multiply_tiles_float16<LeftTransposed, RightTransposed>(d, left, right);
  }
};

}  // namespace structdiff::gpu

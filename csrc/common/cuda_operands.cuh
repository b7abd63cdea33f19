// Operands of matrix products on tensor cores: how a warp loads, splits and multiplies tiles of 16 x 16 and 16 x 8.
//
// Lane l of a warp holds, with g = l / 4 and t = l % 4 (PTX manual, mma.m16n8k16):
//   a[0] (g, 2t..2t+1)   a[1] (g+8, 2t..)   a[2] (g, 2t+8..)   a[3] (g+8, 2t+8..)      of the 16 x 16 left operand
//   b[0] (2t..2t+1, g)   b[1] (2t+8.., g)                                              of the 16 x 8 right operand
//   d[0] (g, 2t)   d[1] (g, 2t+1)   d[2] (g+8, 2t)   d[3] (g+8, 2t+1)                  of the 16 x 8 product
//
// float32 is split into three bfloat16 parts, which together hold its 24 bits, and multiplied in six products; what is
// left out is below 2^-24 of the result.
#pragma once

#include "common/cuda_device.cuh"

namespace structdiff::gpu {

template <class T>
constexpr int kParts = 1;
template <>
inline constexpr int kParts<float> = 3;

template <class T>
struct alignas(16) Left {
  uint32_t part[kParts<T>][4];
};
// Two neighbouring tiles of 16 x 8.
template <class T>
struct alignas(16) Right {
  uint32_t part[kParts<T>][2][2];
};

// Rows in shared memory start 16 bytes (float32: 32) further than they are long, so that the eight rows which are read
// together lie in different banks.
template <class T, int Columns>
constexpr int kPitch = Columns + (sizeof(T) == 2 ? 8 : 8);

STRUCTDIFF_DEVICE void split(uint32_t& first, uint32_t& second, uint32_t& third, float low, float high) {
  first = pack_bfloat16(low, high);
  const float2 one = unpack<bfloat16>(first);
  low -= one.x;
  high -= one.y;
  second = pack_bfloat16(low, high);
  const float2 two = unpack<bfloat16>(second);
  third = pack_bfloat16(low - two.x, high - two.y);
}

template <class T>
STRUCTDIFF_DEVICE void set_left(Left<T>& a, int index, float low, float high) {
  a.part[0][index] = pack<T>(low, high);
}
template <>
STRUCTDIFF_DEVICE void set_left<float>(Left<float>& a, int index, float low, float high) {
  split(a.part[0][index], a.part[1][index], a.part[2][index], low, high);
}

// The product of two neighbouring tiles 16 x 8 as the left operand of the next product.
template <class T>
STRUCTDIFF_DEVICE void left_of_products(Left<T>& a, const float (&d0)[4], const float (&d1)[4]) {
  set_left<T>(a, 0, d0[0], d0[1]);
  set_left<T>(a, 1, d0[2], d0[3]);
  set_left<T>(a, 2, d1[0], d1[1]);
  set_left<T>(a, 3, d1[2], d1[3]);
}

// Left operand from a tile stored [m][k].
template <class T>
STRUCTDIFF_DEVICE void load_left(Left<T>& a, const T* tile, int pitch, int m, int k, int lane) {
  load_matrices(a.part[0], tile + (m + (lane & 15)) * pitch + k + (lane >> 4) * 8);
}
template <>
STRUCTDIFF_DEVICE void load_left<float>(Left<float>& a, const float* tile, int pitch, int m, int k, int lane) {
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    const float* at = tile + (m + (lane >> 2) + (i & 1) * 8) * pitch + k + (lane & 3) * 2 + (i >> 1) * 8;
    const float2 x = shared_load(reinterpret_cast<const float2*>(at));
    set_left<float>(a, i, x.x, x.y);
  }
}

// Left operand from a tile stored [k][m].
template <class T>
STRUCTDIFF_DEVICE void load_left_transposed(Left<T>& a, const T* tile, int pitch, int m, int k, int lane) {
  load_matrices_transposed(a.part[0], tile + (k + (lane >> 4) * 8 + (lane & 7)) * pitch + m + ((lane >> 3) & 1) * 8);
}
template <>
STRUCTDIFF_DEVICE void load_left_transposed<float>(
    Left<float>& a, const float* tile, int pitch, int m, int k, int lane) {
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    const float* at = tile + (k + (lane & 3) * 2 + (i >> 1) * 8) * pitch + m + (lane >> 2) + (i & 1) * 8;
    set_left<float>(a, i, shared_load(at), shared_load(at + pitch));
  }
}

template <class T>
STRUCTDIFF_DEVICE void take_matrices(Right<T>& b, const uint32_t (&r)[4]) {
  b.part[0][0][0] = r[0];
  b.part[0][0][1] = r[1];
  b.part[0][1][0] = r[2];
  b.part[0][1][1] = r[3];
}

template <class T>
STRUCTDIFF_DEVICE void set_right(Right<T>& b, int tile, int half, float low, float high) {
  b.part[0][tile][half] = pack<T>(low, high);
}
template <>
STRUCTDIFF_DEVICE void set_right<float>(Right<float>& b, int tile, int half, float low, float high) {
  split(b.part[0][tile][half], b.part[1][tile][half], b.part[2][tile][half], low, high);
}

// Right operand, columns n to n + 15, from a tile stored [n][k].
template <class T>
STRUCTDIFF_DEVICE void load_right(Right<T>& b, const T* tile, int pitch, int n, int k, int lane) {
  uint32_t r[4];
  load_matrices(r, tile + (n + (lane >> 4) * 8 + (lane & 7)) * pitch + k + ((lane >> 3) & 1) * 8);
  take_matrices<T>(b, r);
}
template <>
STRUCTDIFF_DEVICE void load_right<float>(Right<float>& b, const float* tile, int pitch, int n, int k, int lane) {
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    const float* at = tile + (n + (i >> 1) * 8 + (lane >> 2)) * pitch + k + (lane & 3) * 2 + (i & 1) * 8;
    const float2 x = shared_load(reinterpret_cast<const float2*>(at));
    set_right<float>(b, i >> 1, i & 1, x.x, x.y);
  }
}

// Right operand, columns n to n + 15, from a tile stored [k][n].
template <class T>
STRUCTDIFF_DEVICE void load_right_transposed(Right<T>& b, const T* tile, int pitch, int n, int k, int lane) {
  uint32_t r[4];
  load_matrices_transposed(r, tile + (k + ((lane >> 3) & 1) * 8 + (lane & 7)) * pitch + n + (lane >> 4) * 8);
  take_matrices<T>(b, r);
}
template <>
STRUCTDIFF_DEVICE void load_right_transposed<float>(
    Right<float>& b, const float* tile, int pitch, int n, int k, int lane) {
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    const float* at = tile + (k + (lane & 3) * 2 + (i & 1) * 8) * pitch + n + (i >> 1) * 8 + (lane >> 2);
    set_right<float>(b, i >> 1, i & 1, shared_load(at), shared_load(at + pitch));
  }
}

template <class T>
STRUCTDIFF_DEVICE void multiply_part(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]);
template <>
STRUCTDIFF_DEVICE void multiply_part<bfloat16>(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  multiply_bfloat16(d, a, b[0], b[1]);
}
template <>
STRUCTDIFF_DEVICE void multiply_part<float16>(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  multiply_float16(d, a, b[0], b[1]);
}

// d += a b, with b's tile 0 or 1.
template <class T>
STRUCTDIFF_DEVICE void multiply(float (&d)[4], const Left<T>& a, const Right<T>& b, int tile) {
  multiply_part<T>(d, a.part[0], b.part[0][tile]);
}
// Summed apart, the small products first, and added to d in the end: a tensor core does not round a sum but cuts it off,
// and that would add up.
template <>
STRUCTDIFF_DEVICE void multiply<float>(float (&d)[4], const Left<float>& a, const Right<float>& b, int tile) {
  float sum[4] = {};
  multiply_part<bfloat16>(sum, a.part[2], b.part[0][tile]);
  multiply_part<bfloat16>(sum, a.part[0], b.part[2][tile]);
  multiply_part<bfloat16>(sum, a.part[1], b.part[1][tile]);
  multiply_part<bfloat16>(sum, a.part[1], b.part[0][tile]);
  multiply_part<bfloat16>(sum, a.part[0], b.part[1][tile]);
  multiply_part<bfloat16>(sum, a.part[0], b.part[0][tile]);
#pragma unroll
  for (int e = 0; e < 4; ++e) d[e] += sum[e];
}

}  // namespace structdiff::gpu

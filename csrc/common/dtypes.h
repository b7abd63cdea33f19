// Rows of float32, float16 or bfloat16 read into float32 and written back, with any stride.
#pragma once

#include <cstdint>
#include <cstring>

#if defined(__F16C__)
#include <immintrin.h>
#endif

#include "common/abi.h"

namespace structdiff {

struct Half {
  uint16_t bits;
};
struct Bfloat {
  uint16_t bits;
};

inline float bits_to_float(uint32_t bits) {
  float out;
  std::memcpy(&out, &bits, sizeof out);
  return out;
}

inline uint32_t float_to_bits(float value) {
  uint32_t out;
  std::memcpy(&out, &value, sizeof out);
  return out;
}

inline float widened(float value) { return value; }

inline float widened(Bfloat value) { return bits_to_float(static_cast<uint32_t>(value.bits) << 16); }

inline float widened(Half value) {
#if defined(__F16C__)
  return _cvtsh_ss(value.bits);
#else
  const uint32_t sign = static_cast<uint32_t>(value.bits & 0x8000) << 16, rest = value.bits & 0x7fff;
  if (rest >= 0x7c00) return bits_to_float(sign | 0x7f800000 | (rest & 0x3ff) << 13);
  // Multiplied rather than shifted in place: this brings the numbers below the smallest normal one along.
  return bits_to_float(sign | float_to_bits(bits_to_float(rest << 13) * bits_to_float(0x77800000)));
#endif
}

inline void narrow(float value, float& to) { to = value; }

// To the nearest, and to the even one of two.
inline void narrow(float value, Bfloat& to) {
  const uint32_t bits = float_to_bits(value);
  const bool is_nan = (bits & 0x7fffffff) > 0x7f800000;
  to.bits = static_cast<uint16_t>(is_nan ? bits >> 16 | 0x40 : (bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

inline void narrow(float value, Half& to) {
#if defined(__F16C__)
  to.bits = static_cast<uint16_t>(_cvtss_sh(value, _MM_FROUND_TO_NEAREST_INT));
#else
  const uint32_t bits = float_to_bits(value), size = bits & 0x7fffffff;
  const uint16_t sign = static_cast<uint16_t>(bits >> 16 & 0x8000);
  uint32_t out;
  if (size > 0x7f800000) {
    out = 0x7e00;
  } else if (size >= 0x477ff000) {
    out = 0x7c00;
  } else if (size < 0x38800000) {
    // Adding 1/2 puts the last bit of a subnormal number at the last bit of the sum, rounded by the addition.
    out = float_to_bits(bits_to_float(size) + 0.5f) - 0x3f000000;
  } else {
    out = (size + 0xfff + (size >> 13 & 1) - 0x38000000) >> 13;
  }
  to.bits = static_cast<uint16_t>(out | sign);
#endif
}

template <class T>
inline void read_row_as(const void* data, int64_t offset, int64_t stride, int64_t count, float factor, float* to) {
  const T* from = static_cast<const T*>(data) + offset;
  if (stride == 1)
    for (int64_t c = 0; c < count; ++c) to[c] = widened(from[c]) * factor;
  else
    for (int64_t c = 0; c < count; ++c) to[c] = widened(from[c * stride]) * factor;
}

template <class T>
inline void write_row_as(const float* from, float factor, void* data, int64_t offset, int64_t stride, int64_t count) {
  T* to = static_cast<T*>(data) + offset;
  if (stride == 1)
    for (int64_t c = 0; c < count; ++c) narrow(from[c] * factor, to[c]);
  else
    for (int64_t c = 0; c < count; ++c) narrow(from[c] * factor, to[c * stride]);
}

// to[c] = tensor[offset + c * stride] * factor
inline void read_row(const structdiff_tensor& tensor, int64_t offset, int64_t stride, int64_t count, float factor,
                     float* to) {
  switch (tensor.dtype) {
    case STRUCTDIFF_FLOAT16:
      return read_row_as<Half>(tensor.data, offset, stride, count, factor, to);
    case STRUCTDIFF_BFLOAT16:
      return read_row_as<Bfloat>(tensor.data, offset, stride, count, factor, to);
    default:
      return read_row_as<float>(tensor.data, offset, stride, count, factor, to);
  }
}

// tensor[offset + c * stride] = from[c] * factor
inline void write_row(const float* from, float factor, const structdiff_tensor& tensor, int64_t offset, int64_t stride,
                      int64_t count) {
  switch (tensor.dtype) {
    case STRUCTDIFF_FLOAT16:
      return write_row_as<Half>(from, factor, tensor.data, offset, stride, count);
    case STRUCTDIFF_BFLOAT16:
      return write_row_as<Bfloat>(from, factor, tensor.data, offset, stride, count);
    default:
      return write_row_as<float>(from, factor, tensor.data, offset, stride, count);
  }
}

inline bool is_float(int64_t dtype) {
  return dtype == STRUCTDIFF_FLOAT32 || dtype == STRUCTDIFF_FLOAT16 || dtype == STRUCTDIFF_BFLOAT16;
}

}  // namespace structdiff

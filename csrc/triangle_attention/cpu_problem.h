// What the forward and backward passes share: sizes, checked; the bias laid out for them; rows packed; 2^x.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <new>
#include <type_traits>

#include "common/dense.h"
#include "common/dtypes.h"
#include "triangle_attention/cpu_attention.h"

namespace structdiff {
namespace attention {

constexpr float kLog2e = 1.44269504088896341f, kLn2 = 0.693147180559945309f;

// A bias in base 2. What is finite stays so: where all keys have the lowest number there is, all take part alike.
inline float in_base_2(float bias) {
  constexpr float kMost = std::numeric_limits<float>::max() / 2;
  const float scaled = bias * kLog2e;
  return std::abs(bias) <= std::numeric_limits<float>::max() ? std::min(std::max(scaled, -kMost), kMost) : scaled;
}
constexpr int kBlock = 24;  // queries whose scores are worked on together: a multiple of kTileRows at every level

inline int64_t rounded_up(int64_t count, int64_t step) { return (count + step - 1) / step * step; }

struct Sizes {
  int64_t batch, rows, queries, keys, heads;
  int channels;
  int width;          // channels, rounded up to whole vectors
  int64_t lane_keys;  // keys, rounded up to whole vectors
  // Floats from one line of scores to the next: a cache line more than needed, so that lines do not fall into the same
  // few places of the cache where the number of keys is a power of two.
  int64_t line;
  bool shared_bias;   // one for the whole batch
  int64_t tables() const { return (shared_bias ? 1 : batch) * heads; }
};

// Checks that the tensors fit together; STRUCTDIFF_OK or why not.
int32_t sizes_of(const Forward& problem, Sizes& sizes);

// Memory for one worker, kept from call to call unless it is large.
float* scratch(int64_t floats);

// The bias in base 2, [table][query][line], keys beyond the last at -infinity.
class BiasTable {
 public:
  // at: memory for so many floats().
  BiasTable(const structdiff_tensor& bias, const Sizes& sizes, int32_t num_threads, float* at);
  static int64_t floats(const Sizes& sizes) { return sizes.tables() * sizes.queries * sizes.line; }
  const float* row(int64_t batch, int64_t head, int64_t query) const {
    const int64_t table = sizes_.shared_bias ? head : batch * sizes_.heads + head;
    return values_ + (table * sizes_.queries + query) * sizes_.line;
  }

 private:
  Sizes sizes_;
  float* values_;
};

// Which keys of a row (b, i) exist.
struct Keys {
  int64_t last = 0;     // keys from here on are all masked
  bool holes = false;   // whether some of those before are masked, up to whole vectors
};

// penalty[k] = 0 or -infinity for [0, lane_keys).
Keys keys_of(const structdiff_tensor* mask, const Sizes& sizes, int64_t batch, int64_t row, float* penalty);

// Where the channels of one row, position and head start.
inline int64_t place(const structdiff_tensor& t, int64_t batch, int64_t row, int64_t position, int64_t head) {
  return batch * t.stride[0] + row * t.stride[1] + position * t.stride[2] + head * t.stride[3];
}

inline void copy_scaled(const float* from, int width, float factor, float* to) {
  int c = 0;
  for (; c + 4 * kLanes <= width; c += 4 * kLanes)
#pragma GCC unroll 4
    for (int v = 0; v < 4; ++v) store(to + c + v * kLanes, load(from + c + v * kLanes) * factor);
  for (; c < width; c += kLanes) store(to + c, load(from + c) * factor);
}

template <class T>
inline void pack_as(const T* from, int64_t position_stride, int64_t stride, const int32_t* order, int64_t count,
                    int channels, int width, float factor, float* to) {
  for (int64_t each = 0; each < count; ++each, to += width) {
    const T* row = from + (order == nullptr ? each : order[each]) * position_stride;
    if (std::is_same<T, float>::value && stride == 1 && channels == width) {
      copy_scaled(reinterpret_cast<const float*>(row), width, factor, to);
    } else {
      for (int c = 0; c < channels; ++c) to[c] = widened(row[c * stride]) * factor;
      for (int c = channels; c < width; ++c) to[c] = 0;
    }
  }
}

// to[each][width] for the positions in order (or from `first` on), channels beyond the last 0.
inline void pack(const structdiff_tensor& t, const Sizes& s, int64_t batch, int64_t row, int64_t head, int64_t first,
                 int64_t count, float factor, float* to, const int32_t* order = nullptr) {
  const int64_t at = place(t, batch, row, first, head), position = t.stride[2], stride = t.stride[4];
  if (t.dtype == STRUCTDIFF_FLOAT16)
    pack_as(static_cast<const Half*>(t.data) + at, position, stride, order, count, s.channels, s.width, factor, to);
  else if (t.dtype == STRUCTDIFF_BFLOAT16)
    pack_as(static_cast<const Bfloat*>(t.data) + at, position, stride, order, count, s.channels, s.width, factor, to);
  else
    pack_as(static_cast<const float*>(t.data) + at, position, stride, order, count, s.channels, s.width, factor, to);
}

template <class T>
inline void unpack_as(const float* from, T* to, int64_t position_stride, int64_t stride, int64_t count, int channels,
                      int width, float factor) {
  for (int64_t each = 0; each < count; ++each, from += width, to += position_stride) {
    if (std::is_same<T, float>::value && stride == 1 && channels == width) {
      copy_scaled(from, width, factor, reinterpret_cast<float*>(to));
    } else {
      for (int c = 0; c < channels; ++c) narrow(from[c] * factor, to[c * stride]);
    }
  }
}

inline void unpack(const float* from, float factor, const structdiff_tensor& t, const Sizes& s, int64_t batch,
                   int64_t row, int64_t head, int64_t first, int64_t count) {
  const int64_t at = place(t, batch, row, first, head), position = t.stride[2], stride = t.stride[4];
  if (t.dtype == STRUCTDIFF_FLOAT16)
    unpack_as(from, static_cast<Half*>(t.data) + at, position, stride, count, s.channels, s.width, factor);
  else if (t.dtype == STRUCTDIFF_BFLOAT16)
    unpack_as(from, static_cast<Bfloat*>(t.data) + at, position, stride, count, s.channels, s.width, factor);
  else
    unpack_as(from, static_cast<float*>(t.data) + at, position, stride, count, s.channels, s.width, factor);
}

// natural[key][width] of all keys up to whole vectors, and the same with channels first.
inline void pack_keys(const structdiff_tensor& t, const Sizes& s, int64_t batch, int64_t row, int64_t head,
                      int64_t keys, float* natural, float* channels_first) {
  const int64_t whole = rounded_up(keys, kLanes);
  const int64_t real = whole < s.keys ? whole : s.keys;
  pack(t, s, batch, row, head, 0, real, 1.0f, natural);
  std::memset(natural + real * s.width, 0, sizeof(float) * (whole - real) * s.width);
  if (channels_first != nullptr)
    transpose(static_cast<int>(whole), s.width, natural, s.width, channels_first, s.line);
}

// 2^x to 1 unit in the last place; 0 below -126. NaN stays NaN.
inline Vector power_of_two(Vector x) { return x < -126.0f ? Vector{} : small_power_of_two(x); }

}  // namespace attention
}  // namespace structdiff

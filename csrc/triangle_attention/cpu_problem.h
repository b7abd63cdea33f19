// What the forward and backward passes share: sizes, checked; the bias laid out for them; rows packed; 2^x.
#pragma once

#include <cstdint>
#include <memory>
#include <new>

#include "common/dense.h"
#include "common/dtypes.h"
#include "triangle_attention/cpu_attention.h"

namespace structdiff {
namespace attention {

constexpr float kLog2e = 1.44269504088896341f, kLn2 = 0.693147180559945309f;
constexpr int kBlock = 24;  // queries whose scores are worked on together: a multiple of kTileRows at every level

constexpr int64_t kAhead = 8;  // positions that are fetched before they are read

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
  BiasTable(const structdiff_tensor& bias, const Sizes& sizes, int32_t num_threads);
  const float* row(int64_t batch, int64_t head, int64_t query) const {
    const int64_t table = sizes_.shared_bias ? head : batch * sizes_.heads + head;
    return values_.get() + (table * sizes_.queries + query) * sizes_.line;
  }

 private:
  struct Free {
    void operator()(float* values) const { ::operator delete[](values, std::align_val_t(64)); }
  };
  Sizes sizes_;
  std::unique_ptr<float[], Free> values_;
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

// to[position][width] for positions [first, first + count), channels beyond the last 0.
inline void pack(const structdiff_tensor& t, const Sizes& s, int64_t batch, int64_t row, int64_t head, int64_t first,
                 int64_t count, float factor, float* to) {
  // Heads between the positions hide them from the processor's own prefetching.
  const int64_t bytes = t.dtype == STRUCTDIFF_FLOAT32 ? 4 : 2;
  const char* start = static_cast<const char*>(t.data);
  for (int64_t each = 0; each < count; ++each, to += s.width) {
    const char* ahead = start + place(t, batch, row, first + each + kAhead, head) * bytes;
    for (int64_t at = 0; at < s.channels * bytes; at += 64) __builtin_prefetch(ahead + at);
    read_row(t, place(t, batch, row, first + each, head), t.stride[4], s.channels, factor, to);
    for (int c = s.channels; c < s.width; ++c) to[c] = 0;
  }
}

inline void unpack(const float* from, float factor, const structdiff_tensor& t, const Sizes& s, int64_t batch,
                   int64_t row, int64_t head, int64_t first, int64_t count) {
  for (int64_t each = 0; each < count; ++each, from += s.width)
    write_row(from, factor, t, place(t, batch, row, first + each, head), t.stride[4], s.channels);
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
inline Vector power_of_two(Vector x) {
  // Adding 1.5 * 2^23 rounds to a whole number, which then stands in the lowest bits.
  const Vector shifted = x + 12582912.0f;
  const Vector r = x - (shifted - 12582912.0f);
  Vector p = r * 1.3276471782e-3f + 9.6755413328e-3f;  // minimax for relative error, 7.5e-8
  p = p * r + 5.5507132742e-2f;
  p = p * r + 2.4022119724e-1f;
  p = p * r + 6.9314696706e-1f;
  p = p * r + 1.0f;
  const Vector scaled = (Vector)((IntVector)p + ((IntVector)shifted << 23));
  return x < -126.0f ? Vector{} : scaled;
}

}  // namespace attention
}  // namespace structdiff

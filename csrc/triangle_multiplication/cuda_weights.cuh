// Weights laid out as operands of matrix products.
#pragma once

#include "triangle_multiplication/cuda_rows.cuh"

namespace structdiff::gpu {

// A matrix of weights, any strides, the inputs' type or float.
struct WeightView {
  const void* data;
  int rows, columns;
  int64_t row, column;
  bool is_float;

  // Zero beyond the matrix.
  template <class T>
  STRUCTDIFF_DEVICE float at(int y, int x) const {
    if (y >= rows || x >= columns) return 0.0f;
    const int64_t offset = y * row + x * column;
    return is_float ? load(static_cast<const float*>(data) + offset) : to_float(load(static_cast<const T*>(data) + offset));
  }
};

// A lane's part of rows 16 tile.. as the left operand, over 16 columns in the order of `channel_of`.
template <class T>
STRUCTDIFF_DEVICE Left<T> left_weights(const WeightView& w, int tile, int step, int lane) {
  Left<T> a;
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    const int y = tile * 16 + (lane >> 2) + (i & 1) * 8;
    const int x = channel_of(step, i >> 1, lane & 3);
    set_left<T>(a, i, w.template at<T>(y, x), w.template at<T>(y, x + 1));
  }
  return a;
}

// The same as the right operand; rows in the order that gives a lane of the product, which has the columns 2 t and 2 t + 1
// of both tiles, four neighbours.
template <class T>
STRUCTDIFF_DEVICE Right<T> right_weights(const WeightView& w, int tile, int step, int lane) {
  Right<T> b;
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    const int y = tile * 16 + (lane >> 3) * 4 + (i >> 1) * 2 + (lane >> 2 & 1);
    const int x = channel_of(step, i & 1, lane & 3);
    set_right<T>(b, i >> 1, i & 1, w.template at<T>(y, x), w.template at<T>(y, x + 1));
  }
  return b;
}

template <class V>
STRUCTDIFF_DEVICE void store_packed(V* to, const V& value) {
#pragma unroll
  for (int i = 0; i < static_cast<int>(sizeof(V) / 16); ++i) {
    store(reinterpret_cast<uint4*>(to) + i, reinterpret_cast<const uint4*>(&value)[i]);
  }
}

template <class T>
struct PackWeights {
  struct Problem {
    TriangleSizes sizes;
    WeightView in[2], out[2], norms[4];  // project, gate; norms: in weight, in bias, out weight, out bias
    Left<T>* to_in;
    Right<T>* to_out;
    float* to_norm_in;
    float* to_norm_out;
  };
  static constexpr int kThreads = 128;
  static constexpr int kMinBlocks = 1;

  STRUCTDIFF_BOTH static int64_t in_items(const TriangleSizes& s) { return 2 * (2 * s.c_hidden / 16) * (s.depth / 16) * 32; }
  STRUCTDIFF_BOTH static int64_t out_items(const TriangleSizes& s) { return 2 * (s.c_z / 16) * (s.depth / 16) * 32; }
  // Operands, each by 32 lanes; then the norms' numbers.
  STRUCTDIFF_BOTH static int64_t items(const TriangleSizes& s) {
    return in_items(s) + out_items(s) + 2 * (s.c_z + s.c_hidden);
  }

  STRUCTDIFF_DEVICE static void run(const Problem& p, unsigned char*) {
    const TriangleSizes& s = p.sizes;
    int64_t at = block_index() * kThreads + thread_index();
    if (at < in_items(s)) return pack_in(p, at);
    at -= in_items(s);
    if (at < out_items(s)) return pack_out(p, at);
    at -= out_items(s);
    if (at < 2 * s.c_z) {
      return store(p.to_norm_in + at, p.norms[at / s.c_z].template at<T>(0, static_cast<int>(at % s.c_z)));
    }
    at -= 2 * s.c_z;
    if (at < 2 * s.c_hidden) {
      store(p.to_norm_out + at, p.norms[2 + at / s.c_hidden].template at<T>(0, static_cast<int>(at % s.c_hidden)));
    }
  }

  STRUCTDIFF_DEVICE static void pack_in(const Problem& p, int64_t at) {
    const int steps = p.sizes.depth / 16;
    const int step = static_cast<int>(at / 32 % steps), tile = static_cast<int>(at / 64 / steps);
    store_packed(p.to_in + at, left_weights<T>(p.in[at / 32 / steps % 2], tile, step, static_cast<int>(at & 31)));
  }

  STRUCTDIFF_DEVICE static void pack_out(const Problem& p, int64_t at) {
    const int steps = p.sizes.depth / 16;
    const int step = static_cast<int>(at / 32 % steps), tile = static_cast<int>(at / 64 / steps);
    store_packed(p.to_out + at, right_weights<T>(p.out[at / 32 / steps % 2], tile, step, static_cast<int>(at & 31)));
  }
};

}  // namespace structdiff::gpu

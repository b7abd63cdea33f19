// Triangle multiplication on CUDA, in three kernels: `Edges` (layer norm, gated projections) writes two planes of the pair
// table for each hidden channel, `Product` multiplies the planes of each channel, `Update` (layer norm, projection, gate)
// makes the update. A fourth, `PackWeights`, lays the weights out as operands of matrix products beforehand.
//
// Backward, `Edges` and `Product` run once more; `Update` and `Edges` write gradients in the place of results, what is
// linear is left to `Product`, and `NormSlopes` goes back through the two layer norms.
#pragma once

#include "common/cuda_staging.cuh"

namespace structdiff::gpu {

struct TriangleSizes {
  int batch, n, pitch;  // a plane's row is `pitch` long, n rounded up to 8; beyond n are zeros
  int c_z, c_hidden;

  STRUCTDIFF_BOTH int64_t plane() const { return static_cast<int64_t>(n) * pitch; }
};

// z or the update: [batch, i, j, channel].
template <class T>
struct PairTable {
  T* data;
  int64_t batch, row, column, channel;
  bool vectors;
};

// Weights as `PackWeights` lays them out, and the layer norms' as float.
template <class T>
struct PackedWeights {
  const Left<T>* project_in;  // [2 c_hidden / 16][c_z / 16][lane]
  const Left<T>* gate_in;
  const Right<T>* project_out;  // [c_z / 16][c_hidden / 16][lane]
  const Right<T>* gate_out;     // [c_z / 16][c_z / 16][lane]
  const float* norm_in;         // weights, then biases
  const float* norm_out;
};

template <class T>
struct TriangleProblem {
  TriangleSizes sizes;
  PairTable<const T> z;
  PairTable<T> out;
  const uint8_t* mask;  // or null
  int64_t mask_batch, mask_row, mask_column;
  PackedWeights<T> weights;
  T* edges;    // [batch, 2 c_hidden, n, pitch]
  T* product;  // [batch, c_hidden, n, pitch]
  float epsilon;
  bool outgoing;
  // For the gradient alone; rows are [batch, n, pitch, channel].
  PairTable<const T> grad_out;
  T* x_rows;       // layer_norm(z)
  T* y_rows;       // layer_norm(product)
  T* by_out;       // gradient of what project_out makes
  T* by_open;      // of what gate_out makes, before the sigmoid
  T* by_edges;     // of the edges; becomes that of what project_in makes
  T* by_gate;      // of what gate_in makes, before the sigmoid
};

STRUCTDIFF_DEVICE float sigmoid(float x) { return 1.0f / (1.0f + exp2_fast(-x * kLog2E)); }

// Element i of memory that other lanes load whole.
template <class V>
STRUCTDIFF_DEVICE V load_packed(const V* address) {
  static_assert(sizeof(V) % 16 == 0, "operands are whole vectors");
  V value;
#pragma unroll
  for (int i = 0; i < static_cast<int>(sizeof(V) / 16); ++i) {
    reinterpret_cast<uint4*>(&value)[i] = load(reinterpret_cast<const uint4*>(address) + i);
  }
  return value;
}

// Brings positions [first, first + count) of z to shared memory, one a row, and normalises each: zeros beyond the table.
// Positions are counted through rows of `pitch`. Barriers are the caller's business; the rows of a warp are its own.
template <class T>
STRUCTDIFF_DEVICE void stage_normalised(
    T* tile, const TriangleProblem<T>& p, int b, int64_t first, int count, int thread, int threads) {
  const TriangleSizes& s = p.sizes;
  const int pitch = s.c_z + 8;
  const int lane = thread & 31;
  for (int row = thread / 32; row < count; row += threads / 32) {
    const int64_t position = first + row;
    const int i = static_cast<int>(position / s.pitch);
    const int j = static_cast<int>(position % s.pitch);
    T* to = tile + row * pitch;
    if (i >= s.n || j >= s.n) {
      for (int c = lane; c < s.c_z; c += 32) shared_store(to + c, T{});
      continue;
    }
    const T* from = p.z.data + b * p.z.batch + i * p.z.row + j * p.z.column;
    constexpr int kMost = 8;  // 256 channels by 32 lanes
    float values[kMost];
    float sum = 0.0f;
#pragma unroll
    for (int e = 0; e < kMost; ++e) {
      const int c = lane + e * 32;
      values[e] = c < s.c_z ? to_float(load(from + c * p.z.channel)) : 0.0f;
      sum += values[e];
    }
    for (int lanes = 1; lanes < 32; lanes *= 2) sum += shuffle_xor(sum, lanes);
    const float mean = sum / static_cast<float>(s.c_z);
    float squares = 0.0f;
#pragma unroll
    for (int e = 0; e < kMost; ++e) {
      const float off = lane + e * 32 < s.c_z ? values[e] - mean : 0.0f;
      squares += off * off;
    }
    for (int lanes = 1; lanes < 32; lanes *= 2) squares += shuffle_xor(squares, lanes);
    const float factor = inverse_root(squares / static_cast<float>(s.c_z) + p.epsilon);
#pragma unroll
    for (int e = 0; e < kMost; ++e) {
      const int c = lane + e * 32;
      if (c >= s.c_z) continue;
      const float weight = load(p.weights.norm_in + c);
      const float bias = load(p.weights.norm_in + s.c_z + c);
      shared_store(to + c, from_float<T>((values[e] - mean) * factor * weight + bias));
    }
  }
}

// A matrix of weights, any strides, the inputs' type or float.
struct WeightView {
  const void* data;
  int64_t row, column;
  bool is_float;

  template <class T>
  STRUCTDIFF_DEVICE float at(int y, int x) const {
    const int64_t offset = y * row + x * column;
    return is_float ? load(static_cast<const float*>(data) + offset) : to_float(load(static_cast<const T*>(data) + offset));
  }
};

template <class T>
struct PackWeights {
  struct Problem {
    int c_z, c_hidden;
    WeightView project_in, gate_in, project_out, gate_out, norms[4];  // norms: in weight, in bias, out weight, out bias
    Left<T>* to_project_in;
    Left<T>* to_gate_in;
    Right<T>* to_project_out;
    Right<T>* to_gate_out;
    float* to_norm_in;
    float* to_norm_out;
  };
  static constexpr int kThreads = 128;
  static constexpr int kMinBlocks = 1;

  // Operands, each by 32 lanes; then the norms' numbers.
  STRUCTDIFF_BOTH static int64_t items(const Problem& p) {
    const int64_t z = p.c_z / 16, hidden = p.c_hidden / 16;
    return 32 * (4 * hidden * z + z * hidden + z * z) + 2 * (p.c_z + p.c_hidden);
  }

  STRUCTDIFF_DEVICE static void run(const Problem& p, unsigned char*) {
    int64_t at = block_index() * kThreads + thread_index();
    const int64_t into = static_cast<int64_t>(32) * (2 * p.c_hidden / 16) * (p.c_z / 16);
    const int64_t out = static_cast<int64_t>(32) * (p.c_z / 16) * (p.c_hidden / 16);
    const int64_t gate = static_cast<int64_t>(32) * (p.c_z / 16) * (p.c_z / 16);
    if (at < into) return left(p.project_in, p.to_project_in, at, p.c_z / 16);
    at -= into;
    if (at < into) return left(p.gate_in, p.to_gate_in, at, p.c_z / 16);
    at -= into;
    if (at < out) return right(p.project_out, p.to_project_out, at, p.c_hidden / 16);
    at -= out;
    if (at < gate) return right(p.gate_out, p.to_gate_out, at, p.c_z / 16);
    at -= gate;
    if (at < 2 * p.c_z) {
      const int c = static_cast<int>(at % p.c_z);
      return store(p.to_norm_in + at, p.norms[at / p.c_z].template at<T>(0, c));
    }
    at -= 2 * p.c_z;
    if (at < 2 * p.c_hidden) {
      const int c = static_cast<int>(at % p.c_hidden);
      store(p.to_norm_out + at, p.norms[2 + at / p.c_hidden].template at<T>(0, c));
    }
  }

  STRUCTDIFF_DEVICE static void left(const WeightView& w, Left<T>* to, int64_t at, int tiles) {
    const int lane = static_cast<int>(at & 31);
    const int k = static_cast<int>(at / 32 % tiles) * 16;
    const int m = static_cast<int>(at / 32 / tiles) * 16;
    Left<T> a;
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const int y = m + (lane >> 2) + (i & 1) * 8;
      const int x = k + (lane & 3) * 2 + (i >> 1) * 8;
      set_left<T>(a, i, w.template at<T>(y, x), w.template at<T>(y, x + 1));
    }
    put(to + at, a);
  }

  STRUCTDIFF_DEVICE static void right(const WeightView& w, Right<T>* to, int64_t at, int tiles) {
    const int lane = static_cast<int>(at & 31);
    const int k = static_cast<int>(at / 32 % tiles) * 16;
    const int n = static_cast<int>(at / 32 / tiles) * 16;
    Right<T> b;
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const int y = n + (i >> 1) * 8 + (lane >> 2);
      const int x = k + (lane & 3) * 2 + (i & 1) * 8;
      set_right<T>(b, i >> 1, i & 1, w.template at<T>(y, x), w.template at<T>(y, x + 1));
    }
    put(to + at, b);
  }

  template <class V>
  STRUCTDIFF_DEVICE static void put(V* to, const V& value) {
#pragma unroll
    for (int i = 0; i < static_cast<int>(sizeof(V) / 16); ++i) {
      store(reinterpret_cast<uint4*>(to) + i, reinterpret_cast<const uint4*>(&value)[i]);
    }
  }
};

}  // namespace structdiff::gpu

// Back through a layer norm: from the gradient of its result to those of its input, its weights and its biases.
//
// With u = (input - mean) / deviation and g = grad * weight: by_input = (g - mean(g) - u mean(g u)) / deviation. A warp
// takes a position, its lanes the channels; the sums over positions are partial sums of each block.
#pragma once

#include "triangle_multiplication/cuda_weights.cuh"

namespace structdiff::gpu {

template <class T>
struct NormSlopes {
  // A table [batch, i, j, channel] of any strides.
  template <class E>
  struct Strided {
    E* data;
    int64_t batch, row, column, channel;
  };
  struct Problem {
    TriangleSizes sizes;
    int channels;
    Strided<const T> input;
    Strided<T> by_input;
    bool to_padding;    // whether by_input has columns beyond n, which become zero
    const float* grad;  // rows [batch, n, pitch, channel]
    const float* norm;  // weights, then biases
    float* by_norm;     // [blocks, 2 channels]
    int blocks;
    float epsilon;
  };
  static constexpr int kThreads = 256;
  static constexpr int kMinBlocks = 1;
  static constexpr int kRun = 64;   // positions that a block takes together: neighbours share sectors of memory
  static constexpr int kMost = 8;   // 256 channels by 32 lanes
  static constexpr int kWarps = kThreads / 32;

  STRUCTDIFF_BOTH static int64_t shared_bytes(int channels) {
    return static_cast<int64_t>(sizeof(float)) * kWarps * 2 * channels;
  }

  STRUCTDIFF_DEVICE static float over_warp(float sum) {
    for (int lanes = 1; lanes < 32; lanes *= 2) sum += shuffle_xor(sum, lanes);
    return sum;
  }

  STRUCTDIFF_DEVICE static void run(const Problem& p, unsigned char* shared) {
    const TriangleSizes& s = p.sizes;
    const int lane = thread_index() & 31;
    const int warp = thread_index() / 32;
    const int64_t positions = s.batch * s.plane();
    float weight[kMost], by_weight[kMost] = {}, by_bias[kMost] = {};
#pragma unroll
    for (int e = 0; e < kMost; ++e) {
      weight[e] = lane + e * 32 < p.channels ? load(p.norm + lane + e * 32) : 0.0f;
    }
    for (int64_t start = block_index() * kRun; start < positions; start += static_cast<int64_t>(p.blocks) * kRun) {
      for (int at = warp; at < kRun && start + at < positions; at += kWarps) {
        take_position(p, start + at, weight, by_weight, by_bias, lane);
      }
    }
    float* sums = reinterpret_cast<float*>(shared);
#pragma unroll
    for (int e = 0; e < kMost; ++e) {
      const int c = lane + e * 32;
      if (c >= p.channels) continue;
      shared_store(sums + (warp * 2) * p.channels + c, by_weight[e]);
      shared_store(sums + (warp * 2 + 1) * p.channels + c, by_bias[e]);
    }
    barrier();
    for (int c = thread_index(); c < 2 * p.channels; c += kThreads) {
      float sum = 0.0f;
      for (int w = 0; w < kWarps; ++w) sum += shared_load(sums + w * 2 * p.channels + c);
      store(p.by_norm + block_index() * 2 * p.channels + c, sum);
    }
  }

  STRUCTDIFF_DEVICE static void take_position(
      const Problem& p, int64_t position, const float (&weight)[kMost], float (&by_weight)[kMost],
      float (&by_bias)[kMost], int lane) {
    const TriangleSizes& s = p.sizes;
    const int b = static_cast<int>(position / s.plane());
    const int i = static_cast<int>(position % s.plane() / s.pitch);
    const int j = static_cast<int>(position % s.pitch);
    T* to = p.by_input.data + b * p.by_input.batch + i * p.by_input.row + j * p.by_input.column;
    if (j >= s.n) {
      if (!p.to_padding) return;
      for (int c = lane; c < p.channels; c += 32) store(to + c * p.by_input.channel, T{});
      return;
    }
    const T* from = p.input.data + b * p.input.batch + i * p.input.row + j * p.input.column;
    const float count = static_cast<float>(p.channels);
    float unit[kMost], slope[kMost];
    float sum = 0.0f;
#pragma unroll
    for (int e = 0; e < kMost; ++e) {
      const int c = lane + e * 32;
      unit[e] = c < p.channels ? to_float(load(from + c * p.input.channel)) : 0.0f;
      slope[e] = c < p.channels ? load(p.grad + position * p.channels + c) : 0.0f;
      sum += unit[e];
    }
    const float mean = over_warp(sum) / count;
    sum = 0.0f;
#pragma unroll
    for (int e = 0; e < kMost; ++e) {
      unit[e] = lane + e * 32 < p.channels ? unit[e] - mean : 0.0f;
      sum += unit[e] * unit[e];
    }
    const float factor = inverse_root(over_warp(sum) / count + p.epsilon);
    float mean_slope = 0.0f, mean_along = 0.0f;
#pragma unroll
    for (int e = 0; e < kMost; ++e) {
      unit[e] *= factor;
      by_weight[e] += slope[e] * unit[e];
      by_bias[e] += slope[e];
      slope[e] *= weight[e];
      mean_slope += slope[e];
      mean_along += slope[e] * unit[e];
    }
    mean_slope = over_warp(mean_slope) / count;
    mean_along = over_warp(mean_along) / count;
#pragma unroll
    for (int e = 0; e < kMost; ++e) {
      const int c = lane + e * 32;
      if (c >= p.channels) continue;
      store(to + c * p.by_input.channel, from_float<T>((slope[e] - mean_slope - unit[e] * mean_along) * factor));
    }
  }
};

// Matrices of weights as they are, rows side by side, in the type of the elements.
template <class T>
struct CopyWeights {
  static constexpr int kMatrices = 4;
  struct Problem {
    WeightView from[kMatrices];
    T* to[kMatrices];
    int rows[kMatrices], columns[kMatrices];
  };
  static constexpr int kThreads = 256;
  static constexpr int kMinBlocks = 1;

  STRUCTDIFF_BOTH static int64_t items(const Problem& p) {
    int64_t all = 0;
    for (int i = 0; i < kMatrices; ++i) all += p.rows[i] * p.columns[i];
    return all;
  }

  STRUCTDIFF_DEVICE static void run(const Problem& p, unsigned char*) {
    int at = static_cast<int>(block_index()) * kThreads + thread_index();
#pragma unroll
    for (int i = 0; i < kMatrices; ++i) {
      const int size = p.rows[i] * p.columns[i];
      if (at >= 0 && at < size) {
        store(p.to[i] + at, from_float<T>(p.from[i].template at<T>(at / p.columns[i], at % p.columns[i])));
      }
      at -= size;
    }
  }
};

}  // namespace structdiff::gpu

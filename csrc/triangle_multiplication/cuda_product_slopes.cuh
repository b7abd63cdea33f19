// From the gradient of what project_out makes to that of the product: back through project_out and the layer norm.
//
// A warp makes all channels of its positions, channels being rows: a lane has neighbouring positions of a plane.
#pragma once

#include "triangle_multiplication/cuda_norm_sums.cuh"

namespace structdiff::gpu {

template <class T>
struct ProductSlopesProblem {
  TriangleSizes sizes;
  const T* by_out;   // rows
  const T* product;  // planes, as the next
  T* by_product;
  const Left<T>* weights;  // [depth / 16][depth / 16][lane]
  NormSlopes norm;
  int blocks;
};

template <class T, int Blocks>
struct ProductSlopes {
  using Problem = ProductSlopesProblem<T>;
  static constexpr int kThreads = sizeof(T) == 2 && Blocks == 2 ? 384 : 256;
  static constexpr int kMinBlocks = 1;
  static constexpr int kWarps = kThreads / 32;
  static constexpr int kTiles = sizeof(T) == 2 && Blocks < 8 ? 2 : 1;  // of eight positions a warp
  static constexpr int kWarpPositions = kTiles * 8;
  static constexpr int kVector = kTiles * 2;  // positions that a lane has side by side
  static constexpr int kSteps = Blocks * 2;
  static constexpr int kRows = kSteps * 2;  // channels of a lane
  // Whether shared memory has room for the weights, on any GPU.
  static constexpr bool kResident = sizeof(T) == 2 ? Blocks <= 4 : Blocks <= 2;

  STRUCTDIFF_BOTH static int64_t sums_bytes(const TriangleSizes& s) {
    return static_cast<int64_t>(sizeof(float)) * kWarps * 2 * s.c_hidden;
  }
  STRUCTDIFF_BOTH static int64_t weights_count(const TriangleSizes&) { return kSteps * kSteps * 32; }
  STRUCTDIFF_BOTH static int64_t shared_bytes(const TriangleSizes& s) {
    return sums_bytes(s) + (kResident ? weights_count(s) * static_cast<int64_t>(sizeof(Left<T>)) : 0);
  }

  STRUCTDIFF_DEVICE static void run(const Problem& p, unsigned char* shared) {
    float* sums = reinterpret_cast<float*>(shared);
    Left<T>* weights = reinterpret_cast<Left<T>*>(shared + sums_bytes(p.sizes));
    if constexpr (kResident) {
      fetch_weights(weights, p.weights, weights_count(p.sizes), thread_index(), kThreads);
      copy_async_wait<0>();
      barrier();
      all_positions(p, sums, [&](int at) { return load_shared_packed(weights + at); });
    } else {
      all_positions(p, sums, [&](int at) { return load_packed(p.weights + at); });
    }
    barrier();
    add_warps(p.norm.by_norm, sums, p.sizes.c_hidden, kWarps, thread_index(), kThreads);
  }

  template <class Weights>
  STRUCTDIFF_DEVICE static void all_positions(const Problem& p, float* sums, const Weights& weights) {
    const TriangleSizes& s = p.sizes;
    const int lane = thread_index() & 31;
    const int warp = thread_index() / 32;
    const int64_t tiles = divide_up<int64_t>(s.plane(), kWarpPositions);
    float by_weight[kRows] = {}, by_bias[kRows] = {};
    for (int64_t tile = warp * p.blocks + block_index(); tile < s.batch * tiles; tile += p.blocks * kWarps) {
      const int64_t b = tile / tiles;
      const int first = static_cast<int>(tile % tiles) * kWarpPositions;
      float slope[kRows / 2][kTiles][4] = {};
      multiply_rows(slope, p, b, first, weights, lane);
      back_through_norm(slope, by_weight, by_bias, p, b, first + (lane & 3) * kVector, lane);
    }
    add_over_lanes(by_weight, 1, 2);
    add_over_lanes(by_bias, 1, 2);
#pragma unroll
    for (int row = 0; row < kRows; ++row) {
      const int c = row * 8 + (lane >> 2);
      if ((lane & 3) != 0 || c >= s.c_hidden) continue;
      shared_store(sums + warp * 2 * s.c_hidden + c, by_weight[row]);
      shared_store(sums + (warp * 2 + 1) * s.c_hidden + c, by_bias[row]);
    }
  }

  template <class Weights>
  STRUCTDIFF_DEVICE static void multiply_rows(
      float (&slope)[kRows / 2][kTiles][4], const Problem& p, int64_t b, int first, const Weights& weights, int lane) {
    const TriangleSizes& s = p.sizes;
    Row<T, Blocks> rows[kTiles];
#pragma unroll
    for (int n = 0; n < kTiles; ++n) {
      const int position = first + (lane >> 3) * kVector + n * 2 + (lane >> 2 & 1);
      const bool valid = position < s.plane();
      rows[n].load_from(p.by_out + (valid ? (b * s.plane() + position) * s.c_z : 0), 1, true, valid, s.c_z, lane);
    }
#pragma unroll
    for (int step = 0; step < kSteps; ++step) {
      const Right<T> right = right_of(rows[0], rows[kTiles - 1], step);
#pragma unroll
      for (int m = 0; m < kRows / 2; ++m) {
        const Left<T> left = weights((m * kSteps + step) * 32 + lane);
#pragma unroll
        for (int n = 0; n < kTiles; ++n) multiply<T>(slope[m][n], left, right, n);
      }
    }
  }

  // Rows [channel / 8], columns positions.
  STRUCTDIFF_DEVICE static void back_through_norm(
      const float (&slope)[kRows / 2][kTiles][4], float (&by_weight)[kRows], float (&by_bias)[kRows], const Problem& p,
      int64_t b, int position, int lane) {
    const TriangleSizes& s = p.sizes;
    const bool valid = position < s.plane();
    const int64_t at = (b * s.c_hidden + (lane >> 2)) * s.plane() + position;
    const float count = static_cast<float>(s.c_hidden);
    Pair<T> input[kRows][kTiles];
    float mean[kVector] = {}, factor[kVector] = {}, slopes[kVector] = {}, along[kVector] = {};
    const auto there = [&](int row) { return valid && row * 8 < s.c_hidden; };
    const auto of = [&](int row, int e) {
      const float2 pair = widen<T>(input[row][e / 2]);
      return e % 2 == 0 ? pair.x : pair.y;
    };
    const auto slope_of = [&](int row, int e) { return slope[row / 2][e / 2][row % 2 * 2 + e % 2]; };
#pragma unroll
    for (int row = 0; row < kRows; ++row) {
      load_pairs<T>(input[row], p.product + at + row * 8 * s.plane(), there(row));
#pragma unroll
      for (int e = 0; e < kVector; ++e) mean[e] += of(row, e);
    }
    add_over_lanes(mean, 4, 16);
#pragma unroll
    for (int e = 0; e < kVector; ++e) mean[e] /= count;
#pragma unroll
    for (int row = 0; row < kRows; ++row) {
      if (row * 8 >= s.c_hidden) continue;
#pragma unroll
      for (int e = 0; e < kVector; ++e) factor[e] += (of(row, e) - mean[e]) * (of(row, e) - mean[e]);
    }
    add_over_lanes(factor, 4, 16);
#pragma unroll
    for (int e = 0; e < kVector; ++e) factor[e] = inverse_root(factor[e] / count + p.norm.epsilon);
    float weight[kRows];
#pragma unroll
    for (int row = 0; row < kRows; ++row) {
      weight[row] = row * 8 < s.c_hidden ? load(p.norm.norm + row * 8 + (lane >> 2)) : 0.0f;
#pragma unroll
      for (int e = 0; e < kVector; ++e) {
        const float unit = (of(row, e) - mean[e]) * factor[e];
        by_weight[row] += slope_of(row, e) * unit;
        by_bias[row] += slope_of(row, e);
        slopes[e] += slope_of(row, e) * weight[row];
        along[e] += slope_of(row, e) * weight[row] * unit;
      }
    }
    add_over_lanes(slopes, 4, 16);
    add_over_lanes(along, 4, 16);
#pragma unroll
    for (int row = 0; row < kRows; ++row) {
      float out[kVector];
#pragma unroll
      for (int e = 0; e < kVector; ++e) {
        const float unit = (of(row, e) - mean[e]) * factor[e];
        out[e] = (slope_of(row, e) * weight[row] - (slopes[e] + unit * along[e]) / count) * factor[e];
      }
      Pair<T> pairs[kTiles];
#pragma unroll
      for (int n = 0; n < kTiles; ++n) pairs[n] = narrow<T>(out[n * 2], out[n * 2 + 1]);
      if (there(row)) store_pairs<T>(p.by_product + at + row * 8 * s.plane(), pairs);
    }
  }
};

}  // namespace structdiff::gpu

// From z to planes: e = mask * (x project_in') * sigmoid(x gate_in') with x = layer_norm(z), channel by channel.
//
// A block normalises its positions once, in shared memory; then each warp multiplies 16 channels at a time with 64 of
// them. Weights come as operands straight from the second-level cache.
#pragma once

#include "triangle_multiplication/cuda_problem.cuh"

namespace structdiff::gpu {

// With Slopes, from the gradient of e to those of both projections.
template <class T, bool Slopes>
struct Edges {
  using Problem = TriangleProblem<T>;
  static constexpr int kThreads = 256;
  static constexpr int kMinBlocks = 1;
  static constexpr int kWarpPositions = 64;
  static constexpr int kPositionGroups = sizeof(T) == 2 ? 2 : 1;
  static constexpr int kPositions = kPositionGroups * kWarpPositions;
  static constexpr int kChannelGroups = kThreads / 32 / kPositionGroups;

  STRUCTDIFF_BOTH static int64_t shared_bytes(const TriangleSizes& s) {
    return static_cast<int64_t>(sizeof(T)) * kPositions * (s.c_z + 8);
  }
  STRUCTDIFF_BOTH static int64_t blocks(const TriangleSizes& s) {
    return s.batch * divide_up<int64_t>(s.plane(), kPositions);
  }

  STRUCTDIFF_DEVICE static void run(const Problem& p, unsigned char* shared) {
    const TriangleSizes& s = p.sizes;
    T* x = reinterpret_cast<T*>(shared);
    const int64_t tiles = divide_up<int64_t>(s.plane(), kPositions);
    const int b = static_cast<int>(block_index() / tiles);
    const int64_t first = block_index() % tiles * kPositions;
    stage_normalised<T>(x, p, b, first, kPositions, thread_index(), kThreads);
    barrier();
    const int lane = thread_index() & 31;
    const int warp = thread_index() / 32;
    const int group = warp % kPositionGroups * kWarpPositions;
    bool keep[8][2];
#pragma unroll
    for (int n = 0; n < 8; ++n) {
#pragma unroll
      for (int e = 0; e < 2; ++e) keep[n][e] = in_mask(p, b, first + group + n * 8 + (lane & 3) * 2 + e);
    }
    for (int tile = warp / kPositionGroups; tile < 2 * s.c_hidden / 16; tile += kChannelGroups) {
      float value[8][4] = {};
      float gate[8][4] = {};
      multiply_weights(value, gate, p, x + group * (s.c_z + 8), tile, lane);
      write(p, b, first + group, tile * 16, value, gate, keep, lane);
    }
  }

  STRUCTDIFF_DEVICE static bool in_mask(const Problem& p, int b, int64_t position) {
    const int i = static_cast<int>(position / p.sizes.pitch);
    const int j = static_cast<int>(position % p.sizes.pitch);
    if (i >= p.sizes.n || j >= p.sizes.n) return false;
    return p.mask == nullptr || load(p.mask + b * p.mask_batch + i * p.mask_row + j * p.mask_column) != 0;
  }

  STRUCTDIFF_DEVICE static void multiply_weights(
      float (&value)[8][4], float (&gate)[8][4], const Problem& p, const T* x, int tile, int lane) {
    const int steps = p.sizes.c_z / 16;
    const Left<T>* project = p.weights.project_in + tile * steps * 32 + lane;
    const Left<T>* gating = p.weights.gate_in + tile * steps * 32 + lane;
#pragma unroll 2
    for (int c = 0; c < steps; ++c) {
      const Left<T> a = load_packed(project + c * 32);
      const Left<T> g = load_packed(gating + c * 32);
#pragma unroll
      for (int n = 0; n < 8; n += 2) {
        Right<T> right;
        load_right<T>(right, x, p.sizes.c_z + 8, n * 8, c * 16, lane);
        multiply<T>(value[n], a, right, 0);
        multiply<T>(value[n + 1], a, right, 1);
        multiply<T>(gate[n], g, right, 0);
        multiply<T>(gate[n + 1], g, right, 1);
      }
    }
  }

  STRUCTDIFF_DEVICE static void write(
      const Problem& p, int b, int64_t first, int channel, const float (&value)[8][4], const float (&gate)[8][4],
      const bool (&keep)[8][2], int lane) {
    const TriangleSizes& s = p.sizes;
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const int64_t c = static_cast<int64_t>(b) * 2 * s.c_hidden + channel + (lane >> 2) + half * 8;
#pragma unroll
      for (int n = 0; n < 8; ++n) {
        const int64_t position = first + n * 8 + (lane & 3) * 2;
        if (position >= s.plane()) continue;
        const int64_t at = c * s.plane() + position;
        const float x[2] = {value[n][half * 2], value[n][half * 2 + 1]};
        const float open[2] = {sigmoid(gate[n][half * 2]), sigmoid(gate[n][half * 2 + 1])};
        if constexpr (Slopes) {
          const float by[2] = {keep[n][0] ? to_float(load(p.by_edges + at)) : 0.0f,
                               keep[n][1] ? to_float(load(p.by_edges + at + 1)) : 0.0f};
          store_pair<T>(p.by_edges + at, 1, true, 0, by[0] * open[0], by[1] * open[1]);
          store_pair<T>(p.by_gate + at, 1, true, 0, by[0] * x[0] * open[0] * (1.0f - open[0]),
                        by[1] * x[1] * open[1] * (1.0f - open[1]));
        } else {
          store_pair<T>(p.edges + at, 1, true, 0, keep[n][0] ? x[0] * open[0] : 0.0f,
                        keep[n][1] ? x[1] * open[1] : 0.0f);
        }
      }
    }
  }
};

}  // namespace structdiff::gpu

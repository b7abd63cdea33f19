// From planes to the update: out = (layer_norm(product) project_out') * sigmoid(layer_norm(z) gate_out').
#pragma once

#include "triangle_multiplication/cuda_problem.cuh"

namespace structdiff::gpu {

// With Slopes, from the gradient of out to those of both projections; the normalised rows are kept along with them.
template <class T, bool Slopes>
struct Update {
  using Problem = TriangleProblem<T>;
  static constexpr int kThreads = 256;
  static constexpr int kMinBlocks = 1;
  static constexpr int kTiles = sizeof(T) == 2 ? 2 : 1;  // of 16 positions a warp
  static constexpr int kWarpPositions = kTiles * 16;
  static constexpr int kPositions = 2 * kWarpPositions;  // two by four warps
  static constexpr int kPlanePitch = kPositions + 8;
  static constexpr int kWarpRows = kPositions / (kThreads / 32);  // normalised by a warp

  // The normalised product; beside it first the product, then z.
  STRUCTDIFF_BOTH static int64_t shared_bytes(const TriangleSizes& s) {
    return static_cast<int64_t>(sizeof(T)) * (kPositions * (s.c_hidden + 8) +
                                              larger(s.c_hidden * kPlanePitch, kPositions * (s.c_z + 8)));
  }
  STRUCTDIFF_BOTH static int64_t blocks(const TriangleSizes& s) {
    return s.batch * divide_up<int64_t>(s.plane(), kPositions);
  }

  STRUCTDIFF_DEVICE static void run(const Problem& p, unsigned char* shared) {
    const TriangleSizes& s = p.sizes;
    T* y = reinterpret_cast<T*>(shared);
    T* x = y + kPositions * (s.c_hidden + 8);
    const int64_t tiles = divide_up<int64_t>(s.plane(), kPositions);
    const int b = static_cast<int>(block_index() / tiles);
    const int64_t first = block_index() % tiles * kPositions;
    fetch_product(x, p, b, first);
    copy_async_commit();
    copy_async_wait<0>();
    barrier();
    normalise_product(y, x, p);
    barrier();
    stage_normalised<T>(x, p, b, first, kPositions, thread_index(), kThreads);
    barrier();
    if constexpr (Slopes) {
      keep_rows(p.x_rows, x, s.c_z, s, b, first);
      keep_rows(p.y_rows, y, s.c_hidden, s, b, first);
    }
    const int lane = thread_index() & 31;
    const int warp = thread_index() / 32;
    const int group = warp % 2 * kWarpPositions;
    for (int column = warp / 2 * 32; column < s.c_z; column += 128) {
      float value[kTiles][4][4] = {};
      float gate[kTiles][4][4] = {};
      multiply_weights(value, y, s.c_hidden + 8, group, p.weights.project_out, s.c_hidden / 16, column, s.c_z, lane);
      multiply_weights(gate, x, s.c_z + 8, group, p.weights.gate_out, s.c_z / 16, column, s.c_z, lane);
      if constexpr (Slopes) {
        write_slopes(p, b, first + group, column, value, gate, lane);
      } else {
        write(p, b, first + group, column, value, gate, lane);
      }
    }
  }

  // [channel][position]; a plane ends where its last row does.
  STRUCTDIFF_DEVICE static void fetch_product(T* to, const Problem& p, int b, int64_t first) {
    const TriangleSizes& s = p.sizes;
    const T* planes = p.product + static_cast<int64_t>(b) * s.c_hidden * s.plane() + first;
    const Table<T> table{planes, s.plane(), 1, true};
    const int positions = static_cast<int>(smaller<int64_t>(s.plane() - first, kPositions));
    stage<T, kPositions>(to, table, 0, s.c_hidden, s.c_hidden, positions, thread_index(), kThreads);
  }

  // Each position by several lanes, which share the channels.
  STRUCTDIFF_DEVICE static void normalise_product(T* y, const T* planes, const Problem& p) {
    const int channels = p.sizes.c_hidden;
    constexpr int kParts = 32 / kWarpRows;
    const int lane = thread_index() & 31;
    const int position = thread_index() / 32 * kWarpRows + lane % kWarpRows;
    const int part = lane / kWarpRows;
    float sum = 0.0f;
    for (int c = part; c < channels; c += kParts) sum += to_float(shared_load(planes + c * kPlanePitch + position));
    for (int lanes = kWarpRows; lanes < 32; lanes *= 2) sum += shuffle_xor(sum, lanes);
    const float mean = sum / static_cast<float>(channels);
    float squares = 0.0f;
    for (int c = part; c < channels; c += kParts) {
      const float off = to_float(shared_load(planes + c * kPlanePitch + position)) - mean;
      squares += off * off;
    }
    for (int lanes = kWarpRows; lanes < 32; lanes *= 2) squares += shuffle_xor(squares, lanes);
    const float factor = inverse_root(squares / static_cast<float>(channels) + p.epsilon);
    for (int c = part; c < channels; c += kParts) {
      const float off = to_float(shared_load(planes + c * kPlanePitch + position)) - mean;
      const float normal = off * factor * load(p.weights.norm_out + c) + load(p.weights.norm_out + channels + c);
      shared_store(y + position * (channels + 8) + c, from_float<T>(normal));
    }
  }

  STRUCTDIFF_DEVICE static void multiply_weights(
      float (&sum)[kTiles][4][4], const T* rows, int pitch, int group, const Right<T>* weights, int steps, int column,
      int columns, int lane) {
#pragma unroll 2
    for (int c = 0; c < steps; ++c) {
      Left<T> left[kTiles];
#pragma unroll
      for (int m = 0; m < kTiles; ++m) load_left<T>(left[m], rows, pitch, group + m * 16, c * 16, lane);
#pragma unroll
      for (int n = 0; n < 2; ++n) {
        if (column + n * 16 >= columns) continue;
        const Right<T> right = load_packed(weights + ((column / 16 + n) * steps + c) * 32 + lane);
#pragma unroll
        for (int m = 0; m < kTiles; ++m) {
          multiply<T>(sum[m][n * 2], left[m], right, 0);
          multiply<T>(sum[m][n * 2 + 1], left[m], right, 1);
        }
      }
    }
  }

  STRUCTDIFF_DEVICE static void keep_rows(
      T* to, const T* rows, int channels, const TriangleSizes& s, int b, int64_t first) {
    constexpr int kVector = 16 / static_cast<int>(sizeof(T));
    const int vectors = channels / kVector;
    for (int at = thread_index(); at < kPositions * vectors; at += kThreads) {
      const int64_t position = first + at / vectors;
      if (position >= s.plane()) break;
      const int column = at % vectors * kVector;
      const uint4 vector = shared_load(reinterpret_cast<const uint4*>(rows + at / vectors * (channels + 8) + column));
      store(reinterpret_cast<uint4*>(to + (b * s.plane() + position) * channels + column), vector);
    }
  }

  STRUCTDIFF_DEVICE static void write_slopes(
      const Problem& p, int b, int64_t first, int column, const float (&value)[kTiles][4][4],
      const float (&gate)[kTiles][4][4], int lane) {
    const TriangleSizes& s = p.sizes;
#pragma unroll
    for (int m = 0; m < kTiles; ++m) {
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        const int64_t position = first + m * 16 + (lane >> 2) + half * 8;
        if (position >= s.plane()) continue;
        const int i = static_cast<int>(position / s.pitch);
        const int j = static_cast<int>(position % s.pitch);
        const T* grads = p.grad_out.data + b * p.grad_out.batch + i * p.grad_out.row + j * p.grad_out.column;
        const int64_t row = (b * s.plane() + position) * s.c_z;
#pragma unroll
        for (int n = 0; n < 4; ++n) {
          const int c = column + n * 8 + (lane & 3) * 2;
          if (c >= s.c_z) continue;
          float out[2], open[2];
#pragma unroll
          for (int e = 0; e < 2; ++e) {
            const float grad = j < s.n ? to_float(load(grads + (c + e) * p.grad_out.channel)) : 0.0f;
            const float gating = sigmoid(gate[m][n][half * 2 + e]);
            out[e] = grad * gating;
            open[e] = out[e] * value[m][n][half * 2 + e] * (1.0f - gating);
          }
          store_pair<T>(p.by_out + row, 1, true, c, out[0], out[1]);
          store_pair<T>(p.by_open + row, 1, true, c, open[0], open[1]);
        }
      }
    }
  }

  STRUCTDIFF_DEVICE static void write(
      const Problem& p, int b, int64_t first, int column, const float (&value)[kTiles][4][4],
      const float (&gate)[kTiles][4][4], int lane) {
    const TriangleSizes& s = p.sizes;
#pragma unroll
    for (int m = 0; m < kTiles; ++m) {
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        const int64_t position = first + m * 16 + (lane >> 2) + half * 8;
        const int i = static_cast<int>(position / s.pitch);
        const int j = static_cast<int>(position % s.pitch);
        if (i >= s.n || j >= s.n) continue;
        T* to = p.out.data + b * p.out.batch + i * p.out.row + j * p.out.column;
#pragma unroll
        for (int n = 0; n < 4; ++n) {
          const int c = column + n * 8 + (lane & 3) * 2;
          if (c >= s.c_z) continue;
          store_pair<T>(to, p.out.channel, p.out.vectors, c,
                        value[m][n][half * 2] * sigmoid(gate[m][n][half * 2]),
                        value[m][n][half * 2 + 1] * sigmoid(gate[m][n][half * 2 + 1]));
        }
      }
    }
  }
};

}  // namespace structdiff::gpu

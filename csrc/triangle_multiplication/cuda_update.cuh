// From planes to the update: out = (layer_norm(product) project_out') * sigmoid(layer_norm(z) gate_out').
//
// A warp has its positions' rows of both tables in registers. Those of the product come out of planes through shared memory
// of its own, to which the next ones are copied meanwhile.
#pragma once

#include "triangle_multiplication/cuda_rows.cuh"

namespace structdiff::gpu {

// With Slopes, from the gradient of out to those of both projections; the normalised rows are kept along with them.
template <class T, bool Slopes, int Blocks>
struct Update {
  using Problem = TriangleProblem<T>;
  // What is too wide for both a warp's positions and a tile of weights leaves shared memory for two warps.
  static constexpr int kThreads = sizeof(T) == 4 && Blocks == 8 ? 64 : sizeof(T) == 2 && Blocks == 2 ? 384 : 256;
  static constexpr int kMinBlocks = 1;
  static constexpr int kWarps = kThreads / 32;
  static constexpr int kTiles = sizeof(T) == 2 && Blocks < 8 ? 2 : 1;  // of 16 positions a warp
  static constexpr int kWarpPositions = kTiles * 16;
  static constexpr int kVector = 16 / static_cast<int>(sizeof(T));
  static constexpr int kPlaces = kWarpPositions / kVector;  // vectors of a channel
  static constexpr int kSteps = Blocks * 2;
  static constexpr int kTileWeights = 2 * kSteps * 32;  // operands of 16 channels

  STRUCTDIFF_BOTH static int weight_tiles(const TriangleSizes& s) { return s.c_z / 16; }
  STRUCTDIFF_BOTH static int64_t tile_bytes() { return static_cast<int64_t>(kTileWeights * sizeof(Right<T>)); }
  STRUCTDIFF_BOTH static int64_t other_bytes(const TriangleSizes& s) {
    return static_cast<int64_t>(sizeof(T)) * kWarps * kWarpPositions * s.c_hidden;
  }

  STRUCTDIFF_DEVICE static void run(const Problem& p, unsigned char* shared) {
    const TriangleSizes& s = p.sizes;
    const int lane = thread_index() & 31;
    const int warp = thread_index() / 32;
    T* planes = reinterpret_cast<T*>(shared) + warp * kWarpPositions * s.c_hidden;
    Right<T>* weights = reinterpret_cast<Right<T>*>(shared + other_bytes(s));
    const int all = weight_tiles(s);
    const int64_t tiles = divide_up<int64_t>(s.plane(), kWarpPositions);
    const int64_t stride = p.blocks * kWarps;
    int64_t tile = warp * p.blocks + block_index();
    fetch_planes(planes, p, tile, tiles, lane);
    fetch_weights(weights, p.weights.out, smaller(p.chunk, all) * kTileWeights, thread_index(), kThreads);
    copy_async_wait<0>();
    barrier();
    for (int64_t round = 0; round < s.batch * tiles; round += stride, tile += stride) {
      const int b = static_cast<int>(tile / tiles);
      const int first = static_cast<int>(tile % tiles) * kWarpPositions;
      const bool valid = b < s.batch;
      Row<T, Blocks> x[kTiles * 2], y[kTiles * 2];
      if (round > 0) {
        copy_async_wait<0>();
        barrier(1 + warp, 32);
      }
      read_planes(y, planes, s.c_hidden, lane);
      barrier(1 + warp, 32);
      fetch_planes(planes, p, tile + stride, tiles, lane);
      load_rows(x, p, b, first, valid, lane);
      normalise(y, p.weights.norm_out, s.c_hidden, p.epsilon, lane);
      normalise(x, p.weights.norm_in, s.c_z, p.epsilon, lane);
      if constexpr (Slopes) {
        if (valid) keep_rows(p, b, first, x, y, lane);
      }
      for (int start = 0; start < all; start += p.chunk) {
        const int count = smaller(p.chunk, all - start);
        if (p.chunk < all && round + start > 0) {
          barrier();
          fetch_weights(weights, p.weights.out + start * kTileWeights, count * kTileWeights, thread_index(), kThreads);
          copy_async_wait<0>();
          barrier();
        }
        if (!valid) continue;
        for (int at = 0; at < count; ++at) {
          float value[kTiles][2][4] = {};
          float gate[kTiles][2][4] = {};
          multiply_weights(value, y, weights + at * kTileWeights + lane);
          multiply_weights(gate, x, weights + at * kTileWeights + kSteps * 32 + lane);
          write(p, b, first, (start + at) * 16, value, gate, lane);
        }
      }
    }
    copy_async_wait<0>();
  }

  // Vectors of a channel change places, so that the eight channels that are read together lie in different banks.
  STRUCTDIFF_DEVICE static int place(int channel, int vector) {
    return (channel * kPlaces + (vector ^ (channel / 8 & (kPlaces - 1)))) * kVector;
  }

  // [channel][position] of the warp's own; a plane ends where its last row does.
  STRUCTDIFF_DEVICE static void fetch_planes(T* to, const Problem& p, int64_t tile, int64_t tiles, int lane) {
    const TriangleSizes& s = p.sizes;
    const int64_t b = tile / tiles;
    const int64_t first = tile % tiles * kWarpPositions + lane % kPlaces * kVector;
    const bool valid = b < s.batch && first < s.plane();
    const T* from = p.product + (valid ? b * s.c_hidden * s.plane() + first : 0);
    for (int c = lane / kPlaces; c < s.c_hidden; c += 32 / kPlaces) {
      copy_async_16(to + place(c, lane % kPlaces), from + (valid ? c * s.plane() : 0), valid);
    }
    copy_async_commit();
  }

  STRUCTDIFF_DEVICE static void read_planes(Row<T, Blocks> (&rows)[kTiles * 2], const T* planes, int channels, int lane) {
    if constexpr (sizeof(T) == 2) {
#pragma unroll
      for (int step = 0; step < kSteps; ++step) {
        const bool there = step / 2 * 32 + (lane & 3) * 8 < channels;
        const int channel = channel_of(step, lane >> 4, lane >> 1 & 3) + (lane & 1);
#pragma unroll
        for (int m = 0; m < kTiles; ++m) {
          uint32_t r[4];
          load_matrices_transposed(r, planes + place(channel < channels ? channel : 0, m * 2 + (lane >> 3 & 1)));
#pragma unroll
          for (int part = 0; part < 4; ++part) {
            rows[m * 2 + part % 2].pairs[step * 2 + part / 2] = there ? r[part] : 0u;
          }
        }
      }
    } else {
#pragma unroll
      for (int at = 0; at < Blocks * 4; ++at) {
        const int channel = channel_of(at / 2, at % 2, lane & 3);
#pragma unroll
        for (int r = 0; r < kTiles * 2; ++r) {
          const int position = r * 8 + (lane >> 2);
          const auto value = [&](int c) {
            return c < channels ? shared_load(planes + place(c, position / kVector) + position % kVector) : 0.0f;
          };
          rows[r].pairs[at] = {value(channel), value(channel + 1)};
        }
      }
    }
  }

  STRUCTDIFF_DEVICE static void load_rows(
      Row<T, Blocks> (&rows)[kTiles * 2], const Problem& p, int b, int first, bool valid, int lane) {
    const TriangleSizes& s = p.sizes;
#pragma unroll
    for (int r = 0; r < kTiles * 2; ++r) {
      const int position = first + r * 8 + (lane >> 2);
      const int i = position / s.pitch;
      const int j = position % s.pitch;
      const T* from = p.z.data + b * p.z.batch + i * p.z.row + j * p.z.column;
      rows[r].load_from(from, p.z.channel, p.z.vectors, valid && i < s.n && j < s.n, s.c_z, lane);
    }
  }

  STRUCTDIFF_DEVICE static void keep_rows(
      const Problem& p, int b, int first, const Row<T, Blocks> (&x)[kTiles * 2], const Row<T, Blocks> (&y)[kTiles * 2],
      int lane) {
    const TriangleSizes& s = p.sizes;
#pragma unroll
    for (int r = 0; r < kTiles * 2; ++r) {
      const int position = first + r * 8 + (lane >> 2);
      if (position >= s.plane()) continue;
      x[r].store_to(p.x_rows + (b * s.plane() + position) * s.c_z, s.c_z, lane);
      y[r].store_to(p.y_rows + (b * s.plane() + position) * s.c_hidden, s.c_hidden, lane);
    }
  }

  STRUCTDIFF_DEVICE static void multiply_weights(
      float (&sum)[kTiles][2][4], const Row<T, Blocks> (&rows)[kTiles * 2], const Right<T>* weights) {
#pragma unroll
    for (int step = 0; step < kSteps; ++step) {
      const Right<T> right = load_shared_packed(weights + step * 32);
#pragma unroll
      for (int m = 0; m < kTiles; ++m) {
        const Left<T> left = left_of(rows[m * 2], rows[m * 2 + 1], step);
        multiply<T>(sum[m][0], left, right, 0);
        multiply<T>(sum[m][1], left, right, 1);
      }
    }
  }

  // Weights are packed so that a lane has four neighbouring channels of a position.
  STRUCTDIFF_DEVICE static void write(
      const Problem& p, int b, int first, int column, const float (&value)[kTiles][2][4],
      const float (&gate)[kTiles][2][4], int lane) {
    const TriangleSizes& s = p.sizes;
    const int c = column + (lane & 3) * 4;
#pragma unroll
    for (int m = 0; m < kTiles; ++m) {
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        const int position = first + m * 16 + half * 8 + (lane >> 2);
        const int i = position / s.pitch;
        const int j = position % s.pitch;
        float values[4], open[4];
#pragma unroll
        for (int e = 0; e < 4; ++e) {
          values[e] = value[m][e / 2][half * 2 + e % 2];
          open[e] = sigmoid(gate[m][e / 2][half * 2 + e % 2]);
        }
        if constexpr (Slopes) {
          if (position < s.plane()) write_slopes(p, b, position, i, j, c, values, open);
        } else {
          if (i >= s.n || j >= s.n) continue;
#pragma unroll
          for (int e = 0; e < 4; ++e) values[e] *= open[e];
          T* to = p.out.data + b * p.out.batch + i * p.out.row + j * p.out.column;
          store_four<T>(to + c * p.out.channel, p.out.channel, p.out.vectors, values);
        }
      }
    }
  }

  STRUCTDIFF_DEVICE static void write_slopes(
      const Problem& p, int b, int position, int i, int j, int c, const float (&values)[4], const float (&open)[4]) {
    const TriangleSizes& s = p.sizes;
    const T* from = p.grad_out.data + b * p.grad_out.batch + i * p.grad_out.row + j * p.grad_out.column;
    Pair<T> grads[2];
    load_four<T>(grads, from + c * p.grad_out.channel, p.grad_out.channel, p.grad_out.vectors, j < s.n);
    float by_out[4], by_open[4];
#pragma unroll
    for (int e = 0; e < 4; ++e) {
      const float2 pair = widen<T>(grads[e / 2]);
      by_out[e] = (e % 2 == 0 ? pair.x : pair.y) * open[e];
      by_open[e] = by_out[e] * values[e] * (1.0f - open[e]);
    }
    const int64_t at = (b * s.plane() + position) * s.c_z + c;
    store_four<T>(p.by_out + at, 1, true, by_out);
    store_four<T>(p.by_open + at, 1, true, by_open);
  }
};

}  // namespace structdiff::gpu

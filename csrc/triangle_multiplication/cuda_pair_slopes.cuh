// From the gradients of what gate_out, project_in and gate_in make to that of z: back through the three and the layer norm.
//
// A warp makes all channels of 16 positions. Gradients that lie in planes come through shared memory of its own, 32 channels
// at a time, some of them under way while others are multiplied.
#pragma once

#include "triangle_multiplication/cuda_norm_sums.cuh"

namespace structdiff::gpu {

template <class T>
struct PairSlopesProblem {
  TriangleSizes sizes;
  PairTable<const T> z;
  PairTable<T> by_z;
  const T* by_open;         // rows
  const T* by_edges[2];     // planes of what project_in makes, and gate_in
  const Right<T>* weights;  // [depth / 16, then 4 c_hidden / 16][depth / 16][lane]
  NormSlopes norm;
  int blocks;
};

// Resident: the weights, in shared memory.
template <class T, int Blocks, bool Resident>
struct PairSlopes {
  using Problem = PairSlopesProblem<T>;
  static constexpr int kThreads = sizeof(T) == 2 && Blocks == 2 ? 384 : 256;
  static constexpr int kMinBlocks = 1;
  static constexpr int kWarps = kThreads / 32;
  static constexpr int kWarpPositions = 16;
  static constexpr int kVector = 16 / static_cast<int>(sizeof(T));
  static constexpr int kPlaces = kWarpPositions / kVector;
  static constexpr int kStages = 4;
  static constexpr int kStage = 32 * kWarpPositions;  // elements
  static constexpr int kTiles = Blocks * 2;           // of 16 channels
  static constexpr int kShare = kTiles / 2;           // of the channels' sums: 4 kTiles of four lanes, by eight

  STRUCTDIFF_BOTH static int64_t sums_bytes(const TriangleSizes& s) {
    return static_cast<int64_t>(sizeof(float)) * kWarps * 2 * s.c_z + kWarps * kStages * kStage * sizeof(T);
  }
  STRUCTDIFF_BOTH static int64_t weights_count(const TriangleSizes& s) { return (kTiles + 4 * s.c_hidden / 16) * kTiles * 32; }
  STRUCTDIFF_BOTH static int64_t shared_bytes(const TriangleSizes& s) {
    return sums_bytes(s) + (Resident ? weights_count(s) * static_cast<int64_t>(sizeof(Right<T>)) : 0);
  }

  // Where a warp is, and which planes it has asked for.
  struct Ahead {
    T* stages;
    int64_t tile, tiles, stride;
    int chunk, stage, lane;
  };

  STRUCTDIFF_DEVICE static void run(const Problem& p, unsigned char* shared) {
    const TriangleSizes& s = p.sizes;
    float* sums = reinterpret_cast<float*>(shared);
    T* stages = reinterpret_cast<T*>(sums + kWarps * 2 * s.c_z);
    Right<T>* weights = reinterpret_cast<Right<T>*>(shared + sums_bytes(s));
    if constexpr (Resident) {
      fetch_weights(weights, p.weights, weights_count(s), thread_index(), kThreads);
      copy_async_wait<0>();
      barrier();
      all_positions(p, sums, stages, [&](int at) { return load_shared_packed(weights + at); });
    } else {
      all_positions(p, sums, stages, [&](int at) { return load_packed(p.weights + at); });
    }
    barrier();
    add_warps(p.norm.by_norm, sums, s.c_z, kWarps, thread_index(), kThreads);
  }

  template <class Weights>
  STRUCTDIFF_DEVICE static void all_positions(const Problem& p, float* sums, T* stages, const Weights& weights) {
    const TriangleSizes& s = p.sizes;
    const int lane = thread_index() & 31;
    const int warp = thread_index() / 32;
    const int64_t tiles = divide_up<int64_t>(s.plane(), kWarpPositions);
    const int64_t stride = p.blocks * kWarps;
    int64_t tile = warp * p.blocks + block_index();
    Ahead ahead{stages + warp * kStages * kStage, tile, tiles, stride, 0, 0, lane};
    for (int stage = 0; stage < kStages - 1; ++stage) fetch(p, ahead);
    float by_weight[kShare] = {}, by_bias[kShare] = {};
    int stage = 0;
    for (int64_t round = 0; round < s.batch * tiles; round += stride, tile += stride) {
      const int64_t b = tile / tiles;
      const int first = static_cast<int>(tile % tiles) * kWarpPositions;
      const bool valid = b < s.batch;
      float slope[kTiles][2][4] = {};
      multiply_rows(slope, p, b, first, valid, weights, lane);
      for (int chunk = 0; chunk < s.c_hidden / 8; ++chunk, stage = (stage + 1) % kStages) {
        copy_async_wait<kStages - 2>();
        barrier(1 + warp, 32);
        fetch(p, ahead);
#pragma unroll
        for (int step = 0; step < 2; ++step) {
          const Left<T> left = from_planes(ahead.stages + stage * kStage, step, lane);
          multiply_step(slope, left, weights, (kTiles + chunk * 2 + step) * kTiles * 32 + lane);
        }
      }
      back_through_norm(slope, by_weight, by_bias, p, b, first, valid, lane);
    }
    copy_async_wait<0>();
#pragma unroll
    for (int i = 0; i < kShare; ++i) {
      const int at = scattered_first<kTiles * 4>(lane) + i;
      const int c = at / 4 * 16 + (lane & 3) * 4 + at % 4;
      if (c >= s.c_z) continue;
      shared_store(sums + warp * 2 * s.c_z + c, by_weight[i]);
      shared_store(sums + (warp * 2 + 1) * s.c_z + c, by_bias[i]);
    }
  }

  // Channels that are read together one after the other, vectors exchanged after four of them: other banks each.
  STRUCTDIFF_DEVICE static int place(int channel, int vector) {
    const int row = (channel & 1) + (channel >> 3) * 2 + (channel >> 1 & 3) * 8;
    return (row * kPlaces + (vector ^ (row >> 2 & 1))) * kVector;
  }

  // Asks for the next 32 channels of planes, whatever tile they belong to.
  STRUCTDIFF_DEVICE static void fetch(const Problem& p, Ahead& ahead) {
    const TriangleSizes& s = p.sizes;
    const int64_t b = ahead.tile / ahead.tiles;
    const int64_t first = ahead.tile % ahead.tiles * kWarpPositions + ahead.lane % kPlaces * kVector;
    const bool valid = b < s.batch && first < s.plane();
    const int of_each = s.c_hidden / 16;  // chunks
    const T* planes = p.by_edges[ahead.chunk / of_each];
    const int64_t channel = b * 2 * s.c_hidden + ahead.chunk % of_each * 32;
    T* to = ahead.stages + ahead.stage * kStage;
#pragma unroll
    for (int c = 0; c < 32; c += 32 / kPlaces) {
      const int mine = c + ahead.lane / kPlaces;
      const T* from = planes + (valid ? (channel + mine) * s.plane() + first : 0);
      copy_async_16(to + place(mine, ahead.lane % kPlaces), from, valid);
    }
    copy_async_commit();
    ahead.stage = (ahead.stage + 1) % kStages;
    if (++ahead.chunk == 2 * of_each) {
      ahead.chunk = 0;
      ahead.tile += ahead.stride;
    }
  }

  STRUCTDIFF_DEVICE static Left<T> from_planes(const T* planes, int step, int lane) {
    Left<T> left;
    if constexpr (sizeof(T) == 2) {
      const int channel = channel_of(step, lane >> 4, lane >> 1 & 3) + (lane & 1);
      load_matrices_transposed(left.part[0], planes + place(channel, lane >> 3 & 1));
    } else {
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        const int channel = channel_of(step, i >> 1, lane & 3);
        const int position = (lane >> 2) + (i & 1) * 8;
        const auto value = [&](int c) { return shared_load(planes + place(c, position / kVector) + position % kVector); };
        set_left<T>(left, i, value(channel), value(channel + 1));
      }
    }
    return left;
  }

  template <class Weights>
  STRUCTDIFF_DEVICE static void multiply_step(
      float (&slope)[kTiles][2][4], const Left<T>& left, const Weights& weights, int at) {
#pragma unroll
    for (int n = 0; n < kTiles; ++n) {
      const Right<T> right = weights(at + n * 32);
      multiply<T>(slope[n][0], left, right, 0);
      multiply<T>(slope[n][1], left, right, 1);
    }
  }

  template <class Weights>
  STRUCTDIFF_DEVICE static void multiply_rows(
      float (&slope)[kTiles][2][4], const Problem& p, int64_t b, int first, bool valid, const Weights& weights, int lane) {
    const TriangleSizes& s = p.sizes;
    Row<T, Blocks> rows[2];
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const int position = first + half * 8 + (lane >> 2);
      const bool there = valid && position < s.plane();
      rows[half].load_from(p.by_open + (there ? (b * s.plane() + position) * s.c_z : 0), 1, true, there, s.c_z, lane);
    }
#pragma unroll
    for (int step = 0; step < kTiles; ++step) {
      multiply_step(slope, left_of(rows[0], rows[1], step), weights, step * kTiles * 32 + lane);
    }
  }

  // What a lane has of z: two positions, of each tile four channels side by side.
  struct Inputs {
    Pair<T> pairs[2][kTiles][2];
    T* to[2];  // where the gradient goes, or null
    float mean[2], factor[2];

    STRUCTDIFF_DEVICE float of(int half, int at) const {
      const float2 pair = widen<T>(pairs[half][at / 4][at / 2 % 2]);
      return at % 2 == 0 ? pair.x : pair.y;
    }
    STRUCTDIFF_DEVICE float unit(int half, int at) const { return (of(half, at) - mean[half]) * factor[half]; }
  };

  STRUCTDIFF_DEVICE static float slope_of(const float (&slope)[kTiles][2][4], int half, int at) {
    return slope[at / 4][at / 2 % 2][half * 2 + at % 2];
  }

  STRUCTDIFF_DEVICE static void load_inputs(Inputs& inputs, const Problem& p, int64_t b, int first, bool valid, int lane) {
    const TriangleSizes& s = p.sizes;
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const int position = first + half * 8 + (lane >> 2);
      const int i = position / s.pitch;
      const int j = position % s.pitch;
      const bool there = valid && i < s.n && j < s.n;
      const T* from = p.z.data + b * p.z.batch + i * p.z.row + j * p.z.column;
      inputs.to[half] = there ? p.by_z.data + b * p.by_z.batch + i * p.by_z.row + j * p.by_z.column : nullptr;
      inputs.mean[half] = inputs.factor[half] = 0.0f;
#pragma unroll
      for (int n = 0; n < kTiles; ++n) {
        const int c = n * 16 + (lane & 3) * 4;
        load_four<T>(inputs.pairs[half][n], from + c * p.z.channel, p.z.channel, p.z.vectors, there && c < s.c_z);
#pragma unroll
        for (int e = 0; e < 4; ++e) inputs.mean[half] += inputs.of(half, n * 4 + e);
      }
    }
    const float count = static_cast<float>(s.c_z);
    add_over_lanes(inputs.mean, 1, 2);
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      inputs.mean[half] /= count;
#pragma unroll
      for (int at = 0; at < kTiles * 4; ++at) {
        const float off = inputs.of(half, at) - inputs.mean[half];
        if (at / 4 * 16 < s.c_z) inputs.factor[half] += off * off;
      }
    }
    add_over_lanes(inputs.factor, 1, 2);
#pragma unroll
    for (int half = 0; half < 2; ++half) inputs.factor[half] = inverse_root(inputs.factor[half] / count + p.norm.epsilon);
  }

  // Adds these positions to the gradients of the norm's weights and biases.
  STRUCTDIFF_DEVICE static void add_to_norm(
      float (&by_weight)[kShare], float (&by_bias)[kShare], const float (&slope)[kTiles][2][4], const Inputs& inputs,
      int lane) {
    float sums[kTiles * 4];
#pragma unroll
    for (int at = 0; at < kTiles * 4; ++at) {
      sums[at] = slope_of(slope, 0, at) * inputs.unit(0, at) + slope_of(slope, 1, at) * inputs.unit(1, at);
    }
    scatter_sums(sums, lane);
#pragma unroll
    for (int i = 0; i < kShare; ++i) by_weight[i] += sums[i];
#pragma unroll
    for (int at = 0; at < kTiles * 4; ++at) sums[at] = slope_of(slope, 0, at) + slope_of(slope, 1, at);
    scatter_sums(sums, lane);
#pragma unroll
    for (int i = 0; i < kShare; ++i) by_bias[i] += sums[i];
  }

  STRUCTDIFF_DEVICE static void load_weights(float (&weight)[4], const Problem& p, int c) {
    float4 vector{};
    if (c < p.sizes.c_z) vector = load(reinterpret_cast<const float4*>(p.norm.norm + c));
    weight[0] = vector.x, weight[1] = vector.y, weight[2] = vector.z, weight[3] = vector.w;
  }

  STRUCTDIFF_DEVICE static void back_through_norm(
      const float (&slope)[kTiles][2][4], float (&by_weight)[kShare], float (&by_bias)[kShare], const Problem& p, int64_t b,
      int first, bool valid, int lane) {
    Inputs inputs;
    load_inputs(inputs, p, b, first, valid, lane);
    add_to_norm(by_weight, by_bias, slope, inputs, lane);
    float slopes[2] = {}, along[2] = {};
#pragma unroll
    for (int n = 0; n < kTiles; ++n) {
      float weight[4];
      load_weights(weight, p, n * 16 + (lane & 3) * 4);
#pragma unroll
      for (int half = 0; half < 2; ++half) {
#pragma unroll
        for (int e = 0; e < 4; ++e) {
          const float grad = slope_of(slope, half, n * 4 + e) * weight[e];
          slopes[half] += grad;
          along[half] += grad * inputs.unit(half, n * 4 + e);
        }
      }
    }
    add_over_lanes(slopes, 1, 2);
    add_over_lanes(along, 1, 2);
    write(slope, slopes, along, inputs, p, lane);
  }

  STRUCTDIFF_DEVICE static void write(
      const float (&slope)[kTiles][2][4], const float (&slopes)[2], const float (&along)[2], const Inputs& inputs,
      const Problem& p, int lane) {
    const float count = static_cast<float>(p.sizes.c_z);
#pragma unroll
    for (int n = 0; n < kTiles; ++n) {
      const int c = n * 16 + (lane & 3) * 4;
      float weight[4];
      load_weights(weight, p, c);
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        float out[4];
#pragma unroll
        for (int e = 0; e < 4; ++e) {
          const float grad = slope_of(slope, half, n * 4 + e) * weight[e];
          out[e] = (grad - (slopes[half] + inputs.unit(half, n * 4 + e) * along[half]) / count) * inputs.factor[half];
        }
        T* to = inputs.to[half];
        if (to != nullptr && c < p.sizes.c_z) store_four<T>(to + c * p.by_z.channel, p.by_z.channel, p.by_z.vectors, out);
      }
    }
  }
};

}  // namespace structdiff::gpu

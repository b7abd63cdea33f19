// From z to planes: e = mask * (x project_in') * sigmoid(x gate_in') with x = layer_norm(z), channel by channel.
//
// A warp has its positions in registers, normalises them there and multiplies 16 hidden channels at a time with them. Weights
// stay in shared memory where they fit, and blocks go on to further positions: warps then wait for nobody.
#pragma once

#include "triangle_multiplication/cuda_rows.cuh"

namespace structdiff::gpu {

// With Slopes, from the gradient of e to those of both projections.
template <class T, bool Slopes, int Blocks>
struct Edges {
  using Problem = TriangleProblem<T>;
  static constexpr int kThreads = sizeof(T) == 2 && Blocks == 4 ? 384 : 256;
  static constexpr int kMinBlocks = sizeof(T) == 2 && Blocks == 2 ? 2 : 1;
  static constexpr int kWarps = kThreads / 32;
  static constexpr int kTiles = sizeof(T) == 2 ? 4 : 2;  // of eight positions a warp
  static constexpr int kWarpPositions = kTiles * 8;
  static constexpr int kVector = kTiles * 2;  // positions that a lane writes side by side
  static constexpr int kSteps = Blocks * 2;
  static constexpr int kTileWeights = 2 * kSteps * 32;  // operands of 16 hidden channels

  STRUCTDIFF_BOTH static int weight_tiles(const TriangleSizes& s) { return 2 * s.c_hidden / 16; }
  STRUCTDIFF_BOTH static int64_t tile_bytes() { return static_cast<int64_t>(kTileWeights * sizeof(Left<T>)); }
  STRUCTDIFF_BOTH static int64_t other_bytes(const TriangleSizes&) { return 0; }

  STRUCTDIFF_DEVICE static void run(const Problem& p, unsigned char* shared) {
    const TriangleSizes& s = p.sizes;
    Left<T>* weights = reinterpret_cast<Left<T>*>(shared);
    const int lane = thread_index() & 31;
    const int all = weight_tiles(s);
    const int64_t tiles = divide_up<int64_t>(s.plane(), kWarpPositions);
    fetch_weights(weights, p.weights.into, smaller(p.chunk, all) * kTileWeights, thread_index(), kThreads);
    bool ready = false;
    for (int64_t round = 0; round < s.batch * tiles; round += p.blocks * kWarps) {
      const int64_t tile = round + thread_index() / 32 * p.blocks + block_index();
      const int b = static_cast<int>(tile / tiles);
      const int first = static_cast<int>(tile % tiles) * kWarpPositions;
      const bool valid = b < s.batch;
      Row<T, Blocks> rows[kTiles];
      if (valid) load_rows(rows, p, b, first, lane);
      const uint32_t keep = ballot(valid && lane < kWarpPositions && in_mask(p, b, first + lane));
      for (int start = 0; start < all; start += p.chunk) {
        const int count = smaller(p.chunk, all - start);
        if (!ready || p.chunk < all) {
          if (ready) {
            barrier();
            fetch_weights(weights, p.weights.into + start * kTileWeights, count * kTileWeights, thread_index(), kThreads);
          }
          copy_async_wait<0>();
          barrier();
          ready = true;
        }
        if (!valid) continue;
        for (int at = 0; at < count; ++at) {
          float value[kTiles][4] = {};
          float gate[kTiles][4] = {};
          multiply_weights(value, gate, weights + at * kTileWeights + lane, rows);
          write(p, b, first, (start + at) * 16, value, gate, keep, lane);
        }
      }
    }
  }

  // Positions in the order that gives each lane neighbours of the product: it has the columns 2 t and 2 t + 1 of each tile.
  STRUCTDIFF_DEVICE static void load_rows(Row<T, Blocks> (&rows)[kTiles], const Problem& p, int b, int first, int lane) {
    const TriangleSizes& s = p.sizes;
#pragma unroll
    for (int n = 0; n < kTiles; ++n) {
      const int position = first + (lane >> 3) * kVector + n * 2 + (lane >> 2 & 1);
      const int i = position / s.pitch;
      const int j = position % s.pitch;
      const T* from = p.z.data + b * p.z.batch + i * p.z.row + j * p.z.column;
      rows[n].load_from(from, p.z.channel, p.z.vectors, i < s.n && j < s.n, s.c_z, lane);
    }
    normalise(rows, p.weights.norm_in, s.c_z, p.epsilon, lane);
  }

  STRUCTDIFF_DEVICE static bool in_mask(const Problem& p, int b, int position) {
    const int i = position / p.sizes.pitch;
    const int j = position % p.sizes.pitch;
    if (i >= p.sizes.n || j >= p.sizes.n) return false;
    return p.mask == nullptr || load(p.mask + b * p.mask_batch + i * p.mask_row + j * p.mask_column) != 0;
  }

  STRUCTDIFF_DEVICE static void multiply_weights(
      float (&value)[kTiles][4], float (&gate)[kTiles][4], const Left<T>* weights, const Row<T, Blocks> (&rows)[kTiles]) {
#pragma unroll
    for (int step = 0; step < kSteps; ++step) {
      const Left<T> project = load_shared_packed(weights + step * 32);
      const Left<T> open = load_shared_packed(weights + (kSteps + step) * 32);
#pragma unroll
      for (int n = 0; n < kTiles; n += 2) {
        const Right<T> right = right_of(rows[n], rows[n + 1], step);
        multiply<T>(value[n], project, right, 0);
        multiply<T>(value[n + 1], project, right, 1);
        multiply<T>(gate[n], open, right, 0);
        multiply<T>(gate[n + 1], open, right, 1);
      }
    }
  }

  STRUCTDIFF_DEVICE static void write(
      const Problem& p, int b, int first, int channel, const float (&value)[kTiles][4], const float (&gate)[kTiles][4],
      uint32_t keep, int lane) {
    const TriangleSizes& s = p.sizes;
    const int place = (lane & 3) * kVector;
    if (first + place >= s.plane()) return;
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const int64_t c = static_cast<int64_t>(b) * 2 * s.c_hidden + channel + (lane >> 2) + half * 8;
      const int64_t at = c * s.plane() + first + place;
      float edges[kVector], by_gate[kVector];
      if constexpr (Slopes) load_values<T>(edges, p.by_edges + at);
#pragma unroll
      for (int e = 0; e < kVector; ++e) {
        const float x = value[e / 2][half * 2 + e % 2];
        const float open = sigmoid(gate[e / 2][half * 2 + e % 2]);
        const bool kept = (keep >> (place + e) & 1) != 0;
        if constexpr (Slopes) {
          edges[e] = kept ? edges[e] * open : 0.0f;
          by_gate[e] = edges[e] * x * (1.0f - open);
        } else {
          edges[e] = kept ? x * open : 0.0f;
        }
      }
      if constexpr (Slopes) {
        store_values<T>(p.by_edges + at, edges);
        store_values<T>(p.by_gate + at, by_gate);
      } else {
        store_values<T>(p.edges + at, edges);
      }
    }
  }
};

}  // namespace structdiff::gpu

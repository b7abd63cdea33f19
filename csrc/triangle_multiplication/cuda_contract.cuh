// The sum over the third token: for each channel product = a b' (outgoing) or a' b (incoming), one matrix product of planes.
#pragma once

#include "triangle_multiplication/cuda_problem.cuh"

namespace structdiff::gpu {

// Outgoing reads planes as [m][k] and [n][k], incoming as [k][m] and [k][n]; the k dimension is cut into steps, copied
// ahead into shared memory.
template <class T, bool Outgoing>
struct Contract {
  using Problem = TriangleProblem<T>;
  static constexpr bool kHalf = sizeof(T) == 2;
  static constexpr int kSide = kHalf ? 128 : 64;  // of the product's tile
  static constexpr int kDepth = 32;
  static constexpr int kStages = 3;
  static constexpr int kThreads = 256;
  static constexpr int kMinBlocks = 1;
  static constexpr int kWarpRows = kSide / 2;      // two by four warps
  static constexpr int kWarpColumns = kSide / 4;
  static constexpr int kRows = Outgoing ? kSide : kDepth;  // of a staged tile
  static constexpr int kColumns = Outgoing ? kDepth : kSide;
  static constexpr int kPitchHere = kPitch<T, kColumns>;
  static constexpr int kTile = kRows * kPitchHere;
  static constexpr int64_t kSharedBytes = static_cast<int64_t>(sizeof(T)) * kStages * 2 * kTile;
  static constexpr int kTilesM = kWarpRows / 16;
  static constexpr int kTilesN = kWarpColumns / 8;

  STRUCTDIFF_BOTH static int64_t blocks(const TriangleSizes& s) {
    const int64_t tiles = divide_up(s.n, kSide);
    return s.batch * s.c_hidden * tiles * tiles;
  }

  STRUCTDIFF_DEVICE static void run(const Problem& p, unsigned char* shared) {
    const TriangleSizes& s = p.sizes;
    const int tiles = divide_up(s.n, kSide);
    const int first_n = static_cast<int>(block_index() % tiles) * kSide;
    const int first_m = static_cast<int>(block_index() / tiles % tiles) * kSide;
    const int64_t channel = block_index() / tiles / tiles;  // [batch, c_hidden]
    const int64_t b = channel / s.c_hidden;
    const T* left = p.edges + (channel + b * s.c_hidden) * s.plane();
    const T* right = left + s.c_hidden * s.plane();
    T* staged = reinterpret_cast<T*>(shared);
    const int steps = divide_up(s.n, kDepth);
    const auto fetch = [&](int step) {
      if (step < steps) {
        T* to = staged + step % kStages * 2 * kTile;
        fetch_tile(to, left, s, first_m, step * kDepth);
        fetch_tile(to + kTile, right, s, first_n, step * kDepth);
      }
      copy_async_commit();
    };
#pragma unroll
    for (int step = 0; step < kStages - 1; ++step) fetch(step);
    float sum[kTilesM][kTilesN][4] = {};
    const int lane = thread_index() & 31;
    const int m = thread_index() / 32 / 4 * kWarpRows;
    const int n = thread_index() / 32 % 4 * kWarpColumns;
    for (int step = 0; step < steps; ++step) {
      copy_async_wait<kStages - 2>();
      barrier();
      fetch(step + kStages - 1);
      const T* tile = staged + step % kStages * 2 * kTile;
      add_step(sum, tile, tile + kTile, m, n, lane);
    }
    write(p.product + channel * s.plane(), s, first_m + m, first_n + n, sum, lane);
  }

  STRUCTDIFF_DEVICE static void fetch_tile(T* to, const T* plane, const TriangleSizes& s, int side, int depth) {
    const int row = Outgoing ? side : depth;
    const int column = Outgoing ? depth : side;
    // Rows of a plane are zero from n to their pitch, so whole vectors may be taken.
    const Table<T> table{plane + column, s.pitch, 1, true};
    stage<T, kColumns>(to, table, row, kRows, s.n, s.pitch - column, thread_index(), kThreads);
  }

  STRUCTDIFF_DEVICE static void add_step(
      float (&sum)[kTilesM][kTilesN][4], const T* left, const T* right, int m, int n, int lane) {
#pragma unroll
    for (int k = 0; k < kDepth; k += 16) {
      Left<T> a[kTilesM];
#pragma unroll
      for (int y = 0; y < kTilesM; ++y) {
        if constexpr (Outgoing) {
          load_left<T>(a[y], left, kPitchHere, m + y * 16, k, lane);
        } else {
          load_left_transposed<T>(a[y], left, kPitchHere, m + y * 16, k, lane);
        }
      }
#pragma unroll
      for (int x = 0; x < kTilesN; x += 2) {
        Right<T> b;
        if constexpr (Outgoing) {
          load_right<T>(b, right, kPitchHere, n + x * 8, k, lane);
        } else {
          load_right_transposed<T>(b, right, kPitchHere, n + x * 8, k, lane);
        }
#pragma unroll
        for (int y = 0; y < kTilesM; ++y) {
          multiply<T>(sum[y][x], a[y], b, 0);
          multiply<T>(sum[y][x + 1], a[y], b, 1);
        }
      }
    }
  }

  STRUCTDIFF_DEVICE static void write(
      T* plane, const TriangleSizes& s, int m, int n, const float (&sum)[kTilesM][kTilesN][4], int lane) {
#pragma unroll
    for (int y = 0; y < kTilesM; ++y) {
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        const int row = m + y * 16 + (lane >> 2) + half * 8;
        if (row >= s.n) continue;
#pragma unroll
        for (int x = 0; x < kTilesN; ++x) {
          const int column = n + x * 8 + (lane & 3) * 2;
          if (column >= s.pitch) continue;
          store_pair<T>(plane + static_cast<int64_t>(row) * s.pitch, 1, true, column, sum[y][x][half * 2],
                        sum[y][x][half * 2 + 1]);
        }
      }
    }
  }
};

}  // namespace structdiff::gpu

// Matrix products, batch by batch: out[m][n] = sum_k left[m][k] right[k][n], on tensor cores.
//
// A factor lies in memory as [m][k] or [k][m] (right: [n][k] or [k][n]); its rows are zero beyond what is used, or end at
// a whole vector. The depth k is cut into steps, which are copied ahead into shared memory; it may be shared out over
// blocks, whose partial sums are then added up by SumParts.
#pragma once

#include "common/cuda_launch.cuh"
#include "common/cuda_staging.cuh"

namespace structdiff::gpu {

// Batch number x lies at x / inner * outer_stride + x % inner * inner_stride.
template <class E>
struct Matrices {
  E* data;
  int64_t outer_stride, inner_stride, row_stride;

  STRUCTDIFF_DEVICE E* at(int64_t batch, int inner) const {
    return data + batch / inner * outer_stride + batch % inner * inner_stride;
  }
};

template <class T, class Out>
struct ProductProblem {
  Matrices<const T> left, right;
  Matrices<Out> out;
  int64_t batches;
  int inner;
  int m, n, depth;
  int depth_vectors;  // the depth, up to the next whole vector
  int m_vectors, n_vectors;
  int shares;  // of the depth
  int64_t share_stride;  // between their sums
};

template <class T, class Out, bool LeftByDepth, bool RightByDepth, int Side>
struct Product {
  using Problem = ProductProblem<T, Out>;
  static constexpr bool kHalf = sizeof(T) == 2;
  static constexpr int kSide = Side;  // of the product's tile
  static constexpr int kDepth = 32;
  static constexpr int kStages = 3;
  static constexpr int kThreads = 256;
  static constexpr int kMinBlocks = kHalf ? 2 : 1;
  static constexpr int kWarpRows = kSide / 2;  // two by four warps
  static constexpr int kWarpColumns = kSide / 4;
  static constexpr int kTilesM = kWarpRows / 16;
  static constexpr int kTilesN = kWarpColumns / 8;
  static constexpr int kLeftTile = LeftByDepth ? kDepth * kPitch<T, kSide> : kSide * kPitch<T, kDepth>;
  static constexpr int kRightTile = RightByDepth ? kDepth * kPitch<T, kSide> : kSide * kPitch<T, kDepth>;
  static constexpr int kStage = kLeftTile + kRightTile;
  static constexpr int64_t kSharedBytes = static_cast<int64_t>(sizeof(T)) * kStages * kStage;

  STRUCTDIFF_BOTH static int64_t blocks(const Problem& p) {
    return p.batches * p.shares * divide_up(p.m, kSide) * divide_up(p.n, kSide);
  }

  STRUCTDIFF_DEVICE static void run(const Problem& p, unsigned char* shared) {
    const int tiles_m = divide_up(p.m, kSide);
    const int tiles_n = divide_up(p.n, kSide);
    int64_t block = block_index();
    const int first_n = static_cast<int>(block % tiles_n) * kSide;
    block /= tiles_n;
    const int first_m = static_cast<int>(block % tiles_m) * kSide;
    block /= tiles_m;
    const int share = static_cast<int>(block % p.shares);
    const int64_t batch = block / p.shares;
    const T* left = p.left.at(batch, p.inner);
    const T* right = p.right.at(batch, p.inner);
    T* staged = reinterpret_cast<T*>(shared);
    const int64_t all = divide_up(p.depth, kDepth);
    const int end = static_cast<int>(all * (share + 1) / p.shares);
    const int first = static_cast<int>(all * share / p.shares);
    const auto fetch = [&](int step) {
      if (step < end) {
        T* to = staged + (step - first) % kStages * kStage;
        fetch_tile<LeftByDepth>(to, left, p.left.row_stride, first_m, p.m, p.m_vectors, step * kDepth, p);
        fetch_tile<RightByDepth>(to + kLeftTile, right, p.right.row_stride, first_n, p.n, p.n_vectors, step * kDepth, p);
      }
      copy_async_commit();
    };
#pragma unroll
    for (int step = 0; step < kStages - 1; ++step) fetch(first + step);
    float sum[kTilesM][kTilesN][4] = {};
    const int lane = thread_index() & 31;
    const int m = thread_index() / 32 / 4 * kWarpRows;
    const int n = thread_index() / 32 % 4 * kWarpColumns;
    for (int step = first; step < end; ++step) {
      copy_async_wait<kStages - 2>();
      barrier();
      fetch(step + kStages - 1);
      const T* tile = staged + (step - first) % kStages * kStage;
      add_step(sum, tile, tile + kLeftTile, m, n, lane);
    }
    Out* out = p.out.at(batch, p.inner) + share * p.share_stride;
    write(out, p, first_m + m, first_n + n, sum, lane);
  }

  template <bool ByDepth>
  STRUCTDIFF_DEVICE static void fetch_tile(
      T* to, const T* matrix, int64_t row_stride, int side, int sides, int side_vectors, int depth, const Problem& p) {
    if constexpr (ByDepth) {
      const Table<T> table{matrix + side, row_stride, 1, true};
      stage<T, kSide>(to, table, depth, kDepth, p.depth, side_vectors - side, thread_index(), kThreads);
    } else {
      const Table<T> table{matrix + depth, row_stride, 1, true};
      stage<T, kDepth>(to, table, side, kSide, sides, p.depth_vectors - depth, thread_index(), kThreads);
    }
  }

  STRUCTDIFF_DEVICE static void add_step(
      float (&sum)[kTilesM][kTilesN][4], const T* left, const T* right, int m, int n, int lane) {
#pragma unroll
    for (int k = 0; k < kDepth; k += 16) {
      Left<T> a[kTilesM];
#pragma unroll
      for (int y = 0; y < kTilesM; ++y) {
        if constexpr (LeftByDepth) {
          load_left_transposed<T>(a[y], left, kPitch<T, kSide>, m + y * 16, k, lane);
        } else {
          load_left<T>(a[y], left, kPitch<T, kDepth>, m + y * 16, k, lane);
        }
      }
#pragma unroll
      for (int x = 0; x < kTilesN; x += 2) {
        Right<T> b;
        if constexpr (RightByDepth) {
          load_right_transposed<T>(b, right, kPitch<T, kSide>, n + x * 8, k, lane);
        } else {
          load_right<T>(b, right, kPitch<T, kDepth>, n + x * 8, k, lane);
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
      Out* out, const Problem& p, int m, int n, const float (&sum)[kTilesM][kTilesN][4], int lane) {
#pragma unroll
    for (int y = 0; y < kTilesM; ++y) {
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        const int row = m + y * 16 + (lane >> 2) + half * 8;
        if (row >= p.m) continue;
#pragma unroll
        for (int x = 0; x < kTilesN; ++x) {
          const int column = n + x * 8 + (lane & 3) * 2;
          if (column >= p.n_vectors) continue;
          Out* to = out + row * p.out.row_stride;
          store_pair<Out>(to, 1, true, column, sum[y][x][half * 2], sum[y][x][half * 2 + 1]);
        }
      }
    }
  }
};

template <class T, class Out, bool LeftByDepth, bool RightByDepth>
int32_t launch_product(const ProductProblem<T, Out>& p, Stream stream) {
  const auto start = [&](auto kernel) {
    using Kernel = decltype(kernel);
    return launch<Kernel>(p, Kernel::blocks(p), Kernel::kThreads, Kernel::kSharedBytes, stream);
  };
  if constexpr (sizeof(T) == 2) {
    if (larger(p.m, p.n) > 64) return start(Product<T, Out, LeftByDepth, RightByDepth, 128>());
  }
  return start(Product<T, Out, LeftByDepth, RightByDepth, 64>());
}

}  // namespace structdiff::gpu

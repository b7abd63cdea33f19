// Products of planes, out[m][n] = sum_k left[m][k] right[k][n], by the tensor cores of a Hopper.
//
// One warp has tiles copied ahead, two warpgroups multiply them: 64 rows each of a tile of 128 x 128. Two blocks share a
// multiprocessor, so that one multiplies while the other writes. Tiles lie as they do in memory: [side][depth], or [depth]
// [side] in two halves of 64.
#pragma once

#include "common/cuda_hopper_tiles.cuh"
#include "common/cuda_tensor_map.cuh"
#include "triangle_multiplication/cuda_product.cuh"

namespace structdiff::gpu {

template <class T>
struct HopperProductProblem {
  TensorMap left, right;  // [batch / inner][batch % inner][row][column]
  Matrices<T> out;
  int64_t batches;
  int inner;
  int m, n;
  int n_vectors;
  int steps;  // of the depth
};

template <class T, bool LeftByDepth, bool RightByDepth>
struct HopperProduct {
  using Problem = HopperProductProblem<T>;
  static constexpr int kSide = 128;
  static constexpr int kDepth = 64;
  static constexpr int kStages = 3;
  static constexpr int kWarps = 8;  // that multiply
  static constexpr int kThreads = (kWarps + 1) * 32;
  static constexpr int kMinBlocks = 2;
  static constexpr int kStartRegisters = 64;  // the sums alone
  static constexpr int kRowBytes = 128;
  static constexpr int kHalfBytes = 64 * kRowBytes;  // 64 of a side by the depth
  static constexpr int kTileBytes = 2 * kHalfBytes;
  static constexpr int kStageBytes = 2 * kTileBytes;
  static constexpr int64_t kSharedBytes = 1024 + kStages * (kStageBytes + 2 * static_cast<int>(sizeof(Arrivals)));

  // Which tile the block makes, and its shared memory.
  struct Block {
    int64_t batch;
    int first_m, first_n;
    unsigned char* tiles;
    Arrivals* full;
    Arrivals* empty;
  };

  STRUCTDIFF_BOTH static int64_t blocks(const Problem& p) {
    return p.batches * divide_up(p.m, kSide) * divide_up(p.n, kSide);
  }

  // The box that `produce` asks for.
  STRUCTDIFF_BOTH static constexpr int box_rows(bool by_depth) { return by_depth ? kDepth : kSide; }

  STRUCTDIFF_DEVICE static void run(const Problem& p, unsigned char* shared) {
    if constexpr (kHopper) work(p, shared);  // elsewhere there is nothing, see `hopper_can_run`
  }

  STRUCTDIFF_DEVICE static void work(const Problem& p, unsigned char* shared) {
    const Block block = block_of(p, shared);
    if (thread_index() == 0) {
      for (int stage = 0; stage < kStages; ++stage) {
        arrivals_start(block.full + stage, 1);
        arrivals_start(block.empty + stage, kWarps);
      }
      arrivals_started();
    }
    barrier();
    if (thread_index() == kWarps * 32) produce(p, block);
    if (thread_index() < kWarps * 32) consume(p, block);
  }

  STRUCTDIFF_DEVICE static Block block_of(const Problem& p, unsigned char* shared) {
    const int tiles_n = divide_up(p.n, kSide), tiles_m = divide_up(p.m, kSide);
    Block block;
    block.first_n = static_cast<int>(block_index() % tiles_n) * kSide;
    block.first_m = static_cast<int>(block_index() / tiles_n % tiles_m) * kSide;
    block.batch = block_index() / tiles_n / tiles_m;
    block.tiles = aligned_tiles(shared);
    block.full = reinterpret_cast<Arrivals*>(block.tiles + kStages * kStageBytes);
    block.empty = block.full + kStages;
    return block;
  }

  // One thread: asks for tile after tile, as soon as their places are free.
  STRUCTDIFF_DEVICE static void produce(const Problem& p, const Block& block) {
    for (int step = 0; step < p.steps; ++step) {
      const int stage = step % kStages;
      wait_for(block.empty + stage, step / kStages % 2 ^ 1);
      Arrivals* full = block.full + stage;
      arrive_expecting(full, kStageBytes);
      unsigned char* to = block.tiles + stage * kStageBytes;
      copy_tile<LeftByDepth>(to, p, block, p.left, full, block.first_m, step * kDepth);
      copy_tile<RightByDepth>(to + kTileBytes, p, block, p.right, full, block.first_n, step * kDepth);
    }
  }

  template <bool ByDepth>
  STRUCTDIFF_DEVICE static void copy_tile(
      unsigned char* to, const Problem& p, const Block& block, const TensorMap& map, Arrivals* full, int side, int depth) {
    const int inner = static_cast<int>(block.batch % p.inner), outer = static_cast<int>(block.batch / p.inner);
    if constexpr (ByDepth) {
      const int low[5] = {side, depth, inner, outer, 0}, high[5] = {side + 64, depth, inner, outer, 0};
      copy_box(to, map, full, low);
      copy_box(to + kHalfBytes, map, full, high);
    } else {
      const int at[5] = {depth, side, inner, outer, 0};
      copy_box(to, map, full, at);
    }
  }

  STRUCTDIFF_DEVICE static void consume(const Problem& p, const Block& block) {
    const int lane = thread_index() & 31;
    const int group = thread_index() / 128;
    // From one product over 16 to the next, in units of 16 bytes: 16 rows of a tile, or part of each row.
    constexpr int kLeftStep = (LeftByDepth ? 16 * kRowBytes : 32) / 16;
    constexpr int kRightStep = (RightByDepth ? 16 * kRowBytes : 32) / 16;
    const uint64_t left = matrix_in_shared(shared_address(block.tiles + group * kHalfBytes), kRowBytes);
    const uint32_t right_tile = shared_address(block.tiles + kTileBytes);
    const uint64_t right =
        RightByDepth ? matrix_in_shared(right_tile, kRowBytes, kHalfBytes) : matrix_in_shared(right_tile, kRowBytes);
    float sum[kSide / 8][4];
#pragma unroll
    for (int n = 0; n < kSide / 8; ++n) sum[n][0] = sum[n][1] = sum[n][2] = sum[n][3] = 0.0f;
    hold(sum);
    for (int step = 0; step < p.steps; ++step) {
      const int stage = step % kStages;
      wait_for(block.full + stage, step / kStages % 2);
      products_begin();
#pragma unroll
      for (int k = 0; k < kDepth / 16; ++k) {
        TileProduct<T>::template add<LeftByDepth, RightByDepth>(
            sum, left + stage * (kStageBytes / 16) + k * kLeftStep, right + stage * (kStageBytes / 16) + k * kRightStep);
      }
      products_commit();
      if (step == 0) continue;
      products_wait<1>();
      release(block, (step - 1) % kStages, lane);
    }
    products_wait<0>();
    hold(sum);
    write(p, block, sum, block.first_m + thread_index() / 32 * 16, lane);
  }

  // All that was in a stage has been read, by products alone that were waited for: `reads_before_copies` would be for loads.
  STRUCTDIFF_DEVICE static void release(const Block& block, int stage, int lane) {
    warp_barrier();
    if (lane == 0) arrive(block.empty + stage);
  }

  // Four lanes that share rows exchange columns: each then has eight side by side.
  STRUCTDIFF_DEVICE static void exchange(uint32_t (&words)[4], int lane) {
#pragma unroll
    for (int lanes = 1; lanes <= 2; lanes *= 2) {
      const bool upper = (lane & lanes) != 0;
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        if ((i & lanes) != 0) continue;
        const uint32_t sent = upper ? words[i] : words[i + lanes];
        const uint32_t got = as_bits(shuffle_xor(as_float(sent), lanes));
        if (upper) {
          words[i] = got;
        } else {
          words[i + lanes] = got;
        }
      }
    }
  }

  STRUCTDIFF_DEVICE static void write(
      const Problem& p, const Block& block, const float (&sum)[kSide / 8][4], int first_row, int lane) {
    T* out = p.out.at(block.batch, p.inner);
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const int row = first_row + half * 8 + (lane >> 2);
#pragma unroll
      for (int n = 0; n < kSide / 8; n += 4) {
        uint32_t words[4];
#pragma unroll
        for (int e = 0; e < 4; ++e) words[e] = pack<T>(sum[n + e][half * 2], sum[n + e][half * 2 + 1]);
        exchange(words, lane);
        const int column = block.first_n + (n + (lane & 3)) * 8;
        if (row >= p.m || column >= p.n_vectors) continue;
        store(reinterpret_cast<uint4*>(out + row * p.out.row_stride + column), uint4{words[0], words[1], words[2], words[3]});
      }
    }
  }
};

}  // namespace structdiff::gpu

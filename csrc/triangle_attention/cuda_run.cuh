// From a call to kernels: scratch memory laid out, blocks counted, the head dimension's kernel picked.
#pragma once

#include <cstdint>

#include "common/cuda_launch.cuh"
#include "common/cuda_sum.cuh"
#include "common/cuda_tensor_map.cuh"
#include "triangle_attention/cuda_backward_bias.cuh"
#include "triangle_attention/cuda_backward_keys.cuh"
#include "triangle_attention/cuda_backward_queries.cuh"
#include "triangle_attention/cuda_call.h"
#include "triangle_attention/cuda_forward.cuh"
#include "triangle_attention/cuda_hopper_backward_bias.cuh"
#include "triangle_attention/cuda_hopper_backward_keys.cuh"
#include "triangle_attention/cuda_hopper_backward_queries.cuh"
#include "triangle_attention/cuda_prepare.cuh"

namespace structdiff::gpu {

template <class T>
Tokens<T> tokens_of(const TokensView& view, const AttentionCall& call, int64_t tokens) {
  const int64_t sizes[5] = {call.batch, call.rows, tokens, call.heads, call.channels};
  const int64_t* stride = view.stride;
  bool vectors = stride[4] == 1 && reinterpret_cast<uintptr_t>(view.data) % 16 == 0;
  for (int axis = 0; axis < 4; ++axis) {
    vectors = vectors && (sizes[axis] == 1 || stride[axis] * static_cast<int64_t>(sizeof(T)) % 16 == 0);
  }
  return {static_cast<T*>(view.data), stride[0], stride[1], stride[2], stride[3], stride[4], vectors};
}

inline Sizes sizes_of(const AttentionCall& call) {
  return {static_cast<int>(call.batch), static_cast<int>(call.rows), static_cast<int>(call.queries),
          static_cast<int>(call.keys), static_cast<int>(call.heads), static_cast<int>(call.channels)};
}

struct Arrangement {
  int rows_per_block, warps_per_row;
  int64_t blocks, shared_bytes;
  int threads() const { return rows_per_block * warps_per_row * 32; }
};

// Four rows of two warps, fewer where rows, tokens or shared memory do not suffice.
template <class Kernel>
Arrangement arrange(const Sizes& sizes, int tokens, int warp_tokens) {
  Arrangement a{};
  a.warps_per_row = tokens <= warp_tokens ? 1 : 2;
  a.rows_per_block = smaller(sizes.rows, 4);
  while (Kernel::slot_bytes(a.warps_per_row) * a.rows_per_block > kSharedLimit && a.rows_per_block > 1) --a.rows_per_block;
  if (Kernel::slot_bytes(a.warps_per_row) > kSharedLimit) a.warps_per_row = 1;
  a.shared_bytes = Kernel::slot_bytes(a.warps_per_row) * a.rows_per_block;
  a.blocks = static_cast<int64_t>(sizes.batch) * sizes.heads * divide_up(sizes.rows, a.rows_per_block) *
             divide_up(tokens, a.warps_per_row * warp_tokens);
  return a;
}

// Scratch memory of both directions.
template <class T>
struct AttentionScratch {
  uint64_t* words;
  void* packed;
  void* packed_transposed = nullptr;
  float* delta = nullptr;
  float* parts = nullptr;
  int64_t needed;

  AttentionScratch(const AttentionCall& call, int bias_batches, bool backward, int splits, bool widened = false) {
    Scratch scratch(call.scratch);
    words = scratch.take<uint64_t>(call.batch * call.rows * (divide_up<int64_t>(call.keys, kWordKeys) + 1));
    const int64_t planes = bias_batches * call.heads;
    packed = take_tiles(scratch, call, planes, call.queries, call.keys, widened);
    if (backward) {
      packed_transposed = take_tiles(scratch, call, planes, call.keys, call.queries, false);
      delta = scratch.take<float>(call.batch * call.rows * call.heads * call.queries);
      if (splits > 1) {
        parts = scratch.take<float>(splits * call.grad_bias_batches * call.heads * call.queries * call.keys);
      }
    }
    needed = scratch.used();
  }

  static void* take_tiles(
      Scratch& scratch, const AttentionCall& call, int64_t planes, int64_t rows, int64_t columns, bool widened) {
    const int64_t values =
        planes * divide_up<int64_t>(rows, kTileQueries) * divide_up<int64_t>(columns, kWordKeys) * kTileValues;
    if (call.bias_is_float || widened) return scratch.take<float>(values);
    return scratch.take<T>(values);
  }
};

inline int packed_batches(const AttentionCall& call) {
  return call.batch == 1 || call.bias_stride[0] == 0 ? 1 : static_cast<int>(call.batch);
}

inline PackedBias packed_bias(const AttentionCall& call, const void* data, int64_t rows, int64_t columns) {
  PackedBias bias{};
  bias.data = data;
  bias.tiles_16 = static_cast<int>(divide_up<int64_t>(rows, kTileQueries));
  bias.tiles_64 = static_cast<int>(divide_up<int64_t>(columns, kWordKeys));
  bias.batch = packed_batches(call) == 1 ? 0 : call.heads * bias.tiles_16 * bias.tiles_64 * kTileValues;
  bias.is_float = call.bias_is_float;
  return bias;
}

// With `widened_by`, the bias is packed as float and times that.
template <class T>
int32_t prepare(const AttentionCall& call, const AttentionScratch<T>& scratch, float widened_by = 0.0f) {
  PrepareProblem<T> p{};
  p.widened_by = widened_by;
  p.sizes = sizes_of(call);
  p.bias_batches = packed_batches(call);
  p.bias_is_float = call.bias_is_float;
  p.bias = {call.bias, call.bias_stride[0], call.bias_stride[1], call.bias_stride[2], call.bias_stride[3],
            p.sizes.queries, p.sizes.keys};
  p.packed = scratch.packed;
  p.packed_transposed = scratch.packed_transposed;
  p.mask = static_cast<const uint8_t*>(call.mask);
  p.mask_batch = call.mask_stride[0];
  p.mask_row = call.mask_stride[1];
  p.mask_key = call.mask_stride[2];
  p.words = scratch.words;
  p.delta = scratch.delta;
  if (scratch.delta) {
    p.out = tokens_of<T>(call.out, call, call.queries);
    p.grad_out = tokens_of<T>(call.grad_out, call, call.queries);
  }
  using Kernel = Prepare<T>;
  const int64_t blocks = divide_up<int64_t>(Kernel::warps(p), Kernel::kThreads / 32);
  return launch<Kernel>(p, blocks, Kernel::kThreads, 0, static_cast<Stream>(call.stream));
}

template <class T, int Channels>
int32_t forward_of(const AttentionCall& call, const AttentionScratch<T>& scratch) {
  ForwardProblem<T> p{};
  p.sizes = sizes_of(call);
  p.q = tokens_of<T>(call.q, call, call.queries);
  p.k = tokens_of<T>(call.k, call, call.keys);
  p.v = tokens_of<T>(call.v, call, call.keys);
  p.out = tokens_of<T>(call.out, call, call.queries);
  p.bias = packed_bias(call, scratch.packed, call.queries, call.keys);
  p.mask = {scratch.words, static_cast<int>(divide_up<int64_t>(call.keys, kWordKeys))};
  p.lse = call.lse;
  p.scale = call.scale;
  using Kernel = Forward<T, Channels>;
  const Arrangement a = arrange<ForwardShape<T, Channels>>(p.sizes, p.sizes.queries, Kernel::Shape::kWarpQueries);
  p.rows_per_block = a.rows_per_block;
  p.warps_per_row = a.warps_per_row;
  return launch<Kernel>(p, a.blocks, a.threads(), a.shared_bytes, static_cast<Stream>(call.stream));
}

// Four warps: of one row, or where rows are short of two or four; fewer where rows or shared memory do not suffice.
template <class Kernel, class Problem>
int32_t launch_by_rows(Problem& p, int tokens, Stream stream) {
  const auto bytes = [&] { return Kernel::slot_bytes(p.warps_per_row, p.bias.is_float); };
  p.warps_per_row = tokens > 2 * Kernel::kWarpTokens ? 4 : tokens > Kernel::kWarpTokens ? 2 : 1;
  p.rows_per_block = smaller(p.sizes.rows, 4 / p.warps_per_row);
  while (bytes() * p.rows_per_block > kSharedLimit && p.rows_per_block > 1) --p.rows_per_block;
  while (bytes() > kSharedLimit && p.warps_per_row > 1) p.warps_per_row /= 2;
  const int64_t blocks = static_cast<int64_t>(p.sizes.batch) * p.sizes.heads * divide_up(p.sizes.rows, p.rows_per_block) *
                         divide_up(tokens, p.warps_per_row * Kernel::kWarpTokens);
  return launch<Kernel>(p, blocks, p.rows_per_block * p.warps_per_row * 32, bytes() * p.rows_per_block, stream);
}

// The width of the kernels made for Hopper that take so many channels, or 0.
template <class T, int Channels>
constexpr int kHopperWidth = sizeof(T) != 2 || Channels > 64 ? 0 : Channels == 48 ? 64 : Channels;

// Into how many shares the rows go, so that some 1500 blocks share the work; the same on every GPU, so that results are.
template <class T, int Channels>
int splits_of(const AttentionCall& call) {
  const int64_t tiles = larger<int64_t>(1, BiasGradient<T, Channels>::Tile::count(sizes_of(call)));
  return static_cast<int>(larger<int64_t>(1, smaller(smaller<int64_t>(divide_up<int64_t>(1536, tiles), 24), call.rows / 8)));
}

// The three kernels made for Hopper; STRUCTDIFF_UNSUPPORTED where they do not take what is asked, or not on this device.
template <class T, int Channels>
int32_t backward_on_hopper(const BackwardProblem<T>& problem, const AttentionCall& call, Stream stream) {
  using Queries = HopperQueryGradient<T, Channels>;
  using Keys = HopperKeyGradient<T, Channels>;
  using Bias = HopperBiasGradient<T, Channels>;
  const bool vectors = problem.q.vectors && problem.k.vectors && problem.v.vectors && problem.grad_out.vectors;
  const bool can = hopper_can_run<Queries>(call.device) && hopper_can_run<Keys>(call.device) &&
                   hopper_can_run<Bias>(call.device);
  if (!vectors || problem.bias.is_float || !can) return STRUCTDIFF_UNSUPPORTED;
  HopperBackwardProblem<T> p{problem, {}, {}, {}, {}};
  int32_t status = describe_tokens<T>(p.q_map, call.q, call, call.queries, Channels, kGroupTokens);
  if (status == STRUCTDIFF_OK) {
    status = describe_tokens<T>(p.grad_out_map, call.grad_out, call, call.queries, Channels, kGroupTokens);
  }
  if (status == STRUCTDIFF_OK) status = describe_tokens<T>(p.k_map, call.k, call, call.keys, Channels, kGroupTokens);
  if (status == STRUCTDIFF_OK) status = describe_tokens<T>(p.v_map, call.v, call, call.keys, Channels, kGroupTokens);
  if (status != STRUCTDIFF_OK) return status;
  const int64_t planes = call.batch * call.rows * call.heads;
  const int64_t query_blocks = planes * divide_up<int64_t>(call.queries, kGroupTokens);
  const int64_t key_blocks = planes * divide_up<int64_t>(call.keys, kGroupTokens);
  const int64_t tiles = Bias::Tile::count(p.sizes) * p.splits;
  status = launch<Queries>(p, query_blocks, Queries::kThreads, Queries::kSharedBytes, stream);
  if (status == STRUCTDIFF_OK) status = launch<Keys>(p, key_blocks, Keys::kThreads, Keys::kSharedBytes, stream);
  if (status == STRUCTDIFF_OK) status = launch<Bias>(p, tiles, Bias::kThreads, Bias::kSharedBytes, stream);
  return status;
}

// The three kernels for every GPU.
template <class T, int Channels>
int32_t backward_everywhere(BackwardProblem<T>& p, Stream stream) {
  using Bias = BiasGradient<T, Channels>;
  int32_t status = launch_by_rows<QueryGradient<T, Channels>>(p, p.sizes.queries, stream);
  if (status == STRUCTDIFF_OK) status = launch_by_rows<KeyGradient<T, Channels>>(p, p.sizes.keys, stream);
  if (status != STRUCTDIFF_OK) return status;
  return launch<Bias>(p, Bias::Tile::count(p.sizes) * p.splits, Bias::kThreads, Bias::kSharedBytes, stream);
}

template <class T, int Channels>
int32_t backward_of(const AttentionCall& call, const AttentionScratch<T>& scratch) {
  BackwardProblem<T> p{};
  p.sizes = sizes_of(call);
  p.q = tokens_of<T>(call.q, call, call.queries);
  p.k = tokens_of<T>(call.k, call, call.keys);
  p.v = tokens_of<T>(call.v, call, call.keys);
  p.grad_out = tokens_of<T>(call.grad_out, call, call.queries);
  p.grad_q = tokens_of<T>(call.grad_q, call, call.queries);
  p.grad_k = tokens_of<T>(call.grad_k, call, call.keys);
  p.grad_v = tokens_of<T>(call.grad_v, call, call.keys);
  p.bias = packed_bias(call, scratch.packed, call.queries, call.keys);
  p.bias_transposed = packed_bias(call, scratch.packed_transposed, call.keys, call.queries);
  p.mask = {scratch.words, static_cast<int>(divide_up<int64_t>(call.keys, kWordKeys))};
  p.lse = call.lse;
  p.delta = scratch.delta;
  p.splits = splits_of<T, Channels>(call);
  p.grad_bias = p.splits > 1 ? scratch.parts : call.grad_bias;
  p.scale = call.scale;
  const auto stream = static_cast<Stream>(call.stream);
  int32_t status = STRUCTDIFF_UNSUPPORTED;
  if constexpr (kHopperWidth<T, Channels> != 0) status = backward_on_hopper<T, kHopperWidth<T, Channels>>(p, call, stream);
  if (status == STRUCTDIFF_UNSUPPORTED) status = backward_everywhere<T, Channels>(p, stream);
  if (status != STRUCTDIFF_OK || p.splits == 1) return status;
  const int64_t elements = call.grad_bias_batches * call.heads * call.queries * call.keys;
  return sum_shares(scratch.parts, call.grad_bias, elements, p.splits, stream);
}

// Calls work(Width<C>) with the smallest C that holds `channels` and that kernels were built for.
template <int Channels>
struct Width {
  static constexpr int value = Channels;
};
template <class Work>
int32_t with_width(int64_t channels, const Work& work) {
  if (channels < 8 || channels > 128 || channels % 8 != 0) return STRUCTDIFF_UNSUPPORTED;
  if (channels <= 16) return work(Width<16>());
  if (channels <= 32) return work(Width<32>());
  if (channels <= 48) return work(Width<48>());
  if (channels <= 64) return work(Width<64>());
  return work(Width<128>());
}

inline bool takes(const AttentionCall& call) {
  const int64_t sizes[5] = {call.batch, call.rows, call.queries, call.keys, call.heads};
  bool fits = call.scale > 0;
  for (const int64_t size : sizes) fits = fits && size > 0 && size < (1 << 24);  // positions are counted in 32 bits
  return fits;
}

template <class T>
int32_t attention_forward(const AttentionCall& call, int64_t* scratch_needed) {
  if (!takes(call)) return STRUCTDIFF_UNSUPPORTED;
  const AttentionScratch<T> scratch(call, packed_batches(call), false, 1);
  if (scratch_needed) {
    *scratch_needed = scratch.needed;
    return STRUCTDIFF_OK;
  }
  if (call.scratch_bytes < scratch.needed) return STRUCTDIFF_BAD_ARGUMENT;
  return with_width(call.channels, [&](auto width) {
    const OnDevice device(call.device);
    if (device.status() != STRUCTDIFF_OK) return device.status();
    const int32_t status = prepare<T>(call, scratch);
    return status == STRUCTDIFF_OK ? forward_of<T, decltype(width)::value>(call, scratch) : status;
  });
}

template <class T>
int32_t attention_backward(const AttentionCall& call, int64_t* scratch_needed) {
  if (!takes(call)) return STRUCTDIFF_UNSUPPORTED;
  return with_width(call.channels, [&](auto width) -> int32_t {
    constexpr int kWidth = decltype(width)::value;
    const AttentionScratch<T> scratch(call, packed_batches(call), true, splits_of<T, kWidth>(call));
    if (scratch_needed) {
      *scratch_needed = scratch.needed;
      return STRUCTDIFF_OK;
    }
    if (call.scratch_bytes < scratch.needed) return STRUCTDIFF_BAD_ARGUMENT;
    const OnDevice device(call.device);
    if (device.status() != STRUCTDIFF_OK) return device.status();
    const int32_t status = prepare<T>(call, scratch);
    return status == STRUCTDIFF_OK ? backward_of<T, kWidth>(call, scratch) : status;
  });
}

}  // namespace structdiff::gpu

// Attention forward by the kernel made for Hopper: which calls it takes, and how it is started.
#include "triangle_attention/cuda_hopper_forward.cuh"

#include "triangle_attention/cuda_run.cuh"

namespace structdiff::gpu {

namespace {

template <class T, int Channels, int Tiles>
int32_t start(const AttentionCall& call, const AttentionScratch<T>& scratch) {
  using Kernel = HopperForward<T, Channels, Tiles>;
  if (!hopper_can_run<Kernel>(call.device)) return STRUCTDIFF_UNSUPPORTED;
  HopperProblem<T> p{};
  p.sizes = sizes_of(call);
  p.q = tokens_of<T>(call.q, call, call.queries);
  p.out = tokens_of<T>(call.out, call, call.queries);
  const bool vectors = p.q.vectors && p.out.vectors && tokens_of<T>(call.k, call, call.keys).vectors &&
                       tokens_of<T>(call.v, call, call.keys).vectors;
  if (!vectors) return STRUCTDIFF_UNSUPPORTED;
  int32_t status = describe_tokens<T>(p.k_map, call.k, call, call.keys, Channels, Kernel::kKeys);
  if (status != STRUCTDIFF_OK) return status;
  status = describe_tokens<T>(p.v_map, call.v, call, call.keys, Channels, Kernel::kKeys);
  if (status != STRUCTDIFF_OK) return status;
  p.bias = packed_bias(call, scratch.packed, call.queries, call.keys);
  p.bias.is_float = true;
  p.mask = {scratch.words, static_cast<int>(divide_up<int64_t>(call.keys, kWordKeys))};
  p.lse = call.lse;
  p.factor = call.scale * kLog2E;
  status = prepare<T>(call, scratch, 1.0f / call.scale);
  if (status != STRUCTDIFF_OK) return status;
  const int64_t blocks = call.batch * call.heads * divide_up<int64_t>(call.rows, Kernel::kRows) *
                         divide_up<int64_t>(call.queries, Kernel::kQueries);
  const auto stream = static_cast<Stream>(call.stream);
  return launch<Kernel>(p, blocks, Kernel::kThreads, Kernel::kSharedBytes, stream, kHopperSharedLimit);
}

template <class T, int Channels>
int32_t start(const AttentionCall& call, const AttentionScratch<T>& scratch) {
  // 64 queries a block where 128 would leave half of the last block idle, and there are few blocks.
  const int64_t tiles = divide_up<int64_t>(call.queries, 64);
  return tiles == 1 || tiles == 3 ? start<T, Channels, 1>(call, scratch) : start<T, Channels, 2>(call, scratch);
}

template <class T>
int32_t forward_on_hopper(const AttentionCall& call, int64_t* scratch_needed) {
  if (!takes(call) || call.channels < 8 || call.channels > 64 || call.channels % 8 != 0) return STRUCTDIFF_UNSUPPORTED;
  const AttentionScratch<T> scratch(call, packed_batches(call), false, 1, true);
  if (scratch_needed) {
    *scratch_needed = scratch.needed;
    return STRUCTDIFF_OK;
  }
  if (call.scratch_bytes < scratch.needed) return STRUCTDIFF_BAD_ARGUMENT;
  const OnDevice device(call.device);
  if (device.status() != STRUCTDIFF_OK) return device.status();
  if (call.channels <= 16) return start<T, 16>(call, scratch);
  if (call.channels <= 32) return start<T, 32>(call, scratch);
  return start<T, 64>(call, scratch);
}

}  // namespace

int32_t attention_forward_on_hopper(const AttentionCall& call, int64_t dtype, int64_t* scratch_needed) {
  if (dtype == STRUCTDIFF_FLOAT16) return forward_on_hopper<float16>(call, scratch_needed);
  if (dtype == STRUCTDIFF_BFLOAT16) return forward_on_hopper<bfloat16>(call, scratch_needed);
  return STRUCTDIFF_UNSUPPORTED;
}

}  // namespace structdiff::gpu

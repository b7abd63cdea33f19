// Many partial sums of a few numbers, added up in a fixed order: all eight warps of a block take part in each number.
#pragma once

#include "common/cuda_launch.cuh"

namespace structdiff::gpu {

// out[e] = sum over parts of part[i * stride + e]; those from `split` on are another tensor's.
struct SumParts {
  struct Problem {
    const float* part;
    float* out;
    float* out_from_split;
    int64_t elements, split;
    int64_t parts, stride;
  };
  static constexpr int kThreads = 256;
  static constexpr int kMinBlocks = 1;
  static constexpr int kWarps = kThreads / 32;
  static constexpr int kAhead = 8;  // loads under way
  static constexpr int64_t kSharedBytes = static_cast<int64_t>(sizeof(float)) * kThreads;

  STRUCTDIFF_DEVICE static void run(const Problem& p, unsigned char* shared) {
    float* sums = reinterpret_cast<float*>(shared);
    const int64_t at = block_index() * 32 + thread_index() % 32;
    const bool valid = at < p.elements;
    float sum = 0.0f;
    for (int64_t first = thread_index() / 32; first < p.parts; first += kAhead * kWarps) {
      float values[kAhead];
#pragma unroll
      for (int i = 0; i < kAhead; ++i) {
        const int64_t part = first + i * kWarps;
        values[i] = valid && part < p.parts ? load(p.part + part * p.stride + at) : 0.0f;
      }
#pragma unroll
      for (int i = 0; i < kAhead; ++i) sum += values[i];
    }
    shared_store(sums + thread_index(), sum);
    barrier();
    if (thread_index() >= 32 || !valid) return;
    for (int warp = 1; warp < kWarps; ++warp) sum += shared_load(sums + warp * 32 + thread_index());
    store(at < p.split ? p.out + at : p.out_from_split + at - p.split, sum);
  }
};

}  // namespace structdiff::gpu

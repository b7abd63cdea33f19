// Sums that several blocks shared, added up in a fixed order.
#pragma once

#include "common/cuda_launch.cuh"

namespace structdiff::gpu {

// out[e] = sum over shares of part[share * share_stride + e], in the order of the shares.
struct SumShares {
  struct Problem {
    const float* part;
    float* out;
    int64_t elements;
    int64_t shares;
    int64_t share_stride;  // from one share to the next
  };
  static constexpr int kThreads = 256;
  static constexpr int kMinBlocks = 1;

  STRUCTDIFF_DEVICE static void run(const Problem& p, unsigned char*) {
    const int64_t at = block_index() * kThreads + thread_index();
    if (at >= p.elements) return;
    float sum = 0.0f;
    for (int64_t share = 0; share < p.shares; ++share) sum += load(p.part + share * p.share_stride + at);
    store(p.out + at, sum);
  }
};

inline int32_t sum_shares(const float* part, float* out, int64_t elements, int64_t shares, Stream stream) {
  const SumShares::Problem p{part, out, elements, shares, elements};
  return launch<SumShares>(p, divide_up<int64_t>(elements, SumShares::kThreads), SumShares::kThreads, 0, stream);
}

}  // namespace structdiff::gpu

// What kernels that go back through a layer norm share: with u = (input - mean) / deviation and g = grad * weight, the input's
// gradient is (g - mean(g) - u mean(g u)) / deviation, the weights' is the sum of grad u over positions, the biases' of grad.
#pragma once

#include "triangle_multiplication/cuda_rows.cuh"

namespace structdiff::gpu {

// The layer norm's side of a problem.
struct NormSlopes {
  const float* norm;  // weights, then biases
  float* by_norm;     // [blocks][weights, then biases]: sums of each block
  float epsilon;
};

// Adds up the warps' sums [warp][weights, then biases] of a block.
STRUCTDIFF_DEVICE void add_warps(float* to, const float* sums, int channels, int warps, int thread, int threads) {
  for (int c = thread; c < 2 * channels; c += threads) {
    float sum = 0.0f;
    for (int warp = 0; warp < warps; ++warp) sum += shared_load(sums + warp * 2 * channels + c);
    store(to + block_index() * 2 * channels + c, sum);
  }
}

template <int Count>
STRUCTDIFF_DEVICE void add_over_lanes(float (&sums)[Count], int first, int last) {
#pragma unroll
  for (int e = 0; e < Count; ++e) {
    for (int lanes = first; lanes <= last; lanes *= 2) sums[e] += shuffle_xor(sums[e], lanes);
  }
}

// Adds numbers of the eight lanes l / 4 and leaves each lane an eighth of the sums, those from `scattered_first` on.
template <int Count>
STRUCTDIFF_DEVICE void scatter_sums(float (&values)[Count], int lane) {
  static_assert(Count % 8 == 0, "an eighth each");
#pragma unroll
  for (int lanes = 16; lanes >= 4; lanes /= 2) {
    const int left = Count * lanes / 32;
    const bool upper = (lane & lanes) != 0;
#pragma unroll
    for (int i = 0; i < Count / 2; ++i) {
      if (i >= left) continue;
      const float sent = upper ? values[i] : values[i + left];
      values[i] = (upper ? values[i + left] : values[i]) + shuffle_xor(sent, lanes);
    }
  }
}
template <int Count>
STRUCTDIFF_DEVICE int scattered_first(int lane) {
  return (lane >> 4 & 1) * (Count / 2) + (lane >> 3 & 1) * (Count / 4) + (lane >> 2 & 1) * (Count / 8);
}

}  // namespace structdiff::gpu

// Attention with a bias that many rows share, as the CUDA kernels see it.
//
// For each batch entry b, row i and head h: out = softmax_k(scale q[i] . k[i] + bias) v[i], where bias[b, h, query, key]
// is the same for all rows i. Triangle attention is this; attention with pair bias is this with the samples that share a
// bias as rows.
//
// Before the kernels proper, `Prepare` (cuda_prepare.cuh) lays the bias out so that a lane of a warp finds the values of
// its accumulators side by side, and turns masks into words of 64 keys.
#pragma once

#include "common/cuda_staging.cuh"

namespace structdiff::gpu {

// Keys of one word of the mask, and of one packed tile of the bias.
constexpr int kWordKeys = 64;
// Queries of one packed tile of the bias: the rows of one matrix product.
constexpr int kTileQueries = 16;
constexpr int kTileValues = kTileQueries * kWordKeys;

struct Sizes {
  int batch, rows, queries, keys, heads, channels;
};

// A table [batch, row, token, head, channel] of elements T.
template <class T>
struct Tokens {
  T* data;
  int64_t batch, row, token, head, channel;
  bool vectors;

  STRUCTDIFF_DEVICE T* at(int b, int i, int h) const { return data + b * batch + i * row + h * head; }
  STRUCTDIFF_DEVICE Table<T> table(int b, int i, int h) const { return {at(b, i, h), token, channel, vectors}; }
};

// The bias as `Prepare` lays it out: tiles of 16 x 64, in the order [batch, head, tile of 16, tile of 64].
struct PackedBias {
  const void* data;  // elements of the inputs' type, or float
  int64_t batch;     // elements from one batch entry to the next; 0 where they share the bias
  int tiles_16, tiles_64;
  bool is_float;
};

// Words of the mask [batch, row, words + 1]: bit k says that key 64 w + k takes part. In rows without keys all keys that
// exist do; the last word is 1 for such a row and 0 for others.
struct PackedMask {
  const uint64_t* data;
  int words;

  STRUCTDIFF_DEVICE const uint64_t* row(const Sizes& sizes, int b, int i) const {
    return data + (static_cast<int64_t>(b) * sizes.rows + i) * (words + 1);
  }
};

template <class T>
struct ForwardProblem {
  Sizes sizes;
  Tokens<T> q, k, v, out;
  PackedBias bias;
  PackedMask mask;
  float* lse;  // [batch, row, head, query], or null
  float scale;
  int rows_per_block, warps_per_row;
};

template <class T>
struct BackwardProblem {
  Sizes sizes;
  Tokens<T> q, k, v, grad_out, grad_q, grad_k, grad_v;
  PackedBias bias;             // tiles of 16 queries x 64 keys
  PackedBias bias_transposed;  // tiles of 16 keys x 64 queries
  PackedMask mask;
  const float* lse;      // [batch, row, head, query]
  const float* delta;    // the same: grad_out . out
  float* grad_bias;      // [splits, batch, head, query, key]
  int splits;            // shares of the rows
  float scale;
  int rows_per_block, warps_per_row;
};

// The values of the accumulators of tiles `tile` (even) and `tile` + 1 from a packed tile of the bias, times `factor`.
template <class B>
STRUCTDIFF_DEVICE void bias_of_two_tiles(
    float (&d0)[4], float (&d1)[4], const B* packed, int tile, int lane, float factor) {
  const uint4 words = load(reinterpret_cast<const uint4*>(packed + ((tile >> 1) * 32 + lane) * 8));
  const float2 values[4] = {unpack<B>(words.x), unpack<B>(words.y), unpack<B>(words.z), unpack<B>(words.w)};
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    d0[half * 2] = values[half].x * factor;
    d0[half * 2 + 1] = values[half].y * factor;
    d1[half * 2] = values[half + 2].x * factor;
    d1[half * 2 + 1] = values[half + 2].y * factor;
  }
}
template <>
STRUCTDIFF_DEVICE void bias_of_two_tiles<float>(
    float (&d0)[4], float (&d1)[4], const float* packed, int tile, int lane, float factor) {
  const float4 x = load(reinterpret_cast<const float4*>(packed + (tile * 32 + lane) * 4));
  const float4 y = load(reinterpret_cast<const float4*>(packed + (tile * 32 + 32 + lane) * 4));
  d0[0] = x.x * factor, d0[1] = x.y * factor, d0[2] = x.z * factor, d0[3] = x.w * factor;
  d1[0] = y.x * factor, d1[1] = y.y * factor, d1[2] = y.z * factor, d1[3] = y.w * factor;
}

// Starts the accumulators of Tiles products, 16 rows from tile_16 on and columns from `column` (a multiple of 8) on, as
// bias / scale: what matrix products then add is q . k.
template <class T, int Tiles>
STRUCTDIFF_DEVICE void start_with_bias(
    float (&s)[Tiles][4], const PackedBias& bias, int b, int h, int tile_16, int column, int lane,
    float inverse_scale) {
  const int64_t tile = (static_cast<int64_t>(h) * bias.tiles_16 + tile_16) * bias.tiles_64 + column / kWordKeys;
  const int64_t offset = b * bias.batch + tile * kTileValues;
  const int first = column % kWordKeys / 8;
  if (tile_16 >= bias.tiles_16) {
#pragma unroll
    for (int n = 0; n < Tiles; ++n) s[n][0] = s[n][1] = s[n][2] = s[n][3] = 0.0f;
  } else if (sizeof(T) == 4 || bias.is_float) {
    const float* packed = static_cast<const float*>(bias.data) + offset;
#pragma unroll
    for (int n = 0; n < Tiles; n += 2) bias_of_two_tiles<float>(s[n], s[n + 1], packed, first + n, lane, inverse_scale);
  } else {
    const T* packed = static_cast<const T*>(bias.data) + offset;
#pragma unroll
    for (int n = 0; n < Tiles; n += 2) bias_of_two_tiles<T>(s[n], s[n + 1], packed, first + n, lane, inverse_scale);
  }
}

}  // namespace structdiff::gpu

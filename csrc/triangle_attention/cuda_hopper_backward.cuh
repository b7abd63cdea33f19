// What the backward kernels made for Hopper have in common: tiles of 64 rows as products of a warpgroup take them, and the
// numbers of 64 queries. A block is one warpgroup, several blocks share a multiprocessor: while one waits for its products,
// others weigh.
#pragma once

#include "triangle_attention/cuda_backward_staging.cuh"
#include "triangle_attention/cuda_token_maps.cuh"

namespace structdiff::gpu {

template <class T>
struct HopperBackwardProblem : BackwardProblem<T> {
  TokenMap q_map, k_map, v_map, grad_out_map;  // tiles of 64 tokens
};

// Tokens of a tile, and the bytes of a tile in shared memory: rows of Channels elements, scrambled as `swizzle_mode` says.
constexpr int kGroupTokens = 64;
template <int Channels>
constexpr int kGroupBytes = kGroupTokens * Channels * 2;

// The copy engine brings what a step needs while the step before is worked on.
struct TwoStages {
  Arrivals* full;
  int steps;  // that were waited for

  // Everybody takes part.
  STRUCTDIFF_DEVICE explicit TwoStages(unsigned char* memory) : full(reinterpret_cast<Arrivals*>(memory)), steps(0) {
    if (thread_index() == 0) {
      arrivals_start(full, 1);
      arrivals_start(full + 1, 1);
      arrivals_started();
    }
    barrier();
  }
  // The one thread that asks for copies: of another warp every step, or one quarter of the multiprocessor would have all to do.
  STRUCTDIFF_DEVICE bool elected() const { return thread_index() == (steps & 3) * 32; }
  STRUCTDIFF_DEVICE void wait() {
    wait_for(full + (steps & 1), steps >> 1 & 1);
    ++steps;
  }
};

// Whether logarithms are so large that their rounding may make a weight more than 1, as `weight` keeps it from being. That of
// a query that does not exist is not large: its weights are 0.
STRUCTDIFF_DEVICE bool is_large(float lse) { return (lse > 4096.0f || lse < -4096.0f) && lse != kInfinity; }

// Scores to weights; `lse` in base 2, by row or by column of the accumulators.
template <bool ByRow, bool Large>
STRUCTDIFF_DEVICE void weigh(float (&scores)[8][4], float factor, const float (&lse)[ByRow ? 1 : 8][2]) {
#pragma unroll
  for (int n = 0; n < 8; ++n) {
#pragma unroll
    for (int e = 0; e < 4; ++e) {
      const float base = ByRow ? lse[0][e / 2] : lse[ByRow ? 0 : n][e & 1];
      scores[n][e] = Large ? weight(scores[n][e], factor, base) : exp2_fast(fmaf(scores[n][e], factor, -base));
    }
  }
}

// A warp's 16 rows of a tile, from `first` on, as left operand.
template <int Channels>
STRUCTDIFF_DEVICE void load_rows(uint32_t (&rows)[Channels / 16][4], const unsigned char* tile, int first, int lane) {
  constexpr int kRowBytes = Channels * 2;
  constexpr int kScrambled = kRowBytes == 128 ? 7 : kRowBytes == 64 ? 3 : 1;
#pragma unroll
  for (int c = 0; c < Channels / 16; ++c) {
    const int linear = (first + (lane & 15)) * kRowBytes + c * 32 + (lane >> 4) * 16;
    load_matrices(rows[c], tile + (linear ^ (linear >> 7 & kScrambled) << 4));
  }
}

// A warp's 16 rows as left operand, straight from global memory.
template <class T, int Channels>
STRUCTDIFF_DEVICE void load_rows(
    uint32_t (&rows)[Channels / 16][4], const Tokens<T>& tokens, const T* data, int first, int existing, int channels,
    int lane) {
#pragma unroll
  for (int c = 0; c < Channels / 16; ++c) {
#pragma unroll
    for (int part = 0; part < 4; ++part) {
      const int row = first + (lane >> 2) + (part & 1) * 8;
      const int channel = c * 16 + (lane & 3) * 2 + (part >> 1) * 8;
      const bool there = row < existing && channel < channels;
      rows[c][part] = there ? load(reinterpret_cast<const uint32_t*>(data + row * tokens.token + channel)) : 0u;
    }
  }
}

// Starts weights += a x' and slopes += b y', with the rows of x and y in shared memory, and waits for the first: the second
// is multiplied while the weights are made.
template <class T, int Channels>
STRUCTDIFF_DEVICE void multiply_rows_of_two(
    float (&weights)[8][4], float (&slopes)[8][4], uint32_t (&a)[Channels / 16][4], uint32_t (&b)[Channels / 16][4],
    const unsigned char* x, const unsigned char* y) {
  hold(weights);
  hold(slopes);
  hold(a);
  hold(b);
  uint64_t x_parts[Channels / 16], y_parts[Channels / 16];
  parts_of<Channels * 2>(x_parts, x, true);
  parts_of<Channels * 2>(y_parts, y, true);
  products_begin();
#pragma unroll
  for (int c = 0; c < Channels / 16; ++c) GroupProduct<T>::template add<0>(weights, a[c], x_parts[c]);
  products_commit();
#pragma unroll
  for (int c = 0; c < Channels / 16; ++c) GroupProduct<T>::template add<0>(slopes, b[c], y_parts[c]);
  products_commit();
  products_wait<1>();
  hold(weights);
}

// The row and head that a block has, the first of its tokens, and the first of this warp's 16.
struct GroupPlace {
  int b, i, h, first, first_of_warp, warp, lane;

  STRUCTDIFF_DEVICE GroupPlace(const Sizes& s, int tokens) {
    int64_t block = block_index();
    const int groups = divide_up(tokens, kGroupTokens);
    first = static_cast<int>(block % groups) * kGroupTokens;
    block /= groups;
    h = static_cast<int>(block % s.heads);
    block /= s.heads;
    i = static_cast<int>(block % s.rows);
    b = static_cast<int>(block / s.rows);
    warp = thread_index() / 32;
    lane = thread_index() & 31;
    first_of_warp = first + warp * 16;
  }
  // Of the logarithms and deltas of its queries.
  STRUCTDIFF_DEVICE int64_t line(const Sizes& s) const {
    return ((static_cast<int64_t>(b) * s.rows + i) * s.heads + h) * s.queries;
  }
};

// Sums of products as the left operand of the next.
template <class T>
STRUCTDIFF_DEVICE void pack_left(uint32_t (&left)[4][4], const float (&sums)[8][4]) {
#pragma unroll
  for (int n = 0; n < 8; ++n) {
    left[n / 2][n % 2 * 2] = pack<T>(sums[n][0], sums[n][1]);
    left[n / 2][n % 2 * 2 + 1] = pack<T>(sums[n][2], sums[n][3]);
  }
}

}  // namespace structdiff::gpu

// What the forward and backward passes share: blocks of pairs small enough for the cache, and what is done with one.
#pragma once

#include <algorithm>
#include <cmath>
#include <memory>
#include <vector>

#include "common/dense.h"
#include "triangle_multiplication/contract.h"

namespace structdiff {
namespace trimul {

constexpr int kPairs = 64;  // pairs in a block: one row of a scratch table with channels first
constexpr int kGroup = 16;  // channels of a and b that are projected together

// Memory that is not cleared: it is written before it is read.
using Floats = std::unique_ptr<float[]>;
inline Floats floats(int64_t count) { return Floats(new float[count]); }

// The operator's arguments as plain pointers and sizes.
struct Problem {
  int64_t batch, n;
  int c, h;  // channels of the pair table; of a and of b
  bool outgoing;
  float epsilon;
  int32_t threads;
  const float* z;
  const uint8_t* mask;  // or null
  const float *norm_in_weight, *norm_in_bias, *project_in, *gate_in;
  const float *norm_out_weight, *norm_out_bias, *project_out, *gate_out;

  int64_t pairs() const { return n * n; }
  int64_t blocks() const { return batch * ((pairs() + kPairs - 1) / kPairs); }
  // The planes of a and b are [k][i] and [k][j] in both directions: the place `flat` of a plane holds this pair.
  int64_t pair_at(int64_t flat) const { return outgoing ? flat % n * n + flat / n : flat; }
};

// A run of places in a plane, or of pairs in the table.
struct Block {
  int64_t batch, first;
  int count;
};

inline Block block_at(const Problem& p, int64_t index) {
  const int64_t each = (p.pairs() + kPairs - 1) / kPairs;
  const int64_t first = index % each * kPairs;
  return {index / each, first, static_cast<int>(std::min<int64_t>(kPairs, p.pairs() - first))};
}

// Mean and 1 / standard deviation of one row.
struct Moments {
  float mean, scale;
};

inline Moments moments(const float* row, int channels, float epsilon) {
  Vector total{}, square{};
  for (int c = 0; c < channels; c += kLanes) total += load(row + c);
  const float mean = sum_of(total) / static_cast<float>(channels);
  for (int c = 0; c < channels; c += kLanes) {
    const Vector away = load(row + c) - mean;
    square += away * away;
  }
  return {mean, 1.0f / std::sqrt(sum_of(square) / static_cast<float>(channels) + epsilon)};
}

// x[pair][channel]: the block's rows of z, normalised; rows beyond the block's end are 0. in_planes: the block counts
// places of a plane, not pairs. plain: without the norm's weight and bias.
inline void normalise_rows(const Problem& p, const Block& block, bool in_planes, bool plain, float* x,
                           float* scales = nullptr) {
  for (int row = 0; row < block.count; ++row, x += p.c) {
    const int64_t flat = block.first + row;
    const float* from = p.z + (block.batch * p.pairs() + (in_planes ? p.pair_at(flat) : flat)) * p.c;
    const Moments m = moments(from, p.c, p.epsilon);
    if (scales != nullptr) scales[row] = m.scale;
    for (int c = 0; c < p.c; c += kLanes) {
      const Vector normal = (load(from + c) - m.mean) * m.scale;
      store(x + c, plain ? normal : normal * load(p.norm_in_weight + c) + load(p.norm_in_bias + c));
    }
  }
  std::fill_n(x, static_cast<int64_t>(kPairs - block.count) * p.c, 0.0f);
}

// 1 where a place of a plane has a pair that counts, else 0.
inline void plane_mask(const Problem& p, const Block& block, float* out) {
  for (int row = 0; row < kPairs; ++row) {
    const bool there = row < block.count;
    const int64_t pair = there ? block.batch * p.pairs() + p.pair_at(block.first + row) : 0;
    out[row] = there && (p.mask == nullptr || p.mask[pair]) ? 1.0f : 0.0f;
  }
}

// y[channel][pair] = the planes of p at these pairs, normalised over the channels; scales[pair] if wanted.
inline void normalise_planes(const Problem& p, const Block& block, const float* planes, bool plain, float* y,
                             float* scales = nullptr) {
  const float* from = planes + block.batch * p.h * p.pairs() + block.first;
  for (int h = 0; h < p.h; ++h, from += p.pairs()) {
    std::copy_n(from, block.count, y + h * kPairs);
    std::fill_n(y + h * kPairs + block.count, kPairs - block.count, 0.0f);
  }
  for (int at = 0; at < kPairs; at += kLanes) {
    Vector mean{}, square{};
    for (int h = 0; h < p.h; ++h) mean += load(y + h * kPairs + at);
    mean /= static_cast<float>(p.h);
    for (int h = 0; h < p.h; ++h) {
      const Vector away = load(y + h * kPairs + at) - mean;
      square += away * away;
    }
    float scale[kLanes];
    store(scale, square / static_cast<float>(p.h) + p.epsilon);
    for (float& each : scale) each = 1.0f / std::sqrt(each);
    if (scales != nullptr) std::copy_n(scale, kLanes, scales + at);
    const Vector by = load(scale);
    for (int h = 0; h < p.h; ++h) {
      const Vector normal = (load(y + h * kPairs + at) - mean) * by;
      store(y + h * kPairs + at, plain ? normal : normal * p.norm_out_weight[h] + p.norm_out_bias[h]);
    }
  }
}

// The planes of a and b, [batch][2 h][n][n], and of their product, [batch][h][n][n].
void project_edges(const Problem& p, float* edges);
void multiply_edges(const Problem& p, const float* edges, float* product);

inline std::vector<float> transposed(const float* from, int rows, int columns) {
  std::vector<float> out(static_cast<size_t>(rows) * columns);
  transpose(rows, columns, from, columns, out.data(), rows);
  return out;
}

// Whether the tensors are those that the kernels take; fills in the problem.
int32_t read_problem(const structdiff_tensor* z, const structdiff_tensor* mask,
                     const structdiff_triangle_multiplication_weights* weights, int32_t outgoing, double epsilon,
                     int32_t num_threads, Problem* out);

bool is_contiguous(const structdiff_tensor& tensor, int64_t dtype);

}  // namespace trimul
}  // namespace structdiff

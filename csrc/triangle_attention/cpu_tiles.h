// The two products of attention on a block of queries, in tiles that stay in registers.
#pragma once

#include "triangle_attention/cpu_blocks.h"

namespace structdiff {
namespace attention {

template <int V>
constexpr int kRowsOf = V == kMaxVectors ? kWideTileRows : kTileRows;

// Keys by channels times channels by queries: what a chunk of scores is made of.
struct ScoreOperands {
  int channels;
  const float *keys, *queries;  // [key][channel], [channel][query]
  const float* bias;            // [key][query], all keys
  const int32_t* order;         // which of them these keys are
};

// scores[key][query] = bias + keys . queries, and the largest of them.
template <int Rows, int V>
inline void score_tile(const ScoreOperands& on, float* scores, Vector* largest) {
  const float* bias = on.bias;
  const int32_t* order = on.order;
  Vector top[V];
  for (int v = 0; v < V; ++v) top[v] = largest[v];
  tile<Rows, V>(
      on.channels, on.keys, on.channels, 1, on.queries, V * kLanes,
      [=](int r, int v) { return load(bias + static_cast<int64_t>(order[r]) * (V * kLanes) + v * kLanes); },
      [&](int r, int v, Vector sum) {
        store(scores + (r * V + v) * kLanes, sum);
        top[v] = larger(sum, top[v]);
      });
  for (int v = 0; v < V; ++v) largest[v] = top[v];
}

template <int Rows, int V>
inline void last_scores(int rows, const ScoreOperands& on, float* scores, Vector* largest) {
  if constexpr (Rows > 0) {
    if (rows == Rows) return score_tile<Rows, V>(on, scores, largest);
    return last_scores<Rows - 1, V>(rows, on, scores, largest);
  }
}

// Values by weights: what a chunk adds to the output.
struct OutOperands {
  int keys, channels;
  const float *values, *weights;  // [key][channel], [key][query]
  const Vector* factor;           // what the output is multiplied with before; null: it starts at 0
};

// out[channel][query] = out * factor + sum_key values[key][channel] weights[key][query]
template <int Rows, int V>
inline void out_tile(const OutOperands& on, float* out) {
  const auto finish = [=](int r, int v, Vector sum) { store(out + (r * V + v) * kLanes, sum); };
  const Vector* factor = on.factor;
  if (factor == nullptr)
    tile<Rows, V>(
        on.keys, on.values, 1, on.channels, on.weights, V * kLanes, [](int, int) { return Vector{}; }, finish);
  else
    tile<Rows, V>(
        on.keys, on.values, 1, on.channels, on.weights, V * kLanes,
        [=](int r, int v) { return load(out + (r * V + v) * kLanes) * factor[v]; }, finish);
}

template <int Rows, int V>
inline void last_outs(int rows, const OutOperands& on, float* out) {
  if constexpr (Rows > 0) {
    if (rows == Rows) return out_tile<Rows, V>(on, out);
    return last_outs<Rows - 1, V>(rows, on, out);
  }
}

// Scores become 2^(score - largest), and are added to the sums.
template <int V>
inline void exponentiate(int keys, const Vector* largest, float* scores, Vector* sums) {
  Vector top[V], total[V];
  for (int v = 0; v < V; ++v) top[v] = largest[v], total[v] = sums[v];
  for (float *at = scores, *end = scores + keys * V * kLanes; at < end; at += V * kLanes)
#pragma GCC unroll 3
    for (int v = 0; v < V; ++v) {
      const Vector weight = power_of_two(load(at + v * kLanes) - top[v]);
      store(at + v * kLanes, weight);
      total[v] += weight;
    }
  for (int v = 0; v < V; ++v) sums[v] = total[v];
}

}  // namespace attention
}  // namespace structdiff

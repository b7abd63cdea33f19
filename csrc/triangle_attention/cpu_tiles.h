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
inline void out_rows(int rows, const OutOperands& on, float* out) {
  if constexpr (Rows > 0) {
    if (rows == Rows) return out_tile<Rows, V>(on, out);
    return out_rows<Rows - 1, V>(rows, on, out);
  }
}

// All channels. The last two tiles are of about one height: a low one alone waits for its own sums.
template <int V>
inline void out_tiles(OutOperands& on, float* out) {
  constexpr int kRows = kRowsOf<V>;
  for (int left = on.channels, rows; left > 0; left -= rows, on.values += rows, out += rows * V * kLanes) {
    rows = left >= 2 * kRows ? kRows : left > kRows ? (left + 1) / 2 : left;
    out_rows<kRows, V>(rows, on, out);
  }
}

// Scores become 2^(score - base), and are added to the sums. The base is whole and not far.
template <int V>
inline void exponentiate(int keys, const Vector* base, float* scores, Vector* sums) {
  Vector shift[V], least[V], total[V];
  for (int v = 0; v < V; ++v) {
    shift[v] = kRounding - base[v];
    least[v] = base[v] - 126.0f;
    total[v] = sums[v];
  }
  for (float *at = scores, *end = scores + keys * V * kLanes; at < end; at += V * kLanes)
#pragma GCC unroll 3
    for (int v = 0; v < V; ++v) {
      const Vector score = load(at + v * kLanes);
      const Vector shifted = score + shift[v];
      const Vector power = shifted_power_of_two(score - (shifted - shift[v]), shifted);
      const Vector weight = score < least[v] ? Vector{} : power;
      store(at + v * kLanes, weight);
      total[v] += weight;
    }
  for (int v = 0; v < V; ++v) sums[v] = total[v];
}

// The same for any base.
template <int V>
__attribute__((noinline)) void exponentiate_far(int keys, const Vector* base, float* scores, Vector* sums) {
  for (float *at = scores, *end = scores + keys * V * kLanes; at < end; at += V * kLanes)
    for (int v = 0; v < V; ++v) {
      const Vector weight = power_of_two(load(at + v * kLanes) - base[v]);
      store(at + v * kLanes, weight);
      sums[v] += weight;
    }
}

// Beyond, floats are no longer whole numbers and a half apart.
inline IntVector is_far(Vector base) { return larger(base, -base) > 2097152.0f; }

// The base for scores up to `largest` and those before: the whole number next to the largest of all, so that the power of
// two takes one step less; where that is far, the largest itself.
inline Vector base_of(Vector largest, Vector before) {
  return larger(is_far(largest) ? largest : largest + kRounding - kRounding, before);
}

template <int V>
inline bool any_is_far(const Vector* base) {
  IntVector far = is_far(base[0]);
  for (int v = 1; v < V; ++v) far |= is_far(base[v]);
  return any(far);
}

}  // namespace attention
}  // namespace structdiff

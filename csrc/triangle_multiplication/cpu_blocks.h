// What the forward and backward passes share: where things lie, and blocks of pairs small enough for the cache.
#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

#include "common/dense.h"
#include "common/floats.h"
#include "common/tensors.h"
#include "triangle_multiplication/contract.h"

namespace structdiff {
namespace trimul {

constexpr int kPairs = 64;             // pairs in a block
constexpr int kStrip = 2 * kLanes;     // pairs that a tile has side by side
constexpr int kGated = kTileRows / 2;  // channels of a tile: a row each for the projection and for its gate

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
  int64_t blocks_in_row() const { return (n + kPairs - 1) / kPairs; }
  // Edges are planes [batch][a, b][h][n][line]: a plane of a is [i][k], one of b is [k][j], for both directions. Rows
  // have room for whole vectors and are an odd number of cache lines apart.
  int64_t line() const { return (n + 31) / 32 * 32 + 16; }
  int64_t plane() const { return n * line(); }
  float* plane_of(float* edges, int64_t b, int half, int64_t first) const {
    return edges + ((b * 2 + half) * h + first) * plane();
  }
  int64_t edges() const { return batch * 2 * h * plane(); }
  // The product of the planes is [batch][i][block of j][h][kPairs].
  int64_t product_of(int64_t b, int64_t i, int64_t j) const {
    return ((b * n + i) * blocks_in_row() + j / kPairs) * h * kPairs + j % kPairs;
  }
  int64_t products() const { return product_of(batch, 0, 0); }
};

// A run of places in one row of a plane or of the product.
struct Block {
  int64_t batch, row, first;
  int count;
  int half;    // 0: of a; 1: of b
  bool along;  // whether its pairs lie along a row of the pair table, not down a column

  int64_t pair(const Problem& p, int64_t at) const {
    return batch * p.pairs() + (along ? row * p.n + first + at : (first + at) * p.n + row);
  }
};

// Blocks of edges: of a, then of b. Those next to each other read pairs that lie next to each other.
inline int64_t edge_blocks(const Problem& p) { return 2 * p.batch * p.n * p.blocks_in_row(); }

inline Block edge_block(const Problem& p, int64_t index) {
  const int64_t each = p.n * p.blocks_in_row(), half = index / each / p.batch, within = index % each;
  const bool along = (half == 0) == p.outgoing;
  const int64_t row = along ? within / p.blocks_in_row() : within % p.n;
  const int64_t first = (along ? within % p.blocks_in_row() : within / p.n) * kPairs;
  return {index / each % p.batch, row, first, static_cast<int>(std::min<int64_t>(kPairs, p.n - first)),
          static_cast<int>(half), along};
}

// Blocks of the product, which lie in the pair table as they do there.
inline int64_t out_blocks(const Problem& p) { return p.batch * p.n * p.blocks_in_row(); }

inline Block out_block(const Problem& p, int64_t index) {
  const int64_t each = p.n * p.blocks_in_row(), within = index % each;
  const int64_t first = within % p.blocks_in_row() * kPairs;
  return {index / each, within / p.blocks_in_row(), first, static_cast<int>(std::min<int64_t>(kPairs, p.n - first)), 0,
          true};
}

// 1 where a place of a plane has a pair that counts, else 0.
inline void plane_mask(const Problem& p, const Block& block, float* out) {
  for (int at = 0; at < kPairs; ++at)
    out[at] = at < block.count && (p.mask == nullptr || p.mask[block.pair(p, at)]) ? 1.0f : 0.0f;
}

// What weights of gates are multiplied with, so that opened() takes their product as it is.
constexpr float kOpening = -1.44269504088896341f;

// The weights of projections and their gates as tiles read them, [half][tile][c][kTileRows]: kGated channels of the
// projection, then those of the gate by kOpening. Channels beyond the last are 0.
struct GatedWeights {
  explicit GatedWeights(const Problem& p);
  const float* tile(int half, int first) const {
    return values.data() + (half * tiles + first / kGated) * static_cast<int64_t>(c) * kTileRows;
  }
  int c, tiles;
  std::vector<float> values;
};

// Rows of memory that will be read soon, fetched a few at a time between tiles.
class Ahead {
 public:
  Ahead() = default;
  // steps: how often step() will be called.
  Ahead(const float* at, int64_t rows, int64_t floats, int64_t apart, int64_t steps)
      : at_(reinterpret_cast<const char*>(at)), rows_(rows), bytes_(floats * 4), apart_(apart * 4),
        each_((rows + steps - 1) / steps) {}
  void step() {
    for (int64_t row = 0; row < each_ && rows_ > 0; ++row, --rows_, at_ += apart_)
      for (int64_t byte = 0; byte < bytes_; byte += 64) __builtin_prefetch(at_ + byte, 0, 2);
  }

 private:
  const char* at_ = nullptr;
  int64_t rows_ = 0, bytes_ = 0, apart_ = 0, each_ = 0;
};

// The pairs of a block, fetched in so many steps.
inline Ahead pairs_ahead(const Problem& p, const Block& block, int64_t steps) {
  return Ahead(p.z + block.pair(p, 0) * p.c, block.count, p.c, (block.along ? 1 : p.n) * p.c, steps);
}

// Strips of a block are [strip][channel][kStrip]: pairs side by side, as tiles read them. Pairs beyond the last are 0.
inline void read_strips(const Problem& p, const Block& block, float* strips) {
  const float* from = p.z + block.pair(p, 0) * p.c;
  const int64_t apart = (block.along ? 1 : p.n) * p.c;
  for (int at = 0; at < block.count; at += kStrip, strips += p.c * kStrip) {
    const int whole = std::min(kStrip, block.count - at) / 4 * 4;
    transpose(whole, p.c, from + at * apart, apart, strips, kStrip);
    for (int pair = whole; pair < kStrip; ++pair)
      for (int c = 0; c < p.c; ++c)
        strips[c * kStrip + pair] = at + pair < block.count ? from[(at + pair) * apart + c] : 0.0f;
  }
}

// Layer norm over the channels of one strip. Sums are taken in two parts, so that they need not wait for each other.
inline void normalise_strip(int channels, const float* weight, const float* bias, float epsilon, float* strip) {
  const float share = 1.0f / static_cast<float>(channels);
  Vector sums[2][2] = {}, squares[2][2] = {}, mean[2], scale[2];
  for (int c = 0; c < channels; c += 2)
#pragma GCC unroll 4
    for (int part = 0; part < 4; ++part)
      sums[part / 2][part % 2] += load(strip + (c + part / 2) * kStrip + part % 2 * kLanes);
  for (int v = 0; v < 2; ++v) mean[v] = (sums[0][v] + sums[1][v]) * share;
  for (int c = 0; c < channels; c += 2)
#pragma GCC unroll 4
    for (int part = 0; part < 4; ++part) {
      const Vector away = load(strip + (c + part / 2) * kStrip + part % 2 * kLanes) - mean[part % 2];
      squares[part / 2][part % 2] += away * away;
    }
  for (int v = 0; v < 2; ++v) {
    float each[kLanes];
    store(each, (squares[0][v] + squares[1][v]) * share + epsilon);
    for (float& one : each) one = 1.0f / std::sqrt(one);
    scale[v] = load(each);
  }
  for (int c = 0; c < channels; ++c, strip += kStrip)
    for (int v = 0; v < 2; ++v)
      store(strip + v * kLanes, (load(strip + v * kLanes) - mean[v]) * scale[v] * weight[c] + bias[c]);
}

inline void normalise_strips(const Problem& p, int count, float* strips) {
  for (int at = 0; at < count; at += kStrip, strips += p.c * kStrip)
    normalise_strip(p.c, p.norm_in_weight, p.norm_in_bias, p.epsilon, strips);
}

// One tile of gated projections: use(channel in the tile, vector, projection, open gate).
template <int V, class Use>
inline void gated_tile(int c, const float* weights, const float* strip, Use use) {
  Vector sums[kTileRows][V];
  tile<kTileRows, V>(
      c, weights, 1, kTileRows, strip, kStrip, [](int, int) { return Vector{}; },
      [&](int r, int v, Vector sum) { sums[r][v] = sum; });
#pragma GCC unroll 8
  for (int r = 0; r < kGated; ++r)
#pragma GCC unroll 2
    for (int v = 0; v < V; ++v) use(r, v, sums[r][v], opened(sums[r + kGated][v]));
}

// edges: the planes of a and b; product: that of the planes, zeros where the pair table has ended.
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

}  // namespace trimul
}  // namespace structdiff

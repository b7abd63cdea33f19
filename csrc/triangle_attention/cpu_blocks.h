// Blocks of queries whose scores are [key][query]: a query is a lane. So softmax needs no sum across lanes, keys and values
// are multiplied as they lie in memory, and keys that are masked are rows that are not there.
#pragma once

#include <algorithm>
#include <cstdint>

#include "triangle_attention/cpu_problem.h"

namespace structdiff {
namespace attention {

constexpr int kMaxVectors = 3;  // of queries in a block
constexpr int kMaxQueries = kMaxVectors * kLanes;

struct Block {
  int64_t first;  // query
  int vectors;
  int queries() const { return vectors * kLanes; }
};

// All queries of a row in blocks of three vectors. One vector that is left over shares the last four with the block before
// it, since tiles of one vector are slow.
class Blocks {
 public:
  explicit Blocks(int64_t queries) : vectors_((queries + kLanes - 1) / kLanes) {}
  int64_t count() const { return (vectors_ + kMaxVectors - 1) / kMaxVectors; }
  int64_t lanes() const { return vectors_ * kLanes; }
  Block operator[](int64_t index) const {
    const int64_t last = count() - 1;
    const bool twos = vectors_ % kMaxVectors == 1 && last > 0;
    const int64_t first = index * kMaxVectors - (twos && index == last);
    const int64_t next = twos && index == last - 1 ? first + 2 : std::min(first + kMaxVectors, vectors_);
    return {first * kLanes, static_cast<int>(next - first)};
  }

 private:
  int64_t vectors_;
};

// The bias in base 2, [table][block][key][query of the block].
class BiasBlocks {
 public:
  // at: memory for so many floats().
  BiasBlocks(const structdiff_tensor& bias, const Sizes& sizes, const Blocks& blocks, int32_t num_threads, float* at);
  static int64_t floats(const Sizes& sizes, const Blocks& blocks) {
    return sizes.tables() * table_floats(sizes, blocks.lanes());
  }
  const float* of(int64_t batch, int64_t head, const Block& block) const {
    const int64_t table = sizes_.shared_bias ? head : batch * sizes_.heads + head;
    return values_ + table * table_floats(sizes_, lanes_) + block.first * sizes_.keys;
  }

 private:
  // An odd number of cache lines more than needed, so that tables do not fall into the same places of the cache.
  static int64_t table_floats(const Sizes& sizes, int64_t lanes) { return rounded_up(lanes * sizes.keys, 32) + 25 * 16; }

  Sizes sizes_;
  int64_t lanes_;
  float* values_;
};

}  // namespace attention
}  // namespace structdiff

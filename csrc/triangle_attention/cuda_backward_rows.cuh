// A tile of queries by keys that goes through the rows: which rows have keys in it, and where what they add up to goes.
#pragma once

#include "triangle_attention/cuda_backward_staging.cuh"

namespace structdiff::gpu {

// A block's tile, and its share of the rows: from `first` to `end`.
template <int Queries, int Keys>
struct TileOfRows {
  int b, h, first_query, first_key, share, first, end;

  STRUCTDIFF_BOTH static int64_t count(const Sizes& s) {
    return static_cast<int64_t>(s.batch) * s.heads * divide_up(s.queries, Queries) * divide_up(s.keys, Keys);
  }

  STRUCTDIFF_DEVICE TileOfRows(const Sizes& s, int splits) {
    int64_t block = block_index();
    const int key_blocks = divide_up(s.keys, Keys);
    const int query_blocks = divide_up(s.queries, Queries);
    first_key = static_cast<int>(block % key_blocks) * Keys;
    block /= key_blocks;
    first_query = static_cast<int>(block % query_blocks) * Queries;
    block /= query_blocks;
    h = static_cast<int>(block % s.heads);
    block /= s.heads;
    b = static_cast<int>(block % s.batch);
    share = static_cast<int>(block / s.batch);
    first = static_cast<int>(static_cast<int64_t>(s.rows) * share / splits);
    end = static_cast<int>(static_cast<int64_t>(s.rows) * (share + 1) / splits);
  }

  // Writes a warp's 16 rows of sums, as accumulators hold them.
  template <int Blocks>
  STRUCTDIFF_DEVICE void write(
      float* grad_bias, const Sizes& s, int query, int key, const float (&sum)[Blocks][4], int lane) const {
    float* to = grad_bias + ((static_cast<int64_t>(share) * s.batch + b) * s.heads + h) * s.queries * s.keys;
#pragma unroll
    for (int n = 0; n < Blocks; ++n) {
#pragma unroll
      for (int e = 0; e < 4; ++e) {
        const int row = query + (lane >> 2) + e / 2 * 8;
        const int column = key + n * 8 + (lane & 3) * 2 + (e & 1);
        if (row < s.queries && column < s.keys) store(to + static_cast<int64_t>(row) * s.keys + column, sum[n][e]);
      }
    }
  }
};

// Goes from row to row that has keys in the tile.
template <int Keys>
struct RowWalk {
  const uint64_t* words;  // of the mask
  int row, end, first_key;
  uint64_t bits;         // of the row's keys in the tile
  uint64_t ahead, dead;  // words of the row behind it, looked at a step after they were asked for

  template <class Tile>
  STRUCTDIFF_DEVICE RowWalk(const PackedMask& mask, const Sizes& sizes, const Tile& tile)
      : words(mask.row(sizes, tile.b, tile.first)), row(tile.first), end(tile.end), first_key(tile.first_key) {
    look(mask);
    take();
  }

  STRUCTDIFF_DEVICE bool there() const { return row < end; }

  // Asks for the words of the next row.
  STRUCTDIFF_DEVICE void look_ahead(const PackedMask& mask) {
    if (row + 1 >= end) return;
    words += mask.words + 1;
    look(mask);
  }

  // Goes on, after it was looked ahead, to the next row with keys; tells by how many rows.
  STRUCTDIFF_DEVICE int advance(const PackedMask& mask) {
    int count = 1;
    ++row;
    for (take(); bits == 0 && row < end; ++count) {
      look_ahead(mask);
      ++row;
      take();
    }
    return count;
  }

 private:
  STRUCTDIFF_DEVICE void look(const PackedMask& mask) {
    ahead = load(words + first_key / kWordKeys);
    dead = load(words + mask.words);
  }
  // In a row without any key none takes part.
  STRUCTDIFF_DEVICE void take() { bits = dead != 0 ? 0 : ahead >> (first_key % kWordKeys) & kAllBits<Keys>; }
};

}  // namespace structdiff::gpu

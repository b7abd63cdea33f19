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

// Goes from row to row that has keys in the tile. A warp looks at 32 rows at once, so that it waits for the mask once in as
// many steps.
template <int Keys>
struct RowWalk {
  int row, first, end;
  uint32_t left;  // of the 32 rows from `first` on, those with keys that are still to come
  uint64_t own;   // bits of this lane's row
  uint64_t bits;  // of the row where it is: the keys of the tile that take part

  // Begins with the first row that has keys.
  template <class Tile>
  STRUCTDIFF_DEVICE RowWalk(const PackedMask& mask, const Sizes& sizes, const Tile& tile, int lane)
      : row(tile.first), first(tile.first), end(tile.end) {
    look(mask, sizes, tile, lane);
    advance(mask, sizes, tile, lane);
  }

  STRUCTDIFF_DEVICE bool there() const { return row < end; }

  // Goes on to the next row with keys, or to the end; tells by how many rows.
  template <class Tile>
  STRUCTDIFF_DEVICE int advance(const PackedMask& mask, const Sizes& sizes, const Tile& tile, int lane) {
    const int from = row;
    while (left == 0 && first + 32 < end) {
      first += 32;
      look(mask, sizes, tile, lane);
    }
    if (left == 0) {
      row = end;
    } else {
      const int next = lowest_bit(left);
      left &= left - 1;
      bits = shuffle(own, next);
      row = first + next;
    }
    return row - from;
  }

 private:
  template <class Tile>
  STRUCTDIFF_DEVICE void look(const PackedMask& mask, const Sizes& sizes, const Tile& tile, int lane) {
    own = 0;
    if (first + lane < end) {
      const uint64_t* words = mask.row(sizes, tile.b, first + lane);
      const uint64_t found = load(words + tile.first_key / kWordKeys);
      // In a row without any key none takes part.
      own = load(words + mask.words) != 0 ? 0 : found >> (tile.first_key % kWordKeys) & kAllBits<Keys>;
    }
    left = ballot(own != 0);
  }
};

}  // namespace structdiff::gpu

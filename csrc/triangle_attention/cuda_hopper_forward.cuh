// Attention forward for Hopper: one warp has keys, values and bias copied, warpgroups multiply and weigh.
//
// A block has the same 128 (or 64) queries of `kRows` rows i, one row a warpgroup. The copy engine brings, a tile of 64 keys
// at a time and several tiles ahead, the keys and values of each row and one tile of the bias, which all rows read: float,
// divided by the scale and in the order of accumulators, as what q . k is added to. Queries and weights are multiplied from
// registers. A warpgroup has two tiles of 64 queries: while one is weighed, the other's values and next keys are multiplied.
#pragma once

#include "common/cuda_hopper.cuh"
#include "triangle_attention/cuda_products.cuh"
#include "triangle_attention/cuda_token_maps.cuh"

namespace structdiff::gpu {

template <class T>
struct HopperProblem {
  TokenMap k_map, v_map;
  Sizes sizes;
  Tokens<T> q, out;
  PackedBias bias;  // float, divided by the scale
  PackedMask mask;
  float* lse;    // [batch, row, head, query], or null
  float factor;  // from products to base-2 logarithms of weights
};

template <class T, int Channels, int Tiles>
struct HopperForward {
  using Problem = HopperProblem<T>;
  static constexpr int kRows = Channels <= 32 ? 3 : 2;
  static constexpr int kThreads = (kRows + 1) * 128;
  static constexpr int kMinBlocks = 1;
  static constexpr int kQueries = Tiles * 64;
  static constexpr int kKeys = 64;
  static constexpr int kStages = Channels <= 32 ? 4 : 3;
  static constexpr int kRowBytes = Channels * 2;
  static constexpr int kTileBytes = kKeys * kRowBytes;
  static constexpr int kBiasBytes = kQueries * kKeys * 4;
  static constexpr int kStageBytes = kRows * 2 * kTileBytes + kBiasBytes;

  // What the copying warp says of a step: the keys of its tile that take part in each row; then whether there is such a step.
  static constexpr int kStepWords = kRows + 1;

  // The copies' tiles begin at multiples of 1024 bytes, which the block's memory need not.
  static constexpr int64_t kSharedBytes =
      1024 + kStages * (kStageBytes + 2 * static_cast<int>(sizeof(Arrivals)) + kStepWords * static_cast<int>(sizeof(uint64_t)));
  // A block has as many as it was started with; who asked for more would wait for ever.
  static constexpr int kProducerRegisters = kRows == 3 ? 32 : 40;
  static constexpr int kConsumerRegisters = kRows == 3 ? 160 : 232;
  static constexpr int kStartRegisters = 65536 / kThreads / 8 * 8;
  static_assert(kProducerRegisters + kRows * kConsumerRegisters <= (kRows + 1) * kStartRegisters, "too many registers");
  static constexpr int kScores = kKeys / 8;
  static constexpr int kOut = Channels / 8;
  // Weights may grow to 2 to this power before what was summed is scaled anew.
  static constexpr float kSlack = 8.0f;

  // Which rows, queries and head the block has, and its shared memory. Consumers have no register to spare: what can be
  // told from few numbers is told anew.
  struct Block {
    int b, h, first_row, rows, first_query;
    unsigned char* tiles;

    STRUCTDIFF_DEVICE Arrivals* full(int stage) const {
      return reinterpret_cast<Arrivals*>(tiles + kStages * kStageBytes) + stage;
    }
    STRUCTDIFF_DEVICE Arrivals* empty(int stage) const { return full(kStages + stage); }
    STRUCTDIFF_DEVICE uint64_t* words(int stage) const {
      return reinterpret_cast<uint64_t*>(full(2 * kStages)) + stage * kStepWords;
    }

    STRUCTDIFF_DEVICE unsigned char* keys(int stage, int row) const {
      return tiles + stage * kStageBytes + row * 2 * kTileBytes;
    }
    STRUCTDIFF_DEVICE unsigned char* values(int stage, int row) const { return keys(stage, row) + kTileBytes; }
    STRUCTDIFF_DEVICE unsigned char* bias(int stage) const { return keys(stage, kRows); }
  };

  // Rows g and g + 8 of 16, a lane; the base that weights are relative to is in base-2 units.
  struct State {
    float base[2];
    float sum[2];  // of this lane's weights
  };

  STRUCTDIFF_DEVICE static void run(const Problem& p, unsigned char* shared) {
    if constexpr (kHopper) work(p, shared);  // elsewhere there is nothing, see `hopper_can_run`
  }

  STRUCTDIFF_DEVICE static void work(const Problem& p, unsigned char* shared) {
    const Block block = block_of(p, shared);
    if (thread_index() == 0) {
      for (int stage = 0; stage < kStages; ++stage) {
        arrivals_start(block.full(stage), 1);
        arrivals_start(block.empty(stage), block.rows * 4);  // warps
      }
      arrivals_started();
    }
    barrier();
    if (thread_index() < 128) {
      give_registers<kProducerRegisters>();
      if (thread_index() < 32) produce(p, block, thread_index());
    } else {
      take_registers<kConsumerRegisters>();
      if (row_of_group() < block.rows) consume(p, block);
    }
  }

  STRUCTDIFF_DEVICE static int row_of_group() { return thread_index() / 128 - 1; }
  STRUCTDIFF_DEVICE static int warp_of_group() { return thread_index() / 32 & 3; }

  STRUCTDIFF_DEVICE static Block block_of(const Problem& p, unsigned char* shared) {
    const Sizes& s = p.sizes;
    Block block;
    const int query_blocks = divide_up(s.queries, kQueries);
    int64_t index = block_index();
    block.first_query = static_cast<int>(index % query_blocks) * kQueries;
    index /= query_blocks;
    block.h = static_cast<int>(index % s.heads);
    index /= s.heads;
    const int row_blocks = divide_up(s.rows, kRows);
    block.first_row = static_cast<int>(index % row_blocks) * kRows;
    block.rows = smaller(kRows, s.rows - block.first_row);
    block.b = static_cast<int>(index / row_blocks);
    block.tiles = aligned_tiles(shared);
    return block;
  }

  // The tiles in which any row of the block has keys, one after the other. A warp looks at eight tiles of four rows at a
  // time, a lane each.
  struct KeyTiles {
    static constexpr int kWindow = 8;
    int first = -kWindow;  // tile of the window
    int place = 0;         // in it, of the present tile
    uint64_t word = 0;     // of this lane's row and place
    uint32_t left = 0;     // lanes whose tiles have not been gone through

    STRUCTDIFF_DEVICE bool next(const Problem& p, const Block& block) {
      while (left == 0) {
        first += kWindow;
        if (first >= p.mask.words) return false;
        const int lane = thread_index() & 31;
        const int tile = first + lane / 4;
        const bool there = tile < p.mask.words && (lane & 3) < block.rows;
        word = there ? load(p.mask.row(p.sizes, block.b, block.first_row + (lane & 3)) + tile) : 0;
        left = ballot(word != 0);
      }
      place = lowest_bit(left) / 4;
      left &= ~(0xfu << (place * 4));
      return true;
    }

    STRUCTDIFF_DEVICE int tile() const { return first + place; }
    // Which keys of the tile take part in a row of the block.
    STRUCTDIFF_DEVICE uint64_t bits(int row) const { return shuffle(word, place * 4 + row); }
  };

  // One warp: its first lane asks for tile after tile, as soon as their places are free, and says in the end that there are
  // no more. Consumers have no registers to look at masks themselves.
  STRUCTDIFF_DEVICE static void produce(const Problem& p, const Block& block, int lane) {
    KeyTiles tiles;
    bool there = true;
    for (int step = 0; there; ++step) {
      there = tiles.next(p, block);
      uint64_t bits[kRows];
#pragma unroll
      for (int row = 0; row < kRows; ++row) bits[row] = tiles.bits(row);
      if (lane != 0) continue;
      const int stage = step % kStages;
      wait_for(block.empty(stage), step / kStages % 2 ^ 1);
#pragma unroll
      for (int row = 0; row < kRows; ++row) give(block.words(stage) + row, bits[row]);
      give(block.words(stage) + kRows, there ? 1 : 0);
      if (there) {
        copy_tile(p, block, stage, tiles.tile());
      } else {
        arrive(block.full(stage));
      }
    }
  }

  STRUCTDIFF_DEVICE static void copy_tile(const Problem& p, const Block& block, int stage, int tile) {
    const int first_16 = block.first_query / kTileQueries;
    const int tiles_16 = smaller(kQueries / kTileQueries, p.bias.tiles_16 - first_16);
    const float* bias = static_cast<const float*>(p.bias.data) + block.b * p.bias.batch;
    Arrivals* full = block.full(stage);
    arrive_expecting(full, block.rows * 2 * kTileBytes + tiles_16 * kTileValues * 4);
    for (int row = 0; row < block.rows; ++row) {
      const int i = block.first_row + row;
      p.k_map.copy(block.keys(stage, row), full, tile * kKeys, block.h, i, block.b);
      p.v_map.copy(block.values(stage, row), full, tile * kKeys, block.h, i, block.b);
    }
    for (int t = 0; t < tiles_16; ++t) {
      const int64_t at = (static_cast<int64_t>(block.h) * p.bias.tiles_16 + first_16 + t) * p.bias.tiles_64 + tile;
      copy_bytes(block.bias(stage) + t * kTileValues * 4, bias + at * kTileValues, kTileValues * 4, full);
    }
  }

  // What a warpgroup keeps in registers.
  struct Work {
    bool dead;  // the row has no keys
    uint32_t q[Tiles][Channels / 16][4];
    State state[Tiles];
    float out[Tiles][kOut][4];
    float scores[Tiles][kScores][4];
  };

  // A warpgroup: one row through all its keys. Whenever scores are weighed, products of the other tile of queries run.
  STRUCTDIFF_DEVICE static void consume(const Problem& p, const Block& block) {
    Work work;
    const int i = block.first_row + row_of_group();
    work.dead = load(p.mask.row(p.sizes, block.b, i) + p.mask.words) != 0;
    load_queries(p, block, i, work.q);
    wait_for(block.full(0), 0);  // whatever the mask, there is one
#pragma unroll
    for (int m = 0; m < Tiles; ++m) {
      work.state[m].base[0] = work.state[m].base[1] = -kInfinity;
      work.state[m].sum[0] = work.state[m].sum[1] = 0.0f;
#pragma unroll
      for (int c = 0; c < kOut; ++c) work.out[m][c][0] = work.out[m][c][1] = work.out[m][c][2] = work.out[m][c][3] = 0.0f;
      start_scores(work, block, m, 0);
      products_begin();
      multiply_keys(work, block, m, 0);
      products_commit();
    }
    products_wait<0>();
    for (int step = 0;; ++step) {
      const int next = (step + 1) % kStages;
      wait_for(block.full(next), (step + 1) / kStages % 2);
      if (given(block.words(next) + kRows) == 0) {
        weigh_and_multiply<false>(p, work, block, step);
        break;
      }
      weigh_and_multiply<true>(p, work, block, step);
    }
#pragma unroll
    for (int m = 0; m < Tiles; ++m) {
      const int query = block.first_query + m * 64 + warp_of_group() * 16;
      finish(p, work.state[m], work.out[m], block.b, i, block.h, query, work.dead, thread_index() & 31);
    }
  }

  // Makes weights of the scores of a step and multiplies them with its values, and queries with the next step's keys: the
  // second tile's scores are weighed while products of the first run. Operands are made of the weights only when nothing
  // runs, and nothing is left running at the end: ptxas would else have every product waited for.
  template <bool More>
  STRUCTDIFF_DEVICE static void weigh_and_multiply(const Problem& p, Work& work, const Block& block, int step) {
    const int stage = step % kStages;
    const uint64_t bits = given(block.words(stage) + row_of_group());
#pragma unroll
    for (int m = 0; m < Tiles; ++m) {
      hold(work.scores[m]);
      hold(work.out[m]);
      if (bits != ~0ull || work.dead) hide_keys(work.scores[m], bits, work.dead, thread_index() & 31, -kInfinity);
      weigh(work.state[m], work.out[m], work.scores[m], p.factor);
      if (m > 0) products_wait<0>();
      uint32_t weights[kKeys / 16][4];
      pack_weights(weights, work.scores[m]);
      hold(weights);
      hold(work.out[m]);
      if constexpr (More) start_scores(work, block, m, (step + 1) % kStages);
      products_begin();
      uint64_t values[kKeys / 16];
      parts_of<kRowBytes>(values, block.values(stage, row_of_group()), false);
#pragma unroll
      for (int j = 0; j < kKeys / 16; ++j) GroupProduct<T>::template add<1>(work.out[m], weights[j], values[j]);
      if constexpr (More) multiply_keys(work, block, m, (step + 1) % kStages);
      products_commit();
    }
    products_wait<0>();
#pragma unroll
    for (int m = 0; m < Tiles; ++m) hold(work.out[m]);
    release(block, stage);
  }

  STRUCTDIFF_DEVICE static void start_scores(Work& work, const Block& block, int m, int stage) {
    start_with_shared_bias(work.scores[m], block.bias(stage), m * 4 + warp_of_group(), thread_index() & 31);
    hold(work.scores[m]);
    hold(work.q[m]);
  }

  STRUCTDIFF_DEVICE static void multiply_keys(Work& work, const Block& block, int m, int stage) {
    uint64_t keys[Channels / 16];
    parts_of<kRowBytes>(keys, block.keys(stage, row_of_group()), true);
#pragma unroll
    for (int c = 0; c < Channels / 16; ++c) GroupProduct<T>::template add<0>(work.scores[m], work.q[m][c], keys[c]);
  }

  // All that was in a stage has been read by this warp.
  STRUCTDIFF_DEVICE static void release(const Block& block, int stage) {
    reads_before_copies();
    warp_barrier();
    if ((thread_index() & 31) == 0) arrive(block.empty(stage));
  }

  STRUCTDIFF_DEVICE static void load_queries(
      const Problem& p, const Block& block, int i, uint32_t (&q)[Tiles][Channels / 16][4]) {
    const int lane = thread_index() & 31;
    const int warp = warp_of_group();
    const T* from = p.q.at(block.b, i, block.h);
#pragma unroll
    for (int m = 0; m < Tiles; ++m) {
#pragma unroll
      for (int c = 0; c < Channels / 16; ++c) {
#pragma unroll
        for (int part = 0; part < 4; ++part) {
          const int query = block.first_query + m * 64 + warp * 16 + (lane >> 2) + (part & 1) * 8;
          const int channel = c * 16 + (lane & 3) * 2 + (part >> 1) * 8;
          const bool there = query < p.sizes.queries && channel < p.sizes.channels;
          q[m][c][part] = there ? load(reinterpret_cast<const uint32_t*>(from + query * p.q.token + channel)) : 0u;
        }
      }
    }
  }

  // Accumulators of 16 rows begin as bias / scale; `tile_16` counts the bias's tiles of 16 queries in the stage.
  STRUCTDIFF_DEVICE static void start_with_shared_bias(
      float (&s)[kScores][4], const unsigned char* bias, int tile_16, int lane) {
    const float4* packed = reinterpret_cast<const float4*>(bias) + tile_16 * (kTileValues / 4) + lane;
#pragma unroll
    for (int n = 0; n < kScores; ++n) {
      const float4 x = shared_load(packed + n * 32);
      s[n][0] = x.x, s[n][1] = x.y, s[n][2] = x.z, s[n][3] = x.w;
    }
  }

  // Scores to weights relative to a base, which follows the largest score only when that has gone far above it.
  STRUCTDIFF_DEVICE static void weigh(
      State& state, float (&out)[kOut][4], float (&scores)[kScores][4], float factor) {
    float top[2] = {-kInfinity, -kInfinity};
#pragma unroll
    for (int n = 0; n < kScores; ++n) {
      top[0] = fmaxf(top[0], fmaxf(scores[n][0], scores[n][1]));
      top[1] = fmaxf(top[1], fmaxf(scores[n][2], scores[n][3]));
    }
    top[0] = rounded_product(top[0], factor);
    top[1] = rounded_product(top[1], factor);
    if (any(top[0] > state.base[0] + kSlack || top[1] > state.base[1] + kSlack)) raise(state, out, top);
    // A bias of -infinity may leave no score yet.
    const float base[2] = {state.base[0] == -kInfinity ? 0.0f : state.base[0],
                           state.base[1] == -kInfinity ? 0.0f : state.base[1]};
    exponentiate(scores, base, factor);
#pragma unroll
    for (int half = 0; half < 2; ++half) {
#pragma unroll
      for (int n = 0; n < kScores; ++n) {
#pragma unroll
        for (int e = half * 2; e < half * 2 + 2; ++e) state.sum[half] += scores[n][e];
      }
    }
  }

  STRUCTDIFF_DEVICE static void pack_weights(uint32_t (&weights)[kKeys / 16][4], const float (&scores)[kScores][4]) {
#pragma unroll
    for (int n = 0; n < kScores; ++n) {
      weights[n / 2][n % 2 * 2] = pack<T>(scores[n][0], scores[n][1]);
      weights[n / 2][n % 2 * 2 + 1] = pack<T>(scores[n][2], scores[n][3]);
    }
  }

  STRUCTDIFF_DEVICE static void raise(State& state, float (&out)[kOut][4], const float (&top)[2]) {
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      float highest = fmaxf(top[half], shuffle_xor(top[half], 1));
      highest = fmaxf(state.base[half], fmaxf(highest, shuffle_xor(highest, 2)));
      const float keep = exp2_fast(state.base[half] - (highest == -kInfinity ? 0.0f : highest));
      state.base[half] = highest;
      state.sum[half] *= keep;
#pragma unroll
      for (int c = 0; c < kOut; ++c) {
        out[c][half * 2] *= keep;
        out[c][half * 2 + 1] *= keep;
      }
    }
  }

  STRUCTDIFF_DEVICE static void finish(
      const Problem& p, const State& state, const float (&out)[kOut][4], int b, int i, int h, int query, bool dead,
      int lane) {
    const Sizes& s = p.sizes;
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      float sum = state.sum[half];
      sum += shuffle_xor(sum, 1);
      sum += shuffle_xor(sum, 2);
      const int row = query + (lane >> 2) + half * 8;
      if (row >= s.queries) continue;
      const float inverse = 1.0f / sum;
      T* to = p.out.at(b, i, h) + row * p.out.token;
#pragma unroll
      for (int c = 0; c < kOut; ++c) {
        const int column = c * 8 + (lane & 3) * 2;
        if (column >= s.channels) continue;
        store_pair<T>(to, 1, true, column, out[c][half * 2] * inverse, out[c][half * 2 + 1] * inverse);
      }
      if (p.lse && (lane & 3) == 0) {
        const int64_t at = ((static_cast<int64_t>(b) * s.rows + i) * s.heads + h) * s.queries + row;
        store(p.lse + at, dead ? kInfinity : state.base[half] / kLog2E + log_accurate(sum));
      }
    }
  }
};

}  // namespace structdiff::gpu

#include <algorithm>
#include <cmath>
#include <limits>

#include "common/floats.h"
#include "common/parallel.h"
#include "triangle_attention/cpu_tiles.h"

namespace structdiff {
namespace attention {
namespace {

constexpr int kChunk = 64;  // keys whose scores are in the first-level cache together
// Where the search for the largest score starts: finite, so that differences from it are numbers.
constexpr float kLowest = std::numeric_limits<float>::lowest();

// What the thread will probably read next, fetched a few lines now and then while it multiplies: the positions of a row
// one after the other, of so many heads, which lie side by side.
class Fetch {
 public:
  // index: the first of the heads, counted as run_forward counts them.
  Fetch(const Forward& p, const Sizes& s, int64_t index, int64_t heads) {
    if (index >= s.batch * s.rows * s.heads) return;
    const structdiff_tensor* inputs[] = {p.q, p.k, p.v};
    const int64_t bytes = p.q->dtype == STRUCTDIFF_FLOAT32 ? 4 : 2, row = index / s.heads;
    for (int which = 0; which < 3; ++which) {
      const structdiff_tensor& t = *inputs[which];
      at_[which] = static_cast<const char*>(t.data) + place(t, row / s.rows, row % s.rows, 0, index % s.heads) * bytes;
      strides_[which] = t.stride[2] * bytes;
    }
    length_ = ((heads - 1) * p.q->stride[3] + s.channels) * bytes;
    left_ = 3 * std::min(s.keys, s.queries);
    all_ = left_;
    queries_ = heads * s.queries;
  }
  // The share of so many of the heads' queries is spread over `tiles` calls of step().
  void begin(int64_t queries, int64_t tiles) { share_ = all_ * queries, whole_ = queries_ * tiles; }
  void step() {
    for (due_ += share_; due_ >= whole_ && left_ > 0; due_ -= whole_, --left_) {
      const int64_t which = left_ % 3;
      for (int64_t line = 0; line < length_; line += 64) __builtin_prefetch(at_[which] + line, 0, 2);
      at_[which] += strides_[which];
    }
  }

 private:
  const char* at_[3] = {};
  int64_t strides_[3] = {}, length_ = 0, left_ = 0, all_ = 0, queries_ = 1, share_ = 0, whole_ = 1, due_ = 0;
};

// One row (b, i) and head, and a run of its blocks of queries.
class Row {
 public:
  Row(const Forward& p, const Sizes& s, const BiasBlocks& bias, const Blocks& blocks, int64_t index, Fetch& fetch)
      : p_(p),
        s_(s),
        bias_(bias),
        blocks_(blocks),
        batch_(index / s.heads / s.rows),
        row_(index / s.heads % s.rows),
        head_(index % s.heads),
        fetch_(fetch) {
    float* at = scratch(floats(s));
    const auto take = [&at](int64_t count) { return (at += count) - count; };
    keys_ = take(s.lane_keys * s.width);
    values_ = take(s.lane_keys * s.width);
    scores_ = take(kChunk * kMaxQueries);
    queries_ = take(kMaxQueries * s.width);
    natural_ = take(kMaxQueries * s.width);
    out_ = take(kMaxQueries * s.width);
    order_ = reinterpret_cast<int32_t*>(take(s.lane_keys));
  }

  void attend(int64_t from, int64_t to) {
    find_keys();
    if (count_ == 0) return average(from, to);
    pack(*p_.k, s_, batch_, row_, head_, 0, count_, 1.0f, keys_, order_);
    pack(*p_.v, s_, batch_, row_, head_, 0, count_, 1.0f, values_, order_);
    for (int64_t index = from; index < to; ++index) {
      const Block block = blocks_[index];
      if (block.vectors == 3)
        attend_block<3>(block);
      else if (block.vectors == 2)
        attend_block<2>(block);
      else
        attend_block<1>(block);
    }
  }

 private:
  static int64_t floats(const Sizes& s) {
    return s.lane_keys * (2 * s.width + 1) + kMaxQueries * (3 * s.width + kChunk);
  }

  // Which keys exist, in order.
  void find_keys() {
    for (int32_t k = 0; p_.mask == nullptr && k < s_.keys; ++k) order_[count_++] = k;
    if (p_.mask == nullptr) return;
    const structdiff_tensor& mask = *p_.mask;
    const uint8_t* exists = static_cast<const uint8_t*>(mask.data) + batch_ * mask.stride[0] + row_ * mask.stride[1];
    for (int32_t k = 0; k < s_.keys; ++k) {
      order_[count_] = k;
      count_ += exists[k * mask.stride[2]] != 0;
    }
  }

  template <int V>
  void attend_block(const Block& block) {
    constexpr int kWidth = V * kLanes;
    const int count = static_cast<int>(std::min<int64_t>(kWidth, s_.queries - block.first));
    const float factor = static_cast<float>(p_.scale * 1.4426950408889634);
    pack(*p_.q, s_, batch_, row_, head_, block.first, count, factor, natural_);
    std::fill(natural_ + count * s_.width, natural_ + kWidth * s_.width, 0.0f);
    transpose(kWidth, s_.width, natural_, s_.width, queries_, kWidth);
    fetch_.begin(kWidth, (count_ + kRowsOf<V> - 1) / kRowsOf<V>);
    fetch_out(block.first, count);
    Vector largest[V], sums[V];
    for (int v = 0; v < V; ++v) largest[v] = broadcast(kLowest), sums[v] = Vector{};
    const float* bias = bias_.of(batch_, head_, block);
    for (int first = 0; first < count_; first += kChunk)
      add_chunk<V>(first, std::min(kChunk, count_ - first), bias, largest, sums);
    finish<V>(block.first, count, largest, sums);
  }

  // The output's lines are fetched to be written, too: its rows are as far apart as those that are read.
  void fetch_out(int64_t first, int count) const {
    const int64_t bytes = p_.out->dtype == STRUCTDIFF_FLOAT32 ? 4 : 2;
    const char* to = static_cast<const char*>(p_.out->data) + place(*p_.out, batch_, row_, first, head_) * bytes;
    for (int each = 0; each < count; ++each, to += p_.out->stride[2] * bytes)
      for (int64_t line = 0; line < s_.channels * bytes; line += 64) __builtin_prefetch(to + line, 1, 2);
  }

  template <int V>
  void add_chunk(int first, int keys, const float* bias, Vector* largest, Vector* sums) {
    constexpr int kWidth = V * kLanes, kRows = kRowsOf<V>;
    float *const scores = scores_, *const out = out_;
    ScoreOperands score{s_.width, keys_ + first * s_.width, queries_, bias, order_ + first};
    Vector before[V], factor[V];
    for (int v = 0; v < V; ++v) before[v] = largest[v];
    int k = 0;
    for (; k + kRows <= keys; k += kRows, score.keys += kRows * s_.width, score.order += kRows) {
      fetch_.step();
      score_tile<kRows, V>(score, scores + k * kWidth, largest);
    }
    last_scores<kRows - 1, V>(keys - k, score, scores + k * kWidth, largest);
    for (int v = 0; v < V; ++v) {
      factor[v] = power_of_two(before[v] - largest[v]);
      sums[v] *= factor[v];
    }
    exponentiate<V>(keys, largest, scores, sums);
    OutOperands add{keys, s_.width, values_ + first * s_.width, scores, first == 0 ? nullptr : factor};
    int c = 0;
    for (; c + kRows <= s_.width; c += kRows, add.values += kRows) out_tile<kRows, V>(add, out + c * kWidth);
    last_outs<kRows - 1, V>(s_.width - c, add, out + c * kWidth);
  }

  template <int V>
  void finish(int64_t first, int count, const Vector* largest, const Vector* sums) {
    constexpr int kWidth = V * kLanes;
    float tops[kWidth], totals[kWidth];
    for (int v = 0; v < V; ++v) {
      const Vector factor = 1.0f / sums[v];
      for (float *at = out_ + v * kLanes, *end = at + s_.width * kWidth; at < end; at += kWidth)
        store(at, load(at) * factor);
      store(tops + v * kLanes, largest[v]);
      store(totals + v * kLanes, sums[v]);
    }
    transpose(s_.width, kWidth, out_, kWidth, natural_, s_.width);
    unpack(natural_, 1.0f, *p_.out, s_, batch_, row_, head_, first, count);
    if (p_.lse == nullptr) return;
    for (int each = 0; each < count; ++each)
      log_of_sums()[first + each] = kLn2 * (tops[each] + std::log2(totals[each]));
  }

  // No key exists: the mean of all values.
  void average(int64_t from, int64_t to) {
    std::fill(out_, out_ + s_.width, 0.0f);
    for (int64_t k = 0; k < s_.keys; ++k) {
      pack(*p_.v, s_, batch_, row_, head_, k, 1, 1.0f, values_);
      for (int c = 0; c < s_.width; ++c) out_[c] += values_[c];
    }
    const int64_t end = to == blocks_.count() ? s_.queries : blocks_[to].first;
    for (int64_t query = blocks_[from].first; query < end; ++query) {
      unpack(out_, 1.0f / static_cast<float>(s_.keys), *p_.out, s_, batch_, row_, head_, query, 1);
      if (p_.lse != nullptr) log_of_sums()[query] = std::numeric_limits<float>::infinity();
    }
  }

  float* log_of_sums() const {
    return static_cast<float*>(p_.lse->data) + ((batch_ * s_.rows + row_) * s_.heads + head_) * s_.queries;
  }

  const Forward& p_;
  const Sizes& s_;
  const BiasBlocks& bias_;
  const Blocks& blocks_;
  const int64_t batch_, row_, head_;
  Fetch& fetch_;
  int count_ = 0;  // keys that exist
  float *keys_, *values_, *scores_, *queries_, *natural_, *out_;
  int32_t* order_;
};

}  // namespace

int32_t run_forward(const Forward& p, int32_t num_threads) {
  Sizes s;
  if (const int32_t status = sizes_of(p, s); status != STRUCTDIFF_OK) return status;
  wish_for_large_pages(*p.out);
  try {
    const Blocks blocks(s.queries);
    const BiasBlocks bias(*p.bias, s, blocks, num_threads);
    // Heads innermost: they lie side by side in memory, which is read from end to end that way. Queries are parted
    // where there are too few rows to go round; a query's result does not depend on who else is in its part.
    const int64_t whole = s.batch * s.heads * s.rows;
    const int64_t wanted = num_threads > 1 ? (4 * num_threads + whole - 1) / std::max<int64_t>(1, whole) : 1;
    const int64_t part = std::max<int64_t>(1, (blocks.count() + wanted - 1) / wanted);
    const int64_t parts = (blocks.count() + part - 1) / part;
    // All heads of a row go to one thread where there are rows enough: they share pages of memory.
    const int64_t together = s.batch * s.rows >= 8 * num_threads ? s.heads : 1;
    parallel_for(whole / together * parts, num_threads, [&](int64_t index, int32_t) {
      const int64_t group = index / parts, first = index % parts * part;
      Fetch next(p, s, (group + num_threads) * together, together);
      for (int64_t item = group * together; item < (group + 1) * together; ++item)
        Row(p, s, bias, blocks, item, next).attend(first, std::min(first + part, blocks.count()));
    });
  } catch (const std::bad_alloc&) {
    return STRUCTDIFF_OUT_OF_MEMORY;
  }
  return STRUCTDIFF_OK;
}

}  // namespace attention
}  // namespace structdiff

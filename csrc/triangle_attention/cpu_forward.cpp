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

// What the thread will probably read next, fetched a line or two of each tensor with every tile: the positions of a row one
// after the other, of so many heads, which lie side by side. Without a branch: one that is now taken and now not is
// guessed wrong, and costs more than the fetching.
class Fetch {
 public:
  // index: the first of the heads, counted as run_forward counts them. tiles: how often step() will be called.
  Fetch(const Forward& p, const Sizes& s, int64_t index, int64_t heads, int64_t tiles) {
    const structdiff_tensor* inputs[] = {p.q, p.k, p.v};
    const int64_t bytes = p.q->dtype == STRUCTDIFF_FLOAT32 ? 4 : 2, row = index / s.heads;
    const bool there = index < s.batch * s.rows * s.heads;
    for (int which = 0; which < 3; ++which) {
      const structdiff_tensor& t = *inputs[which];
      at_[which] = static_cast<const char*>(t.data);
      if (there) at_[which] += place(t, row / s.rows, row % s.rows, 0, index % s.heads) * bytes;
      strides_[which] = there ? t.stride[2] * bytes : 0;
    }
    length_ = ((heads - 1) * p.q->stride[3] + s.channels) * bytes;
    left_ = there ? std::min(s.keys, s.queries) - 1 : 0;
    const int64_t lines = (left_ + 1) * ((length_ + 63) / 64);
    ahead_ = lines > tiles ? 64 : 0;
  }
  __attribute__((always_inline)) void step() {
    for (int which = 0; which < 3; ++which) {
      __builtin_prefetch(at_[which] + line_, 0, 2);
      __builtin_prefetch(at_[which] + line_ + ahead_, 0, 2);
    }
    line_ += 64 + ahead_;
    const int64_t next = -static_cast<int64_t>(line_ >= length_);  // all bits or none
    line_ &= ~next;
    const int64_t more = next & -static_cast<int64_t>(left_ > 0);
    left_ += more;
    for (int which = 0; which < 3; ++which) at_[which] += strides_[which] & more;
  }

 private:
  const char* at_[3];
  int64_t strides_[3], length_, left_, ahead_, line_ = 0;
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
    fetch_out(block.first, count);
    Vector base[V], sums[V];
    for (int v = 0; v < V; ++v) base[v] = broadcast(kLowest), sums[v] = Vector{};
    const float* bias = bias_.of(batch_, head_, block);
    for (int first = 0; first < count_; first += kChunk)
      add_chunk<V>(first, std::min(kChunk, count_ - first), bias, base, sums);
    finish<V>(block.first, count, base, sums);
  }

  // The output's lines are fetched to be written, too: its rows are as far apart as those that are read.
  void fetch_out(int64_t first, int count) const {
    const int64_t bytes = p_.out->dtype == STRUCTDIFF_FLOAT32 ? 4 : 2;
    const char* to = static_cast<const char*>(p_.out->data) + place(*p_.out, batch_, row_, first, head_) * bytes;
    for (int each = 0; each < count; ++each, to += p_.out->stride[2] * bytes)
      for (int64_t line = 0; line < s_.channels * bytes; line += 64) __builtin_prefetch(to + line, 1, 2);
  }

  template <int V>
  void add_chunk(int first, int keys, const float* bias, Vector* base, Vector* sums) {
    constexpr int kWidth = V * kLanes, kRows = kRowsOf<V>;
    float* const scores = scores_;
    ScoreOperands score{s_.width, keys_ + first * s_.width, queries_, bias, order_ + first};
    Vector before[V], largest[V], factor[V];
    for (int v = 0; v < V; ++v) before[v] = largest[v] = base[v];
    int k = 0;
    for (; k + kRows <= keys; k += kRows, score.keys += kRows * s_.width, score.order += kRows) {
      fetch_.step();
      score_tile<kRows, V>(score, scores + k * kWidth, largest);
    }
    last_scores<kRows - 1, V>(keys - k, score, scores + k * kWidth, largest);
    for (int v = 0; v < V; ++v) {
      base[v] = base_of(largest[v], before[v]);
      factor[v] = power_of_two(before[v] - base[v]);
      sums[v] *= factor[v];
    }
    if (__builtin_expect(any_is_far<V>(base), 0))
      exponentiate_far<V>(keys, base, scores, sums);
    else
      exponentiate<V>(keys, base, scores, sums);
    OutOperands add{keys, s_.width, values_ + first * s_.width, scores, first == 0 ? nullptr : factor};
    out_tiles<V>(add, out_);
  }

  template <int V>
  void finish(int64_t first, int count, const Vector* base, const Vector* sums) {
    constexpr int kWidth = V * kLanes;
    float tops[kWidth], totals[kWidth];
    for (int v = 0; v < V; ++v) {
      const Vector factor = 1.0f / sums[v];
      for (float *at = out_ + v * kLanes, *end = at + s_.width * kWidth; at < end; at += kWidth)
        store(at, load(at) * factor);
      store(tops + v * kLanes, base[v]);
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
    const KeptFloats table(BiasBlocks::floats(s, blocks));
    const BiasBlocks bias(*p.bias, s, blocks, num_threads, table.get());
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
      const int64_t tiles = together * part * (s.keys / kRowsOf<kMaxVectors>);
      Fetch next(p, s, (group + num_threads) * together, together, tiles);
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

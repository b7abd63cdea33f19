#include <algorithm>
#include <cmath>
#include <limits>

#include "common/parallel.h"
#include "triangle_attention/cpu_problem.h"

namespace structdiff {
namespace attention {
namespace {

float largest(const float* line, int64_t count) {
  Vector first = load(line), second = first;
  int64_t k = 0;
  for (; k + 2 * kLanes <= count; k += 2 * kLanes) {
    first = larger(load(line + k), first);
    second = larger(load(line + k + kLanes), second);
  }
  if (k < count) first = larger(load(line + k), first);
  float lanes[kLanes];
  store(lanes, larger(first, second));
  return *std::max_element(lanes, lanes + kLanes);
}

// Logits of one query become 2^(logit - largest); returns their sum.
float exponentiate(float* line, int64_t count, float maximum) {
  Vector first{}, second{};
  int64_t k = 0;
  for (; k + 2 * kLanes <= count; k += 2 * kLanes) {
    const Vector a = power_of_two(load(line + k) - maximum), b = power_of_two(load(line + k + kLanes) - maximum);
    store(line + k, a);
    store(line + k + kLanes, b);
    first += a;
    second += b;
  }
  if (k < count) {
    const Vector a = power_of_two(load(line + k) - maximum);
    store(line + k, a);
    first += a;
  }
  return sum_of(first + second);
}

// One row (b, i) and head, and a run of its queries.
class Row {
 public:
  Row(const Forward& p, const Sizes& s, const BiasTable& bias, int64_t batch, int64_t row, int64_t head)
      : p_(p), s_(s), bias_(bias), batch_(batch), row_(row), head_(head) {
    float* at = scratch(floats(s));
    const auto take = [&at](int64_t count) { return (at += count) - count; };
    penalty_ = take(s.lane_keys);
    keys_first_ = take(s.width * s.line);
    values_ = take(s.lane_keys * s.width);
    queries_ = take(kBlock * s.width);
    scores_ = take(kBlock * s.line);
    out_ = take(kBlock * s.width);
  }

  void attend(int64_t from, int64_t to) {
    keys_ = keys_of(p_.mask, s_, batch_, row_, penalty_);
    if (keys_.last == 0) return average(from, to);
    whole_ = rounded_up(keys_.last, kLanes);
    pack_keys(*p_.k, s_, batch_, row_, head_, keys_.last, values_, keys_first_);
    pack_keys(*p_.v, s_, batch_, row_, head_, keys_.last, values_, nullptr);
    for (int64_t first = from; first < to; first += kBlock)
      attend_block(first, static_cast<int>(std::min<int64_t>(kBlock, to - first)));
  }

 private:
  static int64_t floats(const Sizes& s) {
    return s.lane_keys + s.width * s.line + s.lane_keys * s.width + kBlock * (2 * s.width + s.line);
  }

  void attend_block(int64_t first, int count) {
    const float factor = static_cast<float>(p_.scale * 1.4426950408889634);
    pack(*p_.q, s_, batch_, row_, head_, first, count, factor, queries_);
    for (int each = 0; each < count; ++each) {
      const float* bias = bias_.row(batch_, head_, first + each);
      float* line = scores_ + each * s_.line;
      for (int64_t k = 0; k < whole_; k += kLanes)
        store(line + k, keys_.holes ? load(bias + k) + load(penalty_ + k) : load(bias + k));
    }
    product(count, static_cast<int>(whole_), s_.width, queries_, s_.width, 1, keys_first_, s_.line, scores_, s_.line,
            true);
    float sums[kBlock];
    for (int each = 0; each < count; ++each) {
      float* line = scores_ + each * s_.line;
      const float maximum = largest(line, whole_);
      sums[each] = exponentiate(line, whole_, maximum);
      if (p_.lse != nullptr) log_of_sums()[first + each] = kLn2 * (maximum + std::log2(sums[each]));
    }
    product(count, s_.width, static_cast<int>(keys_.last), scores_, s_.line, 1, values_, s_.width, out_, s_.width);
    for (int each = 0; each < count; ++each)
      unpack(out_ + each * s_.width, 1.0f / sums[each], *p_.out, s_, batch_, row_, head_, first + each, 1);
  }

  // No key exists: the mean of all values.
  void average(int64_t from, int64_t to) {
    std::fill(out_, out_ + s_.width, 0.0f);
    for (int64_t k = 0; k < s_.keys; ++k) {
      pack(*p_.v, s_, batch_, row_, head_, k, 1, 1.0f, values_);
      for (int c = 0; c < s_.width; ++c) out_[c] += values_[c];
    }
    for (int64_t query = from; query < to; ++query) {
      unpack(out_, 1.0f / static_cast<float>(s_.keys), *p_.out, s_, batch_, row_, head_, query, 1);
      if (p_.lse != nullptr) log_of_sums()[query] = std::numeric_limits<float>::infinity();
    }
  }

  float* log_of_sums() const {
    return static_cast<float*>(p_.lse->data) + ((batch_ * s_.rows + row_) * s_.heads + head_) * s_.queries;
  }

  const Forward& p_;
  const Sizes& s_;
  const BiasTable& bias_;
  const int64_t batch_, row_, head_;
  Keys keys_;
  int64_t whole_ = 0;  // keys up to whole vectors
  float *penalty_, *keys_first_, *values_, *queries_, *scores_, *out_;
};

}  // namespace

int32_t run_forward(const Forward& p, int32_t num_threads) {
  Sizes s;
  if (const int32_t status = sizes_of(p, s); status != STRUCTDIFF_OK) return status;
  try {
    const BiasTable bias(*p.bias, s, num_threads);
    // Heads innermost: they lie side by side in memory, which is read from end to end that way. Queries are parted
    // where there are too few rows to go round; a query's result does not depend on who else is in its part.
    const int64_t whole = s.batch * s.heads * s.rows;
    const int64_t wanted = num_threads > 1 ? (4 * num_threads + whole - 1) / std::max<int64_t>(1, whole) : 1;
    const int64_t part = rounded_up((s.queries + wanted - 1) / wanted, kBlock);
    const int64_t parts = (s.queries + part - 1) / part;
    parallel_for(whole * parts, num_threads, [&](int64_t index, int32_t) {
      const int64_t item = index / parts, first = index % parts * part;
      const int64_t row = item / s.heads;
      Row(p, s, bias, row / s.rows, row % s.rows, item % s.heads).attend(first, std::min(first + part, s.queries));
    });
  } catch (const std::bad_alloc&) {
    return STRUCTDIFF_OUT_OF_MEMORY;
  }
  return STRUCTDIFF_OK;
}

}  // namespace attention
}  // namespace structdiff

#include <algorithm>
#include <cmath>

#include "common/floats.h"
#include "common/parallel.h"
#include "triangle_attention/cpu_problem.h"

namespace structdiff {
namespace attention {
namespace {

// Beyond, a logarithm has no room for fractions.
constexpr float kFarLog = 1 << 22;
// Rows are parted into groups with a table for the bias's gradient each, added up in the end: as many as give every
// thread work, as few as memory allows. From sizes alone, so that the result does not depend on the threads.
constexpr int64_t kWantedTasks = 32;
constexpr int64_t kTableFloats = int64_t{1} << 24;

// The gradient of the bias, [group][table][query][line].
class BiasGradient {
 public:
  // at: memory for so many floats().
  BiasGradient(const Sizes& s, float* at) : s_(s), each_(table_floats(s)), groups_(groups_of(s)), sums_(at) {}
  static int64_t floats(const Sizes& s) { return groups_of(s) * table_floats(s); }

  int64_t groups() const { return groups_; }
  // The rows of a group: of all batch entries, one after the other, where they share the bias.
  int64_t first_row(int64_t group) const { return rows_of(s_) * group / groups_; }

  // What a group's first row without keys does, and a group without rows; all others write over what was there.
  void clear(int64_t group, int64_t table) { std::fill_n(row(group, table, 0), s_.queries * s_.line, 0.0f); }

  float* row(int64_t group, int64_t table, int64_t query) {
    return sums_ + group * each_ + (table * s_.queries + query) * s_.line;
  }

  // The gradient itself, laid out as `to` is: as the bias is, as a rule, with heads side by side.
  void add_up(const structdiff_tensor& to, int32_t num_threads) {
    parallel_for(s_.tables() / s_.heads * s_.queries, num_threads, [&](int64_t index, int32_t) {
      const int64_t batch = index / s_.queries, query = index % s_.queries;
      float* out = static_cast<float*>(to.data) + batch * to.stride[0] + query * to.stride[2];
      float* lines = scratch(s_.heads * s_.line);
      for (int64_t head = 0; head < s_.heads; ++head) {
        float* sum = to.stride[3] == 1 ? out + head * to.stride[1] : lines + head * s_.line;
        std::copy_n(row(0, batch * s_.heads + head, query), s_.keys, sum);
        for (int64_t group = 1; group < groups_; ++group) {
          const float* part = row(group, batch * s_.heads + head, query);
          for (int64_t k = 0; k < s_.keys; ++k) sum[k] += part[k];
        }
      }
      if (to.stride[3] != 1) write(lines, to, out);
    });
  }

 private:
  static int64_t rows_of(const Sizes& s) { return s.shared_bias ? s.batch * s.rows : s.rows; }
  static int64_t table_floats(const Sizes& s) { return s.tables() * s.queries * s.line; }
  static int64_t groups_of(const Sizes& s) {
    const int64_t affordable = std::max<int64_t>(1, kTableFloats / std::max<int64_t>(1, table_floats(s)));
    const int64_t wanted = (kWantedTasks + s.tables() - 1) / std::max<int64_t>(1, s.tables());
    return std::max<int64_t>(1, std::min({rows_of(s), affordable, wanted}));
  }

  // lines: [head][key] of one query.
  void write(const float* lines, const structdiff_tensor& to, float* out) const {
    int64_t key = 0;
    if (to.stride[1] == 1 && s_.heads % 4 == 0) {
      key = s_.keys / 8 * 8;
      transpose(static_cast<int>(s_.heads), static_cast<int>(key), lines, s_.line, out, to.stride[3]);
    }
    for (; key < s_.keys; ++key)
      for (int64_t head = 0; head < s_.heads; ++head)
        out[key * to.stride[3] + head * to.stride[1]] = lines[head * s_.line + key];
  }

  const Sizes& s_;
  const int64_t each_, groups_;
  float* const sums_;
};

// One row (b, i) and head.
class Row {
 public:
  Row(const Backward& p, const Sizes& s, const BiasTable& bias, BiasGradient& bias_gradient)
      : p_(p), s_(s), bias_(bias), bias_gradient_(bias_gradient) {
    float* at = scratch(floats(s));
    const auto take = [&at](int64_t count) { return (at += count) - count; };
    penalty_ = take(s.lane_keys);
    keys_ = take(s.lane_keys * s.width);
    keys_first_ = take(s.width * s.line);
    values_ = take(s.lane_keys * s.width);
    values_first_ = take(s.width * s.line);
    grad_keys_ = take(s.lane_keys * s.width);
    grad_values_ = take(s.lane_keys * s.width);
    queries_ = take(kBlock * s.width);
    grads_ = take(kBlock * s.width);
    out_ = take(kBlock * s.width);
    weights_ = take(kBlock * s.line);
    slopes_ = take(kBlock * s.line);
  }

  // first: of its group.
  void differentiate(int64_t batch, int64_t row, int64_t head, int64_t group, bool first) {
    batch_ = batch, row_ = row, head_ = head, group_ = group, first_ = first;
    found_ = keys_of(p_.forward.mask, s_, batch, row, penalty_);
    if (found_.last == 0) return average();
    whole_ = rounded_up(found_.last, kLanes);
    pack_keys(*p_.forward.k, s_, batch, row, head, found_.last, keys_, keys_first_);
    pack_keys(*p_.forward.v, s_, batch, row, head, found_.last, values_, values_first_);
    std::fill(grad_keys_, grad_keys_ + s_.lane_keys * s_.width, 0.0f);
    std::fill(grad_values_, grad_values_ + s_.lane_keys * s_.width, 0.0f);
    for (int64_t first = 0; first < s_.queries; first += kBlock)
      add_block(first, static_cast<int>(std::min<int64_t>(kBlock, s_.queries - first)));
    // The queries were multiplied with log2(e) times the scale.
    unpack(grad_keys_, kLn2, *p_.grad_k, s_, batch_, row_, head_, 0, s_.keys);
    unpack(grad_values_, 1.0f, *p_.grad_v, s_, batch_, row_, head_, 0, s_.keys);
  }

 private:
  static int64_t floats(const Sizes& s) {
    return s.lane_keys + 4 * s.lane_keys * s.width + 2 * s.width * s.line + kBlock * (3 * s.width + 2 * s.line);
  }

  void add_block(int64_t first, int count) {
    const Forward& f = p_.forward;
    const float factor = static_cast<float>(f.scale * 1.4426950408889634);
    const int keys = static_cast<int>(found_.last), whole = static_cast<int>(whole_);
    pack(*f.q, s_, batch_, row_, head_, first, count, factor, queries_);
    pack(*p_.grad_out, s_, batch_, row_, head_, first, count, 1.0f, grads_);
    start_scores(first, count);
    product(count, whole, s_.width, queries_, s_.width, 1, keys_first_, s_.line, weights_, s_.line, true);
    product(count, whole, s_.width, grads_, s_.width, 1, values_first_, s_.line, slopes_, s_.line);
    for (int each = 0; each < count; ++each) slope_line(first + each, each);
    product(keys, s_.width, count, weights_, 1, s_.line, grads_, s_.width, grad_values_, s_.width, true);
    product(keys, s_.width, count, slopes_, 1, s_.line, queries_, s_.width, grad_keys_, s_.width, true);
    product(count, s_.width, keys, slopes_, s_.line, 1, keys_, s_.width, out_, s_.width);
    unpack(out_, static_cast<float>(f.scale), *p_.grad_q, s_, batch_, row_, head_, first, count);
  }

  void start_scores(int64_t first, int count) {
    for (int each = 0; each < count; ++each) {
      const float* bias = bias_.row(batch_, head_, first + each);
      float* weights = weights_ + each * s_.line;
      for (int64_t k = 0; k < whole_; k += kLanes)
        store(weights + k, found_.holes ? load(bias + k) + load(penalty_ + k) : load(bias + k));
    }
  }

  // From logits to weights, and from the gradient of the weights to that of the logits: less its mean. The mean is
  // taken from the weights as they are here, not as the dot product of the output and its gradient, and the weights are
  // made to add up to 1: the rounding of output and lse would cost a digit.
  void slope_line(int64_t query, int each) {
    float *weights = weights_ + each * s_.line, *slopes = slopes_ + each * s_.line;
    float log_of_sum = lse()[query] * kLog2e;
    // There the rounding of lse may be more than all weights; the largest logit does as well.
    if (std::abs(log_of_sum) > kFarLog) log_of_sum = *std::max_element(weights, weights + whole_);
    Vector sum{}, weighted{};
    for (int64_t k = 0; k < whole_; k += kLanes) {
      const Vector weight = power_of_two(load(weights + k) - log_of_sum);
      store(weights + k, weight);
      sum += weight;
      weighted += weight * load(slopes + k);
    }
    const float norm = 1.0f / sum_of(sum), mean = sum_of(weighted) * norm;
    float* sums = bias_gradient_.row(group_, table(), query);
    if (first_) std::fill(sums + whole_, sums + std::max(whole_, s_.keys), 0.0f);
    for (int64_t k = 0; k < whole_; k += kLanes) {
      const Vector weight = load(weights + k) * norm;
      const Vector slope = weight * (load(slopes + k) - mean);
      store(weights + k, weight);
      store(slopes + k, slope);
      store(sums + k, first_ ? slope : load(sums + k) + slope);
    }
  }

  int64_t table() const { return s_.shared_bias ? head_ : batch_ * s_.heads + head_; }

  const float* lse() const {
    return static_cast<const float*>(p_.forward.lse->data) + ((batch_ * s_.rows + row_) * s_.heads + head_) * s_.queries;
  }

  // No key exists: every output is the mean of all values.
  void average() {
    if (first_) bias_gradient_.clear(group_, table());
    std::fill(grad_values_, grad_values_ + s_.width, 0.0f);
    std::fill(out_, out_ + s_.width, 0.0f);
    for (int64_t query = 0; query < s_.queries; ++query) {
      pack(*p_.grad_out, s_, batch_, row_, head_, query, 1, 1.0f, grads_);
      for (int c = 0; c < s_.width; ++c) grad_values_[c] += grads_[c];
      unpack(out_, 0.0f, *p_.grad_q, s_, batch_, row_, head_, query, 1);
    }
    for (int64_t key = 0; key < s_.keys; ++key) {
      unpack(grad_values_, 1.0f / static_cast<float>(s_.keys), *p_.grad_v, s_, batch_, row_, head_, key, 1);
      unpack(out_, 0.0f, *p_.grad_k, s_, batch_, row_, head_, key, 1);
    }
  }

  const Backward& p_;
  const Sizes& s_;
  const BiasTable& bias_;
  BiasGradient& bias_gradient_;
  int64_t batch_ = 0, row_ = 0, head_ = 0, group_ = 0;
  bool first_ = true;
  Keys found_;
  int64_t whole_ = 0;  // keys up to whole vectors
  float *penalty_, *keys_, *keys_first_, *values_, *values_first_, *grad_keys_, *grad_values_;
  float *queries_, *grads_, *out_, *weights_, *slopes_;
};

bool tables_match(const structdiff_tensor& grad_bias, const Sizes& s) {
  return grad_bias.rank == 4 && grad_bias.dtype == STRUCTDIFF_FLOAT32 &&
         grad_bias.size[0] * grad_bias.size[1] == s.tables() && grad_bias.size[2] == s.queries &&
         grad_bias.size[3] == s.keys;
}

}  // namespace

int32_t run_backward(const Backward& p, int32_t num_threads) {
  Sizes s;
  if (const int32_t status = sizes_of(p.forward, s); status != STRUCTDIFF_OK) return status;
  if (p.forward.lse == nullptr || !tables_match(*p.grad_bias, s)) return STRUCTDIFF_BAD_ARGUMENT;
  if (p.grad_out->dtype != p.forward.q->dtype) return STRUCTDIFF_UNSUPPORTED;
  for (const structdiff_tensor* fresh : {p.grad_q, p.grad_k, p.grad_v, p.grad_bias}) wish_for_large_pages(*fresh);
  try {
    const KeptFloats tables(BiasTable::floats(s) + BiasGradient::floats(s));
    const BiasTable bias(*p.forward.bias, s, num_threads, tables.get());
    BiasGradient bias_gradient(s, tables.get() + BiasTable::floats(s));
    parallel_for(s.tables() * bias_gradient.groups(), num_threads, [&](int64_t index, int32_t) {
      const int64_t table = index / bias_gradient.groups(), group = index % bias_gradient.groups();
      const int64_t first = bias_gradient.first_row(group), end = bias_gradient.first_row(group + 1);
      if (first == end) bias_gradient.clear(group, table);
      Row row(p, s, bias, bias_gradient);
      for (int64_t each = first; each < end; ++each) {
        const int64_t batch = s.shared_bias ? each / s.rows : table / s.heads;
        row.differentiate(batch, each % s.rows, table % s.heads, group, each == first);
      }
    });
    bias_gradient.add_up(*p.grad_bias, num_threads);
  } catch (const std::bad_alloc&) {
    return STRUCTDIFF_OUT_OF_MEMORY;
  }
  return STRUCTDIFF_OK;
}

}  // namespace attention
}  // namespace structdiff

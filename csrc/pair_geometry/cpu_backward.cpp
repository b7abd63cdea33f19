// Gradients of the denoiser's view of all pairs on the CPU. A row is computed again and taken backward while it lies in
// the cache; the gradient of z is summed over the samples that share it.
//
// Sums over rows (weights, and tokens as the second of a pair) are kept apart for a fixed number of stretches of rows and
// added in their order, so that the bits do not depend on the number of threads.
#include <algorithm>
#include <cmath>
#include <new>

#include "common/parallel.h"
#include "pair_geometry/cpu_row.h"

namespace structdiff {
namespace geometry {
namespace {

constexpr int64_t kStretches = 32;  // at most, and at least one a group

int64_t stretches_of(const Problem& p) {
  return std::min(p.n, std::max<int64_t>(1, (kStretches + p.groups - 1) / p.groups));
}

// What one stretch of rows adds up: weights, then a table of tokens for each sample of the group.
struct Sums {
  Sums(const Problem& p, float* at) {
    read = at, at += p.features() * p.c;  // transposed
    hidden = at, at += p.c * p.c;
    hidden_bias = at, at += p.c;
    out = at, at += p.outs() * p.c;
    out_bias = at, at += p.outs();
    shift = at, at += p.samples() * p.c;
    probes = at, at += p.samples() * 12 * p.dots * p.padded;  // [sample][4 dots][3][padded]
    centre = at;                                              // [sample][3][padded]
  }
  static int64_t size(const Problem& p) {
    return weights(p) + p.samples() * (p.c + (12 * p.dots + 3) * p.padded);
  }
  static int64_t weights(const Problem& p) {
    return (p.features() + p.c + 1 + p.outs()) * static_cast<int64_t>(p.c) + p.outs();
  }
  float *read, *hidden, *hidden_bias, *out, *out_bias, *shift, *probes, *centre;
};

// Gradients along one row.
struct Slopes {
  Slopes(const Problem& p, float* at) {
    outs = at, at += p.outs() * p.padded;
    features = at, at += (p.centres + 3 * p.dots) * p.padded;  // not of the previous distances
    direction = at, at += 3 * p.padded;
    distance = at, at += p.padded;
    inner = at, at += p.padded * p.c;
    entered = at, at += p.padded * p.c;
    by_channel = at;
  }
  static int64_t size(const Problem& p) {
    return p.padded * (p.outs() + p.centres + 3 * p.dots + 4 + 2 * p.c) + static_cast<int64_t>(p.c) * kBlock;
  }
  float *outs, *features, *direction, *distance, *inner, *entered, *by_channel;
};

// From gathered and arrows to the logits, the lengths and the directions; biases are copied in.
void gather_backward(const Problem& p, const Row& row, const float* grad_bias, const float* grad_gathered,
                     const float* grad_arrows, const Slopes& s) {
  for (int o = 0; o < p.biases; ++o) {
    std::copy_n(grad_bias + o * p.n * p.n, p.n, s.outs + o * p.padded);
    std::fill_n(s.outs + o * p.padded + p.n, p.padded - p.n, 0.0f);
  }
  const float* weights = row.outs + p.biases * p.padded;
  const float* radial = weights + p.heads * p.padded;
  float* logits = s.outs + p.biases * p.padded;
  float* lengths = logits + p.heads * p.padded;
  for (int64_t begin = 0; begin < p.padded; begin += kBlock) {
    transpose(kBlock, p.c, row.hidden + begin * p.c, p.c, s.by_channel, kBlock);
    product(p.heads, kBlock, p.c, grad_gathered, p.c, 1, s.by_channel, kBlock, logits + begin, p.padded);
  }
  std::fill_n(s.direction, 3 * p.padded, 0.0f);
  const int each = p.messages / p.heads;
  for (int m = 0; m < p.messages; ++m) {
    const float *weight = weights + m / each * p.padded, *length = radial + m * p.padded;
    float *logit = logits + m / each * p.padded, *to_length = lengths + m * p.padded;
    for (int64_t j = 0; j < p.padded; j += kLanes) {
      Vector along{};
      for (int x = 0; x < 3; ++x) along += load(row.direction + x * p.padded + j) * grad_arrows[x * p.messages + m];
      store(to_length + j, along * load(weight + j));
      store(logit + j, load(logit + j) + along * load(length + j));
      const Vector share = load(weight + j) * load(length + j);
      for (int x = 0; x < 3; ++x) {
        float* at = s.direction + x * p.padded + j;
        store(at, load(at) + share * grad_arrows[x * p.messages + m]);
      }
    }
  }
  for (int h = 0; h < p.heads; ++h) {
    const float* weight = weights + h * p.padded;
    float* logit = logits + h * p.padded;
    Vector sum{};
    for (int64_t j = 0; j < p.padded; j += kLanes) sum += load(weight + j) * load(logit + j);
    const float mean = sum_of(sum);
    for (int64_t j = 0; j < p.padded; j += kLanes) store(logit + j, load(weight + j) * (load(logit + j) - mean));
  }
}

// grad *= d silu(x) / dx
void silu_backward(const float* x, float* grad, int64_t count) {
  for (int64_t at = 0; at < count; at += kLanes) {
    const Vector open = sigmoid(load(x + at));
    store(grad + at, load(grad + at) * (open + load(x + at) * open * (1.0f - open)));
  }
}

// sums[c] += the sum of table[j][c] over the tokens
void add_rows(const Problem& p, const float* table, float* sums) {
  for (int c = 0; c < p.c; c += kLanes) {
    Vector total = load(sums + c);
    for (int64_t j = 0; j < p.n; ++j) total += load(table + j * p.c + c);
    store(sums + c, total);
  }
}

// Through both layers, from the outputs' gradients to those of the features; s.entered then holds that of z.
void layers_backward(const Problem& p, const Row& row, const float* grad_gathered, const Slopes& s, const Sums& sums) {
  const int n = static_cast<int>(p.n), used = p.centres + 3 * p.dots;
  for (int o = 0; o < p.outs(); ++o) {
    Vector total{};
    for (int64_t j = 0; j < p.padded; j += kLanes) total += load(s.outs + o * p.padded + j);
    sums.out_bias[o] += sum_of(total);
  }
  product(p.outs(), p.c, n, s.outs, p.padded, 1, row.hidden, p.c, sums.out, p.c, true);
  const float* weights = row.outs + p.biases * p.padded;
  for (int64_t begin = 0; begin < p.padded; begin += kBlock) {
    float *inner = s.inner + begin * p.c, *entered = s.entered + begin * p.c;
    product(kBlock, p.c, p.outs(), s.outs + begin, 1, p.padded, p.out_weight, p.c, inner, p.c);
    product(kBlock, p.c, p.heads, weights + begin, 1, p.padded, grad_gathered, p.c, inner, p.c, true);
    silu_backward(row.second + begin * p.c, inner, static_cast<int64_t>(kBlock) * p.c);
    product(kBlock, p.c, p.c, inner, p.c, 1, p.hidden_weight, p.c, entered, p.c);
    silu_backward(row.first + begin * p.c, entered, static_cast<int64_t>(kBlock) * p.c);
    transpose(kBlock, p.c, entered, p.c, s.by_channel, kBlock);
    // Transposed, the weights are rows of features; those of the previous distances are passed over.
    product(p.centres, kBlock, p.c, p.read_weight, 1, p.features(), s.by_channel, kBlock, s.features + begin, p.padded);
    product(used - p.centres, kBlock, p.c, p.read_weight + 2 * p.centres, 1, p.features(), s.by_channel, kBlock,
            s.features + p.centres * p.padded + begin, p.padded);
  }
  product(p.c, p.c, n, s.inner, 1, p.c, row.entered, p.c, sums.hidden, p.c, true);
  add_rows(p, s.inner, sums.hidden_bias);
  product(p.features(), p.c, n, row.features, p.padded, 1, s.entered, p.c, sums.read, p.c, true);
}

void basis_backward(const Problem& p, const Row& row, const Slopes& s) {
  for (int64_t j = 0; j < p.padded; j += kLanes) {
    const Vector distance = load(row.distance + j);
    const Vector place = logarithm(smaller(distance, broadcast(p.largest)) / p.spacing + 1.0f) / p.width;
    Vector slope{};
    for (int k = 0; k < p.centres; ++k)
      slope += load(s.features + k * p.padded + j) * load(row.features + k * p.padded + j) *
               (static_cast<float>(k) - place);
    slope = slope / ((distance + p.spacing) * p.width);
    store(s.distance + j, distance <= p.largest ? slope : Vector{});
  }
}

// Adds to the directions' gradients, and to those of the probes of both ends.
void dots_backward(const Problem& p, const float* probes, int64_t i, const Row& row, const Slopes& s, float* sums) {
  const int64_t ld = p.padded;
  for (int d = 0; d < p.dots; ++d) {
    const int64_t own = 3 * d * ld, other = 3 * (p.dots + d) * ld;
    const int64_t left = 3 * (2 * p.dots + d) * ld, right = 3 * (3 * p.dots + d) * ld;
    const float* to_own = s.features + (p.centres + d) * ld;
    const float *to_other = to_own + p.dots * ld, *mutual = to_other + p.dots * ld;
    for (int x = 0; x < 3; ++x) {
      Vector own_sum{}, left_sum{};
      const int64_t axis = x * ld;
      for (int64_t j = 0; j < ld; j += kLanes) {
        const Vector way = load(row.direction + axis + j), by_own = load(to_own + j), by_other = load(to_other + j);
        const Vector by_mutual = load(mutual + j);
        own_sum += way * by_own;
        left_sum += load(probes + right + axis + j) * by_mutual;
        float* slope = s.direction + axis + j;
        store(slope, load(slope) + by_own * probes[own + axis + i] + by_other * load(probes + other + axis + j));
        store(sums + other + axis + j, load(sums + other + axis + j) + way * by_other);
        store(sums + right + axis + j, load(sums + right + axis + j) + by_mutual * probes[left + axis + i]);
      }
      sums[own + axis + i] += sum_of(own_sum);
      sums[left + axis + i] += sum_of(left_sum);
    }
  }
}

// From directions and distances to the centres of both ends.
void place_backward(const Problem& p, const float* centre, int64_t i, const Row& row, const Slopes& s, float* sums) {
  const int64_t ld = p.padded;
  for (int64_t j = 0; j < p.n; ++j) {
    const float r = row.distance[j], inverse = 1.0f / (r + 1.0f);
    float along = 0;
    for (int x = 0; x < 3; ++x) along += s.direction[x * ld + j] * row.direction[x * ld + j];
    const float by_distance = (s.distance[j] - along * inverse) / r;
    for (int x = 0; x < 3; ++x) {
      const float arrow = centre[x * ld + j] - centre[x * ld + i];
      const float step = s.direction[x * ld + j] * inverse + by_distance * arrow;
      sums[x * ld + j] += step;
      sums[x * ld + i] -= step;
    }
  }
}

struct Grads {
  const float *bias, *gathered, *arrows;
};

void row_backward(const Problem& p, const Prepared& ready, const Grads& grads, int64_t sample, int64_t i,
                  const Row& row, const Slopes& s, const Sums& sums, float* grad_z) {
  const int64_t place = sample * p.n + i, member = sample % p.samples();
  const float* gathered = grads.gathered + place * p.heads * p.c;
  run_row(p, ready, sample, i, row, nullptr);
  gather_backward(p, row, grads.bias + (sample * p.biases * p.n + i) * p.n, gathered,
                  grads.arrows + place * 3 * p.messages, s);
  layers_backward(p, row, gathered, s, sums);
  add_rows(p, s.entered, sums.shift + member * p.c);
  for (int64_t at = 0; at < p.n * p.c; at += kLanes)
    store(grad_z + at, member == 0 ? load(s.entered + at) : load(grad_z + at) + load(s.entered + at));
  basis_backward(p, row, s);
  dots_backward(p, ready.probes_of(p, sample), i, row, s, sums.probes + member * 12 * p.dots * p.padded);
  place_backward(p, ready.centre_of(p, sample), i, row, s, sums.centre + member * 3 * p.padded);
}

enum { kCentre, kProbes, kZ, kShift, kRead, kHidden, kHiddenBias, kOut, kOutBias };

float* data_of(const structdiff_tensor* grads, int which) { return static_cast<float*>(grads[which].data); }

// Adds up the stretches, and brings tables into the layout of their tensors.
void collect(const Problem& p, float* all, const structdiff_tensor* grads) {
  const int64_t stretches = stretches_of(p), size = Sums::size(p), weights = Sums::weights(p);
  for (int64_t group = 0; group < p.groups; ++group) {
    float* first = all + group * stretches * size;
    for (int64_t stretch = 1; stretch < stretches; ++stretch)
      for (int64_t at = 0; at < size; ++at) first[at] += first[stretch * size + at];
    if (group > 0)
      for (int64_t at = 0; at < weights; ++at) all[at] += first[at];
    const Sums sums(p, first);
    std::copy_n(sums.shift, p.samples() * p.c, data_of(grads, kShift) + group * p.samples() * p.c);
    for (int64_t member = 0; member < p.samples(); ++member) {
      const int64_t sample = group * p.samples() + member, count = 4 * p.dots;
      const float *probes = sums.probes + member * 3 * count * p.padded, *centre = sums.centre + member * 3 * p.padded;
      for (int64_t j = 0; j < p.n; ++j)
        for (int x = 0; x < 3; ++x) {
          data_of(grads, kCentre)[(sample * p.n + j) * 3 + x] = centre[x * p.padded + j];
          for (int64_t d = 0; d < count; ++d)
            data_of(grads, kProbes)[((sample * p.n + j) * 3 + x) * count + d] = probes[(d * 3 + x) * p.padded + j];
        }
    }
  }
  const Sums sums(p, all);
  for (int k = 0; k < p.features(); ++k)
    for (int c = 0; c < p.c; ++c) data_of(grads, kRead)[c * p.features() + k] = sums.read[k * p.c + c];
  std::copy_n(sums.hidden, p.c * p.c, data_of(grads, kHidden));
  std::copy_n(sums.hidden_bias, p.c, data_of(grads, kHiddenBias));
  std::copy_n(sums.out, p.outs() * p.c, data_of(grads, kOut));
  std::copy_n(sums.out_bias, p.outs(), data_of(grads, kOutBias));
}

}  // namespace
}  // namespace geometry
}  // namespace structdiff

int32_t structdiff_pair_geometry_backward_cpu(const structdiff_tensor* grad_bias,
                                              const structdiff_tensor* grad_gathered,
                                              const structdiff_tensor* grad_arrows,
                                              const structdiff_pair_geometry_inputs* inputs, double largest,
                                              double spacing, const structdiff_tensor* grads, int32_t num_threads) {
  using namespace structdiff::geometry;
  Problem p;
  const int32_t status =
      read_problem(*inputs, largest, spacing, *grad_bias, *grad_gathered, *grad_arrows, num_threads, &p);
  if (status != STRUCTDIFF_OK) return status;
  const auto data = [](const structdiff_tensor* tensor) { return static_cast<const float*>(tensor->data); };
  const Grads given = {data(grad_bias), data(grad_gathered), data(grad_arrows)};
  const int64_t stretches = stretches_of(p), each = Row::size(p, true) + Slopes::size(p);
  try {
    const Prepared ready(p);
    std::vector<float> sums(Sums::size(p) * stretches * p.groups);
    const Floats scratch = floats(each * p.threads);
    structdiff::parallel_for(p.groups * stretches, p.threads, [&](int64_t index, int32_t worker) {
      const Row row(p, scratch.get() + worker * each, true);
      const Slopes slopes(p, scratch.get() + worker * each + Row::size(p, true));
      const Sums own(p, sums.data() + index * Sums::size(p));
      const int64_t group = index / stretches, stretch = index % stretches;
      for (int64_t i = stretch * p.n / stretches; i < (stretch + 1) * p.n / stretches; ++i)
        for (int64_t member = 0; member < p.samples(); ++member)
          row_backward(p, ready, given, group * p.samples() + member, i, row, slopes, own,
                       data_of(grads, kZ) + (group * p.n + i) * p.n * p.c);
    });
    collect(p, sums.data(), grads);
  } catch (const std::bad_alloc&) {
    return STRUCTDIFF_OUT_OF_MEMORY;
  }
  return STRUCTDIFF_OK;
}

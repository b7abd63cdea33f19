// The denoiser's view of all pairs of tokens on the CPU, a row of pairs at a time: nothing that is as large as the pair
// table times its channels is written to memory but the biases that attention asks for.
#include <algorithm>
#include <cmath>
#include <new>

#include "common/parallel.h"
#include "common/tensors.h"
#include "pair_geometry/cpu_row.h"

namespace structdiff {
namespace geometry {
namespace {

// Components as rows: to[component][padded] = from[token][component]; 0 beyond the last token.
void by_component(const Problem& p, const float* from, int components, std::vector<float>* to) {
  to->assign(static_cast<size_t>(p.batch) * components * p.padded, 0.0f);
  for (int64_t sample = 0; sample < p.batch; ++sample)
    for (int64_t j = 0; j < p.n; ++j)
      for (int each = 0; each < components; ++each)
        (*to)[(sample * components + each) * p.padded + j] = from[(sample * p.n + j) * components + each];
}

// Distance and direction from token i to every token, and the distance in the previous prediction.
void place(const Problem& p, const float* centre, const float* previous, int64_t i, const Row& row) {
  for (int64_t j = 0; j < p.padded; ++j) {
    float square = 1e-6f, square_before = 0;
    for (int x = 0; x < 3; ++x) {
      const float step = centre[x * p.padded + j] - centre[x * p.padded + i];
      const float step_before = previous[x * p.padded + j] - previous[x * p.padded + i];
      square += step * step;
      square_before += step_before * step_before;
    }
    row.distance[j] = std::sqrt(square);
    row.previous[j] = std::sqrt(square_before);
  }
  for (int x = 0; x < 3; ++x)
    for (int64_t j = 0; j < p.padded; ++j)
      row.direction[x * p.padded + j] =
          (centre[x * p.padded + j] - centre[x * p.padded + i]) / (row.distance[j] + 1.0f);
}

void basis(const Problem& p, const float* distance, int64_t begin, float* features) {
  for (int64_t j = begin; j < begin + kBlock; j += kLanes) {
    const Vector place = logarithm(smaller(load(distance + j), broadcast(p.largest)) / p.spacing + 1.0f) / p.width;
    for (int k = 0; k < p.centres; ++k) {
      const Vector away = place - static_cast<float>(k);
      store(features + k * p.padded + j, exponential(-0.5f * away * away));
    }
  }
}

void dots(const Problem& p, const float* probes, int64_t i, int64_t begin, const float* direction, float* features) {
  const int64_t ld = p.padded;
  for (int d = 0; d < p.dots; ++d) {
    const float *own = probes + 3 * d * ld, *other = probes + 3 * (p.dots + d) * ld;
    const float *left = probes + 3 * (2 * p.dots + d) * ld, *right = probes + 3 * (3 * p.dots + d) * ld;
    for (int64_t j = begin; j < begin + kBlock; j += kLanes) {
      Vector to_own{}, to_other{}, mutual{};
      for (int x = 0; x < 3; ++x) {
        const Vector way = load(direction + x * ld + j);
        to_own += way * own[x * ld + i];
        to_other += way * load(other + x * ld + j);
        mutual += load(right + x * ld + j) * left[x * ld + i];
      }
      store(features + d * ld + j, to_own);
      store(features + (p.dots + d) * ld + j, to_other);
      store(features + (2 * p.dots + d) * ld + j, mutual);
    }
  }
}

void silu(const float* from, float* to, int64_t count) {
  for (int64_t at = 0; at < count; at += kLanes) {
    const Vector x = load(from + at);
    store(to + at, x * sigmoid(x));
  }
}

void run_block(const Problem& p, const Prepared& ready, int64_t sample, int64_t i, int64_t begin, const Row& row) {
  basis(p, row.distance, begin, row.features);
  basis(p, row.previous, begin, row.features + p.centres * p.padded);
  dots(p, ready.probes_of(p, sample), i, begin, row.direction, row.features + 2 * p.centres * p.padded);
  const float* z = p.z + ((sample / p.samples() * p.n + i) * p.n + begin) * p.c;
  const float* shift = p.shift + sample * p.c;
  const int count = static_cast<int>(std::min<int64_t>(kBlock, p.n - begin));
  float* first = row.first + begin * p.c;
  for (int j = 0; j < kBlock; ++j)
    for (int c = 0; c < p.c; c += kLanes)
      store(first + j * p.c + c, j < count ? load(shift + c) + load(z + j * p.c + c) : load(shift + c));
  product(kBlock, p.c, p.features(), row.features + begin, 1, p.padded, ready.read_transposed.data(), p.c, first, p.c,
          true);
  float *entered = row.entered + begin * p.c, *second = row.second + begin * p.c, *hidden = row.hidden + begin * p.c;
  silu(first, entered, static_cast<int64_t>(kBlock) * p.c);
  for (int j = 0; j < kBlock; ++j) std::copy_n(p.hidden_bias, p.c, second + j * p.c);
  product(kBlock, p.c, p.c, entered, p.c, 1, ready.hidden_transposed.data(), p.c, second, p.c, true);
  silu(second, hidden, static_cast<int64_t>(kBlock) * p.c);
  transpose(kBlock, p.c, hidden, p.c, row.by_channel, kBlock);
  const float* hide = ready.hide.data() + sample * p.padded;
  for (int o = 0; o < p.outs(); ++o)
    for (int64_t j = begin; j < begin + kBlock; j += kLanes) store(row.outs + o * p.padded + j, broadcast(p.out_bias[o]));
  product(p.outs(), kBlock, p.c, p.out_weight, p.c, 1, row.by_channel, kBlock, row.outs + begin, p.padded, true);
  for (int o = 0; o < p.biases + p.heads; ++o)
    for (int64_t j = begin; j < begin + kBlock; j += kLanes) {
      float* at = row.outs + o * p.padded + j;
      store(at, load(at) + load(hide + j));
    }
}

// In place, over the n tokens; 0 beyond them.
void softmax(const Problem& p, float* logits) {
  float most = logits[0];
  for (int64_t j = 1; j < p.n; ++j) most = std::max(most, logits[j]);
  std::fill(logits + p.n, logits + p.padded, -1e30f);
  for (int64_t j = 0; j < p.padded; j += kLanes) store(logits + j, exponential(load(logits + j) - most));
  std::fill(logits + p.n, logits + p.padded, 0.0f);
  Vector total{};
  for (int64_t j = 0; j < p.padded; j += kLanes) total += load(logits + j);
  const float scale = 1.0f / sum_of(total);
  for (int64_t j = 0; j < p.padded; j += kLanes) store(logits + j, load(logits + j) * scale);
}

void gather(const Problem& p, const Row& row, float* gathered, float* arrows) {
  const float* weights = row.outs + p.biases * p.padded;
  const float* radial = weights + p.heads * p.padded;
  product(p.heads, p.c, static_cast<int>(p.n), weights, p.padded, 1, row.hidden, p.c, gathered, p.c);
  const int each = p.messages / p.heads;
  for (int m = 0; m < p.messages; ++m) {
    const float *weight = weights + m / each * p.padded, *length = radial + m * p.padded;
    Vector sums[3] = {};
    for (int64_t j = 0; j < p.padded; j += kLanes) {
      const Vector share = load(weight + j) * load(length + j);
      for (int x = 0; x < 3; ++x) sums[x] += share * load(row.direction + x * p.padded + j);
    }
    for (int x = 0; x < 3; ++x) arrows[x * p.messages + m] = sum_of(sums[x]);
  }
}

bool is_plain(const structdiff_tensor& tensor, int64_t dtype, std::initializer_list<int64_t> sizes) {
  return is_contiguous(tensor, dtype) && has_sizes(tensor, sizes);
}

}  // namespace

Prepared::Prepared(const Problem& p) {
  by_component(p, p.centre, 3, &centre);
  by_component(p, p.previous, 3, &previous);
  // From [3][4 dots] a token to [4 dots][3].
  const int count = 4 * p.dots;
  probes.assign(static_cast<size_t>(p.batch) * 3 * count * p.padded, 0.0f);
  for (int64_t sample = 0; sample < p.batch; ++sample)
    for (int64_t j = 0; j < p.n; ++j)
      for (int x = 0; x < 3; ++x)
        for (int d = 0; d < count; ++d)
          probes[((sample * count + d) * 3 + x) * p.padded + j] = p.probes[((sample * p.n + j) * 3 + x) * count + d];
  hide.assign(static_cast<size_t>(p.batch) * p.padded, -1e9f);
  for (int64_t sample = 0; sample < p.batch; ++sample)
    for (int64_t j = 0; j < p.n; ++j) hide[sample * p.padded + j] = p.mask[sample * p.n + j] ? 0.0f : -1e9f;
  read_transposed.resize(static_cast<size_t>(p.features()) * p.c);
  hidden_transposed.resize(static_cast<size_t>(p.c) * p.c);
  for (int c = 0; c < p.c; ++c) {
    for (int k = 0; k < p.features(); ++k) read_transposed[k * p.c + c] = p.read_weight[c * p.features() + k];
    for (int k = 0; k < p.c; ++k) hidden_transposed[k * p.c + c] = p.hidden_weight[c * p.c + k];
  }
}

int64_t Row::size(const Problem& p, bool keep) {
  return p.padded * (3 + 2 + p.features() + p.outs() + (keep ? 4 : 2) * p.c) + static_cast<int64_t>(p.c) * kBlock;
}

Row::Row(const Problem& p, float* at, bool keep) {
  const auto take = [&](int64_t rows) { return at += rows * p.padded, at - rows * p.padded; };
  direction = take(3), distance = take(1), previous = take(1), features = take(p.features()), outs = take(p.outs());
  first = take(p.c), entered = keep ? take(p.c) : first;
  second = take(p.c), hidden = keep ? take(p.c) : second;
  by_channel = at;
}

void run_row(const Problem& p, const Prepared& ready, int64_t sample, int64_t i, const Row& row, float* bias) {
  place(p, ready.centre_of(p, sample), ready.previous_of(p, sample), i, row);
  for (int64_t begin = 0; begin < p.padded; begin += kBlock) run_block(p, ready, sample, i, begin, row);
  if (bias != nullptr)
    for (int o = 0; o < p.biases; ++o) std::copy_n(row.outs + o * p.padded, p.n, bias + o * p.n * p.n);
  for (int h = 0; h < p.heads; ++h) softmax(p, row.outs + (p.biases + h) * p.padded);
}

int32_t read_problem(const structdiff_pair_geometry_inputs& in, double largest, double spacing,
                     const structdiff_tensor& bias, const structdiff_tensor& gathered, const structdiff_tensor& arrows,
                     int32_t num_threads, Problem* out) {
  const int64_t batch = in.centre.size[0], n = in.centre.size[1], groups = in.z.size[0], c = in.hidden_bias.size[0];
  const int64_t dots = in.probes.size[3] / 4, features = in.read_weight.size[1], outs = in.out_bias.size[0];
  const int64_t biases = bias.size[1], heads = gathered.size[2], messages = arrows.size[3];
  const int64_t centres = (features - 3 * dots) / 2;
  if (groups <= 0 || batch % groups || outs != biases + heads + messages || heads <= 0 || messages % heads ||
      centres < 2 || features != 2 * centres + 3 * dots)
    return STRUCTDIFF_BAD_ARGUMENT;
  const int64_t f = STRUCTDIFF_FLOAT32;
  const bool plain = is_plain(in.centre, f, {batch, n, 3}) && is_plain(in.previous, f, {batch, n, 3}) &&
                     is_plain(in.probes, f, {batch, n, 3, 4 * dots}) && is_plain(in.z, f, {groups, n, n, c}) &&
                     is_plain(in.shift, f, {batch, c}) && is_plain(in.mask, STRUCTDIFF_BOOL, {batch, n}) &&
                     is_plain(in.read_weight, f, {c, features}) && is_plain(in.hidden_weight, f, {c, c}) &&
                     is_plain(in.hidden_bias, f, {c}) && is_plain(in.out_weight, f, {outs, c}) &&
                     is_plain(in.out_bias, f, {outs}) && is_plain(bias, f, {batch, biases, n, n}) &&
                     is_plain(gathered, f, {batch, n, heads, c}) && is_plain(arrows, f, {batch, n, 3, messages});
  if (!plain || c % kChannelStep) return STRUCTDIFF_UNSUPPORTED;
  const auto data = [](const structdiff_tensor& tensor) { return static_cast<const float*>(tensor.data); };
  Problem& p = *out;
  p.batch = batch, p.groups = groups, p.n = n, p.padded = (n + kBlock - 1) / kBlock * kBlock;
  p.c = static_cast<int>(c), p.dots = static_cast<int>(dots), p.centres = static_cast<int>(centres);
  p.biases = static_cast<int>(biases), p.heads = static_cast<int>(heads), p.messages = static_cast<int>(messages);
  p.largest = static_cast<float>(largest), p.spacing = static_cast<float>(spacing);
  p.width = static_cast<float>(std::log1p(largest / spacing) / static_cast<double>(centres - 1));
  p.threads = num_threads;
  p.centre = data(in.centre), p.previous = data(in.previous), p.probes = data(in.probes), p.z = data(in.z);
  p.shift = data(in.shift), p.mask = static_cast<const uint8_t*>(in.mask.data);
  p.read_weight = data(in.read_weight), p.hidden_weight = data(in.hidden_weight), p.hidden_bias = data(in.hidden_bias);
  p.out_weight = data(in.out_weight), p.out_bias = data(in.out_bias);
  return STRUCTDIFF_OK;
}

}  // namespace geometry
}  // namespace structdiff

int32_t structdiff_pair_geometry_forward_cpu(const structdiff_pair_geometry_inputs* inputs, double largest,
                                             double spacing, const structdiff_tensor* bias,
                                             const structdiff_tensor* gathered, const structdiff_tensor* arrows,
                                             int32_t num_threads) {
  using namespace structdiff::geometry;
  Problem p;
  const int32_t status = read_problem(*inputs, largest, spacing, *bias, *gathered, *arrows, num_threads, &p);
  if (status != STRUCTDIFF_OK) return status;
  const auto data = [](const structdiff_tensor* tensor) { return static_cast<float*>(tensor->data); };
  try {
    const Prepared ready(p);
    const Floats scratch = floats(Row::size(p, false) * p.threads);
    structdiff::parallel_for(p.batch * p.n, p.threads, [&](int64_t index, int32_t worker) {
      const Row row(p, scratch.get() + worker * Row::size(p, false), false);
      const int64_t sample = index / p.n, i = index % p.n;
      run_row(p, ready, sample, i, row, data(bias) + (sample * p.biases * p.n + i) * p.n);
      gather(p, row, data(gathered) + index * p.heads * p.c, data(arrows) + index * 3 * p.messages);
    });
  } catch (const std::bad_alloc&) {
    return STRUCTDIFF_OUT_OF_MEMORY;
  }
  return STRUCTDIFF_OK;
}

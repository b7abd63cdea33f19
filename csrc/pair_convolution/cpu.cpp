// The half residual block on the CPU: the convolution tile by tile (cpu_winograd.h), whose results leave their sums for the
// norm; then norm, addition and ELU in one pass over memory.
//
// Sums over pairs are kept apart for stretches that sizes alone decide and added in their order, so that the bits do not
// depend on the number of threads.
#include <algorithm>
#include <cmath>
#include <new>

#include "common/dense.h"
#include "common/floats.h"
#include "common/parallel.h"
#include "common/tensors.h"
#include "pair_convolution/contract.h"
#include "pair_convolution/cpu_winograd.h"

namespace structdiff {
namespace convolution {
namespace {

constexpr int64_t kRun = 256;  // pairs, of a pass over memory

int64_t runs(const Shape& s) { return (s.pairs() + kRun - 1) / kRun; }

int64_t run_length(const Shape& s, int64_t run) { return std::min(kRun, s.pairs() - run * kRun); }

// Weights and threads' own memory, behind what else a pass needs.
int64_t memory_of(const Shape& s, int32_t threads) {
  return TileWeights::size(s.in, s.out) + Tiles::scratch(s.in, s.out) * threads;
}

// weight: of the forward pass, also where this is the way back.
void convolve(const Shape& s, const float* from, const float* weight, bool backward, float* to,
              std::vector<Moments>* moments, float* memory, int32_t threads) {
  const TileWeights weights(weight, backward ? s.out : s.in, backward ? s.in : s.out, backward, memory, threads);
  float* scratch = memory + TileWeights::size(s.in, s.out);
  const Tiles tiles(s);
  const int64_t stretches = tiles.stretches();
  if (moments != nullptr) moments->assign(s.batch, Moments(s, stretches));
  parallel_for(s.batch * stretches, threads, [&](int64_t index, int32_t worker) {
    const int64_t sample = index / stretches;
    tiles.run(index % stretches, from + sample * s.pairs() * s.in, weights, to + sample * s.pairs() * s.out,
              moments == nullptr ? nullptr : &(*moments)[sample], scratch + worker * Tiles::scratch(s.in, s.out));
  });
}

// The mean and 1 / sqrt(variance + epsilon) of every channel, from those of stretches (Chan et al. 1983).
void join(const Moments& all, double epsilon, float* mean_and_scale) {
  for (int64_t channel = 0; channel < all.out; ++channel) {
    double count = 0, mean = 0, squares = 0;
    for (size_t stretch = 0; stretch < all.counts.size(); ++stretch) {
      const float* own = all.sums.data() + stretch * 3 * all.out + channel;
      const double n = static_cast<double>(all.counts[stretch]), shifted = own[all.out] / n;
      const double away = own[0] + shifted - mean;
      squares += own[2 * all.out] - n * shifted * shifted + away * away * n * count / (n + count);
      mean += away * n / (n + count);
      count += n;
    }
    mean_and_scale[channel] = static_cast<float>(mean);
    mean_and_scale[all.out + channel] = static_cast<float>(1 / std::sqrt(std::max(squares, 0.0) / count + epsilon));
  }
}

// NaN stays NaN.
__attribute__((always_inline)) inline Vector elu(Vector z) { return z <= 0.0f ? exponential(z) - 1.0f : z; }

void finish(int64_t pairs, int channels, const float* c, const float* moments, const float* gain, const float* shift,
            const float* residual, float* y) {
  for (int channel = 0; channel < channels; channel += kLanes) {
    const Vector mean = load(moments + channel), scale = load(moments + channels + channel) * load(gain + channel);
    const Vector start = load(shift + channel);
    for (int64_t at = channel; at < pairs * channels; at += channels) {
      const Vector z = (load(c + at) - mean) * scale + start;
      store(y + at, elu(residual == nullptr ? z : z + load(residual + at)));
    }
  }
}

// What norms were made of, and what they gave.
struct Norm {
  const float *c, *moments, *gain, *shift;
};

// The gradient of what ELU was given, and for every channel its sum and that of its products with the normed c. y may be
// null.
void slopes_of_elu(int64_t pairs, int channels, const float* grad_y, const float* y, const Norm& norm, float* grad_z,
                   float* sums) {
  for (int channel = 0; channel < channels; channel += kLanes) {
    const Vector mean = load(norm.moments + channel), scale = load(norm.moments + channels + channel);
    const Vector gain = load(norm.gain + channel), shift = load(norm.shift + channel);
    Vector total{}, products{};
    for (int64_t at = channel; at < pairs * channels; at += channels) {
      const Vector normed = (load(norm.c + at) - mean) * scale, grad = load(grad_y + at);
      const Vector result = y == nullptr ? elu(normed * gain + shift) : load(y + at);
      const Vector slope = result > 0.0f ? grad : grad * (result + 1.0f);
      store(grad_z + at, slope);
      total += slope;
      products += slope * normed;
    }
    store(sums + channel, total);
    store(sums + channels + channel, products);
  }
}

// The gradient of c: (grad_z - mean of grad_z - normed c * mean of their products) * scale * gain. In place or not.
void slopes_of_norm(int64_t pairs, int channels, const float* grad_z, const Norm& norm, const float* means,
                    float* grad_c) {
  for (int channel = 0; channel < channels; channel += kLanes) {
    const Vector mean = load(norm.moments + channel), scale = load(norm.moments + channels + channel);
    const Vector out = scale * load(norm.gain + channel), first = load(means + channel);
    const Vector second = load(means + channels + channel) * scale;
    for (int64_t at = channel; at < pairs * channels; at += channels)
      store(grad_c + at, (load(grad_z + at) - first - (load(norm.c + at) - mean) * second) * out);
  }
}

void take_means(const float* sums, int64_t parts, int64_t width, int64_t count, float* means) {
  for (int64_t at = 0; at < width; ++at) {
    double total = 0;
    for (int64_t part = 0; part < parts; ++part) total += sums[part * width + at];
    means[at] = static_cast<float>(total / static_cast<double>(count));
  }
}

const float* data(const structdiff_tensor* tensor) {
  return tensor == nullptr ? nullptr : static_cast<const float*>(tensor->data);
}

float* writable(const structdiff_tensor* tensor) {
  return tensor == nullptr ? nullptr : static_cast<float*>(tensor->data);
}

bool plain(const structdiff_tensor* tensor, std::initializer_list<int64_t> sizes) {
  return is_contiguous(*tensor, STRUCTDIFF_FLOAT32) && has_sizes(*tensor, sizes);
}

// Whether the tables are those that the kernels take; fills in the shape.
int32_t read_shape(const structdiff_tensor& x, const structdiff_tensor& weight, const structdiff_tensor& gain,
                   int32_t dilation, Shape* out) {
  if (x.rank != 4 || weight.rank != 4 || dilation < 1) return STRUCTDIFF_BAD_ARGUMENT;
  const int64_t in = weight.size[2], width = weight.size[3];
  if (!plain(&x, {x.size[0], x.size[1], x.size[2], in}) || !plain(&weight, {3, 3, in, width}) || !plain(&gain, {width}))
    return STRUCTDIFF_UNSUPPORTED;
  if (in % kChannelStep || width % kChannelStep || in <= 0 || width <= 0 || x.size[1] <= 0 || x.size[2] <= 0)
    return STRUCTDIFF_UNSUPPORTED;
  // Beyond the table there is nothing, however far.
  const int reach = static_cast<int>(std::min<int64_t>(dilation, std::max(x.size[1], x.size[2])));
  *out = {x.size[0], x.size[1], x.size[2], static_cast<int>(in), static_cast<int>(width), reach};
  return STRUCTDIFF_OK;
}

bool is_result(const structdiff_tensor* tensor, const Shape& s) {
  return tensor == nullptr || tensor->data == nullptr || plain(tensor, {s.batch, s.rows, s.columns, s.out});
}

void forward(const Shape& s, const structdiff_tensor* x, const structdiff_tensor* weight, const float* gain,
             const float* shift, const float* residual, double epsilon, float* y, float* c, float* moments,
             int32_t threads) {
  std::vector<Moments> parts;
  const KeptFloats memory(memory_of(s, threads));
  convolve(s, data(x), data(weight), false, c, &parts, memory.get(), threads);
  for (int64_t sample = 0; sample < s.batch; ++sample) join(parts[sample], epsilon, moments + sample * 2 * s.out);
  parallel_for(s.batch * runs(s), threads, [&](int64_t index, int32_t) {
    const int64_t sample = index / runs(s), run = index % runs(s);
    const int64_t at = (sample * s.pairs() + run * kRun) * s.out;
    finish(run_length(s, run), s.out, c + at, moments + sample * 2 * s.out, gain, shift,
           residual == nullptr ? nullptr : residual + at, y + at);
  });
}

void backward(const Shape& s, const float* grad_y, const float* y, const Norm& norm, const float* weight, float* grad_x,
              float* grad_residual, int32_t threads) {
  const int64_t each = runs(s), width = 2 * s.out;
  std::vector<float> sums(static_cast<size_t>(s.batch * each * width)), means(static_cast<size_t>(s.batch * width));
  const auto place = [&](int64_t index) { return (index / each * s.pairs() + index % each * kRun) * s.out; };
  const auto norm_at = [&](int64_t index) {
    return Norm{norm.c + place(index), norm.moments + index / each * width, norm.gain, norm.shift};
  };
  const Shape back = {s.batch, s.rows, s.columns, s.out, s.in, s.dilation};
  const KeptFloats memory(memory_of(back, threads) + s.batch * s.pairs() * s.out);
  float* grad_c = memory.get() + memory_of(back, threads);
  float* grad_z = grad_residual == nullptr ? grad_c : grad_residual;
  parallel_for(s.batch * each, threads, [&](int64_t index, int32_t) {
    const int64_t at = place(index);
    slopes_of_elu(run_length(s, index % each), s.out, grad_y + at, y == nullptr ? nullptr : y + at, norm_at(index),
                  grad_z + at, sums.data() + index * width);
  });
  for (int64_t sample = 0; sample < s.batch; ++sample)
    take_means(sums.data() + sample * each * width, each, width, s.pairs(), means.data() + sample * width);
  parallel_for(s.batch * each, threads, [&](int64_t index, int32_t) {
    const int64_t at = place(index);
    slopes_of_norm(run_length(s, index % each), s.out, grad_z + at, norm_at(index), means.data() + index / each * width,
                   grad_c + at);
  });
  convolve(back, grad_c, weight, true, grad_x, nullptr, memory.get(), threads);
}

}  // namespace
}  // namespace convolution
}  // namespace structdiff

int32_t structdiff_pair_convolution_forward_cpu(
    const structdiff_tensor* x, const structdiff_tensor* weight, const structdiff_tensor* gain,
    const structdiff_tensor* shift, const structdiff_tensor* residual, int32_t dilation, double epsilon,
    const structdiff_tensor* y, const structdiff_tensor* c, const structdiff_tensor* moments, int32_t num_threads) {
  using namespace structdiff::convolution;
  Shape s;
  const int32_t status = read_shape(*x, *weight, *gain, dilation, &s);
  if (status != STRUCTDIFF_OK) return status;
  if (!plain(shift, {s.out}) || !plain(moments, {s.batch, 2, s.out})) return STRUCTDIFF_UNSUPPORTED;
  if (!is_result(residual, s) || !is_result(y, s) || !is_result(c, s)) return STRUCTDIFF_UNSUPPORTED;
  float* kept = writable(c) == nullptr ? writable(y) : writable(c);
  structdiff::wish_for_large_pages(*y);
  if (kept != writable(y)) structdiff::wish_for_large_pages(*c);
  try {
    forward(s, x, weight, data(gain), data(shift), data(residual), epsilon, writable(y), kept, writable(moments),
            num_threads);
  } catch (const std::bad_alloc&) {
    return STRUCTDIFF_OUT_OF_MEMORY;
  }
  return STRUCTDIFF_OK;
}

int32_t structdiff_pair_convolution_backward_cpu(
    const structdiff_tensor* grad_y, const structdiff_tensor* y, const structdiff_tensor* c,
    const structdiff_tensor* moments, const structdiff_tensor* weight, const structdiff_tensor* gain,
    const structdiff_tensor* shift, int32_t dilation, const structdiff_tensor* grad_x,
    const structdiff_tensor* grad_residual, int32_t num_threads) {
  using namespace structdiff::convolution;
  Shape s;
  const int32_t status = read_shape(*grad_x, *weight, *gain, dilation, &s);
  if (status != STRUCTDIFF_OK) return status;
  if (!plain(shift, {s.out}) || !plain(moments, {s.batch, 2, s.out})) return STRUCTDIFF_UNSUPPORTED;
  for (const structdiff_tensor* each : {grad_y, y, c, grad_residual})
    if (!is_result(each, s)) return STRUCTDIFF_UNSUPPORTED;
  if ((data(y) == nullptr) != (data(grad_residual) == nullptr)) return STRUCTDIFF_BAD_ARGUMENT;
  structdiff::wish_for_large_pages(*grad_x);
  if (writable(grad_residual) != nullptr) structdiff::wish_for_large_pages(*grad_residual);
  try {
    backward(s, data(grad_y), data(y), {data(c), data(moments), data(gain), data(shift)}, data(weight),
             writable(grad_x), writable(grad_residual), num_threads);
  } catch (const std::bad_alloc&) {
    return STRUCTDIFF_OUT_OF_MEMORY;
  }
  return STRUCTDIFF_OK;
}

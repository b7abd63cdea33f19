// Gradients of triangle multiplication on the CPU. Nothing is kept from the forward pass: planes and product are computed
// again, which costs two thirds of a forward pass and saves three planes a channel.
//
// Gradients of weights are summed over a fixed number of stretches of the pair table, each in its own memory, and then
// over the stretches in their order, so that the bits do not depend on the number of threads.
#include <new>

#include "common/parallel.h"
#include "triangle_multiplication/cpu_blocks.h"
#include "triangle_multiplication/cpu_contraction.h"

namespace structdiff {
namespace trimul {
namespace {

// At most so many, of no fewer than so many blocks: their sums are cleared and added up.
constexpr int64_t kStretches = 32, kBlocksOfStretch = 4;

int64_t stretches_of(const Problem& p) {
  return std::max<int64_t>(1, std::min(kStretches, out_blocks(p) / kBlocksOfStretch));
}

// The gradients of all weights, one behind the other; project_out is transposed.
struct Gradients {
  explicit Gradients(const Problem& p) {
    const int64_t c = p.c, h = p.h, sizes[] = {c, c, 2 * h * c, 2 * h * c, h, h, h * c, c * c};
    for (int which = 0; which < 8; ++which) begin[which + 1] = begin[which] + sizes[which];
  }
  int64_t begin[9] = {0};
  int64_t size() const { return begin[8]; }
};
enum { kNormInWeight, kNormInBias, kProjectIn, kGateIn, kNormOutWeight, kNormOutBias, kProjectOut, kGateOut };

// Mean and 1 / standard deviation of one row.
struct Moments {
  float mean, scale;
};

Moments moments(const float* row, int channels, float epsilon) {
  Vector total{}, square{};
  for (int c = 0; c < channels; c += kLanes) total += load(row + c);
  const float mean = sum_of(total) / static_cast<float>(channels);
  for (int c = 0; c < channels; c += kLanes) {
    const Vector away = load(row + c) - mean;
    square += away * away;
  }
  return {mean, 1.0f / std::sqrt(sum_of(square) / static_cast<float>(channels) + epsilon)};
}

// x[pair][channel]: the block's rows of z, normalised; rows beyond the block's end are 0. plain: without weight and bias.
void normalise_rows(const Problem& p, const Block& block, bool plain, float* x, float* scales) {
  for (int row = 0; row < block.count; ++row, x += p.c) {
    const float* from = p.z + block.pair(p, row) * p.c;
    const Moments m = moments(from, p.c, p.epsilon);
    if (scales != nullptr) scales[row] = m.scale;
    for (int c = 0; c < p.c; c += kLanes) {
      const Vector normal = (load(from + c) - m.mean) * m.scale;
      store(x + c, plain ? normal : normal * load(p.norm_in_weight + c) + load(p.norm_in_bias + c));
    }
  }
  std::fill_n(x, static_cast<int64_t>(kPairs - block.count) * p.c, 0.0f);
}

// y[channel][kPairs] = a block of the product, normalised over the channels without weight and bias.
void normalise_product(const Problem& p, const float* from, float* y, float* scales) {
  for (int at = 0; at < kPairs; at += kLanes) {
    Vector mean{}, square{};
    for (int h = 0; h < p.h; ++h) mean += load(from + h * kPairs + at);
    mean /= static_cast<float>(p.h);
    for (int h = 0; h < p.h; ++h) {
      const Vector away = load(from + h * kPairs + at) - mean;
      square += away * away;
    }
    float scale[kLanes];
    store(scale, square / static_cast<float>(p.h) + p.epsilon);
    for (float& each : scale) each = 1.0f / std::sqrt(each);
    std::copy_n(scale, kLanes, scales + at);
    const Vector by = load(scale);
    for (int h = 0; h < p.h; ++h) {
      store(y + h * kPairs + at, (load(from + h * kPairs + at) - mean) * by);
    }
  }
}

// Runs work(index, sums, worker) for all blocks of the product, or as many of the edges, a stretch of them after another.
// first: sums start at 0.
template <typename Work>
void in_stretches(const Problem& p, const Gradients& layout, float* sums, bool first, Work work) {
  const int64_t blocks = out_blocks(p), stretches = stretches_of(p);
  parallel_for(stretches, p.threads, [&](int64_t stretch, int32_t worker) {
    float* own = sums + stretch * layout.size();
    if (first) std::fill_n(own, layout.size(), 0.0f);
    const int64_t end = (stretch + 1) * blocks / stretches;
    for (int64_t index = stretch * blocks / stretches; index < end; ++index) work(index, own, worker);
  });
}

// Scratch of one worker for the second half, from product to output.
struct OutScratch {
  OutScratch(const Problem& p, float* at) {
    for (float** table : {&normal, &y, &grad_y, &grad_y_rows}) *table = at, at += p.h * kPairs;
    for (float** table : {&x, &gates, &projected}) *table = at, at += p.c * kPairs;
    scales = at;
    row_scales = at + kPairs;
  }
  static int64_t size(const Problem& p) { return (4 * p.h + 3 * p.c + 2) * static_cast<int64_t>(kPairs); }
  float *normal, *y, *grad_y, *grad_y_rows, *x, *gates, *projected, *scales, *row_scales;
};

// From the gradient of layer_norm(product) to that of the product; channels are rows.
void norm_out_backward(const Problem& p, const OutScratch& s, float* weight_sum, float* bias_sum) {
  for (int at = 0; at < kPairs; at += kLanes) {
    Vector mean{}, along{};
    for (int h = 0; h < p.h; ++h) {
      const Vector slope = load(s.grad_y + h * kPairs + at) * p.norm_out_weight[h];
      mean += slope;
      along += slope * load(s.normal + h * kPairs + at);
    }
    mean /= static_cast<float>(p.h);
    along /= static_cast<float>(p.h);
    for (int h = 0; h < p.h; ++h) {
      const Vector normal = load(s.normal + h * kPairs + at), grad = load(s.grad_y + h * kPairs + at);
      weight_sum[h] += sum_of(grad * normal);
      bias_sum[h] += sum_of(grad);
      store(s.grad_y + h * kPairs + at,
            (grad * p.norm_out_weight[h] - mean - normal * along) * load(s.scales + at));
    }
  }
}

// From the output's gradient to that of the product (written over the product) and what the output gate gives grad_x.
void out_backward(const Problem& p, const float* grad_out, float* products, const Gradients& layout, float* sums,
                  float* grad_x) {
  const std::vector<float> project = transposed(p.project_out, p.c, p.h), gate = transposed(p.gate_out, p.c, p.c);
  const Floats scratch = floats(OutScratch::size(p) * p.threads);
  in_stretches(p, layout, sums, true, [&](int64_t index, float* own, int32_t worker) {
    const Block block = out_block(p, index);
    float* from = products + p.product_of(block.batch, block.row, block.first);
    const OutScratch s(p, scratch.get() + worker * OutScratch::size(p));
    normalise_product(p, from, s.normal, s.scales);
    for (int h = 0; h < p.h; ++h)
      for (int at = h * kPairs; at < (h + 1) * kPairs; at += kLanes)
        store(s.y + at, load(s.normal + at) * p.norm_out_weight[h] + p.norm_out_bias[h]);
    normalise_rows(p, block, false, s.x, s.row_scales);
    product(block.count, p.c, p.c, s.x, p.c, 1, gate.data(), p.c, s.gates, p.c);
    product(block.count, p.c, p.h, s.y, 1, kPairs, project.data(), p.c, s.projected, p.c);
    const int64_t begin = block.pair(p, 0) * p.c;
    const int64_t filled = static_cast<int64_t>(block.count) * p.c;
    for (int64_t at = 0; at < filled; at += kLanes) {
      const Vector open = sigmoid(load(s.gates + at)), grad = load(grad_out + begin + at);
      store(s.gates + at, grad * load(s.projected + at) * open * (1.0f - open));
      store(s.projected + at, grad * open);
    }
    std::fill(s.projected + filled, s.projected + kPairs * p.c, 0.0f);
    product(p.h, p.c, block.count, s.y, kPairs, 1, s.projected, p.c, own + layout.begin[kProjectOut], p.c, true);
    product(p.c, p.c, block.count, s.gates, 1, p.c, s.x, p.c, own + layout.begin[kGateOut], p.c, true);
    product(block.count, p.c, p.c, s.gates, p.c, 1, p.gate_out, p.c, grad_x + begin, p.c);
    product(kPairs, p.h, p.c, s.projected, p.c, 1, p.project_out, p.h, s.grad_y_rows, p.h);
    transpose(kPairs, p.h, s.grad_y_rows, p.h, s.grad_y, kPairs);
    norm_out_backward(p, s, own + layout.begin[kNormOutWeight], own + layout.begin[kNormOutBias]);
    std::copy_n(s.grad_y, p.h * kPairs, from);
  });
}

// From the gradient of the product to those of a and b, written over the planes of a and b.
void multiply_backward(const Problem& p, const float* grad_products, float* edges) {
  const int64_t n = p.n, line = p.line(), each = p.plane() + contraction_scratch();
  const int64_t row = p.product_of(0, 1, 0), run = p.h * kPairs;
  const Floats scratch = floats(each * p.threads);
  parallel_for(p.batch * p.h, p.threads, [&](int64_t index, int32_t worker) {
    const int64_t batch = index / p.h, h = index % p.h;
    float *a = p.plane_of(edges, batch, 0, h), *b = p.plane_of(edges, batch, 1, h);
    float *grad_a = scratch.get() + worker * each, *packed = grad_a + p.plane();
    const float* grad = grad_products + p.product_of(batch, 0, 0) + h * kPairs;
    contract(n, n, n, {grad, row, 1, run}, {b, 1, line, kRun * line}, {grad_a, line, kRun}, packed);
    contract(n, n, n, {a, 1, line, kRun * line}, {grad, row, 1, run}, {b, line, kRun}, packed);
    std::copy_n(grad_a, p.plane(), a);
  });
}

// Scratch of one worker for the first half, from input to edges.
struct InScratch {
  InScratch(const Problem& p, float* at) {
    for (float** table : {&normal, &x, &strips, &grad_x}) *table = at, at += p.c * kPairs;
    for (float** table : {&grad_projected, &grad_gates}) *table = at, at += p.h * kPairs;
    mask = at;
    scales = at + kPairs;
  }
  static int64_t size(const Problem& p) { return (4 * p.c + 2 * p.h + 2) * static_cast<int64_t>(kPairs); }
  float *normal, *x, *strips, *grad_x, *grad_projected, *grad_gates, *mask, *scales;
};

// Gradients of the projections and of the gates before their sigmoid, from those of the edges, for one strip.
void gates_backward(const Problem& p, const GatedWeights& weights, int half, const float* grad_edges, int at,
                    const InScratch& s) {
  const float* strip = s.strips + at * p.c;
  for (int first = 0; first < p.h; first += kGated)
    gated_tile<2>(p.c, weights.tile(half, first), strip, [&](int r, int v, Vector projected, Vector open) {
      if (first + r >= p.h) return;
      const int lane = at + v * kLanes, to = (first + r) * kPairs + lane;
      const Vector grad = load(grad_edges + (first + r) * p.plane() + lane) * load(s.mask + lane);
      store(s.grad_gates + to, grad * projected * open * (1.0f - open));
      store(s.grad_projected + to, grad * open);
    });
}

// One row through the input's layer norm; add: to what grad_z holds.
void norm_in_backward(const Problem& p, const float* grad_x, const float* normal, float scale, bool add, float* grad_z,
                      float* weight_sum, float* bias_sum) {
  Vector total{}, product_total{};
  for (int c = 0; c < p.c; c += kLanes) {
    const Vector grad = load(grad_x + c), slope = grad * load(p.norm_in_weight + c);
    total += slope;
    product_total += slope * load(normal + c);
    store(weight_sum + c, load(weight_sum + c) + grad * load(normal + c));
    store(bias_sum + c, load(bias_sum + c) + grad);
  }
  const float mean = sum_of(total) / static_cast<float>(p.c), along = sum_of(product_total) / static_cast<float>(p.c);
  for (int c = 0; c < p.c; c += kLanes) {
    const Vector slope = load(grad_x + c) * load(p.norm_in_weight + c);
    const Vector grad = (slope - mean - load(normal + c) * along) * scale;
    store(grad_z + c, add ? load(grad_z + c) + grad : grad);
  }
}

// From the gradients of the edges to that of z: first those of a, then those of b. grad_z holds what the output gate gave.
void in_backward(const Problem& p, float* grad_edges, const Gradients& layout, float* sums, float* grad_z) {
  const GatedWeights weights(p);
  const Floats scratch = floats(InScratch::size(p) * p.threads);
  for (const int half : {0, 1})
    in_stretches(p, layout, sums, false, [&](int64_t index, float* own, int32_t worker) {
      const InScratch s(p, scratch.get() + worker * InScratch::size(p));
      const Block block = edge_block(p, half * out_blocks(p) + index);
      normalise_rows(p, block, true, s.normal, s.scales);
      for (int64_t at = 0; at < kPairs * p.c; at += kLanes)
        store(s.x + at, load(s.normal + at) * load(p.norm_in_weight + at % p.c) + load(p.norm_in_bias + at % p.c));
      plane_mask(p, block, s.mask);
      const float* grads = p.plane_of(grad_edges, block.batch, half, 0) + block.row * p.line() + block.first;
      for (int at = 0; at < block.count; at += kStrip) {
        transpose(kStrip, p.c, s.x + at * p.c, p.c, s.strips + at * p.c, kStrip);
        gates_backward(p, weights, half, grads, at, s);
      }
      const int64_t ours = static_cast<int64_t>(half) * p.h * p.c;
      float *project = own + layout.begin[kProjectIn] + ours, *gate = own + layout.begin[kGateIn] + ours;
      product(p.h, p.c, block.count, s.grad_projected, kPairs, 1, s.x, p.c, project, p.c, true);
      product(p.h, p.c, block.count, s.grad_gates, kPairs, 1, s.x, p.c, gate, p.c, true);
      for (int row = 0; row < block.count && half == 0; ++row)
        std::copy_n(grad_z + block.pair(p, row) * p.c, p.c, s.grad_x + row * p.c);
      product(block.count, p.c, p.h, s.grad_projected, 1, kPairs, p.project_in + ours, p.c, s.grad_x, p.c, half == 0);
      product(block.count, p.c, p.h, s.grad_gates, 1, kPairs, p.gate_in + ours, p.c, s.grad_x, p.c, true);
      for (int row = 0; row < block.count; ++row)
        norm_in_backward(p, s.grad_x + row * p.c, s.normal + row * p.c, s.scales[row], half == 1,
                         grad_z + block.pair(p, row) * p.c, own + layout.begin[kNormInWeight],
                         own + layout.begin[kNormInBias]);
    });
}

void collect(const Problem& p, const Gradients& layout, float* sums,
             const structdiff_triangle_multiplication_weights& out) {
  constexpr int64_t kTogether = 4096;
  parallel_for((layout.size() + kTogether - 1) / kTogether, p.threads, [&](int64_t piece, int32_t) {
    float *from = sums + piece * kTogether, *end = std::min(from + kTogether, sums + layout.size());
    for (int64_t stretch = 1; stretch < stretches_of(p); ++stretch)
      for (float* at = from; at < end; ++at) *at += at[stretch * layout.size()];
  });
  const structdiff_tensor* all[] = {&out.norm_in_weight,  &out.norm_in_bias,  &out.project_in_weight,
                                    &out.gate_in_weight,  &out.norm_out_weight, &out.norm_out_bias,
                                    &out.project_out_weight, &out.gate_out_weight};
  for (int which = 0; which < 8; ++which) {
    float* to = static_cast<float*>(all[which]->data);
    const float* from = sums + layout.begin[which];
    if (which == kProjectOut)
      transpose(p.h, p.c, from, p.c, to, p.h);
    else
      std::copy_n(from, layout.begin[which + 1] - layout.begin[which], to);
  }
}

}  // namespace
}  // namespace trimul
}  // namespace structdiff

int32_t structdiff_triangle_multiplication_backward_cpu(const structdiff_tensor* grad_out, const structdiff_tensor* z,
                                                        const structdiff_tensor* mask,
                                                        const structdiff_triangle_multiplication_weights* weights,
                                                        int32_t outgoing, double epsilon,
                                                        const structdiff_tensor* grad_z,
                                                        const structdiff_triangle_multiplication_weights* grad_weights,
                                                        int32_t num_threads) {
  using namespace structdiff;
  using namespace structdiff::trimul;
  Problem p;
  const int32_t status = read_problem(z, mask, weights, outgoing, epsilon, num_threads, &p);
  if (status != STRUCTDIFF_OK) return status;
  if (!is_contiguous(*grad_out, STRUCTDIFF_FLOAT32) || !is_contiguous(*grad_z, STRUCTDIFF_FLOAT32))
    return STRUCTDIFF_UNSUPPORTED;
  const Gradients layout(p);
  try {
    const KeptFloats tables(p.edges() + p.products() + layout.size() * stretches_of(p));
    float *const edges = tables.get(), *const products = edges + p.edges(), *const sums = products + p.products();
    wish_for_large_pages(*grad_z);
    project_edges(p, edges);
    multiply_edges(p, edges, products);
    float* grad = static_cast<float*>(grad_z->data);
    out_backward(p, static_cast<const float*>(grad_out->data), products, layout, sums, grad);
    multiply_backward(p, products, edges);
    in_backward(p, edges, layout, sums, grad);
    collect(p, layout, sums, *grad_weights);
  } catch (const std::bad_alloc&) {
    return STRUCTDIFF_OUT_OF_MEMORY;
  }
  return STRUCTDIFF_OK;
}

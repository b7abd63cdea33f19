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

constexpr int64_t kStretches = 32;

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

// Runs work(block, sums, worker) over all blocks, a stretch of them after another.
template <typename Work>
void in_stretches(const Problem& p, const Gradients& layout, float* sums, Work work) {
  const int64_t stretches = std::min(kStretches, p.blocks());
  parallel_for(stretches, p.threads, [&](int64_t stretch, int32_t worker) {
    const int64_t end = (stretch + 1) * p.blocks() / stretches;
    for (int64_t index = stretch * p.blocks() / stretches; index < end; ++index)
      work(block_at(p, index), sums + stretch * layout.size(), worker);
  });
}

// Scratch of one worker for the second half, from product to output.
struct OutScratch {
  OutScratch(const Problem& p, float* at) {
    for (float** table : {&normal, &y, &grad_y, &grad_y_rows}) *table = at, at += p.h * kPairs;
    for (float** table : {&x, &gates, &projected}) *table = at, at += p.c * kPairs;
    scales = at;
  }
  static int64_t size(const Problem& p) { return (4 * p.h + 3 * p.c + 1) * static_cast<int64_t>(kPairs); }
  float *normal, *y, *grad_y, *grad_y_rows, *x, *gates, *projected, *scales;
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
void out_backward(const Problem& p, const float* grad_out, float* product_planes, const Gradients& layout, float* sums,
                  float* grad_x) {
  const std::vector<float> project = transposed(p.project_out, p.c, p.h), gate = transposed(p.gate_out, p.c, p.c);
  const Floats scratch = floats(OutScratch::size(p) * p.threads);
  in_stretches(p, layout, sums, [&](const Block& block, float* own, int32_t worker) {
    const OutScratch s(p, scratch.get() + worker * OutScratch::size(p));
    normalise_planes(p, block, product_planes, true, s.normal, s.scales);
    for (int h = 0; h < p.h; ++h)
      for (int at = h * kPairs; at < (h + 1) * kPairs; at += kLanes)
        store(s.y + at, load(s.normal + at) * p.norm_out_weight[h] + p.norm_out_bias[h]);
    normalise_rows(p, block, false, false, s.x);
    product(block.count, p.c, p.c, s.x, p.c, 1, gate.data(), p.c, s.gates, p.c);
    product(block.count, p.c, p.h, s.y, 1, kPairs, project.data(), p.c, s.projected, p.c);
    const int64_t begin = (block.batch * p.pairs() + block.first) * p.c;
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
    float* planes = product_planes + block.batch * p.h * p.pairs() + block.first;
    for (int h = 0; h < p.h; ++h) std::copy_n(s.grad_y + h * kPairs, block.count, planes + h * p.pairs());
  });
}

// From the gradient of the product to those of a and b, written over the planes of a and b.
void multiply_backward(const Problem& p, const float* grad_product, float* edges) {
  const int64_t n = p.n, each = contraction_scratch(n, n, n) + p.pairs();
  const Floats scratch = floats(each * p.threads);
  parallel_for(p.batch * p.h, p.threads, [&](int64_t index, int32_t worker) {
    float* a = edges + (index / p.h * 2 * p.h + index % p.h) * p.pairs();
    float *b = a + p.h * p.pairs(), *grad_a = scratch.get() + worker * each;
    const float* grad = grad_product + index * p.pairs();
    contract(n, n, n, {b, n, 1}, {grad, 1, n}, grad_a, n, grad_a + p.pairs());
    contract(n, n, n, {a, n, 1}, {grad, n, 1}, b, n, grad_a + p.pairs());
    std::copy_n(grad_a, p.pairs(), a);
  });
}

// Scratch of one worker for the first half, from input to edges.
struct InScratch {
  InScratch(const Problem& p, float* at) {
    for (float** table : {&normal, &x, &by_channel, &grad_x}) *table = at, at += p.c * kPairs;
    for (float** table : {&grad_projected, &grad_gates}) *table = at, at += 2 * p.h * kPairs;
    mask = at;
    scales = at + kPairs;
  }
  static int64_t size(const Problem& p) { return (4 * p.c + 4 * p.h + 2) * static_cast<int64_t>(kPairs); }
  float *normal, *x, *by_channel, *grad_x, *grad_projected, *grad_gates, *mask, *scales;
};

// Gradients of the projections and of the gates before their sigmoid, from those of the edges.
void gates_backward(const Problem& p, const Block& block, const float* grad_edges, const InScratch& s) {
  const int64_t step = static_cast<int64_t>(kGroup) * kPairs;
  for (int first = 0; first < 2 * p.h; first += kGroup) {
    float *projected = s.grad_projected + first * kPairs, *gates = s.grad_gates + first * kPairs;
    product(kGroup, kPairs, p.c, p.project_in + first * p.c, p.c, 1, s.by_channel, kPairs, projected, kPairs);
    product(kGroup, kPairs, p.c, p.gate_in + first * p.c, p.c, 1, s.by_channel, kPairs, gates, kPairs);
    float grads[kGroup * kPairs] = {};
    for (int h = 0; h < kGroup; ++h)
      std::copy_n(grad_edges + (block.batch * 2 * p.h + first + h) * p.pairs() + block.first, block.count,
                  grads + h * kPairs);
    for (int64_t at = 0; at < step; at += kLanes) {
      const Vector open = sigmoid(load(gates + at)), grad = load(grads + at) * load(s.mask + at % kPairs);
      store(gates + at, grad * load(projected + at) * open * (1.0f - open));
      store(projected + at, grad * open);
    }
  }
}

// One row through the input's layer norm.
void norm_in_backward(const Problem& p, const float* grad_x, const float* normal, float scale, float* grad_z,
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
    store(grad_z + c, (slope - mean - load(normal + c) * along) * scale);
  }
}

// From the gradients of the edges to that of z; grad_z holds what the output gate gave.
void in_backward(const Problem& p, const float* grad_edges, const Gradients& layout, float* sums, float* grad_z) {
  const Floats scratch = floats(InScratch::size(p) * p.threads);
  in_stretches(p, layout, sums, [&](const Block& block, float* own, int32_t worker) {
    const InScratch s(p, scratch.get() + worker * InScratch::size(p));
    normalise_rows(p, block, true, true, s.normal, s.scales);
    for (int64_t at = 0; at < kPairs * p.c; at += kLanes)
      store(s.x + at, load(s.normal + at) * load(p.norm_in_weight + at % p.c) + load(p.norm_in_bias + at % p.c));
    transpose(kPairs, p.c, s.x, p.c, s.by_channel, kPairs);
    plane_mask(p, block, s.mask);
    gates_backward(p, block, grad_edges, s);
    product(2 * p.h, p.c, block.count, s.grad_projected, kPairs, 1, s.x, p.c, own + layout.begin[kProjectIn], p.c, true);
    product(2 * p.h, p.c, block.count, s.grad_gates, kPairs, 1, s.x, p.c, own + layout.begin[kGateIn], p.c, true);
    const int64_t table = block.batch * p.pairs();
    for (int row = 0; row < block.count; ++row)
      std::copy_n(grad_z + (table + p.pair_at(block.first + row)) * p.c, p.c, s.grad_x + row * p.c);
    product(block.count, p.c, 2 * p.h, s.grad_projected, 1, kPairs, p.project_in, p.c, s.grad_x, p.c, true);
    product(block.count, p.c, 2 * p.h, s.grad_gates, 1, kPairs, p.gate_in, p.c, s.grad_x, p.c, true);
    for (int row = 0; row < block.count; ++row)
      norm_in_backward(p, s.grad_x + row * p.c, s.normal + row * p.c, s.scales[row],
                       grad_z + (table + p.pair_at(block.first + row)) * p.c, own + layout.begin[kNormInWeight],
                       own + layout.begin[kNormInBias]);
  });
}

void collect(const Problem& p, const Gradients& layout, float* sums,
             const structdiff_triangle_multiplication_weights& out) {
  const int64_t stretches = std::min(kStretches, p.blocks());
  for (int64_t stretch = 1; stretch < stretches; ++stretch)
    for (int64_t at = 0; at < layout.size(); ++at) sums[at] += sums[stretch * layout.size() + at];
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
  using namespace structdiff::trimul;
  Problem p;
  const int32_t status = read_problem(z, mask, weights, outgoing, epsilon, num_threads, &p);
  if (status != STRUCTDIFF_OK) return status;
  if (!is_contiguous(*grad_out, STRUCTDIFF_FLOAT32) || !is_contiguous(*grad_z, STRUCTDIFF_FLOAT32))
    return STRUCTDIFF_UNSUPPORTED;
  const Gradients layout(p);
  try {
    std::vector<float> sums(layout.size() * std::max<int64_t>(1, std::min(kStretches, p.blocks())));
    const Floats edges = floats(p.batch * 2 * p.h * p.pairs()), product = floats(p.batch * p.h * p.pairs());
    project_edges(p, edges.get());
    multiply_edges(p, edges.get(), product.get());
    float* grad = static_cast<float*>(grad_z->data);
    out_backward(p, static_cast<const float*>(grad_out->data), product.get(), layout, sums.data(), grad);
    multiply_backward(p, product.get(), edges.get());
    in_backward(p, edges.get(), layout, sums.data(), grad);
    collect(p, layout, sums.data(), *grad_weights);
  } catch (const std::bad_alloc&) {
    return STRUCTDIFF_OUT_OF_MEMORY;
  }
  return STRUCTDIFF_OK;
}

// Triangle multiplication on the CPU: three passes over the pair table, a block of pairs at a time.
//
// First the gated projections, written as planes (channels first) with the summed index as rows; then one matrix product
// a channel; then the second norm, projection and gate. The normalised input is computed twice rather than kept.
#include <new>

#include "common/parallel.h"
#include "triangle_multiplication/cpu_blocks.h"
#include "triangle_multiplication/cpu_contraction.h"

namespace structdiff {
namespace trimul {

bool is_contiguous(const structdiff_tensor& tensor, int64_t dtype) {
  if (tensor.data == nullptr || tensor.dtype != dtype) return false;
  int64_t expected = 1;
  for (int64_t axis = tensor.rank - 1; axis >= 0; --axis) {
    if (tensor.size[axis] != 1 && tensor.stride[axis] != expected) return false;
    expected *= tensor.size[axis];
  }
  return true;
}

int32_t read_problem(const structdiff_tensor* z, const structdiff_tensor* mask,
                     const structdiff_triangle_multiplication_weights* weights, int32_t outgoing, double epsilon,
                     int32_t num_threads, Problem* out) {
  const structdiff_triangle_multiplication_weights& w = *weights;
  if (z->rank != 4 || z->size[1] != z->size[2] || w.project_in_weight.rank != 2) return STRUCTDIFF_BAD_ARGUMENT;
  const int64_t c = z->size[3], h = w.project_in_weight.size[0] / 2;
  const structdiff_tensor* all[] = {&w.norm_in_weight,  &w.norm_in_bias,  &w.project_in_weight,  &w.gate_in_weight,
                                    &w.norm_out_weight, &w.norm_out_bias, &w.project_out_weight, &w.gate_out_weight};
  const int64_t sizes[][2] = {{c, 1}, {c, 1}, {2 * h, c}, {2 * h, c}, {h, 1}, {h, 1}, {c, h}, {c, c}};
  for (int which = 0; which < 8; ++which) {
    const structdiff_tensor& weight = *all[which];
    if (weight.size[0] != sizes[which][0] || (weight.rank > 1 ? weight.size[1] : 1) != sizes[which][1])
      return STRUCTDIFF_BAD_ARGUMENT;
    if (!is_contiguous(weight, STRUCTDIFF_FLOAT32)) return STRUCTDIFF_UNSUPPORTED;
  }
  const bool masked = mask != nullptr && mask->data != nullptr;
  if (c % kChannelStep || h % kChannelStep || c > 512 || h > 512 || !is_contiguous(*z, STRUCTDIFF_FLOAT32) ||
      (masked && !is_contiguous(*mask, STRUCTDIFF_BOOL)))
    return STRUCTDIFF_UNSUPPORTED;
  const auto data_of = [](const structdiff_tensor& tensor) { return static_cast<const float*>(tensor.data); };
  *out = {z->size[0],
          z->size[1],
          static_cast<int>(c),
          static_cast<int>(h),
          outgoing != 0,
          static_cast<float>(epsilon),
          num_threads,
          data_of(*z),
          masked ? static_cast<const uint8_t*>(mask->data) : nullptr,
          data_of(w.norm_in_weight),
          data_of(w.norm_in_bias),
          data_of(w.project_in_weight),
          data_of(w.gate_in_weight),
          data_of(w.norm_out_weight),
          data_of(w.norm_out_bias),
          data_of(w.project_out_weight),
          data_of(w.gate_out_weight)};
  return STRUCTDIFF_OK;
}

void project_edges(const Problem& p, float* edges) {
  const int64_t each = (2 * p.c + 2 * kGroup + 1) * static_cast<int64_t>(kPairs);
  const Floats scratch = floats(each * p.threads);
  parallel_for(p.blocks(), p.threads, [&](int64_t index, int32_t worker) {
    float* x = scratch.get() + worker * each;
    float *by_channel = x + p.c * kPairs, *projected = by_channel + p.c * kPairs, *gates = projected + kGroup * kPairs;
    float* mask = gates + kGroup * kPairs;
    const Block block = block_at(p, index);
    normalise_rows(p, block, true, false, x);
    transpose(kPairs, p.c, x, p.c, by_channel, kPairs);
    plane_mask(p, block, mask);
    for (int first = 0; first < 2 * p.h; first += kGroup) {
      product(kGroup, kPairs, p.c, p.project_in + first * p.c, p.c, 1, by_channel, kPairs, projected, kPairs);
      product(kGroup, kPairs, p.c, p.gate_in + first * p.c, p.c, 1, by_channel, kPairs, gates, kPairs);
      for (int h = 0; h < kGroup; ++h) {
        float* row = projected + h * kPairs;
        for (int at = 0; at < kPairs; at += kLanes)
          store(row + at, load(row + at) * sigmoid(load(gates + h * kPairs + at)) * load(mask + at));
        std::copy_n(row, block.count, edges + (block.batch * 2 * p.h + first + h) * p.pairs() + block.first);
      }
    }
  });
}

void multiply_edges(const Problem& p, const float* edges, float* product_planes) {
  const int64_t each = contraction_scratch(p.n, p.n, p.n);
  const Floats scratch = floats(each * p.threads);
  parallel_for(p.batch * p.h, p.threads, [&](int64_t index, int32_t worker) {
    const float* a = edges + (index / p.h * 2 * p.h + index % p.h) * p.pairs();
    contract(p.n, p.n, p.n, {a, 1, p.n}, {a + p.h * p.pairs(), p.n, 1}, product_planes + index * p.pairs(), p.n,
             scratch.get() + worker * each);
  });
}

namespace {

void finish(const Problem& p, const float* product_planes, float* out) {
  const std::vector<float> project = transposed(p.project_out, p.c, p.h), gate = transposed(p.gate_out, p.c, p.c);
  const int64_t each = (p.h + 3 * p.c) * static_cast<int64_t>(kPairs);
  const Floats scratch = floats(each * p.threads);
  parallel_for(p.blocks(), p.threads, [&](int64_t index, int32_t worker) {
    float* y = scratch.get() + worker * each;
    float *x = y + p.h * kPairs, *gates = x + p.c * kPairs, *projected = gates + p.c * kPairs;
    const Block block = block_at(p, index);
    normalise_planes(p, block, product_planes, false, y);
    normalise_rows(p, block, false, false, x);
    product(block.count, p.c, p.c, x, p.c, 1, gate.data(), p.c, gates, p.c);
    product(block.count, p.c, p.h, y, 1, kPairs, project.data(), p.c, projected, p.c);
    float* to = out + (block.batch * p.pairs() + block.first) * p.c;
    for (int64_t at = 0; at < static_cast<int64_t>(block.count) * p.c; at += kLanes)
      store(to + at, load(projected + at) * sigmoid(load(gates + at)));
  });
}

}  // namespace
}  // namespace trimul
}  // namespace structdiff

int32_t structdiff_triangle_multiplication_forward_cpu(const structdiff_tensor* z, const structdiff_tensor* mask,
                                                       const structdiff_triangle_multiplication_weights* weights,
                                                       int32_t outgoing, double epsilon, const structdiff_tensor* out,
                                                       int32_t num_threads) {
  using namespace structdiff::trimul;
  Problem p;
  const int32_t status = read_problem(z, mask, weights, outgoing, epsilon, num_threads, &p);
  if (status != STRUCTDIFF_OK) return status;
  if (!is_contiguous(*out, STRUCTDIFF_FLOAT32)) return STRUCTDIFF_UNSUPPORTED;
  if (p.batch == 0 || p.n == 0) return STRUCTDIFF_OK;
  try {
    Floats edges = floats(p.batch * 2 * p.h * p.pairs()), product = floats(p.batch * p.h * p.pairs());
    project_edges(p, edges.get());
    multiply_edges(p, edges.get(), product.get());
    finish(p, product.get(), static_cast<float*>(out->data));
  } catch (const std::bad_alloc&) {
    return STRUCTDIFF_OUT_OF_MEMORY;
  }
  return STRUCTDIFF_OK;
}

// Triangle multiplication on CUDA: the contract's functions.
#include "common/tensors.h"
#include "triangle_multiplication/cuda_run_backward.cuh"

namespace structdiff::gpu {

extern template struct TriangleMultiplication<float>;
extern template struct TriangleMultiplication<float16>;
extern template struct TriangleMultiplication<bfloat16>;

namespace {

// Calls work(T()) with the type of elements.
template <class Work>
int32_t by_dtype(int64_t dtype, const Work& work) {
  if (dtype == STRUCTDIFF_FLOAT32) return work(float());
  if (dtype == STRUCTDIFF_FLOAT16) return work(float16());
  if (dtype == STRUCTDIFF_BFLOAT16) return work(bfloat16());
  return STRUCTDIFF_UNSUPPORTED;
}

using Weights = structdiff_triangle_multiplication_weights;

template <class Test>
bool every(const Weights& w, const Test& test) {
  for (const structdiff_tensor& each :
       {w.norm_in_weight, w.norm_in_bias, w.project_in_weight, w.gate_in_weight, w.norm_out_weight, w.norm_out_bias,
        w.project_out_weight, w.gate_out_weight}) {
    if (!test(each)) return false;
  }
  return true;
}

bool takes_weights(const Weights& weights, int64_t dtype) {
  return every(weights, [&](const auto& each) { return each.dtype == dtype || each.dtype == STRUCTDIFF_FLOAT32; });
}

bool sizes_fit(const structdiff_tensor& z, const structdiff_tensor* mask, const Weights& w) {
  const int64_t c = z.size[3], h = w.project_out_weight.size[1];
  return z.rank == 4 && z.size[1] == z.size[2] &&
         (mask == nullptr || mask->data == nullptr ||
          (mask->dtype == STRUCTDIFF_BOOL && has_sizes(*mask, {z.size[0], z.size[1], z.size[2]}))) &&
         has_sizes(w.norm_in_weight, {c}) && has_sizes(w.norm_in_bias, {c}) &&
         has_sizes(w.project_in_weight, {2 * h, c}) && has_sizes(w.gate_in_weight, {2 * h, c}) &&
         has_sizes(w.norm_out_weight, {h}) && has_sizes(w.norm_out_bias, {h}) &&
         has_sizes(w.project_out_weight, {c, h}) && has_sizes(w.gate_out_weight, {c, c});
}

// Gradients of weights are written one number after the other.
bool are_contiguous(const Weights& weights) {
  return every(weights, [](const auto& each) { return is_contiguous(each, STRUCTDIFF_FLOAT32); });
}

}  // namespace

}  // namespace structdiff::gpu

using namespace structdiff;
using namespace structdiff::gpu;

int64_t structdiff_triangle_multiplication_forward_workspace_cuda(
    const structdiff_tensor* z, const structdiff_triangle_multiplication_weights* weights, int32_t) {
  const TriangleSizes sizes = triangle_sizes(*z, weights->project_out_weight.size[1]);
  int64_t needed = 0;
  if (!takes(sizes)) return 0;
  by_dtype(z->dtype, [&](auto zero) {
    Scratch none(nullptr);
    needed = TriangleScratch<decltype(zero)>(none, sizes).needed;
    return STRUCTDIFF_OK;
  });
  return needed;
}

int32_t structdiff_triangle_multiplication_forward_cuda(
    const structdiff_tensor* z, const structdiff_tensor* mask,
    const structdiff_triangle_multiplication_weights* weights, int32_t outgoing, double epsilon,
    const structdiff_tensor* out, void* workspace, int64_t workspace_bytes, int32_t device, void* stream) {
  const TriangleSizes sizes = triangle_sizes(*z, weights->project_out_weight.size[1]);
  if (!sizes_fit(*z, mask, *weights) || !alike(*out, *z)) return STRUCTDIFF_BAD_ARGUMENT;
  if (!takes(sizes)) return STRUCTDIFF_UNSUPPORTED;
  if (!takes_weights(*weights, z->dtype)) return STRUCTDIFF_UNSUPPORTED;
  const OnDevice here(device);
  if (here.status() != STRUCTDIFF_OK) return here.status();
  return by_dtype(z->dtype, [&](auto zero) {
    return TriangleMultiplication<decltype(zero)>::forward(
        *z, mask, *weights, outgoing != 0, epsilon, *out, workspace, workspace_bytes, static_cast<Stream>(stream));
  });
}

int64_t structdiff_triangle_multiplication_backward_workspace_cuda(
    const structdiff_tensor* z, const structdiff_triangle_multiplication_weights* weights, int32_t) {
  const TriangleSizes sizes = triangle_sizes(*z, weights->project_out_weight.size[1]);
  int64_t needed = 0;
  if (!takes(sizes)) return 0;
  by_dtype(z->dtype, [&](auto zero) {
    Scratch none(nullptr);
    needed = SlopesScratch<decltype(zero)>(none, sizes).needed;
    return STRUCTDIFF_OK;
  });
  return needed;
}

int32_t structdiff_triangle_multiplication_backward_cuda(
    const structdiff_tensor* grad_out, const structdiff_tensor* z, const structdiff_tensor* mask,
    const structdiff_triangle_multiplication_weights* weights, int32_t outgoing, double epsilon,
    const structdiff_tensor* grad_z, const structdiff_triangle_multiplication_weights* grad_weights, void* workspace,
    int64_t workspace_bytes, int32_t device, void* stream) {
  const TriangleSizes sizes = triangle_sizes(*z, weights->project_out_weight.size[1]);
  if (!sizes_fit(*z, mask, *weights) || !alike(*grad_out, *z) || !alike(*grad_z, *z)) return STRUCTDIFF_BAD_ARGUMENT;
  if (!sizes_fit(*z, nullptr, *grad_weights) || !are_contiguous(*grad_weights)) return STRUCTDIFF_BAD_ARGUMENT;
  if (!takes(sizes) || !takes_weights(*weights, z->dtype)) return STRUCTDIFF_UNSUPPORTED;
  const OnDevice here(device);
  if (here.status() != STRUCTDIFF_OK) return here.status();
  return by_dtype(z->dtype, [&](auto zero) {
    return TriangleMultiplication<decltype(zero)>::backward(
        *grad_out, *z, mask, *weights, outgoing != 0, epsilon, *grad_z, *grad_weights, workspace, workspace_bytes,
        static_cast<Stream>(stream));
  });
}

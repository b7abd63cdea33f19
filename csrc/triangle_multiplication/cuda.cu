// Triangle multiplication on CUDA: the contract's functions.
#include "triangle_multiplication/cuda_run_backward.cuh"

namespace structdiff::gpu {

namespace {

// Calls work(T()) with the type of elements.
template <class Work>
int32_t by_dtype(int64_t dtype, const Work& work) {
  if (dtype == STRUCTDIFF_FLOAT32) return work(float());
  if (dtype == STRUCTDIFF_FLOAT16) return work(float16());
  if (dtype == STRUCTDIFF_BFLOAT16) return work(bfloat16());
  return STRUCTDIFF_UNSUPPORTED;
}

bool takes_weights(const structdiff_triangle_multiplication_weights& weights, int64_t dtype) {
  const structdiff_tensor* all[] = {
      &weights.norm_in_weight,  &weights.norm_in_bias,  &weights.project_in_weight,  &weights.gate_in_weight,
      &weights.norm_out_weight, &weights.norm_out_bias, &weights.project_out_weight, &weights.gate_out_weight};
  for (const structdiff_tensor* each : all) {
    if (each->dtype != dtype && each->dtype != STRUCTDIFF_FLOAT32) return false;
  }
  return true;
}

}  // namespace

}  // namespace structdiff::gpu

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
  if (!takes(sizes) || z->size[2] != z->size[1] || out->dtype != z->dtype) return STRUCTDIFF_UNSUPPORTED;
  if (!takes_weights(*weights, z->dtype)) return STRUCTDIFF_UNSUPPORTED;
  const OnDevice here(device);
  if (here.status() != STRUCTDIFF_OK) return here.status();
  return by_dtype(z->dtype, [&](auto zero) {
    return triangle_multiplication_forward<decltype(zero)>(
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
  if (!takes(sizes) || z->size[2] != z->size[1]) return STRUCTDIFF_UNSUPPORTED;
  if (grad_out->dtype != z->dtype || grad_z->dtype != z->dtype) return STRUCTDIFF_UNSUPPORTED;
  if (!takes_weights(*weights, z->dtype) || !takes_weights(*grad_weights, STRUCTDIFF_FLOAT32)) {
    return STRUCTDIFF_UNSUPPORTED;
  }
  const OnDevice here(device);
  if (here.status() != STRUCTDIFF_OK) return here.status();
  return by_dtype(z->dtype, [&](auto zero) {
    return triangle_multiplication_backward<decltype(zero)>(
        *grad_out, *z, mask, *weights, outgoing != 0, epsilon, *grad_z, *grad_weights, workspace, workspace_bytes,
        static_cast<Stream>(stream));
  });
}

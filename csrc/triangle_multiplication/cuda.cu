// Triangle multiplication on CUDA: the contract's functions.
#include "triangle_multiplication/cuda_run.cuh"

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
    needed = TriangleScratch<decltype(zero)>(nullptr, sizes).needed;
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

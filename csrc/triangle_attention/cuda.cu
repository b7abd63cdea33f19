// Triangle attention on CUDA: the contract's functions.
#include "triangle_attention/contract.h"

#include "common/cuda_device.cuh"
#include "common/tensors.h"
#include "triangle_attention/cuda_call.h"

namespace structdiff::gpu {

namespace {

TokensView tokens_view(const structdiff_tensor* tensor) {
  TokensView view{};
  if (tensor == nullptr) return view;
  view.data = tensor->data;
  for (int axis = 0; axis < 5; ++axis) view.stride[axis] = tensor->stride[axis];
  return view;
}

bool sizes_fit(
    const structdiff_tensor& q, const structdiff_tensor& k, const structdiff_tensor* v, const structdiff_tensor& bias,
    const structdiff_tensor* mask) {
  if (q.rank != 5 || k.rank != 5) return false;
  const int64_t batch = q.size[0], rows = q.size[1], keys = k.size[2], heads = q.size[3];
  return has_sizes(k, {batch, rows, keys, heads, q.size[4]}) && (v == nullptr || same_sizes(*v, k)) &&
         has_sizes(bias, {batch, heads, q.size[2], keys}) &&
         (mask == nullptr || (mask->dtype == STRUCTDIFF_BOOL && has_sizes(*mask, {batch, rows, keys})));
}

bool is_lse(const structdiff_tensor& lse, const structdiff_tensor& q) {
  return is_contiguous(lse, STRUCTDIFF_FLOAT32) && has_sizes(lse, {q.size[0], q.size[1], q.size[3], q.size[2]});
}

// What both directions have in common.
int32_t call_of(
    AttentionCall& call, const structdiff_tensor* q, const structdiff_tensor* k, const structdiff_tensor* v,
    const structdiff_tensor* bias, const structdiff_tensor* mask, double scale) {
  if (mask != nullptr && mask->data == nullptr) mask = nullptr;
  if (!sizes_fit(*q, *k, v, *bias, mask)) return STRUCTDIFF_BAD_ARGUMENT;
  call.batch = q->size[0];
  call.rows = q->size[1];
  call.queries = q->size[2];
  call.heads = q->size[3];
  call.channels = q->size[4];
  call.keys = k->size[2];
  call.scale = static_cast<float>(scale);
  call.grad_bias_batches = call.batch;
  call.q = tokens_view(q);
  call.k = tokens_view(k);
  call.v = tokens_view(v);
  call.bias = bias->data;
  for (int axis = 0; axis < 4; ++axis) call.bias_stride[axis] = bias->stride[axis];
  call.bias_is_float = bias->dtype == STRUCTDIFF_FLOAT32;
  if (mask != nullptr) {
    call.mask = mask->data;
    for (int axis = 0; axis < 3; ++axis) call.mask_stride[axis] = mask->stride[axis];
  }
  if (bias->dtype != q->dtype && !call.bias_is_float) return STRUCTDIFF_UNSUPPORTED;
  if (k->dtype != q->dtype || (v != nullptr && v->dtype != q->dtype)) return STRUCTDIFF_UNSUPPORTED;
  return STRUCTDIFF_OK;
}

}  // namespace

int32_t attention_forward(const AttentionCall& call, int64_t dtype, int64_t* scratch_needed) {
  if (dtype == STRUCTDIFF_FLOAT32) return attention_forward<float>(call, scratch_needed);
  if (dtype == STRUCTDIFF_FLOAT16) return attention_forward<float16>(call, scratch_needed);
  if (dtype == STRUCTDIFF_BFLOAT16) return attention_forward<bfloat16>(call, scratch_needed);
  return STRUCTDIFF_UNSUPPORTED;
}

int32_t attention_backward(const AttentionCall& call, int64_t dtype, int64_t* scratch_needed) {
  if (dtype == STRUCTDIFF_FLOAT32) return attention_backward<float>(call, scratch_needed);
  if (dtype == STRUCTDIFF_FLOAT16) return attention_backward<float16>(call, scratch_needed);
  if (dtype == STRUCTDIFF_BFLOAT16) return attention_backward<bfloat16>(call, scratch_needed);
  return STRUCTDIFF_UNSUPPORTED;
}

}  // namespace structdiff::gpu

using namespace structdiff;
using namespace structdiff::gpu;

namespace {

using Forward = int32_t(const AttentionCall& call, int64_t dtype, int64_t* scratch_needed);

int64_t forward_workspace(
    Forward* forward, const structdiff_tensor* q, const structdiff_tensor* k, const structdiff_tensor* bias) {
  AttentionCall call{};
  int64_t needed = 0;
  const int32_t status = call_of(call, q, k, nullptr, bias, nullptr, 1.0);
  return status == STRUCTDIFF_OK && forward(call, q->dtype, &needed) == STRUCTDIFF_OK ? needed : 0;
}

int32_t run_forward(
    Forward* forward, const structdiff_tensor* q, const structdiff_tensor* k, const structdiff_tensor* v,
    const structdiff_tensor* bias, const structdiff_tensor* mask, double scale, const structdiff_tensor* out,
    const structdiff_tensor* lse, void* workspace, int64_t workspace_bytes, int32_t device, void* stream) {
  AttentionCall call{};
  const int32_t status = call_of(call, q, k, v, bias, mask, scale);
  if (status != STRUCTDIFF_OK) return status;
  if (!alike(*out, *q) || (lse != nullptr && !is_lse(*lse, *q))) return STRUCTDIFF_BAD_ARGUMENT;
  call.out = tokens_view(out);
  call.lse = lse == nullptr ? nullptr : static_cast<float*>(lse->data);
  call.scratch = workspace;
  call.scratch_bytes = workspace_bytes;
  call.device = device;
  call.stream = stream;
  return forward(call, q->dtype, nullptr);
}

}  // namespace

int64_t structdiff_triangle_attention_forward_workspace_cuda(
    const structdiff_tensor* q, const structdiff_tensor* k, const structdiff_tensor* bias, int32_t) {
  return forward_workspace(attention_forward, q, k, bias);
}

int32_t structdiff_triangle_attention_forward_cuda(
    const structdiff_tensor* q, const structdiff_tensor* k, const structdiff_tensor* v, const structdiff_tensor* bias,
    const structdiff_tensor* mask, double scale, const structdiff_tensor* out, const structdiff_tensor* lse,
    void* workspace, int64_t workspace_bytes, int32_t device, void* stream) {
  return run_forward(
      attention_forward, q, k, v, bias, mask, scale, out, lse, workspace, workspace_bytes, device, stream);
}

int64_t structdiff_triangle_attention_forward_hopper_workspace_cuda(
    const structdiff_tensor* q, const structdiff_tensor* k, const structdiff_tensor* bias, int32_t) {
  return forward_workspace(attention_forward_on_hopper, q, k, bias);
}

int32_t structdiff_triangle_attention_forward_hopper_cuda(
    const structdiff_tensor* q, const structdiff_tensor* k, const structdiff_tensor* v, const structdiff_tensor* bias,
    const structdiff_tensor* mask, double scale, const structdiff_tensor* out, const structdiff_tensor* lse,
    void* workspace, int64_t workspace_bytes, int32_t device, void* stream) {
  return run_forward(
      attention_forward_on_hopper, q, k, v, bias, mask, scale, out, lse, workspace, workspace_bytes, device, stream);
}

int64_t structdiff_triangle_attention_backward_workspace_cuda(
    const structdiff_tensor* q, const structdiff_tensor* k, const structdiff_tensor* bias, int32_t) {
  AttentionCall call{};
  int64_t needed = 0;
  const int32_t status = call_of(call, q, k, nullptr, bias, nullptr, 1.0);
  return status == STRUCTDIFF_OK && attention_backward(call, q->dtype, &needed) == STRUCTDIFF_OK ? needed : 0;
}

int32_t structdiff_triangle_attention_backward_cuda(
    const structdiff_tensor* grad_out, const structdiff_tensor* q, const structdiff_tensor* k,
    const structdiff_tensor* v, const structdiff_tensor* bias, const structdiff_tensor* mask,
    const structdiff_tensor* out, const structdiff_tensor* lse, double scale, const structdiff_tensor* grad_q,
    const structdiff_tensor* grad_k, const structdiff_tensor* grad_v, const structdiff_tensor* grad_bias,
    void* workspace, int64_t workspace_bytes, int32_t device, void* stream) {
  AttentionCall call{};
  const int32_t status = call_of(call, q, k, v, bias, mask, scale);
  if (status != STRUCTDIFF_OK) return status;
  const bool fits = alike(*grad_out, *q) && alike(*out, *q) && is_lse(*lse, *q) && alike(*grad_q, *q) &&
                    alike(*grad_k, *k) && alike(*grad_v, *v) && same_sizes(*grad_bias, *bias) &&
                    is_contiguous(*grad_bias, STRUCTDIFF_FLOAT32);
  if (!fits) return STRUCTDIFF_BAD_ARGUMENT;
  call.out = tokens_view(out);
  call.grad_out = tokens_view(grad_out);
  call.grad_q = tokens_view(grad_q);
  call.grad_k = tokens_view(grad_k);
  call.grad_v = tokens_view(grad_v);
  call.lse = static_cast<float*>(lse->data);
  call.grad_bias = static_cast<float*>(grad_bias->data);
  call.scratch = workspace;
  call.scratch_bytes = workspace_bytes;
  call.device = device;
  call.stream = stream;
  return attention_backward(call, q->dtype, nullptr);
}

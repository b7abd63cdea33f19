// Attention with pair bias on CUDA: triangle attention's kernels, with the samples that share a bias as its rows.
#include "attention_pair_bias/contract.h"

#include "common/tensors.h"
#include "triangle_attention/cuda_call.h"

namespace structdiff::gpu {

namespace {

// Samples as rows where they share the bias, as batch entries where they do not.
bool shares_bias(const structdiff_tensor* q, const structdiff_tensor* bias) {
  return bias->stride[0] == 0 || q->size[0] == 1;
}

TokensView tokens_view(const structdiff_tensor* tensor, bool rows) {
  TokensView view{};
  if (tensor == nullptr) return view;
  view.data = tensor->data;
  view.stride[0] = rows ? 0 : tensor->stride[0];
  view.stride[1] = rows ? tensor->stride[0] : 0;
  for (int axis = 1; axis < 4; ++axis) view.stride[axis + 1] = tensor->stride[axis];
  return view;
}

bool sizes_fit(
    const structdiff_tensor& q, const structdiff_tensor& k, const structdiff_tensor* v, const structdiff_tensor& bias,
    const structdiff_tensor* mask) {
  if (q.rank != 4 || k.rank != 4) return false;
  const int64_t batch = q.size[0], keys = k.size[1], heads = q.size[2];
  return has_sizes(k, {batch, keys, heads, q.size[3]}) && (v == nullptr || same_sizes(*v, k)) &&
         has_sizes(bias, {batch, heads, q.size[1], keys}) &&
         (mask == nullptr || (mask->dtype == STRUCTDIFF_BOOL && has_sizes(*mask, {batch, keys})));
}

bool is_lse(const structdiff_tensor& lse, const structdiff_tensor& q) {
  return is_contiguous(lse, STRUCTDIFF_FLOAT32) && has_sizes(lse, {q.size[0], q.size[2], q.size[1]});
}

// What both directions have in common.
int32_t call_of(
    AttentionCall& call, const structdiff_tensor* q, const structdiff_tensor* k, const structdiff_tensor* v,
    const structdiff_tensor* bias, const structdiff_tensor* mask, double scale) {
  if (mask != nullptr && mask->data == nullptr) mask = nullptr;
  if (!sizes_fit(*q, *k, v, *bias, mask)) return STRUCTDIFF_BAD_ARGUMENT;
  const bool rows = shares_bias(q, bias);
  call.batch = rows ? 1 : q->size[0];
  call.rows = rows ? q->size[0] : 1;
  call.queries = q->size[1];
  call.heads = q->size[2];
  call.channels = q->size[3];
  call.keys = k->size[1];
  call.scale = static_cast<float>(scale);
  call.grad_bias_batches = call.batch;
  call.q = tokens_view(q, rows);
  call.k = tokens_view(k, rows);
  call.v = tokens_view(v, rows);
  call.bias = bias->data;
  for (int axis = 0; axis < 4; ++axis) call.bias_stride[axis] = bias->stride[axis];
  call.bias_is_float = bias->dtype == STRUCTDIFF_FLOAT32;
  if (mask != nullptr) {
    call.mask = mask->data;
    call.mask_stride[0] = rows ? 0 : mask->stride[0];
    call.mask_stride[1] = rows ? mask->stride[0] : 0;
    call.mask_stride[2] = mask->stride[1];
  }
  if (bias->dtype != q->dtype && !call.bias_is_float) return STRUCTDIFF_UNSUPPORTED;
  if (k->dtype != q->dtype || (v != nullptr && v->dtype != q->dtype)) return STRUCTDIFF_UNSUPPORTED;
  return STRUCTDIFF_OK;
}

}  // namespace

}  // namespace structdiff::gpu

using namespace structdiff;
using namespace structdiff::gpu;

int64_t structdiff_attention_pair_bias_forward_workspace_cuda(
    const structdiff_tensor* q, const structdiff_tensor* k, const structdiff_tensor* bias, int32_t) {
  AttentionCall call{};
  int64_t needed = 0;
  const int32_t status = call_of(call, q, k, nullptr, bias, nullptr, 1.0);
  return status == STRUCTDIFF_OK && attention_forward(call, q->dtype, &needed) == STRUCTDIFF_OK ? needed : 0;
}

int32_t structdiff_attention_pair_bias_forward_cuda(
    const structdiff_tensor* q, const structdiff_tensor* k, const structdiff_tensor* v, const structdiff_tensor* bias,
    const structdiff_tensor* mask, double scale, const structdiff_tensor* out, const structdiff_tensor* lse,
    void* workspace, int64_t workspace_bytes, int32_t device, void* stream) {
  AttentionCall call{};
  const int32_t status = call_of(call, q, k, v, bias, mask, scale);
  if (status != STRUCTDIFF_OK) return status;
  if (!alike(*out, *q) || (lse != nullptr && !is_lse(*lse, *q))) return STRUCTDIFF_BAD_ARGUMENT;
  call.out = tokens_view(out, call.batch == 1);
  call.lse = lse == nullptr ? nullptr : static_cast<float*>(lse->data);
  call.scratch = workspace;
  call.scratch_bytes = workspace_bytes;
  call.device = device;
  call.stream = stream;
  return attention_forward(call, q->dtype, nullptr);
}

int64_t structdiff_attention_pair_bias_backward_workspace_cuda(
    const structdiff_tensor* q, const structdiff_tensor* k, const structdiff_tensor* bias, int32_t) {
  AttentionCall call{};
  int64_t needed = 0;
  const int32_t status = call_of(call, q, k, nullptr, bias, nullptr, 1.0);
  return status == STRUCTDIFF_OK && attention_backward(call, q->dtype, &needed) == STRUCTDIFF_OK ? needed : 0;
}

int32_t structdiff_attention_pair_bias_backward_cuda(
    const structdiff_tensor* grad_out, const structdiff_tensor* q, const structdiff_tensor* k,
    const structdiff_tensor* v, const structdiff_tensor* bias, const structdiff_tensor* mask,
    const structdiff_tensor* out, const structdiff_tensor* lse, double scale, const structdiff_tensor* grad_q,
    const structdiff_tensor* grad_k, const structdiff_tensor* grad_v, const structdiff_tensor* grad_bias,
    void* workspace, int64_t workspace_bytes, int32_t device, void* stream) {
  AttentionCall call{};
  const int32_t status = call_of(call, q, k, v, bias, mask, scale);
  if (status != STRUCTDIFF_OK) return status;
  const bool fits = alike(*grad_out, *q) && alike(*out, *q) && is_lse(*lse, *q) && alike(*grad_q, *q) &&
                    alike(*grad_k, *k) && alike(*grad_v, *v) &&
                    has_sizes(*grad_bias, {call.grad_bias_batches, call.heads, call.queries, call.keys}) &&
                    is_contiguous(*grad_bias, STRUCTDIFF_FLOAT32);
  if (!fits) return STRUCTDIFF_BAD_ARGUMENT;
  call.out = tokens_view(out, call.batch == 1);
  call.grad_out = tokens_view(grad_out, call.batch == 1);
  call.grad_q = tokens_view(grad_q, call.batch == 1);
  call.grad_k = tokens_view(grad_k, call.batch == 1);
  call.grad_v = tokens_view(grad_v, call.batch == 1);
  call.lse = static_cast<float*>(lse->data);
  call.grad_bias = static_cast<float*>(grad_bias->data);
  call.scratch = workspace;
  call.scratch_bytes = workspace_bytes;
  call.device = device;
  call.stream = stream;
  return attention_backward(call, q->dtype, nullptr);
}

// Attention with pair bias (AlphaFold 3, Algorithm 24, lines 6 and 7), forward and backward.
//
//   out[b,i,h,:] = sum_j softmax_j(scale * q[b,i,h,:] . k[b,j,h,:] + bias[b,h,i,j]) v[b,j,h,:]
//
// over the keys j with mask[b,j]; with no key at all the mean of v, and then q, k and bias get no gradient.
//
//   q, k, v, out, grads   [batch, tokens i | j, heads, channels]   float32, float16, bfloat16; one dtype
//   bias                  [batch, heads, i, j]      the same dtype, or float32; stride 0 over batch: samples share it
//   mask                  [batch, j]                bool; may be null: every key exists
//   lse                   [batch, heads, i]         float32, contiguous, natural logarithm; +infinity: no keys
//   grad_bias             [batch, heads, i, j]      float32; CUDA: contiguous; CPU: any strides without overlap; with
//                                                   batch size 1 where the bias is shared (stride 0): the sum over samples
//
// Strides, sums and channels as in triangle_attention/contract.h.
#pragma once

#include "common/abi.h"

STRUCTDIFF_API int32_t structdiff_attention_pair_bias_forward_cpu(
    const structdiff_tensor* q, const structdiff_tensor* k, const structdiff_tensor* v, const structdiff_tensor* bias,
    const structdiff_tensor* mask, double scale, const structdiff_tensor* out, const structdiff_tensor* lse,
    int32_t num_threads);

STRUCTDIFF_API int32_t structdiff_attention_pair_bias_backward_cpu(
    const structdiff_tensor* grad_out, const structdiff_tensor* q, const structdiff_tensor* k,
    const structdiff_tensor* v, const structdiff_tensor* bias, const structdiff_tensor* mask,
    const structdiff_tensor* out, const structdiff_tensor* lse, double scale, const structdiff_tensor* grad_q,
    const structdiff_tensor* grad_k, const structdiff_tensor* grad_v, const structdiff_tensor* grad_bias,
    int32_t num_threads);

STRUCTDIFF_API int64_t structdiff_attention_pair_bias_forward_workspace_cuda(
    const structdiff_tensor* q, const structdiff_tensor* k, const structdiff_tensor* bias, int32_t device);

STRUCTDIFF_API int32_t structdiff_attention_pair_bias_forward_cuda(
    const structdiff_tensor* q, const structdiff_tensor* k, const structdiff_tensor* v, const structdiff_tensor* bias,
    const structdiff_tensor* mask, double scale, const structdiff_tensor* out, const structdiff_tensor* lse,
    void* workspace, int64_t workspace_bytes, int32_t device, void* stream);

STRUCTDIFF_API int64_t structdiff_attention_pair_bias_backward_workspace_cuda(
    const structdiff_tensor* q, const structdiff_tensor* k, const structdiff_tensor* bias, int32_t device);

STRUCTDIFF_API int32_t structdiff_attention_pair_bias_backward_cuda(
    const structdiff_tensor* grad_out, const structdiff_tensor* q, const structdiff_tensor* k,
    const structdiff_tensor* v, const structdiff_tensor* bias, const structdiff_tensor* mask,
    const structdiff_tensor* out, const structdiff_tensor* lse, double scale, const structdiff_tensor* grad_q,
    const structdiff_tensor* grad_k, const structdiff_tensor* grad_v, const structdiff_tensor* grad_bias,
    void* workspace, int64_t workspace_bytes, int32_t device, void* stream);

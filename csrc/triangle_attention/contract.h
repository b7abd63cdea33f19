// Triangle attention (AlphaFold 3, Algorithm 14, lines 5 and 6), forward and backward.
//
//   out[b,i,j,h,:] = sum_k softmax_k(scale * q[b,i,j,h,:] . k[b,i,k,h,:] + bias[b,h,j,k]) v[b,i,k,h,:]
//
// over the keys k with mask[b,i,k]. A row (b, i) whose keys are all masked gives the mean of v over all k, and then q, k
// and bias get no gradient from it.
//
//   q, k, v, out, grads   [batch, rows i, queries j | keys k, heads, channels]   float32, float16, bfloat16; one dtype
//   bias                  [batch, heads, j, k]      the same dtype, or float32
//   mask                  [batch, i, k]             bool; may be null: every key exists
//   lse                   [batch, i, heads, j]      float32, contiguous: log of the softmax's denominator, natural
//                                                   logarithm; +infinity marks a row without keys
//   grad_bias             [batch, heads, j, k]      float32; CUDA: contiguous; CPU: any strides without overlap
//
// Inputs have any strides; out and lse are contiguous; grad_q, grad_k, grad_v have any strides without overlap. Sums are
// taken in float32. Channels: 8 to 128 in steps of 8 (the CPU takes any number from 1 to 128).
#pragma once

#include "common/abi.h"

// lse may be null where no backward pass follows. The result has the same bits for every num_threads.
STRUCTDIFF_API int32_t structdiff_triangle_attention_forward_cpu(
    const structdiff_tensor* q, const structdiff_tensor* k, const structdiff_tensor* v, const structdiff_tensor* bias,
    const structdiff_tensor* mask, double scale, const structdiff_tensor* out, const structdiff_tensor* lse,
    int32_t num_threads);

STRUCTDIFF_API int32_t structdiff_triangle_attention_backward_cpu(
    const structdiff_tensor* grad_out, const structdiff_tensor* q, const structdiff_tensor* k,
    const structdiff_tensor* v, const structdiff_tensor* bias, const structdiff_tensor* mask,
    const structdiff_tensor* out, const structdiff_tensor* lse, double scale, const structdiff_tensor* grad_q,
    const structdiff_tensor* grad_k, const structdiff_tensor* grad_v, const structdiff_tensor* grad_bias,
    int32_t num_threads);

// The CUDA variants work on the stream and leave their scratch memory to the caller: ask for its size first.
STRUCTDIFF_API int64_t structdiff_triangle_attention_forward_workspace_cuda(
    const structdiff_tensor* q, const structdiff_tensor* k, const structdiff_tensor* bias, int32_t device);

STRUCTDIFF_API int32_t structdiff_triangle_attention_forward_cuda(
    const structdiff_tensor* q, const structdiff_tensor* k, const structdiff_tensor* v, const structdiff_tensor* bias,
    const structdiff_tensor* mask, double scale, const structdiff_tensor* out, const structdiff_tensor* lse,
    void* workspace, int64_t workspace_bytes, int32_t device, void* stream);

// The same by the kernel made for Hopper (compute capability 9.0): float16 and bfloat16 with a bias of that type, channels
// 8 to 64 in steps of 8, channels side by side and rows at multiples of 16 bytes. STRUCTDIFF_UNSUPPORTED for all else.
STRUCTDIFF_API int64_t structdiff_triangle_attention_forward_hopper_workspace_cuda(
    const structdiff_tensor* q, const structdiff_tensor* k, const structdiff_tensor* bias, int32_t device);

STRUCTDIFF_API int32_t structdiff_triangle_attention_forward_hopper_cuda(
    const structdiff_tensor* q, const structdiff_tensor* k, const structdiff_tensor* v, const structdiff_tensor* bias,
    const structdiff_tensor* mask, double scale, const structdiff_tensor* out, const structdiff_tensor* lse,
    void* workspace, int64_t workspace_bytes, int32_t device, void* stream);

STRUCTDIFF_API int64_t structdiff_triangle_attention_backward_workspace_cuda(
    const structdiff_tensor* q, const structdiff_tensor* k, const structdiff_tensor* bias, int32_t device);

STRUCTDIFF_API int32_t structdiff_triangle_attention_backward_cuda(
    const structdiff_tensor* grad_out, const structdiff_tensor* q, const structdiff_tensor* k,
    const structdiff_tensor* v, const structdiff_tensor* bias, const structdiff_tensor* mask,
    const structdiff_tensor* out, const structdiff_tensor* lse, double scale, const structdiff_tensor* grad_q,
    const structdiff_tensor* grad_k, const structdiff_tensor* grad_v, const structdiff_tensor* grad_bias,
    void* workspace, int64_t workspace_bytes, int32_t device, void* stream);

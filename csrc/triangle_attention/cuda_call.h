// A call of attention as the host hands it on: sizes, strides and pointers, the same for every type of element.
#pragma once

#include "common/abi.h"

namespace structdiff::gpu {

// A table [batch, row, token, head, channel].
struct TokensView {
  void* data;
  int64_t stride[5];
};

struct AttentionCall {
  int64_t batch, rows, queries, keys, heads, channels;
  TokensView q, k, v, out, grad_out, grad_q, grad_k, grad_v;
  const void* bias;  // [batch, head, query, key]
  int64_t bias_stride[4];
  bool bias_is_float;
  const void* mask;  // [batch, row, key], or null
  int64_t mask_stride[3];
  float* lse;        // [batch, row, head, query]
  float* grad_bias;  // [grad_bias_batches, head, query, key]
  int64_t grad_bias_batches;
  float scale;
  void* scratch;
  int64_t scratch_bytes;
  int32_t device;
  void* stream;
};

// Each with `scratch_needed` only tells how much scratch memory the call needs.
template <class T>
int32_t attention_forward(const AttentionCall& call, int64_t* scratch_needed);
template <class T>
int32_t attention_backward(const AttentionCall& call, int64_t* scratch_needed);

int32_t attention_forward(const AttentionCall& call, int64_t dtype, int64_t* scratch_needed);
int32_t attention_backward(const AttentionCall& call, int64_t dtype, int64_t* scratch_needed);
// By the kernel made for Hopper; STRUCTDIFF_UNSUPPORTED where there is none for this call or device.
int32_t attention_forward_on_hopper(const AttentionCall& call, int64_t dtype, int64_t* scratch_needed);

}  // namespace structdiff::gpu

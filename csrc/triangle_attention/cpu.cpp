// The CPU kernels of this operator; see contract.h.
#include "triangle_attention/contract.h"
#include "triangle_attention/cpu_attention.h"

int32_t structdiff_triangle_attention_forward_cpu(
    const structdiff_tensor* q, const structdiff_tensor* k, const structdiff_tensor* v, const structdiff_tensor* bias,
    const structdiff_tensor* mask, double scale, const structdiff_tensor* out, const structdiff_tensor* lse,
    int32_t num_threads) {
  return structdiff::attention::run_forward({q, k, v, bias, mask, scale, out, lse}, num_threads);
}

int32_t structdiff_triangle_attention_backward_cpu(
    const structdiff_tensor* grad_out, const structdiff_tensor* q, const structdiff_tensor* k,
    const structdiff_tensor* v, const structdiff_tensor* bias, const structdiff_tensor* mask,
    const structdiff_tensor* out, const structdiff_tensor* lse, double scale, const structdiff_tensor* grad_q,
    const structdiff_tensor* grad_k, const structdiff_tensor* grad_v, const structdiff_tensor* grad_bias,
    int32_t num_threads) {
  return structdiff::attention::run_backward(
      {grad_out, {q, k, v, bias, mask, scale, out, lse}, grad_q, grad_k, grad_v, grad_bias}, num_threads);
}

// Triangle multiplication (AlphaFold 3, Algorithms 12 and 13), forward and backward.
//
//   x = layer_norm(z; norm_in);  e = mask * (x project_in^T) * sigmoid(x gate_in^T);  a, b = halves of e
//   p[i,j] = sum_k a[i,k] b[j,k] (outgoing)  or  sum_k a[k,i] b[k,j] (incoming), each channel by itself
//   out = (layer_norm(p; norm_out) project_out^T) * sigmoid(x gate_out^T)
//
//   z, out, grad_z, grad_out              [batch, n, n, c_z]     float32, float16, bfloat16
//   mask                                  [batch, n, n]          bool; may be null: every pair exists
//   norm_in_weight, norm_in_bias          [c_z]
//   project_in_weight, gate_in_weight     [2 c_hidden, c_z]
//   norm_out_weight, norm_out_bias        [c_hidden]
//   project_out_weight                    [c_z, c_hidden]
//   gate_out_weight                       [c_z, c_z]
//
// Weights have z's dtype or float32. Inputs have any strides; outputs are contiguous. Sums are taken in float32.
#pragma once

#include "common/abi.h"

// The weights in the order above.
typedef struct structdiff_triangle_multiplication_weights {
  structdiff_tensor norm_in_weight, norm_in_bias, project_in_weight, gate_in_weight;
  structdiff_tensor norm_out_weight, norm_out_bias, project_out_weight, gate_out_weight;
} structdiff_triangle_multiplication_weights;

STRUCTDIFF_API int32_t structdiff_triangle_multiplication_forward_cpu(
    const structdiff_tensor* z, const structdiff_tensor* mask,
    const structdiff_triangle_multiplication_weights* weights, int32_t outgoing, double epsilon,
    const structdiff_tensor* out, int32_t num_threads);

// grad_weights has the shapes of weights, float32.
STRUCTDIFF_API int32_t structdiff_triangle_multiplication_backward_cpu(
    const structdiff_tensor* grad_out, const structdiff_tensor* z, const structdiff_tensor* mask,
    const structdiff_triangle_multiplication_weights* weights, int32_t outgoing, double epsilon,
    const structdiff_tensor* grad_z, const structdiff_triangle_multiplication_weights* grad_weights,
    int32_t num_threads);

STRUCTDIFF_API int64_t structdiff_triangle_multiplication_forward_workspace_cuda(
    const structdiff_tensor* z, const structdiff_triangle_multiplication_weights* weights, int32_t device);

STRUCTDIFF_API int32_t structdiff_triangle_multiplication_forward_cuda(
    const structdiff_tensor* z, const structdiff_tensor* mask,
    const structdiff_triangle_multiplication_weights* weights, int32_t outgoing, double epsilon,
    const structdiff_tensor* out, void* workspace, int64_t workspace_bytes, int32_t device, void* stream);

STRUCTDIFF_API int64_t structdiff_triangle_multiplication_backward_workspace_cuda(
    const structdiff_tensor* z, const structdiff_triangle_multiplication_weights* weights, int32_t device);

STRUCTDIFF_API int32_t structdiff_triangle_multiplication_backward_cuda(
    const structdiff_tensor* grad_out, const structdiff_tensor* z, const structdiff_tensor* mask,
    const structdiff_triangle_multiplication_weights* weights, int32_t outgoing, double epsilon,
    const structdiff_tensor* grad_z, const structdiff_triangle_multiplication_weights* grad_weights,
    void* workspace, int64_t workspace_bytes, int32_t device, void* stream);

// How tokens lie to each other (the denoiser's geometry embedder), forward and backward: for every pair (i, j)
//
//   arrow = centre[j] - centre[i];  r = sqrt(|arrow|^2 + 1e-6);  direction = arrow / (r + 1)
//   basis_k(d) = exp(-((log(1 + min(d, largest) / spacing) - centre_k) / width)^2 / 2),  centre_k = k * width
//   dots = [direction . own_i, direction . other_j, left_i . right_j]
//   first = [basis(r), basis(|previous[j] - previous[i]|), dots] read_weight^T + shift + z[i,j]
//   hidden = silu(silu(first) hidden_weight^T + hidden_bias)
//   [bias, logit, radial] = hidden out_weight^T + out_bias,  -1e9 added to bias and logit where mask[j] is not set
//   w = softmax_j(logit);  gathered_i = sum_j w hidden;  arrows_i = sum_j direction (w of its head) radial
//
//   centre, previous      [batch, n, 3]                     float32, contiguous, as all that follows
//   probes                [batch, n, 3, 4 dots]             own, other, left, right
//   z, grad_z             [groups, n, n, c]                 groups divides batch: so many samples in a row share one z
//   shift                 [batch, c]
//   mask                  [batch, n]                        bool
//   read_weight           [c, 2 centres + 3 dots]
//   hidden_weight, _bias  [c, c], [c]
//   out_weight, out_bias  [biases + heads + messages, c], [biases + heads + messages]
//   bias                  [batch, biases, n, n]
//   gathered              [batch, n, heads, c]
//   arrows                [batch, n, 3, messages]           message m goes by the weights of head m / (messages / heads)
//
// c is a multiple of 16. previous is taken as a constant: it gets no gradient.
#pragma once

#include "common/abi.h"

typedef struct structdiff_pair_geometry_inputs {
  structdiff_tensor centre, previous, probes, z, shift, mask;
  structdiff_tensor read_weight, hidden_weight, hidden_bias, out_weight, out_bias;
} structdiff_pair_geometry_inputs;

STRUCTDIFF_API int32_t structdiff_pair_geometry_forward_cpu(
    const structdiff_pair_geometry_inputs* inputs, double largest, double spacing, const structdiff_tensor* bias,
    const structdiff_tensor* gathered, const structdiff_tensor* arrows, int32_t num_threads);

// grads: of centre, probes, z, shift, read_weight, hidden_weight, hidden_bias, out_weight, out_bias.
STRUCTDIFF_API int32_t structdiff_pair_geometry_backward_cpu(
    const structdiff_tensor* grad_bias, const structdiff_tensor* grad_gathered, const structdiff_tensor* grad_arrows,
    const structdiff_pair_geometry_inputs* inputs, double largest, double spacing, const structdiff_tensor* grads,
    int32_t num_threads);

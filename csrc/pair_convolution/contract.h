// One half of a residual block on a table of pairs, forward and backward: a dilated 3 x 3 convolution, an instance norm
// over all pairs, what is added to it, and ELU:
//
//   c[i,j]  = sum over a, b from 0 to 2 of x[i + (a - 1) dilation, j + (b - 1) dilation] weight[a,b]; 0 beyond the table
//   scale   = 1 / sqrt(variance of c over all pairs + epsilon), channel by channel
//   y       = elu((c - mean) scale gain + shift + residual),  elu(z) = z where z > 0, else e^z - 1
//
//   x                  [batch, rows, columns, in]      float32, contiguous, as all that follows
//   weight             [3, 3, in, out]
//   gain, shift        [out]
//   residual, y, c     [batch, rows, columns, out]     residual may be missing
//   moments            [batch, 2, out]                 mean and scale
//
// in and out are multiples of 16. A bias of the convolution would vanish in the norm. Weight, gain and shift are
// constants: they get no gradient.
#pragma once

#include "common/abi.h"

// c is written for the backward pass; without it (null) y takes its place meanwhile.
STRUCTDIFF_API int32_t structdiff_pair_convolution_forward_cpu(
    const structdiff_tensor* x, const structdiff_tensor* weight, const structdiff_tensor* gain,
    const structdiff_tensor* shift, const structdiff_tensor* residual, int32_t dilation, double epsilon,
    const structdiff_tensor* y, const structdiff_tensor* c, const structdiff_tensor* moments, int32_t num_threads);

// y and grad_residual are missing where nothing was added: y is then computed again.
STRUCTDIFF_API int32_t structdiff_pair_convolution_backward_cpu(
    const structdiff_tensor* grad_y, const structdiff_tensor* y, const structdiff_tensor* c,
    const structdiff_tensor* moments, const structdiff_tensor* weight, const structdiff_tensor* gain,
    const structdiff_tensor* shift, int32_t dilation, const structdiff_tensor* grad_x,
    const structdiff_tensor* grad_residual, int32_t num_threads);

// Attention with a bias that rows share, forward and backward: what triangle_attention and attention_pair_bias run on.
//
// Scores live in blocks of a few queries by all keys that never leave the cache. Logits are kept in base 2 (scale and
// bias times log2(e)), since 2^x is cheaper than e^x.
#pragma once

#include "common/abi.h"

namespace structdiff {
namespace attention {

// The tensors of triangle_attention/contract.h; mask and lse may be null.
struct Forward {
  const structdiff_tensor *q, *k, *v, *bias, *mask;
  double scale;
  const structdiff_tensor *out, *lse;
};

struct Backward {
  const structdiff_tensor* grad_out;
  Forward forward;
  const structdiff_tensor *grad_q, *grad_k, *grad_v, *grad_bias;
};

int32_t run_forward(const Forward& problem, int32_t num_threads);
int32_t run_backward(const Backward& problem, int32_t num_threads);

}  // namespace attention
}  // namespace structdiff

// Attention of bfloat16.
#include "triangle_attention/cuda_run.cuh"

namespace structdiff::gpu {

template int32_t attention_forward<bfloat16>(const AttentionCall&, int64_t*);
template int32_t attention_backward<bfloat16>(const AttentionCall&, int64_t*);

}  // namespace structdiff::gpu

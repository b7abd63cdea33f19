// Attention of float16.
#include "triangle_attention/cuda_run.cuh"

namespace structdiff::gpu {

template int32_t attention_forward<float16>(const AttentionCall&, int64_t*);
template int32_t attention_backward<float16>(const AttentionCall&, int64_t*);

}  // namespace structdiff::gpu

// Attention of float32.
#include "triangle_attention/cuda_run.cuh"

namespace structdiff::gpu {

template int32_t attention_forward<float>(const AttentionCall&, int64_t*);
template int32_t attention_backward<float>(const AttentionCall&, int64_t*);

}  // namespace structdiff::gpu

// Triangle multiplication of bfloat16.
#include "triangle_multiplication/cuda_run_backward.cuh"

namespace structdiff::gpu {

template struct TriangleMultiplication<bfloat16>;

}  // namespace structdiff::gpu

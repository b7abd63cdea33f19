// Triangle multiplication of float16.
#include "triangle_multiplication/cuda_run_backward.cuh"

namespace structdiff::gpu {

template struct TriangleMultiplication<float16>;

}  // namespace structdiff::gpu

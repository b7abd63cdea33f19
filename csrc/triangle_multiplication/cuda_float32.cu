// Triangle multiplication of float32.
#include "triangle_multiplication/cuda_run_backward.cuh"

namespace structdiff::gpu {

template struct TriangleMultiplication<float>;

}  // namespace structdiff::gpu

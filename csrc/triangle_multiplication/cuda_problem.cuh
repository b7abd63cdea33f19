// Triangle multiplication on CUDA, in three kernels: `Edges` (layer norm, gated projections) writes two planes of the pair
// table for each hidden channel, `Product` multiplies the planes of each channel, `Update` (layer norm, projection, gate)
// makes the update. A fourth, `PackWeights`, lays the weights out as operands of matrix products beforehand.
//
// Backward, `Edges` and `Product` run once more; `Update` and `Edges` write gradients in the place of results, `Product` sums
// what weights and planes have of them, and `ProductSlopes` and `PairSlopes` go back through projections and layer norms.
#pragma once

#include "common/cuda_operands.cuh"

namespace structdiff::gpu {

struct TriangleSizes {
  int batch, n, pitch;  // a plane's row is `pitch` long, n rounded up to 8; beyond n are zeros
  int c_z, c_hidden;
  int depth;  // of products with weights: the first of 64, 128 and 256 that both widths fit into

  STRUCTDIFF_BOTH int64_t plane() const { return static_cast<int64_t>(n) * pitch; }
};

// z or the update: [batch, i, j, channel].
template <class T>
struct PairTable {
  T* data;
  int64_t batch, row, column, channel;
  bool vectors;
};

// Weights as `PackWeights` lays them out, and the layer norms' as float. Depths are filled up with zeros to 64, 128 or 256.
template <class T>
struct PackedWeights {
  const Left<T>* into;  // [2 c_hidden / 16][project, gate][depth / 16][lane]
  const Right<T>* out;  // [c_z / 16][project, gate][depth / 16][lane]
  const float* norm_in;  // weights, then biases
  const float* norm_out;
};

template <class T>
struct TriangleProblem {
  TriangleSizes sizes;
  PairTable<const T> z;
  PairTable<T> out;
  const uint8_t* mask;  // or null
  int64_t mask_batch, mask_row, mask_column;
  PackedWeights<T> weights;
  T* edges;    // [batch, 2 c_hidden, n, pitch]
  T* product;  // [batch, c_hidden, n, pitch]
  float epsilon;
  bool outgoing;
  int blocks;  // that are started: each goes on to further positions
  int chunk;   // how many tiles of weights shared memory holds
  // For the gradient alone; rows are [batch, n, pitch, channel].
  PairTable<const T> grad_out;
  T* x_rows;       // layer_norm(z)
  T* y_rows;       // layer_norm(product)
  T* by_out;       // gradient of what project_out makes
  T* by_open;      // of what gate_out makes, before the sigmoid
  T* by_edges;     // of the edges; becomes that of what project_in makes
  T* by_gate;      // of what gate_in makes, before the sigmoid
};

STRUCTDIFF_DEVICE float sigmoid(float x) { return inverse_fast(1.0f + exp2_fast(-x * kLog2E)); }

}  // namespace structdiff::gpu

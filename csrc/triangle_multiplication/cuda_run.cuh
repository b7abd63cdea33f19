// From a call to kernels: scratch memory laid out, blocks counted.
#pragma once

#include <cstdint>
#include <type_traits>

#include "common/cuda_launch.cuh"
#include "triangle_multiplication/contract.h"
#include "triangle_multiplication/cuda_edges.cuh"
#include "triangle_multiplication/cuda_hopper_product.cuh"
#include "triangle_multiplication/cuda_update.cuh"
#include "triangle_multiplication/cuda_weights.cuh"

namespace structdiff::gpu {

inline TriangleSizes triangle_sizes(const structdiff_tensor& z, int64_t c_hidden) {
  TriangleSizes s{};
  s.batch = static_cast<int>(z.size[0]);
  s.n = static_cast<int>(z.size[1]);
  s.pitch = divide_up(s.n, 8) * 8;
  s.c_z = static_cast<int>(z.size[3]);
  s.c_hidden = static_cast<int>(c_hidden);
  const int width = larger(s.c_z, s.c_hidden);
  s.depth = width <= 64 ? 64 : width <= 128 ? 128 : 256;
  return s;
}

// Channels by 16, to 256; tokens so that a position is counted in 32 bits.
inline bool takes(const TriangleSizes& s) {
  const bool channels = s.c_z % 16 == 0 && s.c_hidden % 16 == 0 && s.c_z <= 256 && s.c_hidden <= 256;
  return channels && s.c_z > 0 && s.c_hidden > 0 && s.batch > 0 && s.n > 0 && s.n < (1 << 15);
}

template <class T>
struct TriangleScratch {
  T* edges;
  T* product;
  Left<T>* weights_in;
  Right<T>* weights_out;
  float* norm_in;
  float* norm_out;
  int64_t needed;

  TriangleScratch(Scratch& scratch, const TriangleSizes& s) {
    edges = scratch.take<T>(2 * s.batch * s.c_hidden * s.plane());
    product = scratch.take<T>(s.batch * s.c_hidden * s.plane());
    weights_in = scratch.take<Left<T>>(PackWeights<T>::in_items(s));
    weights_out = scratch.take<Right<T>>(PackWeights<T>::out_items(s));
    norm_in = scratch.take<float>(2 * s.c_z);
    norm_out = scratch.take<float>(2 * s.c_hidden);
    needed = scratch.used();
  }
};

template <class T>
PairTable<T> pair_table(const structdiff_tensor& tensor) {
  const int64_t* stride = tensor.stride;
  bool vectors = stride[3] == 1 && reinterpret_cast<uintptr_t>(tensor.data) % 16 == 0;
  for (int axis = 0; axis < 3; ++axis) {
    vectors = vectors && (tensor.size[axis] == 1 || stride[axis] * static_cast<int64_t>(sizeof(T)) % 16 == 0);
  }
  return {static_cast<T*>(tensor.data), stride[0], stride[1], stride[2], stride[3], vectors};
}

inline WeightView weight_view(const structdiff_tensor& tensor) {
  const bool matrix = tensor.rank == 2;
  return {tensor.data,
          matrix ? static_cast<int>(tensor.size[0]) : 1,
          static_cast<int>(tensor.size[matrix ? 1 : 0]),
          matrix ? tensor.stride[0] : 0,
          tensor.stride[matrix ? 1 : 0],
          tensor.dtype == STRUCTDIFF_FLOAT32};
}

template <class T>
int32_t pack_weights(
    const TriangleSizes& s, const structdiff_triangle_multiplication_weights& weights,
    const TriangleScratch<T>& scratch, Stream stream) {
  typename PackWeights<T>::Problem p{};
  p.sizes = s;
  p.in[0] = weight_view(weights.project_in_weight);
  p.in[1] = weight_view(weights.gate_in_weight);
  p.out[0] = weight_view(weights.project_out_weight);
  p.out[1] = weight_view(weights.gate_out_weight);
  p.norms[0] = weight_view(weights.norm_in_weight);
  p.norms[1] = weight_view(weights.norm_in_bias);
  p.norms[2] = weight_view(weights.norm_out_weight);
  p.norms[3] = weight_view(weights.norm_out_bias);
  p.to_in = scratch.weights_in;
  p.to_out = scratch.weights_out;
  p.to_norm_in = scratch.norm_in;
  p.to_norm_out = scratch.norm_out;
  using Kernel = PackWeights<T>;
  return launch<Kernel>(p, divide_up<int64_t>(Kernel::items(s), Kernel::kThreads), Kernel::kThreads, 0, stream);
}

// Planes [batch, c_hidden, n, pitch], the first of `channels` that each batch entry has.
template <class E>
Matrices<E> planes(E* data, const TriangleSizes& s, int64_t channels) {
  return {data, channels * s.plane(), s.plane(), s.pitch};
}

template <class T>
int32_t describe_planes(TensorMap& map, const TriangleSizes& s, const Matrices<const T>& planes, int rows) {
  TableShape table{};
  table.data = planes.data;
  table.bfloat = std::is_same_v<T, bfloat16>;
  const int64_t sizes[5] = {s.pitch, s.n, s.c_hidden, s.batch, 1};
  const int64_t strides[5] = {1, planes.row_stride, planes.inner_stride, planes.outer_stride, planes.outer_stride};
  for (int axis = 0; axis < 5; ++axis) {
    table.size[axis] = sizes[axis];
    table.stride[axis] = strides[axis];
  }
  table.box_channels = 64;
  table.box_axis = 1;
  table.box_rows = rows;
  return describe(map, table);
}

// STRUCTDIFF_UNSUPPORTED where a Hopper's tensor cores are not there, or not to be used.
template <class T, bool LeftByDepth, bool RightByDepth>
int32_t multiply_planes_on_hopper(
    const TriangleSizes& s, const Matrices<const T>& left, const Matrices<const T>& right, const Matrices<T>& out,
    Stream stream) {
  using Kernel = HopperProduct<T, LeftByDepth, RightByDepth>;
  if (!hopper_can_run<Kernel>(multiprocessors().device)) return STRUCTDIFF_UNSUPPORTED;
  typename Kernel::Problem p{};
  if (describe_planes<T>(p.left, s, left, Kernel::box_rows(LeftByDepth)) != STRUCTDIFF_OK ||
      describe_planes<T>(p.right, s, right, Kernel::box_rows(RightByDepth)) != STRUCTDIFF_OK) {
    return STRUCTDIFF_UNSUPPORTED;
  }
  p.out = out;
  p.batches = static_cast<int64_t>(s.batch) * s.c_hidden;
  p.inner = s.c_hidden;
  p.m = p.n = s.n;
  p.n_vectors = s.pitch;
  p.steps = divide_up(s.n, Kernel::kDepth);
  return launch<Kernel>(p, Kernel::blocks(p), Kernel::kThreads, Kernel::kSharedBytes, stream, kHopperSharedLimit);
}

// One product of planes for each batch entry and hidden channel.
template <class T, bool LeftByDepth, bool RightByDepth>
int32_t multiply_planes(
    const TriangleSizes& s, Matrices<const T> left, Matrices<const T> right, Matrices<T> out, Stream stream) {
  if constexpr (sizeof(T) == 2) {
    const int32_t status = multiply_planes_on_hopper<T, LeftByDepth, RightByDepth>(s, left, right, out, stream);
    if (status != STRUCTDIFF_UNSUPPORTED) return status;
  }
  ProductProblem<T, T> p{};
  p.left = left;
  p.right = right;
  p.out = out;
  p.batches = static_cast<int64_t>(s.batch) * s.c_hidden;
  p.inner = s.c_hidden;
  p.m = p.n = p.depth = s.n;
  p.m_vectors = p.n_vectors = p.depth_vectors = s.pitch;
  p.shares = 1;
  return launch_product<T, T, LeftByDepth, RightByDepth>(p, stream);
}

// product[i][j] = sum_k a[i][k] b[j][k], or of a[k][i] b[k][j].
template <class T>
int32_t contract(const TriangleProblem<T>& p, Stream stream) {
  const TriangleSizes& s = p.sizes;
  const auto a = planes<const T>(p.edges, s, 2 * s.c_hidden);
  const auto b = planes<const T>(p.edges + s.c_hidden * s.plane(), s, 2 * s.c_hidden);
  const auto product = planes<T>(p.product, s, s.c_hidden);
  if (p.outgoing) return multiply_planes<T, false, false>(s, a, b, product, stream);
  return multiply_planes<T, true, true>(s, a, b, product, stream);
}

// A kernel whose blocks go on from positions to positions: as many as run at a time.
template <class Kernel, class T>
int32_t launch_resident(TriangleProblem<T> p, Stream stream) {
  const TriangleSizes& s = p.sizes;
  const Multiprocessors device = multiprocessors();
  const int64_t room = device.shared_limit / Kernel::kMinBlocks - Kernel::other_bytes(s);
  p.chunk = static_cast<int>(smaller<int64_t>(Kernel::weight_tiles(s), room / Kernel::tile_bytes()));
  if (p.chunk < 1) return STRUCTDIFF_UNSUPPORTED;
  const int64_t tiles = s.batch * divide_up<int64_t>(s.plane(), Kernel::kWarpPositions);
  p.blocks = static_cast<int>(smaller<int64_t>(device.count * Kernel::kMinBlocks, tiles));
  const int64_t bytes = Kernel::other_bytes(s) + p.chunk * Kernel::tile_bytes();
  return launch<Kernel>(p, p.blocks, Kernel::kThreads, bytes, stream, device.shared_limit);
}

template <class T, bool Slopes>
int32_t launch_edges(const TriangleProblem<T>& p, Stream stream) {
  if (p.sizes.depth == 64) return launch_resident<Edges<T, Slopes, 2>>(p, stream);
  if (p.sizes.depth == 128) return launch_resident<Edges<T, Slopes, 4>>(p, stream);
  return launch_resident<Edges<T, Slopes, 8>>(p, stream);
}

template <class T, bool Slopes>
int32_t launch_update(const TriangleProblem<T>& p, Stream stream) {
  if (p.sizes.depth == 64) return launch_resident<Update<T, Slopes, 2>>(p, stream);
  if (p.sizes.depth == 128) return launch_resident<Update<T, Slopes, 4>>(p, stream);
  return launch_resident<Update<T, Slopes, 8>>(p, stream);
}

// What both directions have in common.
template <class T>
TriangleProblem<T> triangle_problem(
    const structdiff_tensor& z, const structdiff_tensor* mask, const TriangleSizes& sizes,
    const TriangleScratch<T>& scratch, bool outgoing, double epsilon) {
  TriangleProblem<T> p{};
  p.sizes = sizes;
  const PairTable<T> table = pair_table<T>(z);
  p.z = {table.data, table.batch, table.row, table.column, table.channel, table.vectors};
  if (mask != nullptr && mask->data != nullptr) {
    p.mask = static_cast<const uint8_t*>(mask->data);
    p.mask_batch = mask->stride[0];
    p.mask_row = mask->stride[1];
    p.mask_column = mask->stride[2];
  }
  p.weights = {scratch.weights_in, scratch.weights_out, scratch.norm_in, scratch.norm_out};
  p.edges = scratch.edges;
  p.product = scratch.product;
  p.epsilon = static_cast<float>(epsilon);
  p.outgoing = outgoing;
  return p;
}

// Both passes. Not in line, so that the kernels are compiled once: cuda_float32.cu and so on.
template <class T>
struct TriangleMultiplication {
  static int32_t forward(
      const structdiff_tensor& z, const structdiff_tensor* mask, const structdiff_triangle_multiplication_weights& weights,
      bool outgoing, double epsilon, const structdiff_tensor& out, void* workspace, int64_t workspace_bytes,
      Stream stream);
  static int32_t backward(
      const structdiff_tensor& grad_out, const structdiff_tensor& z, const structdiff_tensor* mask,
      const structdiff_triangle_multiplication_weights& weights, bool outgoing, double epsilon,
      const structdiff_tensor& grad_z, const structdiff_triangle_multiplication_weights& grad_weights, void* workspace,
      int64_t workspace_bytes, Stream stream);
};

template <class T>
int32_t TriangleMultiplication<T>::forward(
    const structdiff_tensor& z, const structdiff_tensor* mask, const structdiff_triangle_multiplication_weights& weights,
    bool outgoing, double epsilon, const structdiff_tensor& out, void* workspace, int64_t workspace_bytes,
    Stream stream) {
  const TriangleSizes sizes = triangle_sizes(z, weights.project_out_weight.size[1]);
  Scratch memory(workspace);
  const TriangleScratch<T> scratch(memory, sizes);
  if (workspace_bytes < scratch.needed) return STRUCTDIFF_BAD_ARGUMENT;
  TriangleProblem<T> p = triangle_problem<T>(z, mask, sizes, scratch, outgoing, epsilon);
  p.out = pair_table<T>(out);
  int32_t status = pack_weights<T>(sizes, weights, scratch, stream);
  if (status == STRUCTDIFF_OK) status = launch_edges<T, false>(p, stream);
  if (status == STRUCTDIFF_OK) status = contract<T>(p, stream);
  if (status == STRUCTDIFF_OK) status = launch_update<T, false>(p, stream);
  return status;
}

}  // namespace structdiff::gpu

// The gradient of triangle multiplication: what the forward pass knew is computed again, then each step goes back.
#pragma once

#include "triangle_multiplication/cuda_pair_slopes.cuh"
#include "triangle_multiplication/cuda_product_slopes.cuh"
#include "triangle_multiplication/cuda_run.cuh"
#include "triangle_multiplication/cuda_slopes_weights.cuh"
#include "triangle_multiplication/cuda_sum_parts.cuh"

namespace structdiff::gpu {

// Scratch memory, after the forward pass's own.
template <class T>
struct SlopesScratch {
  TriangleScratch<T> forward;
  T *x_rows, *y_rows, *by_out, *by_open, *by_product, *by_edges, *by_gate;
  Left<T>* product_weights;
  Right<T>* pair_weights;
  float* parts;
  int64_t needed;
  static constexpr int kNormBlocks = 256;  // at most

  SlopesScratch(Scratch& scratch, const TriangleSizes& s) : forward(scratch, s) {
    const int64_t positions = s.batch * s.plane();
    x_rows = scratch.take<T>(positions * s.c_z);
    y_rows = scratch.take<T>(positions * s.c_hidden);
    by_out = scratch.take<T>(positions * s.c_z);
    by_open = scratch.take<T>(positions * s.c_z);
    by_product = scratch.take<T>(positions * s.c_hidden);
    by_edges = scratch.take<T>(positions * 2 * s.c_hidden);
    by_gate = scratch.take<T>(positions * 2 * s.c_hidden);
    product_weights = scratch.take<Left<T>>(PackSlopesWeights<T>::product_items(s));
    pair_weights = scratch.take<Right<T>>(PackSlopesWeights<T>::pair_items(s));
    parts = scratch.take<float>(larger<int64_t>(weight_parts(s), kNormBlocks * 2 * larger(s.c_z, s.c_hidden)));
    needed = scratch.used();
  }

  // Into how many shares the positions of a batch entry go where the gradient of weights [m, n] is summed over them: enough
  // to keep a large GPU busy, none of less than 512 positions.
  static int shares(const TriangleSizes& s, int m, int n) {
    const int64_t tiles = static_cast<int64_t>(s.batch) * divide_up(m, 128) * divide_up(n, 128);
    return static_cast<int>(larger<int64_t>(1, smaller<int64_t>(264 / tiles, s.plane() / 512)));
  }
  static int64_t parts_of(const TriangleSizes& s, int m, int n) {
    return shares(s, m, n) * static_cast<int64_t>(s.batch) * m * n;
  }
  static int64_t weight_parts(const TriangleSizes& s) {
    return larger(parts_of(s, 2 * s.c_hidden, s.c_z), larger(parts_of(s, s.c_z, s.c_hidden), parts_of(s, s.c_z, s.c_z)));
  }
};

template <class T>
class TriangleSlopes {
 public:
  TriangleSlopes(const TriangleProblem<T>& problem, const SlopesScratch<T>& scratch, Stream stream)
      : p_(problem), s_(problem.sizes), scratch_(scratch), stream_(stream) {}

  int32_t run(
      const structdiff_triangle_multiplication_weights& weights, const structdiff_tensor& grad_z,
      const structdiff_triangle_multiplication_weights& grads) {
    int32_t status = pack_weights<T>(s_, weights, scratch_.forward, stream_);
    if (status == STRUCTDIFF_OK) status = pack_slopes_weights(weights);
    if (status == STRUCTDIFF_OK) status = launch_edges<T, false>(p_, stream_);
    if (status == STRUCTDIFF_OK) status = contract<T>(p_, stream_);
    if (status == STRUCTDIFF_OK) status = launch_update<T, true>(p_, stream_);
    if (status == STRUCTDIFF_OK) status = back_through_update(grads);
    if (status == STRUCTDIFF_OK) status = back_through_contraction();
    if (status == STRUCTDIFF_OK) status = launch_edges<T, true>(p_, stream_);
    if (status == STRUCTDIFF_OK) status = back_through_edges(grad_z, grads);
    return status;
  }

 private:
  int32_t pack_slopes_weights(const structdiff_triangle_multiplication_weights& weights) {
    using Kernel = PackSlopesWeights<T>;
    const typename Kernel::Problem p{
        s_,
        transposed(weights.project_out_weight),
        transposed(weights.gate_out_weight),
        {transposed(weights.project_in_weight), transposed(weights.gate_in_weight)},
        scratch_.product_weights,
        scratch_.pair_weights};
    return launch<Kernel>(p, divide_up<int64_t>(Kernel::items(s_), Kernel::kThreads), Kernel::kThreads, 0, stream_);
  }

  static WeightView transposed(const structdiff_tensor& tensor) {
    const WeightView view = weight_view(tensor);
    return {view.data, view.columns, view.rows, view.column, view.row, view.is_float};
  }

  // Rows [batch, position, channel].
  template <class E>
  Matrices<E> rows(E* data, int64_t channels) const {
    return {data, s_.plane() * channels, 0, channels};
  }
  // Planes taken as one matrix [channel, position] a batch entry.
  Matrices<const T> flat_planes(const T* data) const { return {data, 2 * s_.c_hidden * s_.plane(), 0, s_.plane()}; }

  // Gradient of a matrix of weights [m, n]: the sum over all positions of left times right.
  template <bool LeftByDepth>
  int32_t by_weight(Matrices<const T> left, int m, const T* right, int n, const structdiff_tensor& grad) {
    ProductProblem<T, float> p{};
    const int64_t elements = static_cast<int64_t>(m) * n;
    p.left = left;
    p.right = rows(right, n);
    p.batches = s_.batch;
    p.inner = 1;
    p.m = p.m_vectors = m;
    p.n = p.n_vectors = n;
    p.depth = p.depth_vectors = static_cast<int>(s_.plane());
    p.shares = SlopesScratch<T>::shares(s_, m, n);
    p.out = {scratch_.parts, elements * p.shares, 0, n};
    p.share_stride = elements;
    const int32_t status = launch_product<T, float, LeftByDepth, true>(p, stream_);
    if (status != STRUCTDIFF_OK) return status;
    float* out = static_cast<float*>(grad.data);
    return sum_parts({scratch_.parts, out, out, elements, elements, s_.batch * p.shares, elements});
  }

  // A kernel that goes back through a layer norm, whose blocks stay as long as there are positions; the gradients of the
  // norm's weights and biases are then added up.
  template <class Kernel>
  int32_t back_through_norm(
      typename Kernel::Problem p, const float* norm, const structdiff_tensor& by_weights,
      const structdiff_tensor& by_biases) {
    const Multiprocessors device = multiprocessors();
    const int64_t tiles = s_.batch * divide_up<int64_t>(s_.plane(), Kernel::kWarpPositions);
    p.sizes = s_;
    p.norm = {norm, scratch_.parts, p_.epsilon};
    p.blocks = static_cast<int>(
        smaller<int64_t>(tiles, smaller(device.count * Kernel::kMinBlocks, SlopesScratch<T>::kNormBlocks)));
    const int32_t status =
        launch<Kernel>(p, p.blocks, Kernel::kThreads, Kernel::shared_bytes(s_), stream_, device.shared_limit);
    if (status != STRUCTDIFF_OK) return status;
    const int64_t channels = by_weights.size[0];
    return sum_parts({scratch_.parts, static_cast<float*>(by_weights.data), static_cast<float*>(by_biases.data),
                      2 * channels, channels, p.blocks, 2 * channels});
  }

  int32_t sum_parts(const SumParts::Problem& p) {
    return launch<SumParts>(p, divide_up<int64_t>(p.elements, 32), SumParts::kThreads, SumParts::kSharedBytes, stream_);
  }

  int32_t back_through_update(const structdiff_triangle_multiplication_weights& grads) {
    const auto out_rows = rows<const T>(scratch_.by_out, s_.c_z);
    int32_t status = by_weight<true>(out_rows, s_.c_z, scratch_.y_rows, s_.c_hidden, grads.project_out_weight);
    if (status != STRUCTDIFF_OK) return status;
    const auto open_rows = rows<const T>(scratch_.by_open, s_.c_z);
    status = by_weight<true>(open_rows, s_.c_z, scratch_.x_rows, s_.c_z, grads.gate_out_weight);
    if (status != STRUCTDIFF_OK) return status;
    ProductSlopesProblem<T> p{};
    p.by_out = scratch_.by_out;
    p.product = p_.product;
    p.by_product = scratch_.by_product;
    p.weights = scratch_.product_weights;
    const auto back = [&](auto kernel) {
      return back_through_norm<decltype(kernel)>(p, scratch_.forward.norm_out, grads.norm_out_weight, grads.norm_out_bias);
    };
    if (s_.depth == 64) return back(ProductSlopes<T, 2>());
    return s_.depth == 128 ? back(ProductSlopes<T, 4>()) : back(ProductSlopes<T, 8>());
  }

  int32_t back_through_contraction() {
    const int64_t half = s_.c_hidden * s_.plane();
    const auto a = planes<const T>(p_.edges, s_, 2 * s_.c_hidden);
    const auto b = planes<const T>(p_.edges + half, s_, 2 * s_.c_hidden);
    const auto by_a = planes<T>(scratch_.by_edges, s_, 2 * s_.c_hidden);
    const auto by_b = planes<T>(scratch_.by_edges + half, s_, 2 * s_.c_hidden);
    const auto by_product = planes<const T>(scratch_.by_product, s_, s_.c_hidden);
    if (p_.outgoing) {  // by_a[i][k] = by_product[i][j] b[j][k], by_b[j][k] = by_product[i][j] a[i][k]
      const int32_t status = multiply_planes<T, false, true>(s_, by_product, b, by_a, stream_);
      return status == STRUCTDIFF_OK ? multiply_planes<T, true, true>(s_, by_product, a, by_b, stream_) : status;
    }
    // by_a[k][i] = b[k][j] by_product[i][j], by_b[k][j] = a[k][i] by_product[i][j]
    const int32_t status = multiply_planes<T, false, false>(s_, b, by_product, by_a, stream_);
    return status == STRUCTDIFF_OK ? multiply_planes<T, false, true>(s_, a, by_product, by_b, stream_) : status;
  }

  int32_t back_through_edges(
      const structdiff_tensor& grad_z, const structdiff_triangle_multiplication_weights& grads) {
    const int hidden = 2 * s_.c_hidden;
    const auto by_value = flat_planes(scratch_.by_edges);
    const auto by_gate = flat_planes(scratch_.by_gate);
    int32_t status = by_weight<false>(by_value, hidden, scratch_.x_rows, s_.c_z, grads.project_in_weight);
    if (status == STRUCTDIFF_OK) {
      status = by_weight<false>(by_gate, hidden, scratch_.x_rows, s_.c_z, grads.gate_in_weight);
    }
    if (status != STRUCTDIFF_OK) return status;
    PairSlopesProblem<T> p{};
    p.z = p_.z;
    p.by_z = pair_table<T>(grad_z);
    p.by_open = scratch_.by_open;
    p.by_edges[0] = scratch_.by_edges;
    p.by_edges[1] = scratch_.by_gate;
    p.weights = scratch_.pair_weights;
    const auto back = [&](auto kernel) {
      return back_through_norm<decltype(kernel)>(p, scratch_.forward.norm_in, grads.norm_in_weight, grads.norm_in_bias);
    };
    if constexpr (sizeof(T) == 2) {
      if (s_.depth == 64) return back(PairSlopes<T, 2, true>());
      using Kernel = PairSlopes<T, 4, true>;
      if (s_.depth == 128 && Kernel::shared_bytes(s_) <= multiprocessors().shared_limit) return back(Kernel());
    }
    if (s_.depth == 64) return back(PairSlopes<T, 2, false>());
    return s_.depth == 128 ? back(PairSlopes<T, 4, false>()) : back(PairSlopes<T, 8, false>());
  }

  TriangleProblem<T> p_;
  TriangleSizes s_;
  SlopesScratch<T> scratch_;
  Stream stream_;
};

template <class T>
int32_t TriangleMultiplication<T>::backward(
    const structdiff_tensor& grad_out, const structdiff_tensor& z, const structdiff_tensor* mask,
    const structdiff_triangle_multiplication_weights& weights, bool outgoing, double epsilon,
    const structdiff_tensor& grad_z, const structdiff_triangle_multiplication_weights& grad_weights, void* workspace,
    int64_t workspace_bytes, Stream stream) {
  const TriangleSizes sizes = triangle_sizes(z, weights.project_out_weight.size[1]);
  Scratch memory(workspace);
  const SlopesScratch<T> scratch(memory, sizes);
  if (workspace_bytes < scratch.needed) return STRUCTDIFF_BAD_ARGUMENT;
  TriangleProblem<T> p = triangle_problem<T>(z, mask, sizes, scratch.forward, outgoing, epsilon);
  const PairTable<T> grad = pair_table<T>(grad_out);
  p.grad_out = {grad.data, grad.batch, grad.row, grad.column, grad.channel, grad.vectors};
  p.x_rows = scratch.x_rows;
  p.y_rows = scratch.y_rows;
  p.by_out = scratch.by_out;
  p.by_open = scratch.by_open;
  p.by_edges = scratch.by_edges;
  p.by_gate = scratch.by_gate;
  return TriangleSlopes<T>(p, scratch, stream).run(weights, grad_z, grad_weights);
}

}  // namespace structdiff::gpu

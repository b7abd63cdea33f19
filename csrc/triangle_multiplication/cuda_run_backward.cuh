// The gradient of triangle multiplication: what the forward pass knew is computed again, then each step goes back.
#pragma once

#include "triangle_multiplication/cuda_norm_slopes.cuh"
#include "triangle_multiplication/cuda_run.cuh"
#include "triangle_multiplication/cuda_sum_parts.cuh"

namespace structdiff::gpu {

// Scratch memory, after the forward pass's own.
template <class T>
struct SlopesScratch {
  TriangleScratch<T> forward;
  T *x_rows, *y_rows, *by_out, *by_open, *by_product, *by_edges, *by_gate;
  T *project_in, *gate_in, *project_out, *gate_out;  // as they are
  float* by_rows;  // of y, then of x
  float* parts;
  int64_t needed;

  SlopesScratch(Scratch& scratch, const TriangleSizes& s) : forward(scratch, s) {
    const int64_t positions = s.batch * s.plane();
    x_rows = scratch.take<T>(positions * s.c_z);
    y_rows = scratch.take<T>(positions * s.c_hidden);
    by_out = scratch.take<T>(positions * s.c_z);
    by_open = scratch.take<T>(positions * s.c_z);
    by_product = scratch.take<T>(positions * s.c_hidden);
    by_edges = scratch.take<T>(positions * 2 * s.c_hidden);
    by_gate = scratch.take<T>(positions * 2 * s.c_hidden);
    project_in = scratch.take<T>(2 * s.c_hidden * s.c_z);
    gate_in = scratch.take<T>(2 * s.c_hidden * s.c_z);
    project_out = scratch.take<T>(s.c_z * s.c_hidden);
    gate_out = scratch.take<T>(s.c_z * s.c_z);
    by_rows = scratch.take<float>(positions * larger(s.c_z, s.c_hidden));
    parts = scratch.take<float>(larger(weight_parts(s), norm_blocks(s) * 2 * larger(s.c_z, s.c_hidden)));
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
  static int64_t norm_blocks(const TriangleSizes& s) {
    return smaller<int64_t>(256, divide_up<int64_t>(s.batch * s.plane(), NormSlopes<T>::kRun));
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
    if (status == STRUCTDIFF_OK) status = copy_weights(weights);
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
  int32_t copy_weights(const structdiff_triangle_multiplication_weights& weights) {
    typename CopyWeights<T>::Problem p{};
    const structdiff_tensor* from[] = {
        &weights.project_in_weight, &weights.gate_in_weight, &weights.project_out_weight, &weights.gate_out_weight};
    T* to[] = {scratch_.project_in, scratch_.gate_in, scratch_.project_out, scratch_.gate_out};
    for (int i = 0; i < CopyWeights<T>::kMatrices; ++i) {
      p.from[i] = weight_view(*from[i]);
      p.to[i] = to[i];
      p.rows[i] = static_cast<int>(from[i]->size[0]);
      p.columns[i] = static_cast<int>(from[i]->size[1]);
    }
    using Kernel = CopyWeights<T>;
    return launch<Kernel>(p, divide_up<int64_t>(Kernel::items(p), Kernel::kThreads), Kernel::kThreads, 0, stream_);
  }

  // Rows [batch, position, channel].
  template <class E>
  Matrices<E> rows(E* data, int64_t channels) const {
    return {data, s_.plane() * channels, 0, channels};
  }
  // Planes taken as one matrix [channel, position] a batch entry.
  Matrices<const T> flat_planes(const T* data) const { return {data, 2 * s_.c_hidden * s_.plane(), 0, s_.plane()}; }
  Matrices<const T> weight(const T* data, int64_t columns) const { return {data, 0, 0, columns}; }

  // Gradient of rows: out[position][channel] (+)= left . weight, with left as rows or planes.
  template <bool LeftByDepth>
  int32_t by_rows(Matrices<const T> left, int depth, Matrices<const T> right, int channels, bool add) {
    ProductProblem<T, float> p{};
    p.left = left;
    p.right = right;
    p.out = rows(scratch_.by_rows, channels);
    p.batches = s_.batch;
    p.inner = 1;
    p.m = p.m_vectors = static_cast<int>(s_.plane());
    p.n = p.n_vectors = channels;
    p.depth = p.depth_vectors = depth;
    p.shares = 1;
    p.add = add;
    return launch_product<T, float, LeftByDepth, true>(p, stream_);
  }

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

  // by_norm is written as [weights, biases]: the two gradients lie in different tensors.
  int32_t back_through_norm(
      typename NormSlopes<T>::Problem p, const structdiff_tensor& by_weights, const structdiff_tensor& by_biases) {
    using Kernel = NormSlopes<T>;
    p.sizes = s_;
    p.grad = scratch_.by_rows;
    p.by_norm = scratch_.parts;
    p.blocks = static_cast<int>(SlopesScratch<T>::norm_blocks(s_));
    p.epsilon = p_.epsilon;
    const int32_t status = launch<Kernel>(p, p.blocks, Kernel::kThreads, Kernel::shared_bytes(p.channels), stream_);
    if (status != STRUCTDIFF_OK) return status;
    return sum_parts({scratch_.parts, static_cast<float*>(by_weights.data), static_cast<float*>(by_biases.data),
                      2 * p.channels, p.channels, p.blocks, 2 * p.channels});
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
    status = by_rows<false>(out_rows, s_.c_z, weight(scratch_.project_out, s_.c_hidden), s_.c_hidden, false);
    if (status != STRUCTDIFF_OK) return status;
    typename NormSlopes<T>::Problem norm{};
    const int64_t plane = s_.plane();
    norm.channels = s_.c_hidden;
    norm.input = {p_.product, plane * s_.c_hidden, s_.pitch, 1, plane};
    norm.by_input = {scratch_.by_product, plane * s_.c_hidden, s_.pitch, 1, plane};
    norm.to_padding = true;
    norm.norm = scratch_.forward.norm_out;
    return back_through_norm(norm, grads.norm_out_weight, grads.norm_out_bias);
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
    const auto open_rows = rows<const T>(scratch_.by_open, s_.c_z);
    const auto of = [&](const T* matrix) { return weight(matrix, s_.c_z); };
    if (status == STRUCTDIFF_OK) status = by_rows<false>(open_rows, s_.c_z, of(scratch_.gate_out), s_.c_z, false);
    if (status == STRUCTDIFF_OK) status = by_rows<true>(by_value, hidden, of(scratch_.project_in), s_.c_z, true);
    if (status == STRUCTDIFF_OK) status = by_rows<true>(by_gate, hidden, of(scratch_.gate_in), s_.c_z, true);
    if (status != STRUCTDIFF_OK) return status;
    typename NormSlopes<T>::Problem norm{};
    norm.channels = s_.c_z;
    norm.input = {p_.z.data, p_.z.batch, p_.z.row, p_.z.column, p_.z.channel};
    norm.by_input = {static_cast<T*>(grad_z.data), grad_z.stride[0], grad_z.stride[1], grad_z.stride[2],
                     grad_z.stride[3]};
    norm.norm = scratch_.forward.norm_in;
    return back_through_norm(norm, grads.norm_in_weight, grads.norm_in_bias);
  }

  TriangleProblem<T> p_;
  TriangleSizes s_;
  SlopesScratch<T> scratch_;
  Stream stream_;
};

template <class T>
int32_t triangle_multiplication_backward(
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

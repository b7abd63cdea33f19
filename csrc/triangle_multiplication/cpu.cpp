// Triangle multiplication on the CPU: three passes, by blocks of pairs or by channels, which are small enough for the
// cache.
//
// First the gated projections, written as planes (channels first); then one matrix product a channel; then the second
// norm, projection and gate. The normalised input is computed three times rather than kept.
#include <new>

#include "common/parallel.h"
#include "triangle_multiplication/cpu_blocks.h"
#include "triangle_multiplication/cpu_contraction.h"

namespace structdiff {
namespace trimul {

int32_t read_problem(const structdiff_tensor* z, const structdiff_tensor* mask,
                     const structdiff_triangle_multiplication_weights* weights, int32_t outgoing, double epsilon,
                     int32_t num_threads, Problem* out) {
  const structdiff_triangle_multiplication_weights& w = *weights;
  if (z->rank != 4 || z->size[1] != z->size[2] || w.project_in_weight.rank != 2) return STRUCTDIFF_BAD_ARGUMENT;
  const int64_t c = z->size[3], h = w.project_in_weight.size[0] / 2;
  const structdiff_tensor* all[] = {&w.norm_in_weight,  &w.norm_in_bias,  &w.project_in_weight,  &w.gate_in_weight,
                                    &w.norm_out_weight, &w.norm_out_bias, &w.project_out_weight, &w.gate_out_weight};
  const int64_t sizes[][2] = {{c, 1}, {c, 1}, {2 * h, c}, {2 * h, c}, {h, 1}, {h, 1}, {c, h}, {c, c}};
  for (int which = 0; which < 8; ++which) {
    const structdiff_tensor& weight = *all[which];
    if (weight.size[0] != sizes[which][0] || (weight.rank > 1 ? weight.size[1] : 1) != sizes[which][1])
      return STRUCTDIFF_BAD_ARGUMENT;
    if (!is_contiguous(weight, STRUCTDIFF_FLOAT32)) return STRUCTDIFF_UNSUPPORTED;
  }
  const bool masked = mask != nullptr && mask->data != nullptr;
  if (masked && !has_sizes(*mask, {z->size[0], z->size[1], z->size[2]})) return STRUCTDIFF_BAD_ARGUMENT;
  if (c % kChannelStep || h % kChannelStep || c > 512 || h > 512 || !is_contiguous(*z, STRUCTDIFF_FLOAT32) ||
      (masked && !is_contiguous(*mask, STRUCTDIFF_BOOL)))
    return STRUCTDIFF_UNSUPPORTED;
  const auto data_of = [](const structdiff_tensor& tensor) { return static_cast<const float*>(tensor.data); };
  *out = {z->size[0],
          z->size[1],
          static_cast<int>(c),
          static_cast<int>(h),
          outgoing != 0,
          static_cast<float>(epsilon),
          num_threads,
          data_of(*z),
          masked ? static_cast<const uint8_t*>(mask->data) : nullptr,
          data_of(w.norm_in_weight),
          data_of(w.norm_in_bias),
          data_of(w.project_in_weight),
          data_of(w.gate_in_weight),
          data_of(w.norm_out_weight),
          data_of(w.norm_out_bias),
          data_of(w.project_out_weight),
          data_of(w.gate_out_weight)};
  return STRUCTDIFF_OK;
}

GatedWeights::GatedWeights(const Problem& p) : c(p.c), tiles((p.h + kGated - 1) / kGated) {
  values.resize(static_cast<size_t>(2) * tiles * c * kTileRows);
  float* to = values.data();
  for (int half = 0; half < 2; ++half)
    for (int first = 0; first < tiles * kGated; first += kGated, to += c * kTileRows)
      for (int r = 0; r < kGated && first + r < p.h; ++r) {
        const int64_t row = static_cast<int64_t>(half * p.h + first + r) * c;
        for (int at = 0; at < c; ++at) {
          to[at * kTileRows + r] = p.project_in[row + at];
          to[at * kTileRows + r + kGated] = p.gate_in[row + at] * kOpening;
        }
      }
}

namespace {

// What a strip adds to the planes of one half: to[channel * plane], V vectors each.
template <int V>
void project_strip(const Problem& p, const GatedWeights& weights, int half, const float* strip, const float* mask,
                   float* to, Ahead* ahead) {
  const int64_t plane = p.plane();
  Vector there[V];
  for (int v = 0; v < V; ++v) there[v] = load(mask + v * kLanes);
  for (int first = 0; first < p.h; first += kGated, to += kGated * plane) {
    const int channels = std::min(kGated, p.h - first);
    ahead->step();
    gated_tile<V>(p.c, weights.tile(half, first), strip, [&](int r, int v, Vector projected, Vector open) {
      if (r < channels) store(to + r * plane + v * kLanes, projected * open * there[v]);
    });
  }
}

}  // namespace

void project_edges(const Problem& p, float* edges) {
  const GatedWeights weights(p);
  const int64_t each = kPairs * (p.c + 1);
  const Floats scratch = floats(each * p.threads);
  parallel_for(edge_blocks(p), p.threads, [&](int64_t index, int32_t worker) {
    float *strips = scratch.get() + worker * each, *mask = strips + kPairs * p.c;
    const Block block = edge_block(p, index);
    read_strips(p, block, strips);
    normalise_strips(p, block.count, strips);
    plane_mask(p, block, mask);
    float* to = p.plane_of(edges, block.batch, block.half, 0) + block.row * p.line() + block.first;
    const int64_t tiles = weights.tiles * ((block.count + kStrip - 1) / kStrip), next = index + p.threads;
    Ahead ahead = next < edge_blocks(p) ? pairs_ahead(p, edge_block(p, next), tiles) : Ahead();
    for (int at = 0; at < block.count; at += kStrip) {
      const float* strip = strips + at * p.c;
      if (at + kLanes < block.count)
        project_strip<2>(p, weights, block.half, strip, mask + at, to + at, &ahead);
      else
        project_strip<1>(p, weights, block.half, strip, mask + at, to + at, &ahead);
    }
  });
}

void multiply_edges(const Problem& p, const float* edges, float* product) {
  const int64_t each = contraction_scratch(), line = p.line(), row = p.product_of(0, 1, 0), run = p.h * kPairs;
  const Floats scratch = floats(each * p.threads);
  parallel_for(p.batch * p.h, p.threads, [&](int64_t index, int32_t worker) {
    const int64_t batch = index / p.h, h = index % p.h;
    const float* a = edges + (batch * 2 * p.h + h) * p.plane();
    float* to = product + p.product_of(batch, 0, 0) + h * kPairs;
    contract(p.n, p.n, p.n, {a, line, 1, kRun}, {a + p.h * p.plane(), line, 1, kRun}, {to, row, run},
             scratch.get() + worker * each);
    const int64_t last = p.blocks_in_row() - 1, filled = (p.n + kStrip - 1) / kStrip * kStrip - last * kPairs;
    for (int64_t i = 0; i < p.n && filled < kPairs; ++i)
      std::fill(to + i * row + last * run + filled, to + i * row + last * run + kPairs, 0.0f);
  });
}

namespace {

// Columns of weights as a tile reads them, [strip][depth][kStrip] from [channel][depth], times a factor.
Floats in_strips(const float* from, int channels, int depth, float factor) {
  const int64_t strips = (channels + kStrip - 1) / kStrip;
  Floats out = floats(strips * kStrip * depth);
  for (int64_t at = 0; at < strips * kStrip * depth; ++at) {
    const int64_t channel = at / (kStrip * depth) * kStrip + at % kStrip, k = at / kStrip % depth;
    out[at] = channel < channels ? from[channel * depth + k] * factor : 0.0f;
  }
  return out;
}

// What the output is made of: strips of x and y, and the strips of weights that they are multiplied with.
struct OutOperands {
  int c, h;
  const float *x, *y, *gate, *project;
  Ahead *pairs_ahead, *products_ahead;
};

// Rows of the output: projections of y times the gates that x opens.
template <int Rows, int V>
void out_tile(const OutOperands& on, float* to) {
  on.pairs_ahead->step();
  on.products_ahead->step();
  float open[Rows * V * kLanes];
  const int c = on.c;
  const auto zero = [](int, int) { return Vector{}; };
  tile<Rows, V>(c, on.x, 1, kStrip, on.gate, kStrip, zero,
                [&](int r, int v, Vector sum) { store(open + (r * V + v) * kLanes, opened(sum)); });
  tile<Rows, V>(on.h, on.y, 1, kStrip, on.project, kStrip, zero, [&](int r, int v, Vector sum) {
    store(to + r * c + v * kLanes, sum * load(open + (r * V + v) * kLanes));
  });
}

template <int Rows, int V>
void last_out_rows(int rows, const OutOperands& on, float* to) {
  if constexpr (Rows > 0) {
    if (rows == Rows) return out_tile<Rows, V>(on, to);
    last_out_rows<Rows - 1, V>(rows, on, to);
  }
}

template <int V>
void out_rows(int rows, OutOperands on, float* to) {
  for (; rows >= kTileRows; rows -= kTileRows, on.x += kTileRows, on.y += kTileRows, to += kTileRows * on.c)
    out_tile<kTileRows, V>(on, to);
  last_out_rows<kTileRows - 1, V>(rows, on, to);
}

// The same strip of the product, normalised over its channels.
void normalise_product(const Problem& p, const float* from, float* strip) {
  for (int h = 0; h < p.h; ++h)
    for (int at = 0; at < kStrip; at += kLanes) store(strip + h * kStrip + at, load(from + h * kPairs + at));
  normalise_strip(p.h, p.norm_out_weight, p.norm_out_bias, p.epsilon, strip);
}

void finish(const Problem& p, const float* products, float* out) {
  const Floats project = in_strips(p.project_out, p.c, p.h, 1.0f);
  const Floats gate = in_strips(p.gate_out, p.c, p.c, kOpening);
  const int64_t each = kPairs * (p.c + p.h);
  const Floats scratch = floats(each * p.threads);
  parallel_for(out_blocks(p), p.threads, [&](int64_t index, int32_t worker) {
    float *x = scratch.get() + worker * each, *y = x + kPairs * p.c;
    const Block block = out_block(p, index);
    read_strips(p, block, x);
    normalise_strips(p, block.count, x);
    const float* from = products + p.product_of(block.batch, block.row, block.first);
    float* to = out + block.pair(p, 0) * p.c;
    const int64_t next = index + p.threads;
    Ahead pairs, products_of_pairs;
    if (next < out_blocks(p)) {
      const Block then = out_block(p, next);
      const int64_t tiles = (block.count + kTileRows - 1) / kTileRows * ((p.c + kStrip - 1) / kStrip);
      pairs = pairs_ahead(p, then, tiles);
      products_of_pairs = Ahead(products + p.product_of(then.batch, then.row, then.first), p.h, kPairs, kPairs, tiles);
    }
    for (int at = 0; at < block.count; at += kStrip) {
      OutOperands on{p.c, p.h, x + at * p.c, y + at * p.h, gate.get(), project.get(), &pairs, &products_of_pairs};
      normalise_product(p, from + at, y + at * p.h);
      const int rows = std::min(kStrip, block.count - at);
      for (int first = 0; first < p.c; first += kStrip, on.gate += p.c * kStrip, on.project += p.h * kStrip)
        if (first + kLanes < p.c)
          out_rows<2>(rows, on, to + at * p.c + first);
        else
          out_rows<1>(rows, on, to + at * p.c + first);
    }
  });
}

}  // namespace
}  // namespace trimul
}  // namespace structdiff

int32_t structdiff_triangle_multiplication_forward_cpu(const structdiff_tensor* z, const structdiff_tensor* mask,
                                                       const structdiff_triangle_multiplication_weights* weights,
                                                       int32_t outgoing, double epsilon, const structdiff_tensor* out,
                                                       int32_t num_threads) {
  using namespace structdiff;
  using namespace structdiff::trimul;
  Problem p;
  const int32_t status = read_problem(z, mask, weights, outgoing, epsilon, num_threads, &p);
  if (status != STRUCTDIFF_OK) return status;
  if (!is_contiguous(*out, STRUCTDIFF_FLOAT32)) return STRUCTDIFF_UNSUPPORTED;
  if (p.batch == 0 || p.n == 0) return STRUCTDIFF_OK;
  try {
    const KeptFloats tables(p.edges() + p.products());
    float *const edges = tables.get(), *const products = edges + p.edges();
    wish_for_large_pages(*out);
    project_edges(p, edges);
    multiply_edges(p, edges, products);
    finish(p, products, static_cast<float*>(out->data));
  } catch (const std::bad_alloc&) {
    return STRUCTDIFF_OUT_OF_MEMORY;
  }
  return STRUCTDIFF_OK;
}

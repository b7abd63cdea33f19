// One row i of the pair table in the cache: all pairs (i, j) of one sample.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "common/dense.h"
#include "pair_geometry/contract.h"

namespace structdiff {
namespace geometry {

using Floats = std::unique_ptr<float[]>;
inline Floats floats(int64_t count) { return Floats(new float[count]); }

constexpr int kBlock = 64;  // pairs (i, j) that go through the layers together

struct Problem {
  int64_t batch, groups, n, padded;  // padded: n rounded up to whole blocks
  int c, dots, centres, biases, heads, messages;
  float largest, spacing, width;
  int32_t threads;
  const float *centre, *previous, *probes, *z, *shift;
  const uint8_t* mask;
  const float *read_weight, *hidden_weight, *hidden_bias, *out_weight, *out_bias;

  int features() const { return 2 * centres + 3 * dots; }
  int outs() const { return biases + heads + messages; }
  int64_t samples() const { return batch / groups; }  // that share one z
};

// Tokens with coordinates as rows, [sample][..][padded], and transposed weights; made once a call.
struct Prepared {
  explicit Prepared(const Problem& p);
  std::vector<float> centre, previous, probes, hide;  // [3], [3], [4 dots][3], [1]
  std::vector<float> read_transposed, hidden_transposed;
  const float* centre_of(const Problem& p, int64_t sample) const { return centre.data() + sample * 3 * p.padded; }
  const float* previous_of(const Problem& p, int64_t sample) const { return previous.data() + sample * 3 * p.padded; }
  const float* probes_of(const Problem& p, int64_t sample) const {
    return probes.data() + sample * 12 * p.dots * p.padded;
  }
};

// The tables of one row. Channels first: [..][padded]; pairs first: [padded][c]. Where nothing is kept for a backward
// pass, first and entered are one table, and so are second and hidden.
struct Row {
  Row(const Problem& p, float* at, bool keep);
  static int64_t size(const Problem& p, bool keep);
  float *direction, *distance, *previous, *features, *outs;     // channels first
  float *first, *entered, *second, *hidden;                     // pairs first
  float* by_channel;                                            // [c][kBlock]
};

// Fills the row, up to the softmax weights in place of the logits. bias: where the row's biases go, channel by channel
// n * n apart; or null.
void run_row(const Problem& p, const Prepared& ready, int64_t sample, int64_t i, const Row& row, float* bias);

int32_t read_problem(const structdiff_pair_geometry_inputs& inputs, double largest, double spacing,
                     const structdiff_tensor& bias, const structdiff_tensor& gathered, const structdiff_tensor& arrows,
                     int32_t num_threads, Problem* out);

}  // namespace geometry
}  // namespace structdiff

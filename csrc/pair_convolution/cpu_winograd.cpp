#include "pair_convolution/cpu_winograd.h"

#include <algorithm>

#include "common/dense.h"
#include "common/parallel.h"

namespace structdiff {
namespace convolution {
namespace {

constexpr int kResults = 4, kInputs = 6, kProducts = kInputs * kInputs;
constexpr int kStretch = 24;  // tiles; what they are turned into lies in the second-level cache
// Tables of one product each would else lie a multiple of 4096 bytes apart and push each other out of the cache.
constexpr int64_t kPadding = 16;

// The algorithm evaluates polynomials at 0, +-kNear, +-kFar and infinity. These lose the least in rounding of all in
// sixteenths: a root mean square error of 7.5e-7 where 0, +-1, +-2 have 1.6e-6. All powers are exact in float32.
constexpr float kNear = 0.625f, kFar = 1.5f;
constexpr float kNear2 = kNear * kNear, kFar2 = kFar * kFar, kBoth2 = kNear2 * kFar2, kSum2 = kNear2 + kFar2;

// Six inputs in a row.
__attribute__((always_inline)) inline void turn_inputs(const Vector* d, Vector* v) {
  const Vector even_near = d[4] - d[2] * kFar2, odd_near = (d[3] - d[1] * kFar2) * kNear;
  const Vector even_far = d[4] - d[2] * kNear2, odd_far = (d[3] - d[1] * kNear2) * kFar;
  v[0] = (d[4] - d[2] * kSum2) + d[0] * kBoth2;
  v[1] = even_near + odd_near;
  v[2] = even_near - odd_near;
  v[3] = even_far + odd_far;
  v[4] = even_far - odd_far;
  v[5] = (d[5] - d[3] * kSum2) + d[1] * kBoth2;
}

// Six products to four results.
__attribute__((always_inline)) inline void turn_results(const Vector* m, Vector* y) {
  const Vector near = m[1] + m[2], near_odd = (m[1] - m[2]) * kNear;
  const Vector far = m[3] + m[4], far_odd = (m[3] - m[4]) * kFar;
  y[0] = m[0] + (near + far);
  y[1] = near_odd + far_odd;
  y[2] = near * kNear2 + far * kFar2;
  y[3] = (near_odd * kNear2 + far_odd * kFar2) + m[5];
}

// In double precision, as many as there are lanes: weights are used for every pair.
typedef double Doubles __attribute__((vector_size(2 * STRUCTDIFF_VECTOR_BYTES)));

// Three weights in a row.
__attribute__((always_inline)) inline void turn_weights(const Doubles* w, int apart, Doubles* u) {
  constexpr double near2 = kNear2, far2 = kFar2;
  constexpr double by_near = 1 / (2 * near2 * (near2 - far2)), by_far = 1 / (2 * far2 * (far2 - near2));
  const Doubles first = w[0], second = w[apart], third = w[2 * apart];
  const Doubles near = (first + third * near2) * by_near, near_odd = second * (kNear * by_near);
  const Doubles far = (first + third * far2) * by_far, far_odd = second * (kFar * by_far);
  u[0] = first * (1 / (near2 * far2));
  u[1] = near + near_odd;
  u[2] = near - near_odd;
  u[3] = far + far_odd;
  u[4] = far - far_odd;
  u[5] = third;
}

// Of one input, for as many outputs as there are lanes: taps [9] and products are so far apart.
void turn_taps(const float* taps, int64_t taps_apart, float* products, int64_t products_apart) {
  Doubles tap[9], half[3 * kInputs], whole[kInputs];
  for (int t = 0; t < 9; ++t) tap[t] = __builtin_convertvector(load(taps + t * taps_apart), Doubles);
  for (int column = 0; column < 3; ++column) {
    turn_weights(tap + column, 3, whole);
    for (int row = 0; row < kInputs; ++row) half[row * 3 + column] = whole[row];
  }
  for (int row = 0; row < kInputs; ++row) {
    turn_weights(half + row * 3, 1, whole);
    for (int column = 0; column < kInputs; ++column)
      store(products + (row * kInputs + column) * products_apart, __builtin_convertvector(whole[column], Vector));
  }
}

// The weights of the way back: mirrored, inputs and outputs changed over.
std::vector<float> turned_back(const float* weight, int in, int out) {
  const size_t tap = static_cast<size_t>(in) * out;
  std::vector<float> turned(9 * tap);
  for (int t = 0; t < 9; ++t) transpose(in, out, weight + (8 - t) * tap, out, turned.data() + t * tap, in);
  return turned;
}

}  // namespace

int64_t TileWeights::size(int in, int out) { return kProducts * (static_cast<int64_t>(in) * out + kPadding); }

TileWeights::TileWeights(const float* weight, int in, int out, bool backward, float* memory, int32_t threads)
    : apart_(static_cast<int64_t>(in) * out + kPadding), values_(memory) {
  const std::vector<float> turned = backward ? turned_back(weight, in, out) : std::vector<float>();
  const float* taps = backward ? turned.data() : weight;
  const int inputs = backward ? out : in, outputs = backward ? in : out;
  parallel_for(inputs, threads, [&](int64_t input, int32_t) {
    for (int64_t at = input * outputs; at < (input + 1) * outputs; at += kLanes)
      turn_taps(taps + at, static_cast<int64_t>(in) * out, values_ + at, apart_);
  });
}

Tiles::Tiles(const Shape& shape)
    : shape_(shape), rows_(sides(shape.rows, shape.dilation)), columns_(sides(shape.columns, shape.dilation)),
      nothing_(static_cast<size_t>(shape.in), 0.0f), entered_apart_(kStretch * shape.in + kPadding),
      products_apart_(kStretch * shape.out + kPadding) {}

std::vector<Tiles::Side> Tiles::sides(int64_t length, int dilation) {
  std::vector<Side> all;
  for (int64_t first = 0; first < std::min<int64_t>(dilation, length); ++first)
    for (int64_t start = first; start < length; start += int64_t{kResults} * dilation) {
      const int64_t left = (length - start + dilation - 1) / dilation;
      all.push_back({start, static_cast<int>(std::min<int64_t>(left, kResults))});
    }
  return all;
}

int64_t Tiles::stretches() const {
  return (static_cast<int64_t>(rows_.size() * columns_.size()) + kStretch - 1) / kStretch;
}

int64_t Tiles::scratch(int in, int out) { return kProducts * (kStretch * int64_t{in + out} + 2 * kPadding); }

void Tiles::run(int64_t stretch, const float* from, const TileWeights& weights, float* to, Moments* moments,
                float* scratch) const {
  const int64_t all = static_cast<int64_t>(rows_.size() * columns_.size()), begin = stretch * kStretch;
  const int count = static_cast<int>(std::min<int64_t>(kStretch, all - begin));
  const int64_t across = static_cast<int64_t>(columns_.size());
  float *entered = scratch, *products = scratch + kProducts * entered_apart_;
  for (int each = 0; each < count; ++each)
    enter(rows_[(begin + each) / across], columns_[(begin + each) % across], from, entered + each * shape_.in);
  // In four parts, which leaves six tenths of the error of their sums.
  const int part = shape_.in / 4;
  for (int p = 0; p < kProducts; ++p)
    for (int depth = 0; depth < shape_.in; depth += part)
      product(count, shape_.out, part, entered + p * entered_apart_ + depth, shape_.in, 1,
              weights.of(p) + depth * shape_.out, shape_.out, products + p * products_apart_, shape_.out, depth > 0);
  float* sums = moments == nullptr ? nullptr : moments->of(stretch);
  int64_t pairs = 0;
  for (int each = 0; each < count; ++each) {
    const Side &row = rows_[(begin + each) / across], &column = columns_[(begin + each) % across];
    leave(row, column, products + each * shape_.out, to, sums, each == 0);
    pairs += static_cast<int64_t>(row.count) * column.count;
  }
  if (moments != nullptr) moments->counts[stretch] = pairs;
}

void Tiles::enter(const Side& row, const Side& column, const float* from, float* entered) const {
  const float* pairs[kInputs][kInputs];
  for (int a = 0; a < kInputs; ++a)
    for (int b = 0; b < kInputs; ++b) {
      const int64_t i = row.start + (a - 1) * shape_.dilation, j = column.start + (b - 1) * shape_.dilation;
      const bool there = i >= 0 && i < shape_.rows && j >= 0 && j < shape_.columns;
      pairs[a][b] = there ? from + (i * shape_.columns + j) * shape_.in : nothing_.data();
    }
  for (int channel = 0; channel < shape_.in; channel += kLanes) {
    Vector half[kInputs][kInputs], lane[kInputs], whole[kInputs];
    for (int b = 0; b < kInputs; ++b) {
      for (int a = 0; a < kInputs; ++a) lane[a] = load(pairs[a][b] + channel);
      turn_inputs(lane, whole);
      for (int a = 0; a < kInputs; ++a) half[a][b] = whole[a];
    }
    for (int a = 0; a < kInputs; ++a) {
      turn_inputs(half[a], whole);
      for (int b = 0; b < kInputs; ++b) store(entered + (a * kInputs + b) * entered_apart_ + channel, whole[b]);
    }
  }
}

void Tiles::leave(const Side& row, const Side& column, const float* products, float* to, float* sums,
                  bool first) const {
  const int64_t down = shape_.columns * shape_.dilation * shape_.out, right = shape_.dilation * shape_.out;
  float* corner = to + (row.start * shape_.columns + column.start) * shape_.out;
  for (int channel = 0; channel < shape_.out; channel += kLanes) {
    Vector half[kResults][kInputs], lane[kInputs], whole[kResults][kResults];
    for (int b = 0; b < kInputs; ++b) {
      Vector four[kResults];
      for (int a = 0; a < kInputs; ++a) lane[a] = load(products + (a * kInputs + b) * products_apart_ + channel);
      turn_results(lane, four);
      for (int a = 0; a < kResults; ++a) half[a][b] = four[a];
    }
    for (int a = 0; a < kResults; ++a) turn_results(half[a], whole[a]);
    for (int a = 0; a < row.count; ++a)
      for (int b = 0; b < column.count; ++b) store(corner + a * down + b * right + channel, whole[a][b]);
    if (sums == nullptr) continue;
    const Vector near = first ? whole[0][0] : load(sums + channel);
    Vector total = first ? Vector{} : load(sums + shape_.out + channel);
    Vector squares = first ? Vector{} : load(sums + 2 * shape_.out + channel);
    for (int a = 0; a < row.count; ++a)
      for (int b = 0; b < column.count; ++b) {
        const Vector away = whole[a][b] - near;
        total += away;
        squares += away * away;
      }
    store(sums + channel, near);
    store(sums + shape_.out + channel, total);
    store(sums + 2 * shape_.out + channel, squares);
  }
}

}  // namespace convolution
}  // namespace structdiff

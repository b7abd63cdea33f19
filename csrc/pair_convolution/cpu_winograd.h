// Dilated 3 x 3 convolutions of a table of pairs by Winograd's algorithm F(4 x 4, 3 x 3): 36 multiply-adds for 16 results
// of a pair of channels in place of 144 (Lavin and Gray, CVPR 2016).
//
// With dilation d the table is d x d tables of every d-th row and column, each with an ordinary convolution. Channels
// are the lanes, so pairs that are far apart cost no more than neighbours.
#pragma once

#include <cstdint>
#include <vector>

namespace structdiff {
namespace convolution {

struct Shape {
  int64_t batch, rows, columns;
  int in, out, dilation;
  int64_t pairs() const { return rows * columns; }
};

// Weights as the products of a tile read them.
class TileWeights {
 public:
  // Floats that it writes.
  static int64_t size(int in, int out);
  // weight [3, 3, in, out]; backward: those of the convolution that takes a gradient of its results to its input.
  TileWeights(const float* weight, int in, int out, bool backward, float* memory, int32_t threads);
  // of one of the 36 products, [in, out]
  const float* of(int product) const { return values_ + product * apart_; }

 private:
  int64_t apart_;
  float* values_;
};

// What a stretch of tiles knows of its results, channel by channel, for the mean and variance of all.
struct Moments {
  Moments(const Shape& shape, int64_t stretches) : out(shape.out), sums(stretches * 3 * shape.out), counts(stretches) {}
  float* of(int64_t stretch) { return sums.data() + stretch * 3 * out; }
  int64_t out;
  std::vector<float> sums;  // [stretch][a value near the mean; sums of differences from it, and of their squares]
  std::vector<int64_t> counts;
};

// Tiles of one table, shared out in stretches.
class Tiles {
 public:
  explicit Tiles(const Shape& shape);
  int64_t stretches() const;
  // to = the convolution of from, both one table; scratch: floats as many as that says; moments may be null.
  void run(int64_t stretch, const float* from, const TileWeights& weights, float* to, Moments* moments,
           float* scratch) const;
  static int64_t scratch(int in, int out);

 private:
  struct Side {
    int64_t start;
    int count;  // of its four results
  };
  static std::vector<Side> sides(int64_t length, int dilation);
  void enter(const Side& row, const Side& column, const float* from, float* entered) const;
  void leave(const Side& row, const Side& column, const float* products, float* to, float* sums, bool first) const;

  Shape shape_;
  std::vector<Side> rows_, columns_;
  std::vector<float> nothing_;  // a pair beyond the table
  int64_t entered_apart_, products_apart_;
};

}  // namespace convolution
}  // namespace structdiff

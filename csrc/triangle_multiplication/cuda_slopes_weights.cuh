// Weights as operands of the products that gradients go back by: transposed, each width filled up with zeros to the depth.
#pragma once

#include "triangle_multiplication/cuda_weights.cuh"

namespace structdiff::gpu {

template <class T>
struct PackSlopesWeights {
  struct Problem {
    TriangleSizes sizes;
    WeightView project_out, gate_out, into[2];  // transposed; project, gate
    Left<T>* to_product;  // [depth / 16][depth / 16][lane], of project_out
    Right<T>* to_pair;    // [depth / 16 of gate_out, then 2 c_hidden / 16 of each of `into`][depth / 16][lane]
  };
  static constexpr int kThreads = 128;
  static constexpr int kMinBlocks = 1;

  STRUCTDIFF_BOTH static int64_t product_items(const TriangleSizes& s) { return (s.depth / 16) * (s.depth / 16) * 32; }
  STRUCTDIFF_BOTH static int pair_steps(const TriangleSizes& s) { return s.depth / 16 + 4 * s.c_hidden / 16; }
  STRUCTDIFF_BOTH static int64_t pair_items(const TriangleSizes& s) { return pair_steps(s) * (s.depth / 16) * 32; }
  STRUCTDIFF_BOTH static int64_t items(const TriangleSizes& s) { return product_items(s) + pair_items(s); }

  STRUCTDIFF_DEVICE static void run(const Problem& p, unsigned char*) {
    const TriangleSizes& s = p.sizes;
    const int64_t at = block_index() * kThreads + thread_index();
    const int tiles = s.depth / 16;
    if (at < product_items(s)) {
      const int tile = static_cast<int>(at / 32 / tiles), step = static_cast<int>(at / 32 % tiles);
      store_packed(p.to_product + at, left_weights<T>(p.project_out, tile, step, static_cast<int>(at & 31)));
    } else if (at < items(s)) {
      const int64_t item = at - product_items(s);
      int step = static_cast<int>(item / 32 / tiles);
      const WeightView* view = &p.gate_out;
      if (step >= tiles) {
        step -= tiles;
        view = p.into + step / (2 * s.c_hidden / 16);
        step %= 2 * s.c_hidden / 16;
      }
      const int tile = static_cast<int>(item / 32 % tiles);
      store_packed(p.to_pair + item, right_weights<T>(*view, tile, step, static_cast<int>(item & 31)));
    }
  }
};

}  // namespace structdiff::gpu

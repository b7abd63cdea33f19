// The scoring function of a pair of atoms, a lane each; see contract.h.
#pragma once

#include "common/dense.h"
#include "ligand_docking/contract.h"

namespace structdiff {

inline Vector square_root(Vector x) {
#if defined(__AVX512F__)
  return (Vector)_mm512_maskz_sqrt_ps(0xffff, (__m512)x);  // GCC 12 warns of _mm512_sqrt_ps
#elif defined(__AVX__)
  return (Vector)_mm256_sqrt_ps((__m256)x);
#elif defined(__SSE__)
  return (Vector)_mm_sqrt_ps((__m128)x);
#else
  for (int lane = 0; lane < kLanes; ++lane) x[lane] = __builtin_sqrtf(x[lane]);
  return x;
#endif
}

inline Vector clipped(Vector x) { return smaller(larger(x, Vector{}), broadcast(1.0f)); }

// Energies and slopes at the distance s of surfaces.
struct Worth {
  Vector energy, slope;
};

inline Worth operator+(Worth a, Worth b) { return {a.energy + b.energy, a.slope + b.slope}; }

inline Worth steric(const structdiff_docking_score& score, Vector s) {
  const Vector scaled = s / score.width, near = score.contact * exponential(-scaled * scaled);
  const Vector overlap = smaller(s, Vector{});
  return {near + score.repulsion * overlap * overlap, -2 / score.width * scaled * near + 2 * score.repulsion * overlap};
}

inline Worth hydrophobic(const structdiff_docking_score& score, Vector s) {
  const float slope = -score.hydrophobic / score.hydrophobic_end;
  const IntVector falling = (s > 0.0f) & (s < score.hydrophobic_end);
  return {score.hydrophobic * clipped(1.0f - s / score.hydrophobic_end), falling ? broadcast(slope) : Vector{}};
}

inline Worth hydrogen_bond(const structdiff_docking_score& score, Vector s) {
  const float slope = score.hydrogen_bond / score.hydrogen_bond_full;
  const IntVector falling = (s < 0.0f) & (s > score.hydrogen_bond_full);
  return {score.hydrogen_bond * clipped(s / score.hydrogen_bond_full), falling ? broadcast(slope) : Vector{}};
}

}  // namespace structdiff

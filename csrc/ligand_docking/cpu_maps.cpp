// Maps of a receptor: row by row of points, a lane each, over the atoms that are near the row.
#include <algorithm>
#include <cmath>
#include <new>
#include <vector>

#include "common/parallel.h"
#include "ligand_docking/score.h"

namespace structdiff {
namespace {

using Atoms = structdiff_docking_atoms;
using Score = structdiff_docking_score;

// Sums for each radius: what all atoms are worth, hydrophobic ones, and what hydrogen bonds are with donors alone, with
// acceptors alone, and with atoms that are both.
enum Part { kSteric, kHydrophobic, kDonor, kAcceptor, kBoth, kParts };

struct Problem {
  const Score& score;
  const Atoms& kinds;
  const Atoms& receptor;
  const float* positions;
  const float* origin;
  const int64_t* size;
  float spacing, farthest, most;
  float* values;
  std::vector<float> radii;       // different ones of the kinds
  std::vector<int> radius_of;     // of each kind, which of them
  int64_t row;                    // points of a row, in whole vectors
};

// Adds one atom to the sums [radius][part][row] of the points of a row; across: its squared distance from the row.
void add_atom(const Problem& p, int64_t atom, float across, float* sums) {
  const float z = (p.positions[3 * atom + 2] - p.origin[2]) / p.spacing;
  const float reach = std::sqrt(std::max(p.farthest * p.farthest - across, 0.0f)) / p.spacing;
  const int64_t first = std::max<int64_t>(0, static_cast<int64_t>(std::floor(z - reach))) / kLanes * kLanes;
  const int64_t last = std::min<int64_t>(p.row, static_cast<int64_t>(std::ceil(z + reach)) + 1);
  const bool donor = p.receptor.donor[atom], acceptor = p.receptor.acceptor[atom];
  const Part bond = donor ? (acceptor ? kBoth : kDonor) : kAcceptor;
  Vector lanes;
  for (int lane = 0; lane < kLanes; ++lane) lanes[lane] = static_cast<float>(lane);
  for (int64_t k = first; k < last; k += kLanes) {
    const Vector along = (lanes + (static_cast<float>(k) - z)) * p.spacing;
    const Vector distance = square_root(along * along + across);
    for (size_t r = 0; r < p.radii.size(); ++r) {
      const Vector s = distance - (p.radii[r] + p.receptor.radius[atom]);
      float* at = sums + static_cast<int64_t>(r) * kParts * p.row + k;
      store(at, load(at) + steric(p.score, s).energy);
      if (p.receptor.hydrophobic[atom]) {
        float* own = at + kHydrophobic * p.row;
        store(own, load(own) + hydrophobic(p.score, s).energy);
      }
      if (donor || acceptor) {
        float* own = at + bond * p.row;
        store(own, load(own) + hydrogen_bond(p.score, s).energy);
      }
    }
  }
}

void write_row(const Problem& p, int64_t x, int64_t y, const float* sums) {
  for (int64_t kind = 0; kind < p.kinds.count; ++kind) {
    const float* own = sums + static_cast<int64_t>(p.radius_of[kind]) * kParts * p.row;
    const bool donor = p.kinds.donor[kind], acceptor = p.kinds.acceptor[kind];
    float* out = p.values + ((kind * p.size[0] + x) * p.size[1] + y) * p.size[2];
    for (int64_t k = 0; k < p.size[2]; ++k) {
      float total = own[kSteric * p.row + k];
      if (p.kinds.hydrophobic[kind]) total += own[kHydrophobic * p.row + k];
      if (acceptor) total += own[kDonor * p.row + k];
      if (donor) total += own[kAcceptor * p.row + k];
      if (donor || acceptor) total += own[kBoth * p.row + k];
      out[k] = std::min(total, p.most);
    }
  }
}

// What a thread works with.
struct Scratch {
  std::vector<int64_t> near;
  std::vector<float> sums;
};

// All rows of one x.
void slab(const Problem& p, int64_t x, Scratch& scratch) {
  const float square = p.farthest * p.farthest, at_x = p.origin[0] + p.spacing * static_cast<float>(x);
  std::vector<int64_t>& near = scratch.near;  // has room for all
  std::vector<float>& sums = scratch.sums;
  near.clear();
  for (int64_t atom = 0; atom < p.receptor.count; ++atom) {
    if (std::abs(p.positions[3 * atom] - at_x) < p.farthest) near.push_back(atom);
  }
  for (int64_t y = 0; y < p.size[1]; ++y) {
    std::fill(sums.begin(), sums.end(), 0.0f);
    const float at_y = p.origin[1] + p.spacing * static_cast<float>(y);
    for (const int64_t atom : near) {
      const float dx = p.positions[3 * atom] - at_x, dy = p.positions[3 * atom + 1] - at_y;
      const float across = dx * dx + dy * dy;
      if (across < square) add_atom(p, atom, across, sums.data());
    }
    write_row(p, x, y, sums.data());
  }
}

}  // namespace
}  // namespace structdiff

int32_t structdiff_ligand_docking_maps_cpu(
    const structdiff_docking_score* score, const structdiff_docking_atoms* kinds, const structdiff_docking_atoms* receptor,
    const float* positions, const float* origin, const int64_t* size, float spacing, float farthest, float most,
    float* values, int32_t num_threads) {
  using namespace structdiff;
  try {
    Problem problem{*score, *kinds, *receptor, positions, origin, size, spacing, farthest, most, values, {}, {}, 0};
    for (int64_t kind = 0; kind < kinds->count; ++kind) {
      const auto found = std::find(problem.radii.begin(), problem.radii.end(), kinds->radius[kind]);
      problem.radius_of.push_back(static_cast<int>(found - problem.radii.begin()));
      if (found == problem.radii.end()) problem.radii.push_back(kinds->radius[kind]);
    }
    problem.row = (size[2] + kLanes - 1) / kLanes * kLanes;
    std::vector<Scratch> scratch(static_cast<size_t>(num_threads));
    for (Scratch& each : scratch) {
      each.near.reserve(static_cast<size_t>(receptor->count));
      each.sums.resize(problem.radii.size() * kParts * static_cast<size_t>(problem.row));
    }
    parallel_for(size[0], num_threads, [&](int64_t x, int32_t worker) { slab(problem, x, scratch[worker]); });
  } catch (const std::bad_alloc&) {
    return STRUCTDIFF_OUT_OF_MEMORY;
  }
  return STRUCTDIFF_OK;
}

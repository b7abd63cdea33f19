// Poses of a ligand on their way downhill, a lane each; see contract.h.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <new>
#include <vector>

#include "common/parallel.h"
#include "ligand_docking/pose_cost.h"

namespace structdiff {
namespace {

constexpr float kMean = 0.8f, kSquare = 0.9f;  // what Adam keeps of its means from step to step

Point mean_of(const Point* at, int64_t count) {
  Point sum{};
  for (int64_t atom = 0; atom < count; ++atom) add(sum, at[atom]);
  return broadcast(1.0f / static_cast<float>(count)) * sum;
}

// Turns points about a middle by a rotation vector (Rodrigues' formula).
struct Turn {
  explicit Turn(Point by) {
    const Vector angle = square_root(dot(by, by));
    Vector sine{}, cosine{};
    for (int lane = 0; lane < kLanes; ++lane) sine[lane] = std::sin(angle[lane]), cosine[lane] = std::cos(angle[lane]);
    axis = (1.0f / larger(angle, broadcast(1e-12f))) * by;
    s = sine, c = cosine;
  }
  Point operator()(Point a) const { return c * a + s * cross(axis, a) + ((1.0f - c) * dot(axis, a)) * axis; }
  Point axis;
  Vector s, c;
};

struct Axis {
  Point along, end;  // a unit vector, and where the second atom is
};

Axis axis_of(const Ligand& ligand, int64_t torsion, const Point* at) {
  const Point end = at[ligand.axis[2 * torsion + 1]], arrow = end - at[ligand.axis[2 * torsion]];
  return {(1.0f / larger(square_root(dot(arrow, arrow)), broadcast(kTiny))) * arrow, end};
}

// How the energy changes with shift, rotation vector and angles.
void slopes(const Ligand& ligand, const Point* at, const Point* gradient, Vector* out) {
  const Point middle = mean_of(at, ligand.atoms);
  Point force{}, moment{};
  for (int64_t atom = 0; atom < ligand.atoms; ++atom) {
    add(force, gradient[atom]);
    add(moment, cross(at[atom] - middle, gradient[atom]));
  }
  out[0] = force.x, out[1] = force.y, out[2] = force.z, out[3] = moment.x, out[4] = moment.y, out[5] = moment.z;
  for (int64_t torsion = 0; torsion < ligand.torsions; ++torsion) {
    const Axis axis = axis_of(ligand, torsion, at);
    Point turning{};
    for (int64_t k = ligand.side_start[torsion]; k < ligand.side_start[torsion + 1]; ++k) {
      add(turning, cross(at[ligand.side[k]] - axis.end, gradient[ligand.side[k]]));
    }
    out[6 + torsion] = dot(axis.along, turning);
  }
}

void move(const Ligand& ligand, const Vector* by, Point* at) {
  // The smallest parts turn first, which leaves the axes of the others where they are.
  for (int64_t torsion = 0; torsion < ligand.torsions; ++torsion) {
    const Axis axis = axis_of(ligand, torsion, at);
    const Turn turn(by[6 + torsion] * axis.along);
    for (int64_t k = ligand.side_start[torsion]; k < ligand.side_start[torsion + 1]; ++k) {
      Point& own = at[ligand.side[k]];
      own = turn(own - axis.end) + axis.end;
    }
  }
  const Point middle = mean_of(at, ligand.atoms), shift = {by[0], by[1], by[2]};
  const Turn turn({by[3], by[4], by[5]});
  for (int64_t atom = 0; atom < ligand.atoms; ++atom) at[atom] = turn(at[atom] - middle) + middle + shift;
}

// Lanes of poses from memory [pose][atom][3], and back; lanes beyond the last pose repeat it.
void gather(const float* from, int64_t first, int64_t poses, int64_t atoms, Point* to) {
  for (int lane = 0; lane < kLanes; ++lane) {
    const float* own = from + std::min(first + lane, poses - 1) * atoms * 3;
    for (int64_t atom = 0; atom < atoms; ++atom) {
      to[atom].x[lane] = own[3 * atom], to[atom].y[lane] = own[3 * atom + 1], to[atom].z[lane] = own[3 * atom + 2];
    }
  }
}

void scatter(const Point* from, int64_t first, int64_t poses, int64_t atoms, float* to) {
  for (int lane = 0; lane < kLanes && first + lane < poses; ++lane) {
    float* own = to + (first + lane) * atoms * 3;
    for (int64_t atom = 0; atom < atoms; ++atom) {
      own[3 * atom] = from[atom].x[lane], own[3 * atom + 1] = from[atom].y[lane], own[3 * atom + 2] = from[atom].z[lane];
    }
  }
}

void scatter(Vector from, int64_t first, int64_t poses, float* to) {
  for (int lane = 0; lane < kLanes && first + lane < poses; ++lane) to[first + lane] = from[lane];
}

struct Descent {
  int64_t steps;
  float first, last;
  const float* scale;
};

// What a thread works with.
struct Scratch {
  explicit Scratch(const Ligand& ligand)
      : at(static_cast<size_t>(ligand.atoms)), gradient(at.size()), best(at.size()),
        by(static_cast<size_t>(6 + ligand.torsions)), mean(by.size()), square(by.size()) {}
  std::vector<Point> at, gradient, best;
  std::vector<Vector> by, mean, square;
};

// The way of one vector of poses, which ends with the best of each in `best`.
Vector descend(const Score& score, const Field& field, const Ligand& ligand, const Clusters& clusters,
               const Descent& how, Scratch& scratch) {
  auto& [at, gradient, best, by, mean, square] = scratch;
  const size_t atoms = at.size(), freedoms = by.size();
  std::fill(mean.begin(), mean.end(), Vector{});
  std::fill(square.begin(), square.end(), Vector{});
  Vector least = broadcast(INFINITY);
  float kept_mean = 1, kept_square = 1;
  for (int64_t number = 0;; ++number) {
    const Vector cost = energy_of(score, field, ligand, clusters, at.data(), gradient.data());
    const IntVector better = cost < least;
    least = better ? cost : least;
    for (size_t atom = 0; atom < atoms; ++atom) {
      best[atom] = {better ? at[atom].x : best[atom].x, better ? at[atom].y : best[atom].y,
                    better ? at[atom].z : best[atom].z};
    }
    if (number == how.steps) break;
    slopes(ligand, at.data(), gradient.data(), by.data());
    kept_mean *= kMean, kept_square *= kSquare;
    const float share = static_cast<float>(number) / static_cast<float>(how.steps);
    const float step = std::pow(how.first, 1 - share) * std::pow(how.last, share);
    for (size_t k = 0; k < freedoms; ++k) {
      const Vector downhill = by[k] * how.scale[k];
      mean[k] = kMean * mean[k] + (1 - kMean) * downhill;
      square[k] = kSquare * square[k] + (1 - kSquare) * downhill * downhill;
      const Vector spread = larger(square_root(square[k] / (1 - kept_square)), broadcast(kTiny));
      by[k] = -step * how.scale[k] * (mean[k] / (1 - kept_mean)) / spread;
    }
    move(ligand, by.data(), at.data());
  }
  return least;
}

}  // namespace
}  // namespace structdiff

int32_t structdiff_ligand_docking_energy_cpu(
    const structdiff_docking_score* score, const structdiff_docking_field* field, const structdiff_docking_ligand* ligand,
    int64_t poses, const float* positions, float* energy, float* gradient, int32_t num_threads) {
  using namespace structdiff;
  try {
    const Clusters clusters(*ligand);
    std::vector<Scratch> scratch(static_cast<size_t>(num_threads), Scratch(*ligand));
    parallel_for((poses + kLanes - 1) / kLanes, num_threads, [&](int64_t group, int32_t worker) {
      Scratch& own = scratch[worker];
      gather(positions, group * kLanes, poses, ligand->atoms, own.at.data());
      const Vector found = energy_of(*score, *field, *ligand, clusters, own.at.data(), own.gradient.data());
      scatter(found, group * kLanes, poses, energy);
      scatter(own.gradient.data(), group * kLanes, poses, ligand->atoms, gradient);
    });
  } catch (const std::bad_alloc&) {
    return STRUCTDIFF_OUT_OF_MEMORY;
  }
  return STRUCTDIFF_OK;
}

int32_t structdiff_ligand_docking_descent_cpu(
    const structdiff_docking_score* score, const structdiff_docking_field* field, const structdiff_docking_ligand* ligand,
    int64_t poses, int64_t steps, float first, float last, const float* scale, float* positions, float* energy,
    int32_t num_threads) {
  using namespace structdiff;
  const Descent how{steps, first, last, scale};
  try {
    const Clusters clusters(*ligand);
    std::vector<Scratch> scratch(static_cast<size_t>(num_threads), Scratch(*ligand));
    parallel_for((poses + kLanes - 1) / kLanes, num_threads, [&](int64_t group, int32_t worker) {
      Scratch& own = scratch[worker];
      gather(positions, group * kLanes, poses, ligand->atoms, own.at.data());
      scatter(descend(*score, *field, *ligand, clusters, how, own), group * kLanes, poses, energy);
      scatter(own.best.data(), group * kLanes, poses, ligand->atoms, positions);
    });
  } catch (const std::bad_alloc&) {
    return STRUCTDIFF_OUT_OF_MEMORY;
  }
  return STRUCTDIFF_OK;
}

// Poses of a ligand: what they cost, and their way downhill, a lane each; see contract.h.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <new>
#include <vector>

#include "common/parallel.h"
#include "ligand_docking/score.h"

namespace structdiff {
namespace {

using Score = structdiff_docking_score;
using Field = structdiff_docking_field;
using Ligand = structdiff_docking_ligand;

constexpr float kTiny = 1e-6f;
constexpr float kMean = 0.8f, kSquare = 0.9f;  // what Adam keeps of its means from step to step

struct Point {
  Vector x, y, z;
};

inline Point operator+(Point a, Point b) { return {a.x + b.x, a.y + b.y, a.z + b.z}; }
inline Point operator-(Point a, Point b) { return {a.x - b.x, a.y - b.y, a.z - b.z}; }
inline Point operator*(Vector s, Point a) { return {s * a.x, s * a.y, s * a.z}; }
inline Vector dot(Point a, Point b) { return a.x * b.x + a.y * b.y + a.z * b.z; }
inline Point cross(Point a, Point b) {
  return {a.y * b.z - a.z * b.y, a.z * b.x - a.x * b.z, a.x * b.y - a.y * b.x};
}
inline void add(Point& a, Point b) { a = a + b; }

// What one atom is worth in the receptor, linear between the points of the grid.
Vector read(const Field& field, int64_t kind, Point at, Point& gradient) {
  const Vector place[3] = {(at.x - field.origin[0]) / field.spacing, (at.y - field.origin[1]) / field.spacing,
                           (at.z - field.origin[2]) / field.spacing};
  Vector share[3], off[3];
  IntVector low[3];
  for (int axis = 0; axis < 3; ++axis) {
    const Vector end = broadcast(static_cast<float>(field.size[axis]) - 1.001f);
    const Vector inside = smaller(larger(place[axis], Vector{}), end);
    off[axis] = (place[axis] - inside) * field.spacing;
    low[axis] = __builtin_convertvector(inside, IntVector);
    share[axis] = inside - __builtin_convertvector(low[axis], Vector);
  }
  const int64_t step_y = field.size[2], step_x = field.size[1] * step_y;
  const float* values = field.values + kind * field.size[0] * step_x;
  float found[8][kLanes];
  for (int lane = 0; lane < kLanes; ++lane) {
    const float* from = values + low[0][lane] * step_x + low[1][lane] * step_y + low[2][lane];
    for (int i = 0; i < 8; ++i) found[i][lane] = from[(i >> 2) * step_x + ((i >> 1) & 1) * step_y + (i & 1)];
  }
  Vector corner[8];
  for (int i = 0; i < 8; ++i) corner[i] = smaller(load(found[i]), broadcast(field.most));
  Vector along_z[4], by_z[4];
  for (int i = 0; i < 4; ++i) {
    by_z[i] = corner[2 * i + 1] - corner[2 * i];
    along_z[i] = corner[2 * i] + share[2] * by_z[i];
  }
  const Vector by_y[2] = {along_z[1] - along_z[0], along_z[3] - along_z[2]};
  const Vector along_y[2] = {along_z[0] + share[1] * by_y[0], along_z[2] + share[1] * by_y[1]};
  const Vector by_zy[2] = {by_z[0] + share[1] * (by_z[1] - by_z[0]), by_z[2] + share[1] * (by_z[3] - by_z[2])};
  const Vector by_x = along_y[1] - along_y[0];
  const float out = 2 * field.outside;
  gradient = {by_x / field.spacing + out * off[0],
              (by_y[0] + share[0] * (by_y[1] - by_y[0])) / field.spacing + out * off[1],
              (by_zy[0] + share[0] * (by_zy[1] - by_zy[0])) / field.spacing + out * off[2]};
  const Vector beyond = off[0] * off[0] + off[1] * off[1] + off[2] * off[2];
  return along_y[0] + share[0] * by_x + field.outside * beyond;
}

Vector inner(const Score& score, const Ligand& ligand, const Point* at, Point* gradient) {
  Vector total{};
  for (int64_t row = 0; row < ligand.pairs; ++row) {
    const int64_t i = ligand.pair[2 * row], j = ligand.pair[2 * row + 1];
    const Point arrow = at[i] - at[j];
    const Vector distance = square_root(larger(dot(arrow, arrow), broadcast(kTiny)));
    const Vector s = distance - ligand.touching[row];
    Worth worth = steric(score, s);
    if (ligand.hydrophobic[row] != 0) {
      const Worth more = hydrophobic(score, s);
      worth = {worth.energy + more.energy, worth.slope + more.slope};
    }
    if (ligand.bonding[row] != 0) {
      const Worth more = hydrogen_bond(score, s);
      worth = {worth.energy + more.energy, worth.slope + more.slope};
    }
    total += worth.energy;
    const Point push = (worth.slope / distance) * arrow;
    add(gradient[i], push);
    gradient[j] = gradient[j] - push;
  }
  return total;
}

// What is missing to one thing that is asked.
Vector asked(const Field& field, const Ligand& ligand, int64_t number, const Point* at, Point* gradient) {
  Vector least = broadcast(INFINITY);
  IntVector atom{}, place{};
  for (int64_t o = ligand.own_start[number]; o < ligand.own_start[number + 1]; ++o) {
    const Point from = at[ligand.own[o]];
    for (int64_t p = ligand.place_start[number]; p < ligand.place_start[number + 1]; ++p) {
      const float* to = ligand.place + 3 * p;
      const Point arrow = {from.x - to[0], from.y - to[1], from.z - to[2]};
      const Vector square = dot(arrow, arrow);
      const IntVector nearer = square < least;
      least = nearer ? square : least;
      atom = nearer ? static_cast<int32_t>(ligand.own[o]) - IntVector{} : atom;
      place = nearer ? static_cast<int32_t>(p) - IntVector{} : place;
    }
  }
  const Vector nearest = square_root(least);
  const bool avoid = ligand.avoid[number];
  const Vector missing = avoid ? ligand.bound[number] - nearest : nearest - ligand.bound[number];
  const Vector wrong = larger(missing, Vector{}), near = smaller(wrong, broadcast(field.linear));
  const Vector slope = 2 * field.stiff * near / larger(nearest, broadcast(1e-3f)) * (avoid ? -1.0f : 1.0f);
  for (int lane = 0; lane < kLanes; ++lane) {
    const float* to = ligand.place + 3 * place[lane];
    const Point from = at[atom[lane]];
    Point& own = gradient[atom[lane]];
    own.x[lane] += slope[lane] * (from.x[lane] - to[0]);
    own.y[lane] += slope[lane] * (from.y[lane] - to[1]);
    own.z[lane] += slope[lane] * (from.z[lane] - to[2]);
  }
  return field.stiff * near * (2 * wrong - near);
}

Vector energy_of(const Score& score, const Field& field, const Ligand& ligand, const Point* at, Point* gradient) {
  Vector total{};
  for (int64_t atom = 0; atom < ligand.atoms; ++atom) total += read(field, ligand.kind[atom], at[atom], gradient[atom]);
  total += inner(score, ligand, at, gradient);
  for (int64_t number = 0; number < ligand.asked; ++number) total += asked(field, ligand, number, at, gradient);
  return total;
}

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
Vector descend(const Score& score, const Field& field, const Ligand& ligand, const Descent& how, Scratch& scratch) {
  auto& [at, gradient, best, by, mean, square] = scratch;
  const size_t atoms = at.size(), freedoms = by.size();
  std::fill(mean.begin(), mean.end(), Vector{});
  std::fill(square.begin(), square.end(), Vector{});
  Vector least = broadcast(INFINITY);
  float kept_mean = 1, kept_square = 1;
  for (int64_t number = 0;; ++number) {
    const Vector cost = energy_of(score, field, ligand, at.data(), gradient.data());
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
    std::vector<Scratch> scratch(static_cast<size_t>(num_threads), Scratch(*ligand));
    parallel_for((poses + kLanes - 1) / kLanes, num_threads, [&](int64_t group, int32_t worker) {
      Scratch& own = scratch[worker];
      gather(positions, group * kLanes, poses, ligand->atoms, own.at.data());
      scatter(energy_of(*score, *field, *ligand, own.at.data(), own.gradient.data()), group * kLanes, poses, energy);
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
    std::vector<Scratch> scratch(static_cast<size_t>(num_threads), Scratch(*ligand));
    parallel_for((poses + kLanes - 1) / kLanes, num_threads, [&](int64_t group, int32_t worker) {
      Scratch& own = scratch[worker];
      gather(positions, group * kLanes, poses, ligand->atoms, own.at.data());
      scatter(descend(*score, *field, *ligand, how, own), group * kLanes, poses, energy);
      scatter(own.best.data(), group * kLanes, poses, ligand->atoms, positions);
    });
  } catch (const std::bad_alloc&) {
    return STRUCTDIFF_OUT_OF_MEMORY;
  }
  return STRUCTDIFF_OK;
}

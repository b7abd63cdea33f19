// What poses of a ligand cost, a lane each; see contract.h.
#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

#include "ligand_docking/score.h"

namespace structdiff {

using Score = structdiff_docking_score;
using Field = structdiff_docking_field;
using Ligand = structdiff_docking_ligand;

constexpr float kTiny = 1e-6f;

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

// What one atom is worth in the receptor by its maps, linear between the points of the grid.
inline Vector read(const Field& field, int64_t kind, Point at, Point& gradient) {
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

// The same by the receptor's atoms.
inline Vector meet(const Score& score, const Field& field, int64_t kind, Point at, Point& gradient) {
  const structdiff_docking_atoms &own = *field.kinds, &others = *field.receptor;
  const bool own_hydrophobic = own.hydrophobic[kind], donor = own.donor[kind], acceptor = own.acceptor[kind];
  const float radius = own.radius[kind], end = field.farthest * field.farthest;
  Vector total{};
  gradient = Point{};
  for (int64_t row = 0; row < others.count; ++row) {
    const float* to = field.positions + 3 * row;
    const Point arrow = {at.x - to[0], at.y - to[1], at.z - to[2]};
    const Vector square = dot(arrow, arrow);
    const IntVector near = ~(square >= end);  // what is no number is not passed over
    if (!any(near)) continue;
    const Vector distance = square_root(larger(square, broadcast(kTiny))), s = distance - (radius + others.radius[row]);
    Worth worth = steric(score, s);
    if (own_hydrophobic && others.hydrophobic[row]) worth = worth + hydrophobic(score, s);
    if ((donor && others.acceptor[row]) || (acceptor && others.donor[row])) worth = worth + hydrogen_bond(score, s);
    total += near ? worth.energy : Vector{};
    add(gradient, (near ? worth.slope / distance : Vector{}) * arrow);
  }
  return total;
}

inline Vector inner(const Score& score, const Ligand& ligand, const Point* at, Point* gradient) {
  Vector total{};
  for (int64_t row = 0; row < ligand.pairs; ++row) {
    const int64_t i = ligand.pair[2 * row], j = ligand.pair[2 * row + 1];
    const Point arrow = at[i] - at[j];
    const Vector distance = square_root(larger(dot(arrow, arrow), broadcast(kTiny)));
    const Vector s = distance - ligand.touching[row];
    Worth worth = steric(score, s);
    if (ligand.hydrophobic[row] != 0) worth = worth + hydrophobic(score, s);
    if (ligand.bonding[row] != 0) worth = worth + hydrogen_bond(score, s);
    total += worth.energy;
    const Point push = (worth.slope / distance) * arrow;
    add(gradient[i], push);
    gradient[j] = gradient[j] - push;
  }
  return total;
}

// Some of the places of one thing that is asked, and a ball that holds them: of a whole chain few can be the nearest.
struct Cluster {
  float x, y, z, radius;
  int64_t first, last;
};

struct Clusters {
  explicit Clusters(const Ligand& ligand) {
    for (int64_t number = 0; number < ligand.asked; ++number) {
      start.push_back(all.size());
      for (int64_t first = ligand.place_start[number]; first < ligand.place_start[number + 1]; first += kCluster) {
        add_one(ligand.place, first, std::min(first + kCluster, ligand.place_start[number + 1]));
      }
    }
    start.push_back(all.size());
  }
  std::vector<Cluster> all;
  std::vector<size_t> start;  // of each thing that is asked

 private:
  static constexpr int64_t kCluster = 8;
  static constexpr float kSlack = 1e-3f;  // Å, more than rounding is

  void add_one(const float* place, int64_t first, int64_t last) {
    Cluster own{0, 0, 0, 0, first, last};
    const float share = 1.0f / static_cast<float>(last - first);
    for (const float* p = place + 3 * first; p != place + 3 * last; p += 3) {
      own.x += share * p[0], own.y += share * p[1], own.z += share * p[2];
    }
    for (const float* p = place + 3 * first; p != place + 3 * last; p += 3) {
      const float dx = p[0] - own.x, dy = p[1] - own.y, dz = p[2] - own.z;
      own.radius = std::max(own.radius, std::sqrt(dx * dx + dy * dy + dz * dz) + kSlack);
    }
    all.push_back(own);
  }
};

// What is missing to one thing that is asked.
inline Vector asked(const Field& field, const Ligand& ligand, const Clusters& clusters, int64_t number, const Point* at,
             Point* gradient) {
  const bool avoid = ligand.avoid[number];
  const Vector met = broadcast(avoid ? -1.0f : (1 - kTiny) * ligand.bound[number] * ligand.bound[number]);
  Vector least = broadcast(INFINITY);
  IntVector atom{}, place{};
  // What is met costs nothing, however near others are.
  for (int64_t o = ligand.own_start[number]; o < ligand.own_start[number + 1] && any(least > met); ++o) {
    const Point from = at[ligand.own[o]];
    for (size_t k = clusters.start[number]; k < clusters.start[number + 1]; ++k) {
      const Cluster& some = clusters.all[k];
      const Point to_middle = {from.x - some.x, from.y - some.y, from.z - some.z};
      const Vector end = square_root(least) + some.radius;
      if (!any(dot(to_middle, to_middle) < end * end)) continue;
      for (int64_t p = some.first; p < some.last; ++p) {
        const float* to = ligand.place + 3 * p;
        const Point arrow = {from.x - to[0], from.y - to[1], from.z - to[2]};
        const Vector square = dot(arrow, arrow);
        const IntVector nearer = square < least;
        least = nearer ? square : least;
        atom = nearer ? static_cast<int32_t>(ligand.own[o]) - IntVector{} : atom;
        place = nearer ? static_cast<int32_t>(p) - IntVector{} : place;
      }
    }
  }
  const Vector nearest = square_root(least);
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

inline Vector energy_of(const Score& score, const Field& field, const Ligand& ligand, const Clusters& clusters,
                 const Point* at, Point* gradient) {
  Vector total{};
  for (int64_t atom = 0; atom < ligand.atoms; ++atom) {
    total += field.receptor ? meet(score, field, ligand.kind[atom], at[atom], gradient[atom])
                            : read(field, ligand.kind[atom], at[atom], gradient[atom]);
  }
  total += inner(score, ligand, at, gradient);
  for (int64_t number = 0; number < ligand.asked; ++number) {
    total += asked(field, ligand, clusters, number, at, gradient);
  }
  return total;
}

}  // namespace structdiff

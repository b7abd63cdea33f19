// Bonds, angles, planes, hands, backbone torsions and contacts of one structure; see contract.h.
#include "relaxation_energy/contract.h"

#include <algorithm>
#include <cmath>

namespace structdiff {
namespace {

constexpr double kPi = 3.14159265358979323846;
constexpr double kTiny = 1e-8;  // Å², so that coinciding atoms have a direction

struct Point {
  double x, y, z;
};

inline Point operator+(Point a, Point b) { return {a.x + b.x, a.y + b.y, a.z + b.z}; }
inline Point operator-(Point a, Point b) { return {a.x - b.x, a.y - b.y, a.z - b.z}; }
inline Point operator*(double s, Point a) { return {s * a.x, s * a.y, s * a.z}; }
inline double dot(Point a, Point b) { return a.x * b.x + a.y * b.y + a.z * b.z; }
inline Point cross(Point a, Point b) {
  return {a.y * b.z - a.z * b.y, a.z * b.x - a.x * b.z, a.x * b.y - a.y * b.x};
}

inline Point at(const double* points, int64_t row) {
  return {points[3 * row], points[3 * row + 1], points[3 * row + 2]};
}
inline void put(double* points, int64_t row, Point p) {
  points[3 * row] = p.x, points[3 * row + 1] = p.y, points[3 * row + 2] = p.z;
}
inline void add(double* points, int64_t row, Point p) {
  points[3 * row] += p.x, points[3 * row + 1] += p.y, points[3 * row + 2] += p.z;
}

using Model = structdiff_relaxation_model;

double pairs(const Model& m, const double* positions, double* gradient) {
  double energy = 0;
  for (int64_t row = 0; row < m.pairs; ++row) {
    const int64_t i = m.pair[2 * row], j = m.pair[2 * row + 1];
    const Point arrow = at(positions, i) - at(positions, j);
    const double distance = std::sqrt(dot(arrow, arrow) + kTiny), error = distance - m.distance[row];
    const Point force = (m.stiffness[row] * error / distance) * arrow;
    add(gradient, i, force);
    add(gradient, j, -1.0 * force);
    energy += 0.5 * m.stiffness[row] * error * error;
  }
  return energy;
}

double volumes(const Model& m, const double* positions, double* gradient) {
  double energy = 0;
  for (int64_t row = 0; row < m.volumes; ++row) {
    const int64_t* four = m.quadruple + 4 * row;
    const Point centre = at(positions, four[0]);
    const Point a = at(positions, four[1]) - centre, b = at(positions, four[2]) - centre,
                c = at(positions, four[3]) - centre;
    const Point across = cross(b, c);
    const double error = dot(a, across) - m.volume[row], pull = error / (m.volume_spread * m.volume_spread);
    const Point by_a = pull * across, by_b = pull * cross(c, a), by_c = pull * cross(a, b);
    add(gradient, four[1], by_a);
    add(gradient, four[2], by_b);
    add(gradient, four[3], by_c);
    add(gradient, four[0], -1.0 * (by_a + by_b + by_c));
    energy += 0.5 * error * pull;
  }
  return energy;
}

// Torsion about the second of three arrows in a row, and its derivatives (Blondel & Karplus 1996).
double torsion(Point a, Point b, Point c, Point* slopes) {
  const Point left = cross(a, b), right = cross(b, c);
  const double square = dot(b, b), length = std::sqrt(square);
  slopes[0] = (length / std::max(dot(left, left), 1e-6)) * left;
  slopes[2] = (length / std::max(dot(right, right), 1e-6)) * right;
  slopes[1] = (-dot(a, b) / square) * slopes[0] - (dot(c, b) / square) * slopes[2];
  return std::atan2(length * dot(a, right), dot(left, right));
}

// The four nodes around an angle on a ring of bins, the uniform cubic B-spline's weights there, and their slopes.
struct Spline {
  Spline(double angle, int64_t bins) {
    const double scale = static_cast<double>(bins) / (2 * kPi), place = (angle + kPi) * scale - 0.5;
    const double whole = std::floor(place), t = place - whole, u = 1 - t;
    const double values[] = {u * u * u, 3 * t * t * t - 6 * t * t + 4, 3 * u * u * u - 6 * u * u + 4, t * t * t};
    const double changes[] = {-3 * u * u, 9 * t * t - 12 * t, 12 * u - 9 * u * u, 3 * t * t};
    for (int k = 0; k < 4; ++k) {
      weight[k] = values[k] / 6;
      slope[k] = changes[k] * scale / 6;
      node[k] = ((static_cast<int64_t>(whole) + k - 1) % bins + bins) % bins;
    }
  }
  double weight[4], slope[4];
  int64_t node[4];
};

double torsions(const Model& m, const double* positions, double* gradient) {
  double energy = 0;
  for (int64_t row = 0; row < m.torsions; ++row) {
    const int64_t* five = m.torsion + 5 * row;
    Point step[4], slope[2][3];
    for (int k = 0; k < 4; ++k) step[k] = at(positions, five[k + 1]) - at(positions, five[k]);
    const Spline phi(torsion(step[0], step[1], step[2], slope[0]), m.bins);
    const Spline psi(torsion(step[1], step[2], step[3], slope[1]), m.bins);
    double value = 0, by_phi = 0, by_psi = 0;
    for (int k = 0; k < 4; ++k) {
      const double* nodes = m.table + (m.kind[row] * m.bins + phi.node[k]) * m.bins;
      double over = 0, change = 0;
      for (int l = 0; l < 4; ++l) over += nodes[psi.node[l]] * psi.weight[l], change += nodes[psi.node[l]] * psi.slope[l];
      value += phi.weight[k] * over, by_phi += phi.slope[k] * over, by_psi += phi.weight[k] * change;
    }
    energy += m.torsion_weight * value;
    by_phi *= m.torsion_weight, by_psi *= m.torsion_weight;
    const Point force[4] = {by_phi * slope[0][0], by_phi * slope[0][1] + by_psi * slope[1][0],
                            by_phi * slope[0][2] + by_psi * slope[1][1], by_psi * slope[1][2]};
    for (int k = 0; k < 4; ++k) {
      add(gradient, five[k + 1], force[k]);
      add(gradient, five[k], -1.0 * force[k]);
    }
  }
  return energy;
}

double contact_energy(const Model& m, const double* sites, double weight, const int64_t* contacts,
                      const double* distance, int64_t count, double* gradient) {
  const double stiffness = weight / (m.overlap_spread * m.overlap_spread);
  double energy = 0;
  for (int64_t row = 0; row < count; ++row) {
    const Point arrow = at(sites, contacts[2 * row]) - at(sites, contacts[2 * row + 1]);
    const double square = dot(arrow, arrow) + kTiny;
    if (square >= distance[row] * distance[row]) continue;
    const double length = std::sqrt(square), error = length - distance[row];
    const Point force = (stiffness * error / length) * arrow;
    add(gradient, contacts[2 * row], force);
    add(gradient, contacts[2 * row + 1], -1.0 * force);
    energy += 0.5 * stiffness * error * error;
  }
  return energy;
}

// Brings the gradient at the virtual CB to the atoms that they hang on.
void hand_on_virtual(const Model& m, const double* sites, const double* on_virtual, double* gradient) {
  for (int64_t row = 0; row < m.virtuals; ++row) {
    const int64_t* three = m.backbone + 3 * row;
    const Point g = at(on_virtual, row), ca = at(sites, three[1]);
    const Point b = ca - at(sites, three[0]), c = at(sites, three[2]) - ca;
    const Point by_b = m.along_b * g + m.across * cross(c, g), by_c = m.along_c * g + m.across * cross(g, b);
    add(gradient, three[0], -1.0 * by_b);
    add(gradient, three[1], g + by_b - by_c);
    add(gradient, three[2], by_c);
  }
}

}  // namespace
}  // namespace structdiff

int32_t structdiff_relaxation_energy_sites_cpu(const structdiff_relaxation_model* model, const double* positions,
                                               double* sites) {
  using namespace structdiff;
  const Model& m = *model;
  std::copy_n(positions, 3 * m.atoms, sites);
  for (int64_t row = 0; row < m.virtuals; ++row) {
    const int64_t* three = m.backbone + 3 * row;
    const Point ca = at(positions, three[1]), b = ca - at(positions, three[0]), c = at(positions, three[2]) - ca;
    put(sites, m.atoms + row, ca + m.along_b * b + m.along_c * c + m.across * cross(b, c));
  }
  return STRUCTDIFF_OK;
}

int32_t structdiff_relaxation_energy_forward_cpu(const structdiff_relaxation_model* model, const double* sites,
                                                 double restraint, double contact_weight, const int64_t* contacts,
                                                 const double* contact_distance, int64_t count, double* site_gradient,
                                                 double* gradient, double* energy) {
  using namespace structdiff;
  const Model& m = *model;
  double total = pairs(m, sites, site_gradient) + volumes(m, sites, site_gradient) + torsions(m, sites, site_gradient);
  total += contact_energy(m, sites, contact_weight, contacts, contact_distance, count, site_gradient);
  hand_on_virtual(m, sites, site_gradient + 3 * m.atoms, site_gradient);
  double away = 0;
  for (int64_t row = 0; row < m.atoms; ++row) {
    const Point pull = at(sites, row) - at(m.anchor, row);
    away += dot(pull, pull);
    put(gradient, row, m.movable[row] ? at(site_gradient, row) + restraint * pull : Point{0, 0, 0});
  }
  *energy = total + 0.5 * restraint * away;
  return STRUCTDIFF_OK;
}

int32_t structdiff_relaxation_energy_bounds_cpu(const structdiff_relaxation_model* model, const double* positions,
                                                double* bounds) {
  using namespace structdiff;
  const Model& m = *model;
  std::fill_n(bounds, m.atoms, 0.0);
  for (int64_t row = 0; row < m.pairs; ++row) {
    const int64_t i = m.pair[2 * row], j = m.pair[2 * row + 1];
    const Point arrow = at(positions, i) - at(positions, j);
    const double square = dot(arrow, arrow), share = 2 * m.stiffness[row] * square / (square + kTiny);
    bounds[i] += share, bounds[j] += share;
  }
  const double weight = 4 / (m.volume_spread * m.volume_spread);
  for (int64_t row = 0; row < m.volumes; ++row) {
    const int64_t* four = m.quadruple + 4 * row;
    const Point centre = at(positions, four[0]);
    const Point a = at(positions, four[1]) - centre, b = at(positions, four[2]) - centre,
                c = at(positions, four[3]) - centre;
    const Point arms[3] = {cross(b, c), cross(c, a), cross(a, b)}, all = arms[0] + arms[1] + arms[2];
    for (int k = 0; k < 3; ++k) bounds[four[k + 1]] += weight * dot(arms[k], arms[k]);
    bounds[four[0]] += weight * dot(all, all);
  }
  return STRUCTDIFF_OK;
}

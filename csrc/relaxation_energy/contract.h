// The energy that relaxation minimises (structdiff/constraints/descent.py), with its gradient, in float64. One structure,
// one thread: a minimisation asks for hundreds of energies of small systems.
//
// Not tensors but plain arrays, all contiguous; indices are int64, Å and kT throughout.
#pragma once

#include "common/abi.h"

typedef struct structdiff_relaxation_model {
  int64_t atoms, pairs, volumes, torsions, virtuals, bins;
  const int64_t* pair;        // [pairs][2]
  const double* stiffness;    // [pairs], kT/Å²
  const double* distance;     // [pairs]
  const int64_t* quadruple;   // [volumes][4]: a centre and its three neighbours
  const double* volume;       // [volumes]
  const int64_t* torsion;     // [torsions][5]: C before, N, CA, C, N after
  const int64_t* kind;        // [torsions]: which table
  const double* table;        // [kinds][bins][bins]: energy at the nodes of phi and psi
  const int64_t* backbone;    // [virtuals][3]: N, CA and C that a virtual CB hangs on
  const uint8_t* movable;     // [atoms]
  const double* anchor;       // [atoms][3]: where the restraint pulls to
  double volume_spread, torsion_weight, overlap_spread;
  double along_b, along_c, across;  // virtual CB = CA + along_b b + along_c c + across b x c; b = CA - N, c = C - CA
} structdiff_relaxation_model;

// sites: [atoms + virtuals][3], positions and behind them the virtual CB.
STRUCTDIFF_API int32_t structdiff_relaxation_energy_sites_cpu(const structdiff_relaxation_model* model,
                                                              const double* positions, double* sites);

// contacts [count][2] are sites that repel each other from contact_distance on. site_gradient [atoms + virtuals][3] holds
// what other terms give the sites already, and is scratch afterwards. gradient: [atoms][3].
STRUCTDIFF_API int32_t structdiff_relaxation_energy_forward_cpu(
    const structdiff_relaxation_model* model, const double* sites, double restraint, double contact_weight,
    const int64_t* contacts, const double* contact_distance, int64_t count, double* site_gradient, double* gradient,
    double* energy);

// For each atom the sum of squares of the slopes of its deviations, twice those of pairs and four times those of volumes
// (the bound that Jacobi's method asks of its step); [atoms].
STRUCTDIFF_API int32_t structdiff_relaxation_energy_bounds_cpu(const structdiff_relaxation_model* model,
                                                               const double* positions, double* bounds);

// Pairs of sites nearer than their contact distance + skin, in the order of first * sites + second, first below second;
// those of `excluded` (sorted keys of the same form) and those of two sites that cannot move are left out. Returns how
// many there are; only the first `room` are written.
STRUCTDIFF_API int64_t structdiff_relaxation_energy_neighbours_cpu(
    int64_t sites, const double* positions, const double* radius, const uint8_t* polar, const uint8_t* sulphur,
    const uint8_t* movable, const int64_t* excluded, int64_t excluded_count, double overlap, double polar_overlap,
    double sulphur_distance, double skin, int64_t room, int64_t* pairs, double* contact);

// Poses of a ligand in a receptor (structdiff/docking/): many go downhill at once, and the maps that they read. float32;
// Å, kcal/mol and radian; plain arrays, all contiguous.
#pragma once

#include "common/abi.h"

// Of the scoring function: a pair whose surfaces are s apart is worth
//   contact exp(-(s / width)^2) + repulsion min(s, 0)^2, of two hydrophobic atoms + hydrophobic clip(1 - s /
//   hydrophobic_end, 0, 1), of a donor and an acceptor + hydrogen_bond clip(s / hydrogen_bond_full, 0, 1).
typedef struct structdiff_docking_score {
  float contact, width, repulsion, hydrophobic, hydrophobic_end, hydrogen_bond, hydrogen_bond_full;
} structdiff_docking_score;

// What atoms are: arrays of [count].
typedef struct structdiff_docking_atoms {
  int64_t count;
  const float* radius;
  const uint8_t *hydrophobic, *donor, *acceptor;
} structdiff_docking_atoms;

// What an atom of each of `kinds` is worth at each point of a grid, at most `most`; values: [kinds][size 0][1][2].
// receptor: its atoms; positions [atoms][3]. Atoms further than `farthest` from a point do not count.
STRUCTDIFF_API int32_t structdiff_ligand_docking_maps_cpu(
    const structdiff_docking_score* score, const structdiff_docking_atoms* kinds, const structdiff_docking_atoms* receptor,
    const float* positions, const float* origin, const int64_t* size, float spacing, float farthest, float most,
    float* values, int32_t num_threads);

typedef struct structdiff_docking_ligand {
  int64_t atoms, torsions, pairs, asked;
  const int64_t* kind;        // [atoms]: which map
  const int64_t* axis;        // [torsions][2]: what turns is beyond the second; the smallest parts come first
  const int64_t* side_start;  // [torsions + 1]
  const int64_t* side;        // atoms that turn
  const int64_t* pair;        // [pairs][2]: atoms of the ligand that meet each other
  const float* touching;      // [pairs]: where their surfaces touch
  const float* hydrophobic;        // [pairs]: 1 where both are hydrophobic
  const float* bonding;       // [pairs]: 1 where one gives the other a hydrogen bond
  const int64_t* own_start;   // [asked + 1]
  const int64_t* own;         // atoms of the ligand, the nearest of which ...
  const int64_t* place_start; // [asked + 1]
  const float* place;         // [places][3]: ... to one of these places ...
  const float* bound;         // [asked]: ... is to be so near
  const uint8_t* avoid;       // [asked]: or, where it is 1, so far
} structdiff_docking_ligand;

// Maps as above, of which no more than `most` counts; off the grid each atom costs outside x Å² (from its edge). Where
// `receptor` is not null its atoms are asked themselves instead, as maps would be made of them. A place that is missed by
// x Å costs stiff x², from `linear` on as much more as the slope says.
typedef struct structdiff_docking_field {
  int64_t size[3];
  const float* values;
  float origin[3], spacing, most, outside, stiff, linear, farthest;
  const structdiff_docking_atoms *kinds, *receptor;
  const float* positions;
} structdiff_docking_field;

// Energy [poses] and gradient [poses][atoms][3] at positions [poses][atoms][3].
STRUCTDIFF_API int32_t structdiff_ligand_docking_energy_cpu(
    const structdiff_docking_score* score, const structdiff_docking_field* field, const structdiff_docking_ligand* ligand,
    int64_t poses, const float* positions, float* energy, float* gradient, int32_t num_threads);

// `steps` steps downhill of every pose (Adam; the length of a step falls from `first` to `last`): shift, rotation vector
// about the mean of the atoms, angles of the torsions, each times its scale [6 + torsions]. positions are overwritten by
// the best of each pose on its way, energy [poses] by what that costs.
STRUCTDIFF_API int32_t structdiff_ligand_docking_descent_cpu(
    const structdiff_docking_score* score, const structdiff_docking_field* field, const structdiff_docking_ligand* ligand,
    int64_t poses, int64_t steps, float first, float last, const float* scale, float* positions, float* energy,
    int32_t num_threads);

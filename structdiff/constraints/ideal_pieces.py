"""Ideal pieces of protein backbone: helices, strands, and pairs of strands as hydrogen bonds join them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import torch
from scipy.optimize import least_squares
from scipy.spatial.transform import Rotation

from structdiff.geometry.torsions import place_atom
from structdiff.typing import Float

#: phi and psi (degrees): helix and strand as they are in sheets (Hollingsworth & Karplus 2010).
HELIX_TORSIONS = (-63.0, -42.5)
#: ... and the residues before and after a helix, which end it (Aurora & Rose 1998).
BEFORE_HELIX, AFTER_HELIX = (-94.0, 167.0), (66.0, 30.0)
STRAND_TORSIONS = (-118.0, 132.0)
#: ... and in strands side by side, of the residues that are bonded to each other and of those between them, by turns:
#: as the hydrogen bonds ask for where pairs twist by 22 and 20 degrees, as natural ones do. With the same torsions all
#: along the bonds fit at 10 degrees only (docs/log.md).
_ANTIPARALLEL_TORSIONS = ((-122.0, 135.0), (-115.4, 127.0))
_PARALLEL_TORSIONS = ((-118.8, 128.7), (-110.9, 127.6))
#: Å between N and O of a hydrogen bond.
HYDROGEN_BOND = 2.9

#: Å between N and C of a hydrogen bond, and between the CA that face each other in sheets.
_N_TO_C = 4.07
_PARALLEL_CA, _ANTIPARALLEL_CA = 4.85, (4.5, 5.4)

_LENGTHS = {"n_ca": 1.458, "ca_c": 1.525, "c_o": 1.231, "c_n": 1.329}
_ANGLES = {name: math.radians(angle) for name, angle in
           {"n_ca_c": 111.2, "ca_c_n": 116.2, "c_n_ca": 121.7, "ca_c_o": 120.8}.items()}  # fmt: skip


@lru_cache(maxsize=64)
def ideal_helix(length: int, *, begins: bool = False, ends: bool = False) -> Float[np.ndarray, "residue 4 3"]:
    """N, CA, C, O (Å) of an alpha helix, of which the first or the last residue may be its cap."""
    torsions = [HELIX_TORSIONS] * length
    torsions[0] = BEFORE_HELIX if begins else HELIX_TORSIONS
    torsions[-1] = AFTER_HELIX if ends else HELIX_TORSIONS
    return ideal_backbone(torsions)


@lru_cache(maxsize=64)
def ideal_strand(length: int) -> Float[np.ndarray, "residue 4 3"]:
    """N, CA, C, O (Å) of a strand, twisted as those in sheets."""
    return ideal_backbone([STRAND_TORSIONS] * length)


def pair_bonds(length: int, *, parallel: bool) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    """Hydrogen bonds of a pair of strands as (strand, place) of the N and (strand, place) of the O.

    Place k of one strand faces place k of the other. Antiparallel: the pairs 0, 2, 4 ... are joined by two bonds.
    Parallel: places 0, 2, 4 ... of strand 0 are joined to the neighbours of the place they face.
    """
    bonds = []
    for place in range(0, length, 2):
        if not parallel:
            bonds += [((0, place), (1, place)), ((1, place), (0, place))]
            continue
        if place > 0:
            bonds.append(((0, place), (1, place - 1)))
        if place + 1 < length:
            bonds.append(((1, place + 1), (0, place)))
    return bonds


@lru_cache(maxsize=64)
def ideal_pair(length: int, parallel: bool) -> Float[np.ndarray, "2 residue 4 3"]:
    """Two strands beside each other (Å); place k faces place k, so an antiparallel strand 1 is written backwards.

    The strands are laid so that their hydrogen bonds (`pair_bonds`) have the right length and direction.
    """
    strand, other = _pair_strands(length, parallel)
    facing = np.full(length, _PARALLEL_CA) if parallel else np.where(np.arange(length) % 2, *_ANTIPARALLEL_CA)
    bonds = pair_bonds(length, parallel=parallel)
    centre = other[:, 1].mean(0)
    frame = _frame(strand, 0)
    axis, sideways = frame[:, 0], frame[:, 1]
    # The other runs along the same places, and its bonded residues point back.
    turn_over = Rotation.from_matrix(frame @ np.diag([1.0, -1.0, -1.0]) @ _frame(other, int(parallel)).T)

    def placed(pose: np.ndarray) -> np.ndarray:
        turned = (Rotation.from_rotvec(pose[:3]) * turn_over).apply((other - centre).reshape(-1, 3))
        turned = turned.reshape(other.shape)
        return turned + strand[:, 1].mean(0) + 4.8 * sideways + pose[3:]

    (giver, i), (taker, j) = np.array(bonds).transpose(1, 2, 0)

    def errors(pose: np.ndarray) -> np.ndarray:
        both = np.stack([strand, placed(pose)])
        nitrogen, hydrogen, carbon, oxygen = both[giver, i, 0], both[giver, i, 4], both[taker, j, 2], both[taker, j, 3]
        return np.concatenate(
            [
                _distance(both[0, :, 1], both[1, :, 1]) - facing,
                _distance(hydrogen, oxygen) - HYDROGEN_BOND + 1.0,
                _distance(nitrogen, oxygen) - HYDROGEN_BOND,
                0.5 * (_distance(nitrogen, carbon) - _N_TO_C),
            ]
        )

    starts = [np.array([0, 0, 0, *(shift * axis)]) for shift in (-3.4, -1.7, 0.0, 1.7, 3.4)]
    # Of two residues there are fewer errors than coordinates of the pose, which Levenberg-Marquardt cannot do.
    method = "lm" if length > 2 else "trf"
    best = min((least_squares(errors, start, method=method) for start in starts), key=lambda found: found.cost)
    return np.stack([strand, placed(best.x)])[:, :, :4]


def _pair_strands(length: int, parallel: bool) -> tuple[np.ndarray, np.ndarray]:
    """N, CA, C, O and the hydrogen of N (Å) of both strands of a pair, by places, each where it was built."""
    torsions = _PARALLEL_TORSIONS if parallel else _ANTIPARALLEL_TORSIONS
    # One residue more before the first of each chain: the hydrogen is opposite to its oxygen.
    upwards = list(range(-1, length))
    one = _with_hydrogens([torsions[place % 2] for place in upwards])
    if parallel:
        return one, _with_hydrogens([torsions[1 - place % 2] for place in upwards])
    return one, _with_hydrogens([torsions[place % 2] for place in range(length, -1, -1)])[::-1]


def _with_hydrogens(torsions: Sequence[tuple[float, float]]) -> np.ndarray:
    """N, CA, C, O and hydrogen (Å) of all residues but the first."""
    whole = ideal_backbone(torsions)
    strand, before = whole[1:], whole[:-1]
    hydrogen = strand[:, 0] + _unit(before[:, 2] - before[:, 3])
    return np.concatenate([strand, hydrogen[:, None]], 1)


def _frame(strand: np.ndarray, first: int) -> np.ndarray:
    """Axes (columns) of a strand: along its places, to where every second residue's oxygen points, and across."""
    along = _unit(strand[-1, 1] - strand[0, 1])
    sideways = strand[first::2, 3].mean(0) - strand[first::2, 2].mean(0)
    sideways = _unit(sideways - along * (sideways @ along))
    return np.stack([along, sideways, np.cross(along, sideways)], 1)


def ideal_backbone(torsions: Sequence[tuple[float, float]]) -> np.ndarray:
    """N, CA, C, O (Å) of residues that have these torsions phi and psi (degrees), peptides trans."""
    atoms = [torch.tensor(point, dtype=torch.float64) for point in ((0.0, 0.0, 0.0), (_LENGTHS["n_ca"], 0.0, 0.0))]
    bend = _ANGLES["n_ca_c"]
    atoms.append(atoms[1] + _LENGTHS["ca_c"] * torch.tensor([-math.cos(bend), math.sin(bend), 0.0]).double())
    for place, (_, psi) in enumerate(torsions):  # one residue more, for the last oxygen
        phi = torsions[min(place + 1, len(torsions) - 1)][0]
        steps = (("c_n", "ca_c_n", psi), ("n_ca", "c_n_ca", 180.0), ("ca_c", "n_ca_c", phi))
        for bond, angle, torsion in steps:
            turn = math.radians(torsion)
            atoms.append(place_atom(*atoms[-3:], length=_LENGTHS[bond], angle=_ANGLES[angle], torsion=turn))
    chain = torch.stack(atoms)
    rows = 3 * torch.arange(len(torsions))
    n, ca, c, after = (chain[rows + place] for place in range(4))
    o = place_atom(after, ca, c, length=_LENGTHS["c_o"], angle=_ANGLES["ca_c_o"], torsion=math.pi)
    return torch.stack([n, ca, c, o], 1).numpy()


def _distance(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    arrow = one - other
    return np.sqrt(np.einsum("ij,ij->i", arrow, arrow))


def _unit(arrow: np.ndarray) -> np.ndarray:
    return arrow / np.linalg.norm(arrow, axis=-1, keepdims=True)

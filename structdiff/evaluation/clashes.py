"""Heavy atoms that sit inside each other.

After MolProbity's clashscore (Word et al., J. Mol. Biol. 285, 1711, 1999): overlap of van der Waals spheres by 0.4 Å or
more, atoms joined by up to three bonds left out. Hydrogens are not built, so the counts are lower than MolProbity's.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array
from scipy.spatial import KDTree

from structdiff.errors import InputError
from structdiff.evaluation.backbone import Backbone
from structdiff.structure.tables import ChainKind, Structure

OVERLAP_LIMIT = 0.4  # Å
HYDROGEN_BOND_ALLOWANCE = 0.6  # Å of overlap more between two of N, O, S: hydrogen bonds, salt bridges
# Å; the radii of Probe. Elements that are not listed (metals, most ions) bind closer than any sphere says: not judged.
RADII = {5: 1.65, 6: 1.70, 7: 1.55, 8: 1.40, 9: 1.30, 15: 1.80, 16: 1.80, 17: 1.77, 34: 1.90, 35: 1.95, 53: 2.10}
ATOMS_OF_RESIDUE = 5  # of a backbone: N, CA, C, O, CB
_CARBONYL_RADIUS = 1.65
_POLAR = (7, 8, 16)
_DISULFIDE = 2.5  # Å
_MAX_DISTANCE = 2 * max(RADII.values()) - OVERLAP_LIMIT


@dataclass(frozen=True, kw_only=True)
class Clashes:
    """pairs (clash, 2): rows of the atoms; overlap (clash) in Å; per_100_residues: clashes a hundred residues."""

    pairs: np.ndarray
    overlap: np.ndarray
    per_100_residues: float


def clashes(structure: Structure) -> Clashes:
    """Clashes among all resolved heavy atoms of a structure, waters left out.

    Raises InputError where the structure has no bonds, without which neighbours would be taken for clashes.
    """
    atoms = structure.atoms
    used = atoms.resolved & (structure.chains.kind[structure.atom_chain] != ChainKind.WATER)
    if len(structure.bonds) == 0 and used.sum() > 1:
        raise InputError("clashes cannot be counted without bonds", path=structure.name)
    bonds = np.stack([structure.bonds.atom_1, structure.bonds.atom_2], -1)
    residues = len(np.unique(atoms.residue[used]))
    return find_clashes(atoms.positions, atoms.element, bonds, residues, used=used)


def backbone_clashes(backbone: Backbone) -> Clashes:
    """Clashes among N, CA, C, O and CB of a backbone.

    A CB that is absent is put where an L residue has it, unless the residue is known to be glycine. Rows of atoms are
    ATOMS_OF_RESIDUE * residue + place in (N, CA, C, O, CB).
    """
    count = len(backbone)
    glycine = (backbone.restype == "GLY") & backbone.sequence_known
    cb = np.where(glycine[:, None], np.nan, backbone.cb_or_ideal)
    positions = np.concatenate([backbone.positions, cb[:, None]], 1).reshape(-1, 3)
    element = np.tile(np.array([7, 6, 6, 8, 6]), count)
    first = ATOMS_OF_RESIDUE * np.arange(count)
    bonds = [np.stack([first + a, first + b], -1) for a, b in ((0, 1), (1, 2), (2, 3), (1, 4))]
    joined = np.flatnonzero(backbone.follows)
    bonds.append(np.stack([first[joined - 1] + 2, first[joined]], -1))
    return find_clashes(positions, element, np.concatenate(bonds), count)


def find_clashes(
    positions: np.ndarray, element: np.ndarray, bonds: np.ndarray, num_residues: int, *, used: np.ndarray | None = None
) -> Clashes:
    """Clashes among atoms at positions (atom, 3) of given atomic numbers, with bonds (bond, 2) as rows of atoms."""
    radius = _radii(element, bonds)
    rows = np.isfinite(positions).all(-1) & (radius > 0)
    rows = np.flatnonzero(rows if used is None else rows & used)
    near = KDTree(positions[rows]).query_pairs(_MAX_DISTANCE, output_type="ndarray") if len(rows) > 1 else []
    pairs = rows[np.asarray(near, np.int64).reshape(-1, 2)]
    i, j = pairs.T
    distance = np.linalg.norm(positions[i] - positions[j], axis=-1)
    polar = np.isin(element, _POLAR)
    disulfide = (element[i] == 16) & (element[j] == 16) & (distance < _DISULFIDE)
    bonds = np.concatenate([bonds.reshape(-1, 2), pairs[disulfide]])  # files seldom name them
    overlap = radius[i] + radius[j] - distance - np.where(polar[i] & polar[j], HYDROGEN_BOND_ALLOWANCE, 0.0)
    candidate = overlap >= OVERLAP_LIMIT
    pairs, overlap = pairs[candidate], overlap[candidate]
    clashing = ~_within_three_bonds(pairs, bonds, len(positions))
    number = int(clashing.sum())
    return Clashes(
        pairs=pairs[clashing],
        overlap=overlap[clashing],
        per_100_residues=100 * number / num_residues if num_residues else float("nan"),
    )


def _radii(element: np.ndarray, bonds: np.ndarray) -> np.ndarray:
    """Radius of each atom (Å), 0 where it is not judged; flat carbons of C=O and the like are smaller."""
    radius = np.zeros(256)
    radius[list(RADII)] = list(RADII.values())
    radius = radius[element]
    ends = np.concatenate([bonds.reshape(-1, 2), bonds.reshape(-1, 2)[:, ::-1]])
    hetero = np.bincount(ends[:, 0], np.isin(element[ends[:, 1]], (7, 8)), minlength=len(element))
    radius[(element == 6) & (hetero >= 2)] = _CARBONYL_RADIUS
    return radius


def _within_three_bonds(pairs: np.ndarray, bonds: np.ndarray, count: int) -> np.ndarray:
    """Whether the atoms of each pair are joined by one, two or three bonds."""
    if not len(pairs) or not len(bonds):
        return np.zeros(len(pairs), bool)
    ends = np.concatenate([bonds, bonds[:, ::-1]])
    one = csr_array((np.ones(len(ends), np.int32), (ends[:, 0], ends[:, 1])), shape=(count, count))
    two = one @ one
    near = (one + two + two @ one).tocsr()
    return np.asarray(near[pairs[:, 0], pairs[:, 1]]).ravel() > 0

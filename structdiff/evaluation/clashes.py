"""Heavy atoms that sit inside each other.

After MolProbity's clashscore (Word et al., J. Mol. Biol. 285, 1711, 1999): overlap of van der Waals spheres by 0.4 Å or
more, atoms joined by up to three bonds left out. Hydrogens are not built, so the counts are lower than MolProbity's.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial import KDTree

from structdiff.chemistry.contacts import POLAR, RADII, contact_radii, within_three_bonds
from structdiff.errors import InputError
from structdiff.evaluation.backbone import Backbone
from structdiff.structure.tables import ChainKind, Structure

OVERLAP_LIMIT = 0.4  # Å
HYDROGEN_BOND_ALLOWANCE = 0.6  # Å of overlap more between two of N, O, S: hydrogen bonds, salt bridges
ATOMS_OF_RESIDUE = 5  # of a backbone: N, CA, C, O, CB
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
    radius = contact_radii(element, bonds)
    rows = np.isfinite(positions).all(-1) & (radius > 0)
    rows = np.flatnonzero(rows if used is None else rows & used)
    near = KDTree(positions[rows]).query_pairs(_MAX_DISTANCE, output_type="ndarray") if len(rows) > 1 else []
    pairs = rows[np.asarray(near, np.int64).reshape(-1, 2)]
    i, j = pairs.T
    distance = np.linalg.norm(positions[i] - positions[j], axis=-1)
    polar = np.isin(element, POLAR)
    disulfide = (element[i] == 16) & (element[j] == 16) & (distance < _DISULFIDE)
    bonds = np.concatenate([bonds.reshape(-1, 2), pairs[disulfide]])  # files seldom name them
    overlap = radius[i] + radius[j] - distance - np.where(polar[i] & polar[j], HYDROGEN_BOND_ALLOWANCE, 0.0)
    candidate = overlap >= OVERLAP_LIMIT
    pairs, overlap = pairs[candidate], overlap[candidate]
    clashing = ~within_three_bonds(pairs, bonds, len(positions))
    number = int(clashing.sum())
    return Clashes(
        pairs=pairs[clashing],
        overlap=overlap[clashing],
        per_100_residues=100 * number / num_residues if num_residues else float("nan"),
    )

"""Which double bonds of a component are E or Z, and how its definition has them."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from structdiff.chemistry.components import AROMATIC, Component

_LEAST_FLAT = 0.5  # cosine of the torsion: a bond that is twisted more is neither E nor Z
_SMALLEST_RING = 8  # atoms: in smaller rings a double bond has one form only (IUPAC 2006, ST-1.4)


@dataclass(frozen=True, kw_only=True, eq=False)
class DoubleBonds:
    """Double bonds with two forms: atoms (bond, 4), a substituent, both ends, a substituent; cis (bond): of these two.

    atoms are rows of a component's atoms, or of a structure's.
    """

    atoms: np.ndarray  # int64
    cis: np.ndarray  # bool


@lru_cache(maxsize=4096)
def component_double_bonds(component: Component) -> DoubleBonds:
    """The double bonds of a component that are E or Z, each as in the ideal conformer; hydrogens do not count."""
    near = component.neighbours()
    candidates = [tuple(ends) for ends in component.bonds[_may_have_forms(component, near)].tolist()]
    found = [ends for ends in candidates if not _in_small_ring(near, *ends)]
    if found:
        told = _with_two_forms(component)
        found = [ends for ends in found if ends in told]
    rows = [(_substituent(component, near, b, c), b, c, _substituent(component, near, c, b)) for b, c in found]
    atoms = np.array(rows, np.int64).reshape(-1, 4)
    return DoubleBonds(atoms=atoms, cis=_cosine_of_torsion(component.ideal_positions.astype(np.float64)[atoms]) > 0)


def has_form(points: np.ndarray, cis: np.ndarray | bool) -> np.ndarray:
    """Whether the bond between the inner of four atoms (..., 4, 3) is cis or trans as said, and not twisted between."""
    return _cosine_of_torsion(points) * np.where(cis, 1, -1) > _LEAST_FLAT


def _cosine_of_torsion(points: np.ndarray) -> np.ndarray:
    """Cosine of the torsion of four atoms (..., 4, 3); 0 where three of them lie on a line."""
    a, b, c, d = np.moveaxis(points, -2, 0)
    left, right = np.cross(b - a, c - b), np.cross(c - b, d - c)
    size = np.linalg.norm(left, axis=-1) * np.linalg.norm(right, axis=-1)
    return (left * right).sum(-1) / np.maximum(size, 1e-9)


def _may_have_forms(component: Component, near: list[list[int]]) -> np.ndarray:
    """Which bonds (bond) are double, and alone at both ends, and lead on from both; cheap, as most have none."""
    double = (component.kekule_orders == 2) & (component.bond_orders != AROMATIC)
    number = np.bincount(component.bonds[double].ravel(), minlength=len(component))
    leads_on = np.array([2 <= len(others) <= 3 for others in near], bool) & (number == 1)
    return double & leads_on[component.bonds].all(axis=1) & np.isin(component.elements, (6, 7))[component.bonds].all(1)


def _in_small_ring(near: list[list[int]], first: int, second: int) -> bool:
    """Whether the bond closes a ring that is too small for its other form."""
    steps, waiting = {first: 0}, deque([first])
    while waiting:
        atom = waiting.popleft()
        for other in near[atom]:
            if other not in steps and (atom, other) != (first, second):
                steps[other] = steps[atom] + 1
                waiting.append(other)
    return steps.get(second, _SMALLEST_RING) + 1 < _SMALLEST_RING


def _with_two_forms(component: Component) -> set[tuple[int, int]]:
    """Rows of the ends, in rising order, of the double bonds whose ends each have two different substituents."""
    from rdkit import Chem, rdBase  # slow to import, and few components need it

    from structdiff.chemistry.rdkit_molecules import perceived

    with rdBase.BlockLogs():
        mol = perceived(component)
        places = [each for each in Chem.FindPotentialStereo(mol) if each.type == Chem.StereoType.Bond_Double]
    bonds = [mol.GetBondWithIdx(each.centeredOn) for each in places]
    return {(min(ends), max(ends)) for ends in ((each.GetBeginAtomIdx(), each.GetEndAtomIdx()) for each in bonds)}


def _substituent(component: Component, near: list[list[int]], atom: int, other: int) -> int:
    """The neighbour of an end that tells the bond's form: the first by row, those that a link takes away last."""
    return min((row for row in near[atom] if row != other), key=lambda row: (component.leaving[row], row))

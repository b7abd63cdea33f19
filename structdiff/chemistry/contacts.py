"""How near atoms that are not bonded may come: their radii, and which pairs are too few bonds apart to be asked."""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_array

#: Å: heavy atoms with their hydrogens (the radii of Probe: Word et al., J. Mol. Biol. 285, 1711, 1999). Elements that
#: are not listed (metals, most ions) bind closer than any sphere says.
RADII = {5: 1.65, 6: 1.70, 7: 1.55, 8: 1.40, 9: 1.30, 14: 2.10, 15: 1.80, 16: 1.80, 17: 1.77, 34: 1.90, 35: 1.95,
         53: 2.10}  # fmt: skip
#: Atomic numbers of what gives and takes hydrogen bonds.
POLAR = (7, 8, 16)
_CARBONYL_RADIUS = 1.65


def contact_radii(element: np.ndarray, bonds: np.ndarray, *, other: float = 0.0) -> np.ndarray:
    """Radius (Å) of each atom; flat carbons of C=O and the like are smaller.

    element (atom): atomic numbers. bonds (bond, 2): rows of atoms. other: of elements without a radius of their own.
    """
    radius = np.full(256, other)
    radius[list(RADII)] = list(RADII.values())
    radius = radius[element]
    ends = np.concatenate([bonds.reshape(-1, 2), bonds.reshape(-1, 2)[:, ::-1]])
    hetero = np.bincount(ends[:, 0], np.isin(element[ends[:, 1]], (7, 8)), minlength=len(element))
    radius[(element == 6) & (hetero >= 2)] = _CARBONYL_RADIUS
    return radius


def three_bonds_apart(bonds: np.ndarray, count: int) -> csr_array:
    """(count, count): above 0 where two atoms are joined by one, two or three bonds (bond, 2)."""
    ends = np.concatenate([bonds, bonds[:, ::-1]])
    one = csr_array((np.ones(len(ends), np.int32), (ends[:, 0], ends[:, 1])), shape=(count, count))
    two = one @ one
    return (one + two + two @ one).tocsr()


def within_three_bonds(pairs: np.ndarray, bonds: np.ndarray, count: int) -> np.ndarray:
    """Whether the atoms of each of the pairs (pair, 2) are joined by one, two or three bonds (bond, 2)."""
    if not len(pairs) or not len(bonds):
        return np.zeros(len(pairs), bool)
    return np.asarray(three_bonds_apart(bonds, count)[pairs[:, 0], pairs[:, 1]]).ravel() > 0

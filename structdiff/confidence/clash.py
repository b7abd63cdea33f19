"""Chains that run through each other."""

from __future__ import annotations

from itertools import combinations

import numpy as np
from scipy.spatial import KDTree

from structdiff.structure.tables import ChainKind, Structure
from structdiff.typing import Bool, Float, Int

CLASH_DISTANCE = 1.1  # Å
_MANY_CLASHES = 100
_LARGE_SHARE = 0.5


def has_clash(
    positions: Float[np.ndarray, "atom 3"], chain: Int[np.ndarray, " atom"], polymer: Bool[np.ndarray, " atom"]
) -> bool:
    """Whether two polymer chains overlap so much that the structure is impossible.

    That is, more than 100 atoms of a chain are nearer than 1.1 Å to an atom of another, or more than half of those of
    the smaller one. positions in Å; chain: a number for each atom; ligands (not polymer) do not count.
    AlphaFold 3, section 5.9.2.
    """
    chains = np.unique(chain[polymer])
    points = [positions[polymer & (chain == number)] for number in chains]
    trees = [KDTree(each) for each in points]
    for first, second in combinations(range(len(points)), 2):
        distance, _ = trees[second].query(points[first], distance_upper_bound=CLASH_DISTANCE)
        clashing = int(np.isfinite(distance).sum())
        if clashing > _MANY_CLASHES or clashing > _LARGE_SHARE * min(len(points[first]), len(points[second])):
            return True
    return False


def structure_has_clash(structure: Structure) -> bool:
    """Whether two polymer chains of a structure run through each other (AlphaFold 3, section 5.9.2)."""
    seen = structure.atoms.resolved
    chain = structure.atom_chain
    polymer = structure.chains.kind[chain] <= ChainKind.RNA
    return has_clash(structure.atoms.positions[seen], chain[seen], polymer[seen])

"""The bonds of a molecule that turn freely."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np

_CARBON, _NITROGEN = 6, 7
_SINGLE, _DOUBLE = 1, 2
_OF_AMIDES = (7, 8, 16)  # what is doubly bonded to the carbon of an amide, an amidine, a thioamide


@dataclass(frozen=True, kw_only=True)
class RotatableBond:
    """A bond from an atom that stays to one that leads on, and all atoms of the smaller side, which turn."""

    stays: int
    leads: int
    side: frozenset[int]


def rotatable_bonds(element: np.ndarray, bonds: np.ndarray, orders: np.ndarray) -> list[RotatableBond]:
    """Single bonds in no ring with neighbours on both sides, but those of amides and the like, which are flat.

    element (atom,): atomic numbers of a molecule in one piece. bonds (bond, 2): rows of atoms; orders (bond,).
    """
    near: dict[int, set[int]] = defaultdict(set)
    order_of = {}
    for (one, other), order in zip(bonds.tolist(), orders.tolist(), strict=True):
        near[one].add(other)
        near[other].add(one)
        order_of[min(one, other), max(one, other)] = order

    def is_amide(nitrogen: int, carbon: int) -> bool:
        return bool(element[nitrogen] == _NITROGEN and element[carbon] == _CARBON) and any(
            element[end] in _OF_AMIDES and order_of[min(carbon, end), max(carbon, end)] == _DOUBLE
            for end in near[carbon] - {nitrogen}
        )

    found = []
    for (one, other), order in order_of.items():
        ends = len(near[one]) > 1 and len(near[other]) > 1
        if order != _SINGLE or not ends or is_amide(one, other) or is_amide(other, one):
            continue
        beyond = atoms_beyond(near, other, one)
        if beyond is None:
            continue
        if 2 * len(beyond) > len(element):
            one, other, beyond = other, one, frozenset(range(len(element))) - beyond
        found.append(RotatableBond(stays=one, leads=other, side=beyond))
    return found


def atoms_beyond(near: Mapping[int, Collection[int]], atom: int, before: int) -> frozenset[int] | None:
    """All atoms on the far side of a bond, ``atom`` included; None where a ring leads back. near: neighbours."""
    seen, waiting = {atom}, [atom]
    while waiting:
        here = waiting.pop()
        for other in near[here]:
            if here != atom and other == before:
                return None
            if other != before and other not in seen:
                seen.add(other)
                waiting.append(other)
    return frozenset(seen)

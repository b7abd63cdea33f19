"""Bonds between residues that many files leave out, and nothing but a bond explains: disulfides and glycosidic ones."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import gemmi
import numpy as np
from scipy.spatial import KDTree

from structdiff.chemistry.components import Component
from structdiff.structure.build import AtomAddress
from structdiff.structure.file_components import chosen_atoms

_DISULFIDE = (1.8, 2.3)  # Å; 2.05 in the mean, sulphurs that are not bonded keep 3.5
_WITH_SELENIUM = (1.95, 2.55)  # Å; 2.19 to a sulphur, 2.32 between two
_GLYCOSIDIC = (1.2, 1.65)  # Å; 1.40 to an oxygen, 1.45 to a nitrogen
_NITROGEN, _OXYGEN, _SULPHUR, _SELENIUM = 7, 8, 16, 34


@dataclass(frozen=True, kw_only=True)
class SeenResidue:
    """A residue of a file: label chain id and place (from 1), the atoms that were seen, what it is made of."""

    chain: str
    place: int
    residue: gemmi.Residue
    component: Component


def unstated_bonds(
    residues: Iterable[SeenResidue], stated: Iterable[tuple[AtomAddress, AtomAddress]]
) -> list[tuple[AtomAddress, AtomAddress]]:
    """Disulfides, and bonds of sugars that lack the hydroxyl which a bond takes away, where atoms are near enough.

    Of thiols, selenols and anomeric carbons each makes one bond, the shortest first; stated ones count.
    """
    residues = list(residues)
    taken = {end for bond in stated for end in bond}
    thiols = [end for each in residues for end in _thiols(each, _SULPHUR) if end[0] not in taken]
    selenols = [end for each in residues for end in _thiols(each, _SELENIUM) if end[0] not in taken]
    anomeric = [end for each in residues for end in _anomeric(each) if end[0] not in taken]
    partners = [end for each in residues for end in _hydroxyls_and_amides(each)] if anomeric else []
    found = [*_near(thiols, thiols, _DISULFIDE), *_near(selenols, [*thiols, *selenols], _WITH_SELENIUM),
             *_near(anomeric, partners, _GLYCOSIDIC)]  # fmt: skip
    bonds = []
    for _, first, second in sorted(found):
        if first not in taken and second not in taken:
            taken |= {first, second}
            bonds.append((first, second))
    return bonds


_Seen = tuple[AtomAddress, tuple[float, float, float]]


def _near(
    ones: list[_Seen], others: list[_Seen], limits: tuple[float, float]
) -> Iterator[tuple[float, AtomAddress, AtomAddress]]:
    """Length and ends of what may be a bond between two residues."""
    if not ones or not others:
        return
    places = np.array([place for _, place in others])
    tree = KDTree(places)
    for end, place in ones:
        for row in tree.query_ball_point(place, limits[1]):
            length = float(np.linalg.norm(places[row] - place))
            if length >= limits[0] and end[:2] != others[row][0][:2]:
                yield length, end, others[row][0]


def _thiols(seen: SeenResidue, element: int) -> Iterator[_Seen]:
    whole = seen.component
    names = {str(name) for name in whole.atom_names[(whole.elements == element) & (whole.hydrogens == 1)]}
    yield from _of_names(seen, names)


def _anomeric(seen: SeenResidue) -> Iterator[_Seen]:
    """Carbons of a sugar whose leaving hydroxyl is not there."""
    whole = seen.component
    if "saccharide" not in whole.type.lower():
        return
    there = {atom.name for atom in seen.residue}
    bonded = whole.neighbours()
    leaving = np.flatnonzero(whole.leaving & (whole.elements == _OXYGEN))
    left = [row for row in leaving if whole.atom_names[row] not in there]
    yield from _of_names(seen, {str(whole.atom_names[carbon]) for row in left for carbon in bonded[row]})


def _hydroxyls_and_amides(seen: SeenResidue) -> Iterator[_Seen]:
    whole = seen.component
    giving = np.isin(whole.elements, (_NITROGEN, _OXYGEN)) & (whole.hydrogens > 0)
    yield from _of_names(seen, {str(name) for name in whole.atom_names[giving]})


def _of_names(seen: SeenResidue, names: set[str]) -> Iterator[_Seen]:
    if names:
        for atom in chosen_atoms(seen.residue):
            place = (atom.pos.x, atom.pos.y, atom.pos.z)
            if atom.name in names and np.isfinite(place).all():
                yield (seen.chain, seen.place, atom.name), place

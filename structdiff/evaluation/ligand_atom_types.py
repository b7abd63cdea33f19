"""What each atom is to the scoring function: its radius, and whether it is hydrophobic, gives or takes hydrogen bonds.

The types of X-Score as AutoDock Vina takes them (Trott & Olson, J. Comput. Chem. 31, 455, 2010), with the radii of
Vinardo (Quiroga & Villarreal, PLoS ONE 11, e0155183, 2016). Acids count as they are at pH 7 (their oxygens take
hydrogen bonds and give none), amines too (they give and take none); of a histidine both nitrogens give and take.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

import numpy as np

from structdiff.chemistry.components import component
from structdiff.structure.tables import Structure

#: Å by atomic number; of all other elements, which are metals, the last.
RADII = {5: 2.0, 6: 2.0, 7: 1.7, 8: 1.6, 9: 1.5, 14: 2.2, 15: 2.1, 16: 2.0, 17: 1.8, 33: 2.1, 34: 2.0, 35: 2.0,
         53: 2.2, 85: 2.3}  # fmt: skip
_METAL = 1.2
_HALOGENS = (9, 17, 35, 53, 85)
_CARBON, _NITROGEN, _OXYGEN = 6, 7, 8
_DOUBLE_OR_MORE = (2, 3, 4)  # orders, 4 aromatic
_ACIDS = (6, 15, 16)  # whose oxygens lose their hydrogens where another oxygen is doubly bonded
_EITHER = {("HIS", "ND1"), ("HIS", "NE2")}  # one of both has the hydrogen


@dataclass(frozen=True, kw_only=True, eq=False)
class AtomTypes:
    """Of each atom: radius (Å), hydrophobic, donor and acceptor of hydrogen bonds."""

    radius: np.ndarray  # float32 (atom,)
    hydrophobic: np.ndarray  # bool (atom,)
    donor: np.ndarray  # bool (atom,)
    acceptor: np.ndarray  # bool (atom,)

    @classmethod
    def of(cls, structure: Structure) -> AtomTypes:
        """The types of all atoms of a structure."""
        element = structure.atoms.element.astype(np.int64)
        near = bonded_atoms(structure)
        metal = np.array([number not in RADII for number in range(256)])[element]
        radius = np.full(256, _METAL, np.float32)
        radius[list(RADII)] = list(RADII.values())
        hydrophobic = np.isin(element, _HALOGENS)
        donor, acceptor = metal.copy(), np.zeros(len(element), bool)
        hydrogens = hydrogens_of_atoms(structure)
        residue, name = structure.residues.name[structure.atoms.residue], structure.atoms.name
        for row in np.flatnonzero(np.isin(element, (_CARBON, _NITROGEN, _OXYGEN))).tolist():
            if element[row] == _CARBON:
                hydrophobic[row] = all(element[other] == _CARBON for other, _ in near[row])
            elif element[row] == _OXYGEN:
                acceptor[row] = True
                donor[row] = hydrogens[row] > 0 and not _is_acid(row, near, element)
            elif (residue[row], name[row]) in _EITHER:
                donor[row] = acceptor[row] = True
            else:
                acceptor[row] = _takes(row, near, element, int(hydrogens[row]))
                donor[row] = hydrogens[row] > 0 or _is_amine(row, near, element)
        return cls(radius=radius[element], hydrophobic=hydrophobic, donor=donor, acceptor=acceptor)

    def rows(self, rows: np.ndarray) -> AtomTypes:
        """The types of some of the atoms."""
        return AtomTypes(radius=self.radius[rows], hydrophobic=self.hydrophobic[rows], donor=self.donor[rows],
                         acceptor=self.acceptor[rows])  # fmt: skip


_Near = dict[int, list[tuple[int, int]]]  # of each atom its neighbours, with the order of the bond


def bonded_atoms(structure: Structure) -> dict[int, list[tuple[int, int]]]:
    """Of each atom the atoms that it is bonded to, with the order of the bond."""
    near: _Near = defaultdict(list)
    bonds = structure.bonds
    for one, other, order in zip(bonds.atom_1.tolist(), bonds.atom_2.tolist(), bonds.order.tolist(), strict=True):
        near[one].append((other, order))
        near[other].append((one, order))
    return near


def hydrogens_of_atoms(structure: Structure) -> np.ndarray:
    """How many hydrogens each atom has in its component, less those whose place another residue takes."""
    found = np.zeros(len(structure.atoms), np.int64)
    for residue in range(len(structure.residues)):
        span = structure.residue_atoms(residue)
        whole = component(str(structure.residues.name[residue]), structure.components)
        place = whole.atom_index
        rows = [place.get(name, -1) for name in structure.atoms.name[span].tolist()]
        found[span] = np.where(np.array(rows) >= 0, whole.hydrogens[rows], 0)
    between = structure.atoms.residue[structure.bonds.atom_1] != structure.atoms.residue[structure.bonds.atom_2]
    for ends in (structure.bonds.atom_1, structure.bonds.atom_2):
        np.add.at(found, ends[between], -1)
    return found.clip(min=0)


def _is_acid(row: int, near: _Near, element: np.ndarray) -> bool:
    """Whether an oxygen is that of a carboxylic acid, a phosphate, a sulphonate or the like."""
    return any(
        element[centre] in _ACIDS and any(element[end] == _OXYGEN and order in _DOUBLE_OR_MORE and end != row
                                          for end, order in near[centre])
        for centre, _ in near[row]
    )  # fmt: skip


def _is_amine(row: int, near: _Near, element: np.ndarray) -> bool:
    """Whether a nitrogen is bonded to saturated carbons alone, three at most, and so has a proton more in water."""
    return 0 < len(near[row]) < 4 and all(
        order == 1 and element[other] == _CARBON and all(own == 1 for _, own in near[other])
        for other, order in near[row]
    )


def _takes(row: int, near: _Near, element: np.ndarray, hydrogens: int) -> bool:
    """Whether a nitrogen has a lone pair to give: no hydrogen, no fourth neighbour, and a double bond."""
    return hydrogens == 0 and len(near[row]) < 3 and any(order in _DOUBLE_OR_MORE for _, order in near[row])

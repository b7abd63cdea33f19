"""What each atom is to GNINA's networks: one of 14 channels in a receptor, one of 14 in a ligand, and its radius.

The types of smina (Koes, Baumgartner & Camacho 2013) as libmolgrid has them (Sunseri & Koes 2020). Hydrogens are those
of the Chemical Component Dictionary, with which acids and bases are as in a file to which all hydrogens were added.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from structdiff.evaluation.ligand_atom_types import bonded_atoms, hydrogens_of_atoms
from structdiff.structure.tables import Structure
from structdiff.typing import Float, Int

#: Channels of a receptor, and as many of a ligand.
NUM_CHANNELS = 14
_CARBON, _NITROGEN, _OXYGEN, _PHOSPHORUS, _SULPHUR = 6, 7, 8, 15, 16
_AROMATIC = 4  # order of a bond
#: Å; of all other elements, which are metals, the last.
_RADII = {5: 1.92, 6: 1.9, 7: 1.8, 8: 1.7, 9: 1.5, 15: 2.1, 16: 2.0, 17: 1.8, 35: 2.0, 53: 2.2}
_METAL_RADIUS = 1.2
#: Channels by element: aliphatic and aromatic carbon with carbon alone about it, and with others, come first in both;
#: nitrogen and oxygen that give no hydrogen bond stand before those that do.
_RECEPTOR = {9: 4, 17: 4, 35: 4, 53: 4, _NITROGEN: 5, _OXYGEN: 7, _SULPHUR: 9, _PHOSPHORUS: 10, 20: 11, 30: 12}
_LIGAND = {35: 4, 53: 4, 17: 5, 9: 6, _NITROGEN: 7, _OXYGEN: 9, _SULPHUR: 11, _PHOSPHORUS: 12}
_METALS = 13  # in both


@dataclass(frozen=True, kw_only=True, eq=False)
class GninaAtoms:
    """Of each atom its channel as a receptor's and as a ligand's, and its radius (Å)."""

    receptor: Int[np.ndarray, " atom"]
    ligand: Int[np.ndarray, " atom"]
    radius: Float[np.ndarray, " atom"]

    @classmethod
    def of(cls, structure: Structure) -> GninaAtoms:
        """The channels of all atoms of a structure without hydrogens."""
        element = structure.atoms.element.astype(np.int64)
        bonds, gives = structure.bonds, hydrogens_of_atoms(structure) > 0
        aromatic = np.zeros(len(element), bool)
        for ends in (bonds.atom_1, bonds.atom_2):
            aromatic[ends[bonds.order == _AROMATIC]] = True
        near = bonded_atoms(structure)
        hetero = np.array([any(element[other] != _CARBON for other, _ in near[row]) for row in range(len(element))])
        carbon = 2 * aromatic + hetero
        donor = gives & np.isin(element, (_NITROGEN, _OXYGEN))
        by_element = [
            np.array([table.get(each, _METALS) for each in element.tolist()]) + donor for table in (_RECEPTOR, _LIGAND)
        ]
        receptor, ligand = (np.where(element == _CARBON, carbon, own).astype(np.int64) for own in by_element)
        radius = np.array([_RADII.get(each, _METAL_RADIUS) for each in element.tolist()], np.float32)
        return cls(receptor=receptor, ligand=ligand, radius=radius)

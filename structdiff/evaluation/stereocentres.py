"""Whether every stereocentre has the hand that its component's definition states."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from structdiff.chemistry.components import Component, component
from structdiff.chemistry.ideal_geometry import reference_geometry
from structdiff.evaluation.internal_coordinates import signed_volume
from structdiff.structure.local_geometry import structure_geometry
from structdiff.structure.tables import Structure

_FLAT = 0.3  # Å³, a tenth of what is ideal: a centre flatter than this has no hand


@dataclass(frozen=True, kw_only=True)
class Stereocentres:
    """atoms (centre): rows of the stereocentres that could be judged, and whether each is right (centre).

    unknown: rows of residues whose component has no sound conformer to judge them by.
    """

    atoms: np.ndarray
    right: np.ndarray
    unknown: np.ndarray

    @property
    def share_right(self) -> float:
        """The share of right ones; NaN where there is nothing to judge."""
        return float(self.right.mean()) if len(self.right) else float("nan")


def stereocentres(structure: Structure) -> Stereocentres:
    """The stereocentres of all residues and ligands of which the three judging neighbours are resolved, in order."""
    ideal = structure_geometry(structure)
    judged = ideal.chiral_stereo & structure.atoms.resolved[ideal.chiral].all(1)
    centres, wanted = ideal.chiral[judged], ideal.chiral_volumes[judged].astype(np.float64)
    hand = signed_volume(*(structure.atoms.positions[centres[:, k]].astype(np.float64) for k in range(4)))
    right = hand * np.sign(wanted) > _FLAT
    order = np.argsort(centres[:, 0], kind="stable")
    names = structure.residues.name
    unsound = [name for name in np.unique(names) if _is_unsound(component(str(name), structure.components))]
    return Stereocentres(
        atoms=centres[order, 0].astype(np.int64), right=right[order], unknown=np.flatnonzero(np.isin(names, unsound))
    )


def _is_unsound(definition: Component) -> bool:
    """Whether the conformer is no measure: a flat drawing that stands in for one, or a centre that strain flattens."""
    degree = np.array([len(near) for near in definition.neighbours()])
    solid = (degree >= 3) & (degree + definition.hydrogens == 4) & (definition.elements == 6)
    handed = np.isin(np.arange(len(definition)), reference_geometry(definition).chiral[:, 0])
    is_flat = float(np.ptp(definition.ideal_positions, axis=0).min()) < 1e-3
    return bool((solid & definition.stereo & ~handed).any() or (is_flat and solid.any()))

"""Whether every stereocentre has the hand that its component's definition states."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from structdiff.chemistry.components import Component, component
from structdiff.evaluation.internal_coordinates import signed_volume
from structdiff.structure.local_geometry import structure_geometry
from structdiff.structure.tables import Structure

_SMALLEST_SHARE = 0.2  # of the ideal volume: a centre flatter than this has no hand


@dataclass(frozen=True, kw_only=True)
class Stereocentres:
    """atoms (centre): rows of the stereocentres that could be judged, and whether each is right (centre).

    unknown: rows of residues whose component has no three-dimensional conformer to judge them by.
    """

    atoms: np.ndarray
    right: np.ndarray
    unknown: np.ndarray


def stereocentres(structure: Structure) -> Stereocentres:
    """The stereocentres of all residues and ligands of which the three judging neighbours are resolved, in order."""
    ideal = structure_geometry(structure)
    judged = ideal.chiral_stereo & structure.atoms.resolved[ideal.chiral].all(1)
    centres, wanted = ideal.chiral[judged], ideal.chiral_volumes[judged].astype(np.float64)
    hand = signed_volume(*(structure.atoms.positions[centres[:, k]].astype(np.float64) for k in range(4)))
    right = hand * np.sign(wanted) > _SMALLEST_SHARE * np.abs(wanted)
    order = np.argsort(centres[:, 0], kind="stable")
    names = structure.residues.name
    flat = [name for name in np.unique(names) if _is_flat_drawing(component(str(name), structure.components))]
    return Stereocentres(
        atoms=centres[order, 0].astype(np.int64), right=right[order], unknown=np.flatnonzero(np.isin(names, flat))
    )


def _is_flat_drawing(definition: Component) -> bool:
    """Whether all atoms lie in a plane, some with four neighbours: what stands in where no conformer was found."""
    degree = np.array([len(near) for near in definition.neighbours()])
    solid = (degree >= 3) & (degree + definition.hydrogens == 4) & (definition.elements == 6)
    return bool(solid.any()) and float(np.ptp(definition.ideal_positions, axis=0).min()) < 1e-3

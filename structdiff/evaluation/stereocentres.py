"""Whether every stereocentre has the hand that its component's definition states."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from structdiff.chemistry.components import Component, component
from structdiff.chemistry.ideal_geometry import reference_geometry
from structdiff.evaluation.component_geometry import placed_components
from structdiff.evaluation.internal_coordinates import signed_volume
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
    atoms, right, unknown = [np.zeros(0, np.int64)], [np.zeros(0, bool)], [np.zeros(0, np.int64)]
    for name, rows in placed_components(structure):
        definition = component(name, structure.components)
        if _is_flat_drawing(definition):
            unknown.append(structure.atoms.residue[rows.max(1)[(rows >= 0).any(1)]])
        ideal = reference_geometry(definition)
        centres = rows[:, ideal.chiral[ideal.chiral_stereo]]
        there = (centres >= 0).all(-1)
        hand = signed_volume(*(structure.atoms.positions[centres[there][:, k]].astype(np.float64) for k in range(4)))
        wanted = np.broadcast_to(ideal.chiral_volumes[ideal.chiral_stereo], there.shape)[there]
        atoms.append(centres[there][:, 0])
        right.append(hand * np.sign(wanted) > _SMALLEST_SHARE * np.abs(wanted))
    found, order = np.concatenate(atoms), np.argsort(np.concatenate(atoms))
    return Stereocentres(
        atoms=found[order], right=np.concatenate(right)[order], unknown=np.sort(np.concatenate(unknown))
    )


def _is_flat_drawing(definition: Component) -> bool:
    """Whether all atoms lie in a plane, some with four neighbours: what stands in where no conformer was found."""
    degree = np.array([len(near) for near in definition.neighbours()])
    solid = (degree >= 3) & (degree + definition.hydrogens == 4) & (definition.elements == 6)
    return bool(solid.any()) and float(np.ptp(definition.ideal_positions, axis=0).min()) < 1e-3

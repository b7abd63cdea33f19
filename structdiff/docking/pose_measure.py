"""What GNINA's networks say of the ligands of any structure, for ``structdiff evaluate``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import torch

from structdiff.docking.gnina_atoms import GninaAtoms
from structdiff.docking.pose_scorer import gnina_networks, scored_poses
from structdiff.evaluation.measures import Measure
from structdiff.evaluation.subject import Subject
from structdiff.evaluation.vinardo import SMALLEST, free_molecules
from structdiff.structure.tables import ChainKind, Structure


def gnina_measure() -> Measure:
    """Whether free ligands of five heavy atoms or more lie as in life, and how tightly, in the mean over them.

    Each beside all else but water. A structure without any has no values. Raises InputError where the weights were not
    fetched.
    """
    gnina_networks()  # says how to fetch them

    def measure(subject: Subject) -> Mapping[str, float]:
        structure = subject.structure
        atoms, positions = GninaAtoms.of(structure), structure.atoms.positions
        found = []
        for own, around in _ligands(structure):
            scores = scored_poses(atoms, positions, around, own, torch.from_numpy(positions[own])[None])
            found.append((float(scores.probability[0]), float(scores.affinity[0])))
        names = ("gnina_pose_probability", "gnina_affinity_pk")
        return dict(zip(names, np.mean(found, 0).tolist(), strict=True)) if found else {}

    return measure


def _ligands(structure: Structure) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Rows of the atoms of each ligand that were seen, and of which atoms it lies at."""
    seen = structure.atoms.resolved
    dry = seen & (structure.chains.kind[structure.atom_chain] != ChainKind.WATER)
    for rows in free_molecules(structure):
        around = dry.copy()
        around[rows] = False
        own = rows[seen[rows]]
        if len(own) >= SMALLEST and around.any():
            yield own, around

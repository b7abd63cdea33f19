"""What GNINA's networks say of the ligands of any structure, for ``structdiff evaluate``."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from scipy.spatial import KDTree

from structdiff.docking.gnina_atoms import GninaAtoms
from structdiff.docking.pose_scorer import GNINA, gnina_networks, scored_poses
from structdiff.evaluation.measures import Measure
from structdiff.evaluation.subject import Subject
from structdiff.evaluation.vinardo import judged_ligands

#: Probability that a pose is right, and pK of the affinity.
GNINA_NAMES = ("gnina_pose_probability", "gnina_affinity_pk")

_APART = 8.0  # Å from all else: such a ligand is bound to nothing
_UNBOUND = (0.0, 0.0)


def gnina_measure() -> Measure:
    """Whether free ligands of five heavy atoms or more lie as in life, and how tightly, in the mean over them.

    Each beside all else but water; one that is more than 8 Å from all that counts as 0 in both. A structure without
    any has no values. Raises InputError where the weights were not fetched.
    """
    gnina_networks()  # says how to fetch them

    def measure(subject: Subject) -> Mapping[str, float]:
        structure = subject.structure
        atoms, positions = GninaAtoms.of(structure), structure.atoms.positions
        found = []
        for _, own, around in judged_ligands(structure):
            if KDTree(positions[around]).query(positions[own])[0].min() > _APART:
                found.append(_UNBOUND)  # the networks have seen no such thing, and may be sure of it
                subject.notes.append(
                    f"{subject.name} has a ligand more than {_APART:g} Å from all else, which counts as 0 for {GNINA}"
                )
                continue
            scores = scored_poses(atoms, positions, around, own, torch.from_numpy(positions[own])[None])
            found.append((float(scores.probability[0]), float(scores.affinity[0])))
        return dict(zip(GNINA_NAMES, np.mean(found, 0).tolist(), strict=True)) if found else {}

    return measure

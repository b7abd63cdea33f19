"""Values of a model beside its true structure, under the names of the catalogue."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from structdiff.evaluation.chain_matching import as_reference
from structdiff.evaluation.comparison import compare, pair_atoms
from structdiff.evaluation.dockq import dockq
from structdiff.evaluation.ligand_pose import ligand_poses
from structdiff.evaluation.posebusters import checks_passed
from structdiff.evaluation.subject import Subject
from structdiff.structure.files import read_structure
from structdiff.structure.tables import Structure

_OF_COMPARISON = ("lddt", "lddt_ca", "lddt_interface", "tm", "gdt_ts", "gdt_ha", "rmsd_ca", "coverage")


def accuracy_values(subject: Subject) -> dict[str, float]:
    """How like the reference it is; nothing where there is none."""
    path = subject.given.reference_of(subject.name)
    return {} if path is None else accuracy(subject.structure, _reference(path))


def accuracy(model: Structure, reference: Structure) -> dict[str, float]:
    """All measures of likeness of a model to a true structure, chains and symmetric atoms matched so as to agree best.

    Raises InputError where no chain, or fewer than three residues, can be paired.
    """
    model = as_reference(model, reference)
    compared = compare(model, reference)
    values = {name: float(getattr(compared, name)) for name in _OF_COMPARISON}
    paired = pair_atoms(model, reference)
    interfaces = dockq(paired)
    if interfaces:
        values |= {
            "dockq": _mean([each.score for each in interfaces]),
            "fnat": _mean([each.fnat for each in interfaces]),
            "interface_rmsd": _mean([each.interface_rmsd for each in interfaces]),
            "partner_rmsd": _mean([each.partner_rmsd for each in interfaces]),
        }
    poses = ligand_poses(model, reference, paired.positions, paired.reference, paired.name)
    if poses:
        values |= {
            "ligand_rmsd": _mean([pose.rmsd for pose in poses]),
            "lddt_pli": _mean([pose.lddt_pli for pose in poses]),
        }
        values["posebusters"] = checks_passed(model)
    return values


@functools.lru_cache(maxsize=2)
def _reference(path: Path) -> Structure:
    return read_structure(path)


def _mean(values: Sequence[float]) -> float:
    known = [value for value in values if np.isfinite(value)]
    return float(np.mean(known)) if known else float("nan")

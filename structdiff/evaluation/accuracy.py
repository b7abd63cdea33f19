"""Values of a model beside its true structure, under the names of the catalogue."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from structdiff.arguments import checked_names
from structdiff.evaluation.chain_matching import as_reference
from structdiff.evaluation.comparison import check_structures, compare, pair_atoms
from structdiff.evaluation.dockq import dockq
from structdiff.evaluation.ligand_pose import LigandPose, ligand_poses
from structdiff.evaluation.posebusters import checks_passed
from structdiff.evaluation.subject import Subject
from structdiff.structure.files import read_structure
from structdiff.structure.tables import Structure

_OF_COMPARISON = ("lddt", "lddt_ca", "lddt_interface", "tm", "gdt_ts", "gdt_ha", "rmsd_ca", "coverage")


def accuracy_values(subject: Subject) -> dict[str, float]:
    """How like the reference it is; nothing where there is none.

    What there is to say of its ligands goes to the subject's notes, and each of them to its ligands.
    """
    path = subject.given.reference_of(subject.name)
    if path is None:
        return {}
    reference = _reference(path)
    values, poses = _compared(subject.structure, reference)
    models = reference.metadata.get("models", 1)
    if models != 1:
        subject.notes.append(f"{path} holds {models} models; the first is the reference")
    averaged = averaged_poses(poses)
    subject.ligands.extend((pose, pose in averaged) for pose in poses)
    subject.notes.extend(f"{subject.path}: {note}" for note in _notes(averaged))
    return values


@checked_names
def accuracy(model: Structure, reference: Structure) -> dict[str, float]:
    """All measures of likeness of a model to a true structure, chains and symmetric atoms matched so as to agree best.

    Under their names in ``structdiff explain``: lddt, tm, gdt_ts, rmsd_ca (Å), coverage; dockq of interfaces,
    ligand_rmsd (Å) of ligands, where there are any. Chains are matched by sequence; chains of other sequences are
    compared by ``structdiff.evaluation.structural_alignment.align_chains``.
    Raises InputError where no chain, or fewer than three residues, can be paired.
    """
    check_structures(model=model, reference=reference)
    return _compared(model, reference)[0]


def averaged_poses(poses: Sequence[LigandPose]) -> list[LigandPose]:
    """The ligands that means are taken over: not what a crystal was grown in, unless it has no others and the model
    has it too.
    """
    ligands = [pose for pose in poses if not pose.is_additive]
    return ligands or [pose for pose in poses if pose.atoms_found]


def _compared(model: Structure, reference: Structure) -> tuple[dict[str, float], list[LigandPose]]:
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
    values |= _ligand_values(averaged_poses(poses))
    if poses:
        values["posebusters"] = checks_passed(model)
    return values, poses


def _ligand_values(poses: Sequence[LigandPose]) -> dict[str, float]:
    if not poses:
        return {}
    return {
        "ligands_found": _mean([float(pose.atoms_found > 0) for pose in poses]),
        "ligand_rmsd": _mean([pose.rmsd for pose in poses]),
        "lddt_pli": _mean([pose.lddt_pli for pose in poses]),
    }


def _notes(poses: Sequence[LigandPose]) -> Iterator[str]:
    """What the model lacks of the ligands, which their RMSD does not tell."""
    missing = [pose.label for pose in poses if not pose.atoms_found]
    if missing:
        rest = "it has no ligand RMSD" if len(missing) == len(poses) else "the ligand RMSD is that of the others"
        yield f"it lacks {len(missing)} of the reference's {len(poses)} ligands ({', '.join(missing)}): {rest}"
    for pose in poses:
        lost = pose.atoms - pose.atoms_found
        if 0 < lost < pose.atoms:
            yield f"ligand {pose.label} lacks {lost} of {pose.atoms} atoms, which its RMSD leaves out"


@functools.lru_cache(maxsize=2)
def _reference(path: Path) -> Structure:
    return read_structure(path)


def _mean(values: Sequence[float]) -> float:
    known = [value for value in values if np.isfinite(value)]
    return float(np.mean(known)) if known else float("nan")

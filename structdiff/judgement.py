"""A finished design judged by what was asked of its job, before it has a sequence and after."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import torch

from structdiff.constraints.energy_terms import build_term, kept_clash_term
from structdiff.constraints.placed_atoms import PlacedAtoms
from structdiff.errors import StructdiffError
from structdiff.jobs import Job
from structdiff.likeness import MOTIF_PLACE, MOTIF_TOLERANCE, made_up_fold_verdicts, motif_verdict, start_verdict
from structdiff.output.prediction import Verdict
from structdiff.output.symmetric import symmetry_verdicts
from structdiff.spec.energies import Clash
from structdiff.structure.keys import atom_keys, residue_keys
from structdiff.structure.tables import Structure
from structdiff.verdicts import CROP, crop_verdict, design_verdicts, is_of_fold, plan_verdict, proximity_verdict


def unit_verdicts(job: Job, structure: Structure, built: Structure | None = None) -> list[Verdict]:
    """Verdicts on one finished design, of a symmetric one on its first copy, the motif's first.

    structure: the job's molecules, with what was placed. built: the same with all its side chains, where it has them.
    """
    assert job.spec is not None
    assert job.layout is not None
    found = [motif_verdict(structure, job.structure, job.held)] if (job.held > 0).any() else []
    user = job.user or job.spec
    group = None if job.symmetry is None else job.symmetry.operators
    # Blocks are those of one copy; what touches a target may be any.
    near = [
        proximity_verdict(asked, structure, None if is_of_fold(asked.name) else group)
        for asked in job.proximities
        if asked.told
    ]
    found += [
        plan_verdict(each) if user.secondary_structure is None and is_of_fold(each.name) else each for each in near
    ]
    found += made_up_fold_verdicts(job.folds, structure)
    found += [] if job.start is None or job.noise is None else [start_verdict(structure, *started(job))]
    terms = () if job.asked is None else job.asked.terms
    # Interfaces and clashes are judged with all of the target, energies on what was drawn.
    placed = torch.from_numpy(structure.atoms.positions[structure.atoms.resolved].astype(np.float64))
    layout, whole = (job.layout, structure) if job.whole is None else (job.whole.layout, job.whole.completed(structure))
    return found + design_verdicts(
        job.spec, layout, whole, user=user, terms=terms, placed=placed, motif=job.motif, built=built
    )


def assembly_verdicts(job: Job, whole: Structure, unit: Structure, found: Sequence[Verdict]) -> tuple[Verdict, ...]:
    """Verdicts on all copies of a symmetric design beside those on its first copy, which were found."""
    assert job.symmetry is not None
    placed = [_place_verdict(job, unit)] if job.symmetry.motif_placed else []
    return (*symmetry_verdicts(whole, job.symmetry.operators), *found, *placed)


def finished_verdicts(job: Job, finished: Structure) -> tuple[Verdict, ...]:
    """Verdicts on a design as it is in its file, with its sequence and in the end another place for some atoms.

    finished: all of it, all copies and the whole of a target that was cropped. Raises StructdiffError where atoms that
    the job places are not in it.
    """
    unit, built = unit_of(job, finished), _first_copy(job, finished)
    found = [_with_side_chains(job, built, verdict) for verdict in unit_verdicts(job, unit, built)]
    return tuple(found) if job.symmetry is None else assembly_verdicts(job, finished, unit, found)


def _first_copy(job: Job, finished: Structure) -> Structure:
    """A symmetric design's first copy, of others all of it, with the side chains that were built."""
    copies = 1 if job.symmetry is None else len(job.symmetry.operators)
    return finished.select(finished.atoms.resolved & (finished.atom_chain < len(finished.chains) // copies))


def _with_side_chains(job: Job, built: Structure, verdict: Verdict) -> Verdict:
    """A verdict on clashes, with the side chains of the finished design, which the job does not place."""
    assert job.spec is not None
    if verdict.name == CROP and job.whole is not None and job.motif is not None:
        return crop_verdict(job.spec, job.whole.layout, built, job.motif)
    if job.asked is None or "clash" not in verdict.name:
        return verdict
    new = dict(zip(residue_keys(job.asked.placed.structure), job.asked.placed.new.tolist(), strict=True))
    there = np.array([key in new for key in residue_keys(built)])
    drawn = built.select(there[built.atoms.residue])
    placed = PlacedAtoms(
        structure=drawn,
        new=np.array([new[key] for key in residue_keys(drawn)]),
        held=np.zeros(len(drawn.atoms), np.int64),
    )
    for term in (*(build_term(each, placed) for each in job.spec.energies if isinstance(each, Clash)),
                 kept_clash_term(placed)):  # fmt: skip
        if (term.name, term.asked) == (verdict.name, verdict.asked) and term.reached is not None:
            reached = term.reached(torch.from_numpy(drawn.atoms.positions.astype(np.float64)))
            return dataclasses.replace(verdict, reached=reached.text, met=reached.met)
    return verdict


def unit_of(job: Job, finished: Structure) -> Structure:
    """The atoms that the job places as they are in a finished design; raises as `finished_verdicts` does."""
    place = {key: row for row, key in enumerate(atom_keys(finished)) if finished.atoms.resolved[row]}
    rows = np.array([place.get(key, -1) for key in atom_keys(job.structure)])
    seen = job.visible
    if (rows[seen] < 0).any():
        raise StructdiffError("the design lacks atoms that were drawn")
    positions = np.where(seen[:, None], finished.atoms.positions[rows], job.structure.atoms.positions)
    return job.structure.with_positions(positions.astype(np.float32), resolved=seen)


def _place_verdict(job: Job, structure: Structure) -> Verdict:
    """How far a placed motif is from where its file has it in the frame of the group."""
    rows = job.held > 0
    apart = structure.atoms.positions[rows] - job.structure.atoms.positions[rows]
    away = float(np.sqrt(np.mean(np.square(apart).sum(-1))))
    return Verdict(
        name=MOTIF_PLACE,
        asked=f"within {MOTIF_TOLERANCE} Å RMSD of its place at the axes",
        reached=f"{away:.2f} Å RMSD",
        met=away <= MOTIF_TOLERANCE,
    )


def started(job: Job) -> tuple[np.ndarray, np.ndarray]:
    """Where each atom (atom, 3) of the structure began in Å, and which backbone atoms of new residues began there."""
    assert job.start is not None
    assert job.layout is not None
    given = np.zeros((len(job.structure.atoms), 3))
    rows, slots = np.nonzero(job.tokens.atoms >= 0)
    given[job.tokens.atoms[rows, slots]] = job.start.numpy()[rows, slots]
    begun = np.array([residue.instead_of is not None for residue in job.layout.residues])
    backbone = np.isin(job.structure.atoms.name, ("N", "CA", "C"))
    return given, begun[job.structure.atoms.residue] & backbone

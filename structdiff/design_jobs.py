"""Jobs of designs: a request with its motif, the layout that is drawn of it, and all of its draws."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch

from structdiff.constraints.fold_hold import FoldHold
from structdiff.constraints.of_design import DesignConstraints
from structdiff.constraints.placed_atoms import PlacedAtoms
from structdiff.device import free_memory
from structdiff.drawing import OnProgress, Wanted, while_made_up
from structdiff.errors import InputError
from structdiff.features.build import build_features
from structdiff.features.chain_folds import ChainFold
from structdiff.features.hallucinated_folds import (
    check_hallucination,
    check_hallucination_memory,
    hallucinated_folds,
    hallucinates,
    held_folds,
    told_folds,
)
from structdiff.features.motif_anchors import motif_anchors
from structdiff.features.problem import completed
from structdiff.features.requests import design_condition, design_proximities
from structdiff.features.start import start_positions
from structdiff.features.symmetric_motif import in_frame, of_one_copy
from structdiff.features.tokens import tokenise
from structdiff.jobs import CheckSize, Job, num_seen_tokens
from structdiff.model.abilities import PLAIN, Abilities
from structdiff.output.whole_target import WholeTarget
from structdiff.spec.design import DesignSpec, design_to_dict
from structdiff.spec.fold import AUTO
from structdiff.spec.fold_plans import with_fold_plan
from structdiff.spec.input_files import file_sha256
from structdiff.spec.layout import Layout
from structdiff.structure.files import read_structure
from structdiff.structure.held_parts import partly_held, retyped
from structdiff.structure.motif_residues import left_out_atoms
from structdiff.structure.scaffold import build_scaffold
from structdiff.structure.tables import Structure


def job_of(spec: DesignSpec, number: int, check_size: CheckSize | None = None, *, abilities: Abilities = PLAIN) -> Job:
    """The job of one design, before anything is drawn; raises InputError for what cannot be designed.

    check_size: asked for the number of tokens before tables of pairs are made. abilities: of the network that will draw
    it. Folds that are to be hallucinated are not, since that takes a while.
    """
    spec, motif = resolve_design(spec)
    return _job(spec, motif, number, 0, check_size, abilities)


def layout_of(spec: DesignSpec, number: int) -> tuple[DesignSpec, Layout, Structure | None]:
    """The request with what its motif tells, the layout of one design, and the motif; raises InputError."""
    spec, motif = resolve_design(spec)
    return spec, sampled_layout(spec, number), motif


def sampled_layout(spec: DesignSpec, number: int) -> Layout:
    """The layout of one design of a resolved request: lengths depend on the seed and the design's number alone."""
    return spec.sample_layout(np.random.default_rng([spec.seed, number]))


def resolve_design(spec: DesignSpec) -> tuple[DesignSpec, Structure | None]:
    """The request with every stretch looked up in the motif file, and the motif."""
    if spec.motif is None:
        return completed(spec, None), None
    motif = read_structure(spec.motif)
    try:
        asked, spec = spec.ligands, completed(spec, motif)
        if spec.symmetry is not None and spec.symmetry.motif_copies:
            motif = in_frame(motif, spec)
        if spec.symmetry is not None and spec.symmetry.motif_placed:
            spec = of_one_copy(spec, asked, motif)
        return spec, motif
    except InputError as error:
        raise error if error.path is not None else InputError(str(error), path=spec.motif) from None


def _job(
    spec: DesignSpec,
    motif: Structure | None,
    number: int,
    draw: int,
    check_size: CheckSize | None,
    abilities: Abilities,
    folds: Sequence[ChainFold] = (),
) -> Job:
    """The job of one draw of a design: what was asked, and the fold plan that was drawn for it where there is one.

    folds: those that were hallucinated for it. Networks that fold by themselves have a plan drawn where one is named.
    """
    layout = sampled_layout(spec, number)
    if hallucinates(spec):
        check_hallucination(spec, layout, motif)
        check_hallucination_memory(layout, float(free_memory(torch.device("cpu"))))
    planned = spec
    if spec.fold_plan != AUTO or not abilities.folds:
        anchors = {} if motif is None else motif_anchors(spec, layout, motif)
        stream = [spec.seed, number, 1] + ([draw] if draw else [])
        planned = with_fold_plan(spec, layout, np.random.default_rng(stream), anchors)
    job = design_job(planned, layout, motif, number, check_size, folds, abilities=abilities)
    return dataclasses.replace(job, request=design_request(spec), user=spec)


def wanted_designs(
    spec: DesignSpec, motif: Structure | None, numbers: Sequence[int], check_size: CheckSize,
    on_progress: OnProgress | None, done: int = 0, *, abilities: Abilities = PLAIN,
) -> Iterator[Wanted]:  # fmt: skip
    """All draws of the designs of these numbers, each when it is asked for; those of one share what is made up.

    done: how many of them are passed over. abilities: of the network that will draw them.
    """
    for place, number in enumerate(numbers[done:], start=done):
        folds: tuple[ChainFold, ...] = ()
        if hallucinates(spec):
            _job(spec, motif, number, 0, check_size, abilities)  # whatever is refused is refused before
            report = while_made_up(on_progress, place * spec.draws, len(numbers) * spec.draws)
            folds = hallucinated_folds(spec, sampled_layout(spec, number), motif, [spec.seed, number], report)
        for draw in range(spec.draws):
            job = _job(spec, motif, number, draw, check_size, abilities, folds)
            yield Wanted(job=job, seed=spec.seed, index=number, draw=draw)


def design_job(
    spec: DesignSpec,
    layout: Layout,
    motif: Structure | None,
    index: int,
    check_size: CheckSize | None = None,
    folds: Sequence[ChainFold] = (),
    *,
    abilities: Abilities = PLAIN,
) -> Job:
    """The job of one design; raises InputError where the motif cannot be held.

    check_size: as for a complex. folds: of chains whose fold is made up. abilities: of the network that will draw it.
    """
    name = f"{spec.name}_{index:04d}"
    scaffold = build_scaffold(
        layout, motif, cyclic=spec.cyclic, disulfides=spec.disulfides, held=partly_held(spec),
        retyped=retyped(spec, layout), name=name,
    )  # fmt: skip
    structure, tokens = scaffold.structure, tokenise(scaffold.structure)
    if check_size is not None:
        check_size(num_seen_tokens(tokens, spec.symmetry))
    known, condition = told_folds(folds, structure, tokens, design_condition(spec, layout, scaffold, tokens))
    features = build_features(known, condition, tokens=tokens, conformers=abilities.conformers)
    held = np.where(structure.atoms.resolved, scaffold.residue_group[structure.atoms.residue], 0)
    job = Job(
        name=name,
        structure=structure,
        tokens=tokens,
        features=features,
        proximities=tuple(design_proximities(spec, layout, structure, tokens)),
        held=held,
        request=design_request(spec),
        layout=layout,
        symmetry=spec.symmetry,
        spec=spec,
        motif=motif,
        folds=tuple(folds),
        whole=WholeTarget.of(spec, layout, motif),
        start=None if spec.noise is None or motif is None else start_positions(layout, structure, tokens, motif),
        abilities=abilities,
    )
    visible = job.visible
    new = np.array([residue.origin is None for residue in layout.residues])
    placed = PlacedAtoms(structure=structure.select(visible), new=new, held=held[visible])
    asked = DesignConstraints.of(
        spec, layout, placed, left_out_atoms(spec, motif), job.asked_of(avoid=False), job.asked_of(avoid=True)
    )
    if abilities.poses:  # such a network lays new chains beside known ones by itself
        asked = dataclasses.replace(asked, clearance=None)
    hold = [FoldHold(*held_folds(folds, structure, visible))] if folds else []
    return dataclasses.replace(job, held=np.where(visible, held, 0), asked=asked, clearance=tuple(hold))


def design_request(spec: DesignSpec) -> dict[str, Any]:
    """The request of a design for its provenance: without how many, with the motif's contents as a checksum."""
    request = design_to_dict(dataclasses.replace(spec, num_designs=1))
    if spec.motif is not None:
        request["motif_sha256"] = file_sha256(spec.motif)
    files = [file for energy in spec.energies if (file := getattr(energy, "file", None))]
    if files:
        request["energies_sha256"] = {file: file_sha256(file) for file in files}
    return request

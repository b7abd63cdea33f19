"""Draws made into finished structures: relaxed, with a sequence, confidence and verdicts."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from structdiff.confidence import scores
from structdiff.confidence.clash import structure_has_clash
from structdiff.confidence.of_alignment import folds_of_copies, judged_by_alignments
from structdiff.confidence.of_docking import judged_by_docking
from structdiff.confidence.of_template import judged_by_templates
from structdiff.confidence.result import Confidence, compute_confidence
from structdiff.configuration import to_dict
from structdiff.constraints.of_design import DesignConstraints
from structdiff.constraints.relaxation import relax
from structdiff.constraints.sequenced import relaxed_unit
from structdiff.constraints.symmetry_contacts import Images, clearing_shift
from structdiff.design_letters import sequence_probabilities, with_made_up_letters, with_sequence, with_torsions
from structdiff.diffusion.sampler import sample_generator
from structdiff.docking.complex_docking import UNDOCKED, Docked
from structdiff.docking.pose_scorer import GNINA
from structdiff.evaluation.vinardo import ligand_scores
from structdiff.features.copies import side_by_side
from structdiff.features.hallucinated_folds import makers_sha256
from structdiff.features.schema import Features
from structdiff.features.token_frames import valid_frames
from structdiff.features.tokens import TokenTable, stand_for_residues, tokenise
from structdiff.geometry.superposition import superposition
from structdiff.jobs import Job
from structdiff.judgement import assembly_verdicts, started, unit_verdicts
from structdiff.kernels import native
from structdiff.likeness import fold_verdicts, template_verdicts
from structdiff.model.checkpoint import Weights
from structdiff.model.heads import ConfidenceLogits
from structdiff.options import RunOptions, docks, judges_poses, recycles_of, sampling_of
from structdiff.output.prediction import Design, Prediction, Provenance, Verdict
from structdiff.output.symmetric import finished_assembly, whole_map, whole_trajectory
from structdiff.soundness import (
    backbone_verdicts,
    base_pair_verdicts,
    bond_verdicts,
    double_bond_verdicts,
    handedness_verdicts,
)
from structdiff.structure.assembly import symmetric_assembly
from structdiff.structure.tables import ChainKind, Structure
from structdiff.verdicts import proximity_verdict
from structdiff.version import __version__

if TYPE_CHECKING:
    from structdiff.diffusion.trajectory import Trajectory
    from structdiff.engine import Draw, Engine

#: Random numbers of sequences are those of samples no run reaches, so that they have nothing to do with positions.
_SEQUENCE_STREAM = 1_000_000_000


def finished_prediction(
    job: Job,
    draw: Draw,
    engine: Engine,
    options: RunOptions,
    *,
    seed: int,
    index: int,
    trajectory: Trajectory | None = None,
    docked: Docked = UNDOCKED,
) -> Prediction:
    """A draw that is finished (structdiff.finishing) as a structure, with confidence and verdicts on what was asked.

    docked: what was docked in it.
    """
    positions, placed = _placed(job, draw)
    structure = job.structure.with_positions(positions, resolved=placed)
    logits = judged_by_alignments(draw.confidence, job.folds, structure, job.tokens)
    if not job.abilities.poses:  # such a network has seen templates, and knows when to doubt one
        logits = judged_by_templates(logits, job.templates, job.folds, structure, job.tokens)
    logits = judged_by_docking(logits, docked, job.tokens)
    return Prediction(
        structure=structure,
        confidence=confidence_of(logits, job.features, job.tokens, structure),
        provenance=provenance_of(
            job.request, engine.weights, options, seed=seed, index=index, device=engine.device.type, prediction=True
        ),
        verdicts=(
            *(proximity_verdict(asked, structure) for asked in job.proximities),
            *(() if job.templates is None else template_verdicts(job.templates, structure)),
            *fold_verdicts(job.folds, structure),
            *bond_verdicts(job.bonds, structure),
            *(() if job.base_pairs is None else base_pair_verdicts(job.base_pairs, structure)),
            *backbone_verdicts(structure),
            *handedness_verdicts(structure),
            *double_bond_verdicts(structure),
        ),
        ligand_scores=tuple(ligand_scores(structure)),
        docked=docked,
        trajectory=trajectory,
    )


def finished_design(
    job: Job,
    draw: Draw,
    engine: Engine,
    options: RunOptions,
    *,
    seed: int,
    index: int,
    number: int = 0,
    trajectory: Trajectory | None = None,
) -> Design:
    """A draw (that of this number) as a design in the motif's own frame: sequence, confidence, verdicts, map."""
    assert job.layout is not None
    positions, placed = _placed(job, draw)
    held = job.held > 0
    if job.symmetry is not None and not job.symmetry.motif_placed:
        backbone = placed & np.isin(job.structure.atoms.name, ("N", "CA", "C", "O"))
        shift = clearing_shift(positions[backbone].astype(np.float64), job.symmetry.operators)
        positions = np.where(placed[:, None], positions + shift, positions).astype(np.float32)
    asked = job.kept_at(positions)
    if options.relax:
        images = None if job.symmetry is None else Images.of(job.symmetry.operators)
        positions = _relaxed(job.structure, positions, held=held, only=placed, images=images, asked=asked)
    positions = _in_motif_frame(job, positions) if job.symmetry is None else positions
    structure = job.structure.with_positions(positions, resolved=placed)
    logits = with_made_up_letters(job, with_torsions(job, structure, draw.restype_logits))
    named = with_sequence(job, structure, logits, sample_generator(seed, index + _SEQUENCE_STREAM, number))
    verdicts = unit_verdicts(job, structure)
    if options.relax:
        structure, named, verdicts = _relaxed_with_sequence(job, asked, structure, named, verdicts)
    own = judged_by_alignments(_of_first(draw.confidence, len(job.tokens)), job.folds, structure, job.tokens)
    design = Design(
        structure=named,
        confidence=confidence_of(own, job.features, job.tokens, structure),
        provenance=provenance_of(
            job.request,
            engine.weights,
            options,
            seed=seed,
            index=index,
            device=engine.device.type,
            made_up=bool(job.folds),
        ),
        verdicts=tuple(verdicts),
        trajectory=trajectory,
        residue_map=job.layout.residue_map(),
        sequence_probabilities=sequence_probabilities(job, logits),
    )
    if job.symmetry is not None:
        return _assembled(design, job, structure, draw)
    if job.whole is None:
        return design
    return dataclasses.replace(
        design, structure=job.whole.completed(named := design.structure), part=named, drawn=named,
        residue_map=job.whole.residue_map(),
    )  # fmt: skip


def _assembled(design: Design, job: Job, unit: Structure, draw: Draw) -> Design:
    """The assembly of all copies of a finished design; unit: its structure before its sequence was read off."""
    assert job.symmetry is not None
    group, whole = job.symmetry.operators, job.whole
    one = design.structure if whole is None else whole.completed(design.structure)
    residue_map = design.residue_map if whole is None else whole.residue_map()
    assembly = finished_assembly(one, group, draw.relatives, drawn=design.structure)
    seen = finished_assembly(unit, group, draw.relatives).part
    features, tokens = side_by_side(job.features, 1 + len(draw.relatives)), tokenise(seen)
    logits = judged_by_alignments(draw.confidence, folds_of_copies(job.folds, unit, seen), seen, tokens)
    probabilities = design.sequence_probabilities
    return dataclasses.replace(
        design,
        structure=assembly.structure,
        part=assembly.part,
        drawn=None if whole is None else symmetric_assembly(design.structure, group),
        confidence=confidence_of(logits, features, tokens, seen),
        verdicts=assembly_verdicts(job, assembly.structure, unit, design.verdicts),
        trajectory=None if design.trajectory is None else whole_trajectory(design.trajectory, group),
        residue_map=whole_map(residue_map, assembly, group),
        sequence_probabilities=None if probabilities is None else np.tile(probabilities, (1 + len(draw.relatives), 1)),
    )


def confidence_of(
    logits: scores.ConfidenceLogits, features: Features, tokens: TokenTable, structure: Structure
) -> Confidence:
    """Scores of one structure from the network's logits."""
    mask = features.atom.mask.unflatten(0, tokens.atoms.shape)
    by_slot = torch.from_numpy(structure.atoms.positions[tokens.atoms])
    asym_id = features.token.asym_id
    present = torch.unique(asym_id[features.token.mask]).tolist()
    return compute_confidence(
        logits,
        asym_id=asym_id,
        mask=features.token.mask,
        frames=valid_frames(by_slot, features.token.frame.clamp(max=mask.shape[1] - 1), mask),
        residues=stand_for_residues(tokens, structure),
        nucleic=np.isin(structure.chains.kind[tokens.chain], (ChainKind.DNA, ChainKind.RNA)),
        chain_names=[str(structure.chains.name[row]) for row in present],
        has_clash=structure_has_clash(structure),
    )


def _placed(job: Job, draw: Draw) -> tuple[np.ndarray, np.ndarray]:
    """Positions (atom, 3) of the structure's atoms, and which of them the network placed."""
    visible = job.features.atom.mask.unflatten(0, job.tokens.atoms.shape).numpy()
    positions = np.zeros((len(job.structure.atoms), 3), np.float32)
    placed = np.zeros(len(job.structure.atoms), bool)
    rows = job.tokens.atoms[visible]
    positions[rows] = draw.positions.numpy()[visible]
    placed[rows] = True
    return positions, placed


def _relaxed(
    structure: Structure,
    positions: np.ndarray,
    *,
    held: np.ndarray,
    only: np.ndarray,
    images: Images | None,
    asked: DesignConstraints | None,
) -> np.ndarray:
    """Positions of a design after a restrained minimisation; held atoms stay, those not placed take no part."""
    part, drawn = structure.select(only), positions[only]
    # What was designed says itself how it is relaxed; what was predicted stays nearer to what the network drew.
    how = {} if asked is None else {"stereochemistry": asked.chemistry(drawn), "settings": asked.relaxation}
    fixed = torch.from_numpy(held[only])
    done = relax(part, torch.from_numpy(drawn)[None], held=fixed, images=images, **how)
    positions = positions.copy()
    positions[only] = done.positions[0].numpy()
    return positions


def _relaxed_with_sequence(
    job: Job, asked: DesignConstraints | None, structure: Structure, named: Structure, verdicts: Sequence[Verdict]
) -> tuple[Structure, Structure, Sequence[Verdict]]:
    """A design relaxed as what its letters are, and its verdicts; as it was where it would lose what was asked."""
    if asked is None:
        return structure, named, verdicts
    images = None if job.symmetry is None else Images.of(job.symmetry.operators)
    relaxed = relaxed_unit(named, asked, images)
    positions = structure.atoms.positions.copy()
    positions[job.visible] = relaxed.atoms.positions
    moved = structure.with_positions(positions, resolved=structure.atoms.resolved)
    found = unit_verdicts(job, moved)
    lost = any(old.requested and old.met and not new.met for old, new in zip(verdicts, found, strict=True))
    return (structure, named, verdicts) if lost else (moved, relaxed, found)


def _in_motif_frame(job: Job, positions: np.ndarray) -> np.ndarray:
    """The design moved so that its motif (the first group), or what it began as, lies where it was given."""
    held = job.held == 1 if (job.held == 1).any() else job.held > 0
    given = job.structure.atoms.positions
    if not held.any():
        if job.start is None:
            return positions - positions[job.visible].mean(0)
        given, held = started(job)
    mobile, target = (torch.from_numpy(np.asarray(x, np.float64)) for x in (positions, given))
    moved = superposition(mobile, target, mask=torch.from_numpy(held)).apply(mobile)
    return moved.numpy().astype(np.float32)


def _of_first(confidence: ConfidenceLogits, count: int) -> ConfidenceLogits:
    """The logits of the first tokens: of an assembly, those of its first copy."""
    return ConfidenceLogits(
        plddt=confidence.plddt[:count], pae=confidence.pae[:count, :count], pde=confidence.pde[:count, :count]
    )


def provenance_of(
    request: Mapping[str, Any], weights: Weights, options: RunOptions, *, seed: int, index: int, device: str,
    prediction: bool = False, made_up: bool = False,
) -> Provenance:  # fmt: skip
    """Where a structure comes from; known before it is drawn. prediction: it is one. made_up: its fold is.

    Raises InputError where the weights that make folds up are not here.
    """
    sampling = sampling_of(options, weights)
    settings = to_dict(sampling) | {
        "guidance": options.guidance if isinstance(options.guidance, float | int) else dict(options.guidance),
        "recycles": recycles_of(options, weights),
        "relax": options.relax,
    }
    if options.precision != "float32":
        settings["precision"] = options.precision
    if prediction:
        settings["dock"] = docks(options, weights.network.abilities)
        if settings["dock"] and judges_poses(options):
            settings["pose_scoring"] = GNINA
    return Provenance(
        version=__version__,
        weights=weights.name,
        weights_sha256=weights.sha256,
        seed=seed,
        sample=index,
        sampling=settings,
        spec=request,
        device=device,
        torch=torch.__version__.split("+")[0],
        kernels=native.kind(device),
        fold_weights_sha256=makers_sha256() if made_up else {},
    )

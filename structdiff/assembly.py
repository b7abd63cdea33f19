"""What stands at either end of the network: requests made into jobs, and draws made into finished structures."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from structdiff.chemistry.residues import PROTEIN_ONE_TO_THREE, RESTYPE_INDEX, RESTYPES
from structdiff.confidence.clash import structure_has_clash
from structdiff.confidence.result import Confidence, compute_confidence
from structdiff.configuration import to_dict
from structdiff.constraints.of_design import DesignConstraints
from structdiff.constraints.placed_atoms import PlacedAtoms
from structdiff.constraints.relaxation import relax
from structdiff.constraints.residue_torsions import glycine_and_proline
from structdiff.constraints.symmetry_contacts import Images, clearing_shift
from structdiff.diffusion.constraint_protocol import SamplingConstraint
from structdiff.diffusion.sampler import sample_generator
from structdiff.errors import InputError
from structdiff.features.build import build_features
from structdiff.features.copies import side_by_side
from structdiff.features.requests import (
    Proximity,
    complex_condition,
    complex_proximities,
    design_condition,
    design_proximities,
)
from structdiff.features.schema import Features
from structdiff.features.start import start_positions
from structdiff.features.templates import Templates, read_templates
from structdiff.features.token_frames import valid_frames
from structdiff.features.tokens import TokenTable, tokenise
from structdiff.geometry.superposition import superposition
from structdiff.model.checkpoint import Weights
from structdiff.model.heads import ConfidenceLogits
from structdiff.options import RunOptions, recommended_sampling
from structdiff.output.prediction import AMINO_ACIDS, Design, Prediction, Provenance, Verdict
from structdiff.output.symmetric import finished_assembly, symmetry_verdicts, whole_map, whole_trajectory
from structdiff.output.whole_target import WholeTarget
from structdiff.spec.complex import ComplexSpec
from structdiff.spec.design import DesignSpec, design_to_dict
from structdiff.spec.layout import Layout
from structdiff.spec.rebuilding import Noise
from structdiff.spec.symmetry import Symmetry
from structdiff.spec.yaml import to_dict as complex_to_dict
from structdiff.structure.assembly import symmetric_assembly
from structdiff.structure.complex import build_complex
from structdiff.structure.scaffold import build_scaffold, left_out_atoms, partly_held, retyped
from structdiff.structure.tables import ChainKind, Structure
from structdiff.verdicts import (
    MOTIF_TOLERANCE,
    design_verdicts,
    is_of_fold,
    motif_verdict,
    plan_verdict,
    proximity_verdict,
    start_verdict,
    template_verdicts,
)
from structdiff.version import __version__

if TYPE_CHECKING:
    from structdiff.diffusion.trajectory import Trajectory
    from structdiff.engine import Draw, Engine

_AMINO_ACIDS = torch.tensor([RESTYPE_INDEX[PROTEIN_ONE_TO_THREE[letter]] for letter in AMINO_ACIDS])
#: Random numbers of sequences are those of samples no run reaches, so that they have nothing to do with positions.
_SEQUENCE_STREAM = 1_000_000_000

ContactRows = tuple[str, Tensor, Tensor, float, bool]


@dataclass(frozen=True, kw_only=True)
class Job:
    """One structure to draw: its molecules, what the network sees of them, and what is to be checked in the end.

    held: motif group of each atom of the structure, 0 where it is free. templates: those of a prediction. symmetry: the
    structure is one copy of it. spec: what it is drawn under, a fold plan of our own included; user: what the user
    asked for, without that plan. asked: what a design is drawn under beside that; motif: where it takes its parts from;
    whole: what it is with all of a target that was cropped. start: positions [token, slot, 3] (Å) that partial
    diffusion begins with.
    """

    name: str
    structure: Structure
    tokens: TokenTable
    features: Features
    proximities: tuple[Proximity, ...]
    held: np.ndarray
    request: Mapping[str, Any]
    layout: Layout | None = None
    symmetry: Symmetry | None = None
    spec: DesignSpec | None = None
    user: DesignSpec | None = None
    asked: DesignConstraints | None = None
    motif: Structure | None = None
    templates: Templates | None = None
    whole: WholeTarget | None = None
    start: Tensor | None = None

    @property
    def noise(self) -> Noise | None:
        """How far partial diffusion goes back from the start."""
        return None if self.spec is None else self.spec.noise

    @property
    def contacts(self) -> list[ContactRows]:
        """The proximities with atoms as (token, slot)."""
        place, visible = self._places(), self._visible()
        return [
            (
                asked.name,
                torch.from_numpy(place[asked.first[visible[asked.first]]]),
                torch.from_numpy(place[asked.second[visible[asked.second]]]),
                asked.bound,
                asked.avoid,
            )
            for asked in self.proximities
        ]

    @property
    def constraints(self) -> tuple[list[SamplingConstraint], Tensor]:
        """What the sampler follows beside contacts and motif, and the atoms (token, slot) that this sees."""
        own = [] if self.asked is None else self.asked.sampling()
        return own, torch.from_numpy(self._places()[self._visible()])

    @property
    def seen_tokens(self) -> int:
        """How many tokens the network sees: of a symmetric assembly those of the copies beside one too."""
        return len(self.tokens) * (1 if self.symmetry is None else 1 + self.symmetry.seen)

    def _places(self) -> np.ndarray:
        """Token and slot of each atom of the structure."""
        place = np.full((len(self.structure.atoms), 2), -1, np.int64)
        rows, slots = np.nonzero(self.tokens.atoms >= 0)
        place[self.tokens.atoms[rows, slots]] = np.stack([rows, slots], -1)
        return place

    def _visible(self) -> np.ndarray:
        """Which atoms of the structure the network places: all but the side chains of what is designed."""
        mask = self.features.atom.mask.unflatten(0, self.tokens.atoms.shape).numpy()
        visible = np.zeros(len(self.structure.atoms), bool)
        visible[self.tokens.atoms[mask]] = True
        return visible


def complex_job(spec: ComplexSpec, weights: Weights) -> Job:
    """The job of predicting a complex; raises InputError for what these weights cannot honour."""
    _refuse_unsupported(spec, weights)
    structure = build_complex(spec)
    tokens, templates = tokenise(structure), read_templates(spec, structure)
    condition = templates.told(complex_condition(spec, structure, tokens), tokens)
    known = structure.with_positions(templates.positions, resolved=templates.group > 0)
    return Job(
        name=spec.name,
        structure=structure,
        tokens=tokens,
        features=build_features(known, condition, tokens=tokens),
        templates=templates,
        proximities=tuple(complex_proximities(spec, structure)),
        held=np.zeros(len(structure.atoms), np.int32),
        request=complex_request(spec),
    )


def _refuse_unsupported(spec: ComplexSpec, weights: Weights) -> None:
    for chain in spec.chains:
        if chain.msa not in (None, "empty"):
            raise InputError(
                f"the weights {weights.name!r} were trained on single sequences and take no alignment: remove it, or "
                "write msa: empty", key="msa", found=chain.msa,
            )  # fmt: skip


def design_job(spec: DesignSpec, layout: Layout, motif: Structure | None, index: int) -> Job:
    """The job of one design; raises InputError where the motif cannot be held."""
    name = f"{spec.name}_{index:04d}"
    scaffold = build_scaffold(
        layout, motif, cyclic=spec.cyclic, disulfides=spec.disulfides, held=partly_held(spec),
        retyped=retyped(spec, layout), name=name,
    )  # fmt: skip
    structure, tokens = scaffold.structure, tokenise(scaffold.structure)
    features = build_features(structure, design_condition(spec, layout, scaffold, tokens), tokens=tokens)
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
        whole=WholeTarget.of(spec, layout, motif),
        start=None if spec.noise is None or motif is None else start_positions(layout, structure, tokens, motif),
    )
    visible = job._visible()
    new = np.array([residue.origin is None for residue in layout.residues])
    placed = PlacedAtoms(structure=structure.select(visible), new=new, held=held[visible])
    asked = DesignConstraints.of(spec, layout, placed, left_out_atoms(spec, motif))
    return dataclasses.replace(job, held=np.where(visible, held, 0), asked=asked)


def complex_request(spec: ComplexSpec) -> dict[str, Any]:
    """The request of a prediction for its provenance: of templates with their contents as checksums."""
    files = {each.path: hashlib.sha256(Path(each.path).read_bytes()).hexdigest() for each in spec.templates}
    return complex_to_dict(spec) | ({"templates_sha256": files} if files else {})


def design_request(spec: DesignSpec) -> dict[str, Any]:
    """The request of a design for its provenance: without how many, with the motif's contents as a checksum."""
    request = design_to_dict(dataclasses.replace(spec, num_designs=1))
    if spec.motif is not None:
        request["motif_sha256"] = hashlib.sha256(Path(spec.motif).read_bytes()).hexdigest()
    files = [file for energy in spec.energies if (file := getattr(energy, "file", None))]
    if files:
        request["energies_sha256"] = {file: hashlib.sha256(Path(file).read_bytes()).hexdigest() for file in files}
    return request


def finished_prediction(
    job: Job,
    draw: Draw,
    engine: Engine,
    options: RunOptions,
    *,
    seed: int,
    index: int,
    trajectory: Trajectory | None = None,
) -> Prediction:
    """A draw as a structure with good stereochemistry, its confidence, and verdicts on what was asked."""
    positions, placed = _placed(job, draw)
    if options.relax:
        positions = _relaxed(job.structure, positions, held=None)
    structure = job.structure.with_positions(positions, resolved=placed)
    return Prediction(
        structure=structure,
        confidence=confidence_of(draw.confidence, job.features, job.tokens, structure),
        provenance=provenance_of(
            job.request, engine.weights, options, seed=seed, index=index, device=engine.device.type
        ),
        verdicts=(
            *(proximity_verdict(asked, structure) for asked in job.proximities),
            *(() if job.templates is None else template_verdicts(job.templates, structure)),
        ),
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
    trajectory: Trajectory | None = None,
) -> Design:
    """A draw as a design in the motif's own frame: sequence, confidence, verdicts, residue map."""
    assert job.layout is not None
    positions, placed = _placed(job, draw)
    held = job.held > 0
    if job.symmetry is not None and not job.symmetry.motif_placed:
        backbone = placed & np.isin(job.structure.atoms.name, ("N", "CA", "C", "O"))
        shift = clearing_shift(positions[backbone].astype(np.float64), job.symmetry.operators)
        positions = np.where(placed[:, None], positions + shift, positions).astype(np.float32)
    if options.relax:
        images = None if job.symmetry is None else Images.of(job.symmetry.operators)
        positions = _relaxed(job.structure, positions, held=held, only=placed, images=images, asked=job.asked)
    positions = _in_motif_frame(job, positions) if job.symmetry is None else positions
    structure = job.structure.with_positions(positions, resolved=placed)
    verdicts = _verdicts(job, structure)
    logits = _with_torsions(job, structure, draw.restype_logits)
    named = _with_sequence(job, structure, logits, sample_generator(seed, index + _SEQUENCE_STREAM))
    own = _of_first(draw.confidence, len(job.tokens))
    design = Design(
        structure=named,
        confidence=confidence_of(own, job.features, job.tokens, structure),
        provenance=provenance_of(
            job.request, engine.weights, options, seed=seed, index=index, device=engine.device.type
        ),
        verdicts=tuple(verdicts),
        trajectory=trajectory,
        residue_map=job.layout.residue_map(),
        sequence_probabilities=_sequence_probabilities(job, logits),
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
    features = side_by_side(job.features, 1 + len(draw.relatives))
    probabilities = design.sequence_probabilities
    verdicts = [*symmetry_verdicts(assembly.structure, group), *design.verdicts]
    if job.symmetry.motif_placed:
        verdicts.append(_place_verdict(job, unit))
    return dataclasses.replace(
        design,
        structure=assembly.structure,
        part=assembly.part,
        drawn=None if whole is None else symmetric_assembly(design.structure, group),
        confidence=confidence_of(draw.confidence, features, tokenise(seen), seen),
        verdicts=tuple(verdicts),
        trajectory=None if design.trajectory is None else whole_trajectory(design.trajectory, group),
        residue_map=whole_map(residue_map, assembly, group),
        sequence_probabilities=None if probabilities is None else np.tile(probabilities, (1 + len(draw.relatives), 1)),
    )


def confidence_of(logits: ConfidenceLogits, features: Features, tokens: TokenTable, structure: Structure) -> Confidence:
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
    held: np.ndarray | None,
    only: np.ndarray | None = None,
    images: Images | None = None,
    asked: DesignConstraints | None = None,
) -> np.ndarray:
    """Positions after a restrained minimisation; held atoms stay, atoms that are not placed take no part."""
    chosen = np.ones(len(positions), bool) if only is None else only
    part = structure.select(chosen)
    fixed = None if held is None else torch.from_numpy(held[chosen])
    # What was designed says itself how it is relaxed; what was predicted stays nearer to what the network drew.
    how = {} if asked is None else {"stereochemistry": asked.chemistry(), "settings": asked.relaxation}
    done = relax(part, torch.from_numpy(positions[chosen])[None], held=fixed, images=images, **how)
    positions = positions.copy()
    positions[chosen] = done.positions[0].numpy()
    return positions


def _in_motif_frame(job: Job, positions: np.ndarray) -> np.ndarray:
    """The design moved so that its motif (the first group), or what it began as, lies where it was given."""
    held = job.held == 1 if (job.held == 1).any() else job.held > 0
    given = job.structure.atoms.positions
    if not held.any():
        if job.start is None:
            return positions - positions[job._visible()].mean(0)
        given, held = _started(job)
    mobile, target = (torch.from_numpy(np.asarray(x, np.float64)) for x in (positions, given))
    moved = superposition(mobile, target, mask=torch.from_numpy(held)).apply(mobile)
    return moved.numpy().astype(np.float32)


def _with_torsions(job: Job, structure: Structure, logits: Tensor) -> Tensor:
    """What the sequence head says of each amino acid, and what the finished backbone's torsions say to it."""
    odds = torch.from_numpy(glycine_and_proline(structure.select(job._visible()))).to(logits)[job.tokens.residue]
    told = logits.clone()
    told[:, [RESTYPE_INDEX["GLY"], RESTYPE_INDEX["PRO"]]] += odds
    return told


def _with_sequence(job: Job, structure: Structure, logits: Tensor, generator: torch.Generator) -> Structure:
    """The designed residues renamed by the network's own sequence head; their side chains are not built.

    Each residue is drawn from its own distribution, since the most likely one everywhere would be leucine nearly
    everywhere. Gumbel noise makes the draw: no rounding of the logits changes it but at a tie.
    """
    hidden = _is_designed(job)
    uniform = torch.rand(len(logits), len(_AMINO_ACIDS), generator=generator).clamp(min=1e-9)
    drawn = _AMINO_ACIDS[(logits[:, _AMINO_ACIDS] - torch.log(-torch.log(uniform))).argmax(-1)].numpy()
    names = structure.residues.name.astype("U5")
    names[job.tokens.residue[hidden]] = [RESTYPES[index] for index in drawn[hidden]]
    renamed = dataclasses.replace(structure, residues=dataclasses.replace(structure.residues, name=names))
    return renamed.select(job._visible())


def _started(job: Job) -> tuple[np.ndarray, np.ndarray]:
    """Where each atom (atom, 3) of the structure began in Å, and which backbone atoms of new residues began there."""
    assert job.start is not None
    assert job.layout is not None
    given = np.zeros((len(job.structure.atoms), 3))
    rows, slots = np.nonzero(job.tokens.atoms >= 0)
    given[job.tokens.atoms[rows, slots]] = job.start.numpy()[rows, slots]
    begun = np.array([residue.instead_of is not None for residue in job.layout.residues])
    backbone = np.isin(job.structure.atoms.name, ("N", "CA", "C"))
    return given, begun[job.structure.atoms.residue] & backbone


def _is_designed(job: Job) -> np.ndarray:
    """Tokens whose amino acid is open."""
    return (~job.features.condition.sequence_known).numpy() & (job.features.token.kind == ChainKind.PROTEIN).numpy()


def _sequence_probabilities(job: Job, logits: Tensor) -> np.ndarray:
    """The shares of the amino acids (AMINO_ACIDS) that each open residue is drawn with; NaN for the others."""
    shares = torch.softmax(logits[:, _AMINO_ACIDS].double(), -1).numpy()
    return np.where(_is_designed(job)[:, None], shares, np.nan)


def _verdicts(job: Job, structure: Structure) -> list[Verdict]:
    """Verdicts on one finished design, the motif's first."""
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
    found += [] if job.start is None or job.noise is None else [start_verdict(structure, *_started(job))]
    terms = () if job.asked is None else job.asked.terms
    # Interfaces and clashes are judged with all of the target, energies on what was drawn.
    placed = torch.from_numpy(structure.atoms.positions[structure.atoms.resolved].astype(np.float64))
    layout, whole = (job.layout, structure) if job.whole is None else (job.whole.layout, job.whole.completed(structure))
    return found + design_verdicts(job.spec, layout, whole, user=user, terms=terms, placed=placed, motif=job.motif)


def _of_first(confidence: ConfidenceLogits, count: int) -> ConfidenceLogits:
    """The logits of the first tokens: of an assembly, those of its first copy."""
    return ConfidenceLogits(
        plddt=confidence.plddt[:count], pae=confidence.pae[:count, :count], pde=confidence.pde[:count, :count]
    )


def _place_verdict(job: Job, structure: Structure) -> Verdict:
    """How far a placed motif is from where its file has it in the frame of the group."""
    rows = job.held > 0
    apart = structure.atoms.positions[rows] - job.structure.atoms.positions[rows]
    away = float(np.sqrt(np.mean(np.square(apart).sum(-1))))
    return Verdict(
        name="motif's place",
        asked=f"within {MOTIF_TOLERANCE} Å RMSD of its place at the axes",
        reached=f"{away:.2f} Å RMSD",
        met=away <= MOTIF_TOLERANCE,
    )


def provenance_of(
    request: Mapping[str, Any], weights: Weights, options: RunOptions, *, seed: int, index: int, device: str
) -> Provenance:
    """Where a structure comes from; known before it is drawn."""
    sampling = options.sampling or recommended_sampling(weights)
    settings = to_dict(sampling) | {
        "guidance": options.guidance if isinstance(options.guidance, float | int) else dict(options.guidance),
        "recycles": options.recycles,
        "relax": options.relax,
    }
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
    )

"""Jobs: requests made into the molecules to draw, what the network sees of them, and what is checked in the end."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy.spatial.distance import cdist
from torch import Tensor

from structdiff.constraints.chain_poses import ChainPoses
from structdiff.constraints.energy_terms import AskedDistance
from structdiff.constraints.fold_hold import FOLD_UNTIL, TEMPLATE_UNTIL, FoldHold
from structdiff.constraints.helix_clearance import HelixClearance
from structdiff.constraints.of_design import DesignConstraints
from structdiff.constraints.placed_atoms import PlacedAtoms
from structdiff.device import free_memory
from structdiff.diffusion.constraint_protocol import SamplingConstraint
from structdiff.features.build import build_features
from structdiff.features.chain_folds import (
    ChainFold,
    alignments_sha256,
    check_folding_memory,
    fold_chains,
    fold_groups,
    read_alignments,
    with_folds,
)
from structdiff.features.hallucinated_folds import held_folds, told_folds
from structdiff.features.helices import PairsOfComplex, helix_bodies, pairs_of_complex, with_helices
from structdiff.features.requests import (
    Proximity,
    complex_bonds,
    complex_condition,
    complex_proximities,
    design_condition,
    design_proximities,
)
from structdiff.features.schema import Features
from structdiff.features.start import start_positions
from structdiff.features.templates import Templates, read_templates
from structdiff.features.tokens import TokenTable, tokenise
from structdiff.output.whole_target import WholeTarget
from structdiff.spec.complex import ComplexSpec
from structdiff.spec.design import DesignSpec, design_to_dict
from structdiff.spec.input_files import file_sha256
from structdiff.spec.layout import Layout
from structdiff.spec.rebuilding import Noise
from structdiff.spec.symmetry import Symmetry
from structdiff.spec.text_source import source_sha256
from structdiff.spec.yaml_writing import to_dict as complex_to_dict
from structdiff.structure.complex import build_complex
from structdiff.structure.held_parts import partly_held, retyped
from structdiff.structure.motif_residues import left_out_atoms
from structdiff.structure.scaffold import build_scaffold
from structdiff.structure.tables import Structure
from structdiff.typing import Float

#: Å: contacts asked for are kept if they lie within this of what is asked, and brought this much within it; those that
#: are to be nearer than the last are bonds.
_CONTACT_MARGIN, _LEAST_CONTACT = 0.5, 4.0

ContactRows = tuple[str, Tensor, Tensor, float, bool]
#: Raises ResourceError where a structure of so many tokens does not fit into memory.
CheckSize = Callable[[int], None]


@dataclass(frozen=True, kw_only=True)
class Job:
    """One structure to draw: its molecules, what the network sees of them, and what is to be checked in the end.

    held: motif group of each atom of the structure, 0 where it is free. templates, bonds, base_pairs: those of a
    prediction, a bond by its name and rows of atoms; folds: of its chains with an alignment, or of a design's that are
    made up; clearance: what keeps chains and helices out of each other, and folds as they are while noise is large.
    symmetry: the structure is one copy of it. spec: what it is drawn under, a fold plan of our own included; user: what
    the user asked for, without that plan. asked: what a design is drawn under beside that; motif: where it takes its
    parts from; whole: what it is with all of a target that was cropped. start: positions [token, slot, 3] (Å) that
    partial diffusion begins with.
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
    bonds: tuple[tuple[str, tuple[int, int]], ...] = ()
    base_pairs: PairsOfComplex | None = None
    folds: tuple[ChainFold, ...] = ()
    clearance: tuple[SamplingConstraint, ...] = ()
    whole: WholeTarget | None = None
    start: Tensor | None = None

    @property
    def noise(self) -> Noise | None:
        """How far partial diffusion goes back from the start."""
        return None if self.spec is None else self.spec.noise

    @property
    def contacts(self) -> list[ContactRows]:
        """The proximities with atoms as (token, slot)."""
        place, visible = self._places(), self.visible
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
        own = self.asked.sampling() if self.asked is not None else []
        return [*own, *self.clearance], torch.from_numpy(self._places()[self.visible])

    @property
    def seen_tokens(self) -> int:
        """How many tokens the network sees: of a symmetric assembly those of the copies beside one too."""
        return _seen_tokens(self.tokens, self.symmetry)

    def _places(self) -> np.ndarray:
        """Token and slot of each atom of the structure."""
        place = np.full((len(self.structure.atoms), 2), -1, np.int64)
        rows, slots = np.nonzero(self.tokens.atoms >= 0)
        place[self.tokens.atoms[rows, slots]] = np.stack([rows, slots], -1)
        return place

    def kept_at(self, positions: Float[np.ndarray, "atom 3"]) -> DesignConstraints | None:
        """What a design is drawn under, with the contacts that it has at positions (Å).

        Those of symmetric assemblies are with any of the copies, and are left to the drawing.
        """
        if self.asked is None or self.symmetry is not None:
            return self.asked
        return dataclasses.replace(self.asked, distances=(*self.asked.distances, *self.contacts_at(positions)))

    def contacts_at(self, positions: Float[np.ndarray, "atom 3"]) -> tuple[AskedDistance, ...]:
        """The contacts that a draw has at positions (Å), by rows of visible atoms: nearest atoms are to stay as near.

        Relaxation mends breaks and so moves chains by some Å, off what they are to touch. Contacts of bonded atoms are
        the chemistry's.
        """
        place, kept = np.cumsum(self.visible) - 1, []
        for each in self.proximities:
            first, second = (rows[self.visible[rows]] for rows in (each.first, each.second))
            if each.avoid or each.bound < _LEAST_CONTACT or not (len(first) and len(second)):
                continue
            apart = cdist(positions[first], positions[second])
            one, other = np.unravel_index(apart.argmin(), apart.shape)
            if apart[one, other] <= each.bound + _CONTACT_MARGIN:
                atoms = (int(place[first[one]]), int(place[second[other]]))
                kept.append(AskedDistance(atoms=atoms, least=0.0, most=each.bound - _CONTACT_MARGIN))
        return tuple(kept)

    @property
    def touched(self) -> list[np.ndarray]:
        """Of each held residue that is to be touched its atoms, by rows of visible atoms."""
        visible = self.visible
        place = np.cumsum(visible) - 1
        asked = [
            rows[visible[rows]] for each in self.proximities if not each.avoid for rows in (each.first, each.second)
        ]
        return [place[rows] for rows in asked if len(rows) and bool((self.held[rows] > 0).all())]

    @property
    def visible(self) -> np.ndarray:
        """Which atoms of the structure the network places: all but the side chains of what is designed."""
        mask = self.features.atom.mask.unflatten(0, self.tokens.atoms.shape).numpy()
        visible = np.zeros(len(self.structure.atoms), bool)
        visible[self.tokens.atoms[mask]] = True
        return visible


def _seen_tokens(tokens: TokenTable, symmetry: Symmetry | None) -> int:
    return len(tokens) * (1 if symmetry is None else 1 + symmetry.seen)


def complex_job(spec: ComplexSpec, check_size: CheckSize | None = None, *, folded: bool = True) -> Job:
    """The job of predicting a complex; raises InputError for what cannot be honoured.

    check_size: asked before tables of pairs are made, which may not fit into memory themselves. folded: alignments are
    folded, which takes a while, and not merely read.
    """
    check_folding_memory(read_alignments(spec), float(free_memory(torch.device("cpu"))))
    structure = build_complex(spec)
    tokens = tokenise(structure)
    if check_size is not None:
        check_size(len(tokens))
    pairs = pairs_of_complex(spec, structure)
    templates = read_templates(spec, structure)
    folds = fold_chains(spec, structure, templates) if folded else ()
    templates = with_folds(with_helices(templates, structure, pairs), structure, folds)
    condition = templates.told(complex_condition(spec, structure, tokens), tokens)
    known = structure.with_positions(templates.positions, resolved=templates.group > 0)
    proximities = tuple(complex_proximities(spec, structure))
    return Job(
        name=spec.name,
        structure=structure,
        tokens=tokens,
        features=build_features(known, condition, tokens=tokens),
        templates=templates,
        proximities=proximities,
        bonds=tuple(complex_bonds(spec, structure)),
        base_pairs=pairs,
        folds=folds,
        clearance=_clearance(structure, templates, pairs, proximities, folds),
        held=np.zeros(len(structure.atoms), np.int32),
        request=complex_request(spec),
    )


def _clearance(
    structure: Structure,
    templates: Templates,
    pairs: PairsOfComplex,
    proximities: Sequence[Proximity],
    folds: Sequence[ChainFold],
) -> tuple[SamplingConstraint, ...]:
    """What lays out folds and templates, keeps chains and nucleic helices apart, and brings chains together."""
    folded, told = np.isin(templates.group, fold_groups(folds, templates, structure)), templates.told_only
    solid = templates.fixed | folded | told
    found: list[SamplingConstraint] = []
    for atoms, until in ((folded, FOLD_UNTIL), (told, TEMPLATE_UNTIL)):
        rows = [np.flatnonzero(atoms & (templates.group == group)) for group in np.unique(templates.group[atoms])]
        places = [torch.from_numpy(templates.positions[own]) for own in rows]
        if rows:
            found.append(FoldHold([torch.from_numpy(own) for own in rows], places, until))
    found.append(ChainPoses(structure, np.where(solid, templates.group, 0), proximities))
    bodies = helix_bodies(templates, structure, pairs)
    return (*found, HelixClearance(structure, bodies)) if bodies else tuple(found)


def design_job(
    spec: DesignSpec,
    layout: Layout,
    motif: Structure | None,
    index: int,
    check_size: CheckSize | None = None,
    folds: Sequence[ChainFold] = (),
) -> Job:
    """The job of one design; raises InputError where the motif cannot be held.

    check_size: as for a complex. folds: of chains whose fold is made up.
    """
    name = f"{spec.name}_{index:04d}"
    scaffold = build_scaffold(
        layout, motif, cyclic=spec.cyclic, disulfides=spec.disulfides, held=partly_held(spec),
        retyped=retyped(spec, layout), name=name,
    )  # fmt: skip
    structure, tokens = scaffold.structure, tokenise(scaffold.structure)
    if check_size is not None:
        check_size(_seen_tokens(tokens, spec.symmetry))
    known, condition = told_folds(folds, structure, tokens, design_condition(spec, layout, scaffold, tokens))
    features = build_features(known, condition, tokens=tokens)
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
    )
    visible = job.visible
    new = np.array([residue.origin is None for residue in layout.residues])
    placed = PlacedAtoms(structure=structure.select(visible), new=new, held=held[visible])
    asked = DesignConstraints.of(spec, layout, placed, left_out_atoms(spec, motif), job.touched)
    hold = [FoldHold(*held_folds(folds, structure, visible))] if folds else []
    return dataclasses.replace(job, held=np.where(visible, held, 0), asked=asked, clearance=tuple(hold))


def complex_request(spec: ComplexSpec) -> dict[str, Any]:
    """The request of a prediction for its provenance: of templates and alignments with their contents as checksums."""
    templates = {each.path: source_sha256(each.path) for each in spec.templates}
    files = {"templates_sha256": templates, "alignments_sha256": alignments_sha256(spec)}
    return complex_to_dict(spec) | {key: own for key, own in files.items() if own}


def design_request(spec: DesignSpec) -> dict[str, Any]:
    """The request of a design for its provenance: without how many, with the motif's contents as a checksum."""
    request = design_to_dict(dataclasses.replace(spec, num_designs=1))
    if spec.motif is not None:
        request["motif_sha256"] = file_sha256(spec.motif)
    files = [file for energy in spec.energies if (file := getattr(energy, "file", None))]
    if files:
        request["energies_sha256"] = {file: file_sha256(file) for file in files}
    return request

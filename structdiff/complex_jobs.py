"""Jobs of predictions: a complex as it is asked for, its templates, alignments and helices made into a job."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from structdiff.affinity import check_binder
from structdiff.constraints.chain_poses import ChainPoses, rigid_pieces
from structdiff.constraints.fold_hold import FOLD_UNTIL, TEMPLATE_UNTIL, FoldHold
from structdiff.constraints.helix_clearance import HelixClearance
from structdiff.device import free_memory
from structdiff.diffusion.constraint_protocol import SamplingConstraint
from structdiff.docking.complex_docking import ComplexDocking
from structdiff.features.alignments import msa_features
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
from structdiff.features.helices import PairsOfComplex, helix_bodies, pairs_of_complex, with_helices
from structdiff.features.requests import Proximity, complex_bonds, complex_condition, complex_proximities
from structdiff.features.templates import Templates, read_templates
from structdiff.features.tokens import tokenise
from structdiff.jobs import CheckSize, Job
from structdiff.model.abilities import PLAIN, Abilities, check_affinities
from structdiff.spec.alignment_source import warn_of_pairing
from structdiff.spec.complex import ComplexSpec
from structdiff.spec.text_source import source_sha256
from structdiff.spec.yaml_writing import to_dict as complex_to_dict
from structdiff.structure.complex import build_complex
from structdiff.structure.tables import Structure


def complex_job(
    spec: ComplexSpec,
    check_size: CheckSize | None = None,
    *,
    folded: bool = True,
    abilities: Abilities = PLAIN,
) -> Job:
    """The job of predicting a complex; raises InputError for what cannot be honoured.

    check_size: asked before tables of pairs are made, which may not fit into memory themselves. folded: alignments are
    folded, which takes a while, and not merely read; what such folds do not follow of them is warned of. abilities: of
    the network that is to predict it.
    """
    if spec.affinity is not None:
        check_affinities(abilities)
    if not abilities.alignments:
        if folded:
            warn_of_pairing(spec)
        check_folding_memory(read_alignments(spec), float(free_memory(torch.device("cpu"))))
    structure = build_complex(spec)
    if spec.affinity is not None:
        check_binder(structure, spec.affinity, spec.chain(spec.affinity).smiles)
    tokens = tokenise(structure)
    if check_size is not None:
        check_size(len(tokens))
    pairs = pairs_of_complex(spec, structure)
    pairs = pairs.asked_alone if abilities.poses else pairs
    templates = read_templates(spec, structure)
    folds = fold_chains(spec, structure, templates) if folded and not abilities.alignments else ()
    templates = with_folds(with_helices(templates, structure, pairs), structure, folds)
    condition = templates.told(complex_condition(spec, structure, tokens), tokens)
    known = structure.with_positions(templates.positions, resolved=templates.group > 0)
    proximities = tuple(complex_proximities(spec, structure))
    msa = msa_features(spec, structure, tokens) if abilities.alignments else None
    return Job(
        name=spec.name,
        structure=structure,
        tokens=tokens,
        features=build_features(known, condition, tokens=tokens, msa=msa, conformers=True),
        templates=templates,
        proximities=proximities,
        bonds=tuple(complex_bonds(spec, structure)),
        base_pairs=pairs,
        folds=folds,
        clearance=_clearance(structure, templates, pairs, proximities, folds, abilities),
        docking=_docking(structure, templates, proximities),
        held=np.zeros(len(structure.atoms), np.int32),
        request=complex_request(spec),
        abilities=abilities,
        binder=spec.affinity,
    )


def _docking(structure: Structure, templates: Templates, proximities: Sequence[Proximity]) -> ComplexDocking | None:
    """What is docked when the rest is drawn: chains that templates give the places of, and free ligands."""
    held = templates.fixed | templates.told_only
    piece = rigid_pieces(structure, np.where(held, templates.group, 0))
    return ComplexDocking.of(structure, piece, templates.group > 0, held, proximities)


def _clearance(
    structure: Structure,
    templates: Templates,
    pairs: PairsOfComplex,
    proximities: Sequence[Proximity],
    folds: Sequence[ChainFold],
    abilities: Abilities,
) -> tuple[SamplingConstraint, ...]:
    """What lays out folds and templates, keeps chains and nucleic helices apart, and brings chains together.

    A network that knows poses reads templates for itself, and chains are moved for it where contacts are asked alone.
    """
    folded, told = np.isin(templates.group, fold_groups(folds, templates, structure)), templates.told_only
    solid = templates.fixed | folded | told
    found: list[SamplingConstraint] = []
    for atoms, until in ((folded, FOLD_UNTIL), (told, TEMPLATE_UNTIL)):
        rows = [np.flatnonzero(atoms & (templates.group == group)) for group in np.unique(templates.group[atoms])]
        places = [torch.from_numpy(templates.positions[own]) for own in rows]
        if rows and not abilities.poses:
            found.append(FoldHold([torch.from_numpy(own) for own in rows], places, until))
    poses = ChainPoses(structure, np.where(solid, templates.group, 0), proximities)
    if poses.asked or not abilities.poses:
        found.append(poses)
    bodies = helix_bodies(templates, structure, pairs)
    return (*found, HelixClearance(structure, bodies)) if bodies else tuple(found)


def complex_request(spec: ComplexSpec) -> dict[str, Any]:
    """The request of a prediction for its provenance: of the files that it names with their contents as checksums."""
    templates = {each.path: source_sha256(each.path) for each in spec.templates}
    components = {each: source_sha256(each) for each in spec.components}
    ligands = {chain.sdf: source_sha256(chain.sdf) for chain in spec.chains if chain.sdf}
    files = {
        "templates_sha256": templates, "alignments_sha256": alignments_sha256(spec), "components_sha256": components,
        "ligands_sha256": ligands,
    }  # fmt: skip
    return complex_to_dict(spec) | {key: own for key, own in files.items() if own}

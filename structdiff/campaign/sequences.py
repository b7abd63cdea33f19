"""Sequences for a backbone: from published networks where their weights are here, else from our own sequence head."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from structdiff.campaign.allowed_letters import allowed_by_row
from structdiff.campaign.favoured_letters import favoured_letters
from structdiff.campaign.finished_files import read_json
from structdiff.campaign.plan import PACKING_WEIGHTS, Campaign
from structdiff.campaign.settings import SEQUENCE_WEIGHTS
from structdiff.chemistry.residues import PROTEIN_ONE_TO_THREE, PROTEIN_THREE_TO_ONE
from structdiff.constraints.sequenced import relaxed_design, with_equal_copies
from structdiff.design_jobs import job_of, layout_of
from structdiff.errors import InputError
from structdiff.jobs import Job
from structdiff.judgement import finished_verdicts, unit_of
from structdiff.likeness import is_of_made_up_fold
from structdiff.output.prediction import Verdict
from structdiff.structure.files import read_structure
from structdiff.structure.keys import residue_keys
from structdiff.structure.open_residues import alike_chains, rows_alike
from structdiff.structure.tables import Structure


@dataclass(frozen=True, kw_only=True)
class Sequenced:
    """A backbone with one sequence.

    columns: what the model of sequences says of it. record: what it was made with, for its provenance. verdicts: on the
    structure with its sequence, where that has moved; None where those on the backbone hold.
    """

    structure: Structure
    columns: Mapping[str, float | None]
    record: Mapping[str, Any]
    verdicts: tuple[Verdict, ...] | None = None


@dataclass(frozen=True, kw_only=True)
class BackboneFiles:
    """A finished backbone as its files tell it: structure, residue map, confidence."""

    structure: Structure
    residue_map: Mapping[str, Any]
    confidence: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What is asked of the sequences of a backbone, by rows of its residues.

    fixed: those that keep their type, (residue,) bool. tied: those that get one amino acid. allowed: the letters that
    they may be, where not all may.
    """

    fixed: np.ndarray
    tied: list[list[int]]
    allowed: Mapping[int, str]


def sequences_for(
    backbone: BackboneFiles, campaign: Campaign, number: int, places: range, device: str
) -> list[Sequenced]:
    """The sequences of these places (from 0): each the same for the same seed and backbone, whatever else is drawn.

    A backbone of which every residue keeps its type has its sequence already: it is the design.
    """
    asked = asked_of(backbone, campaign, number)
    if asked.fixed.all():
        columns = {"sequence_nll": None} | ({} if campaign.sequence_model == "own" else {"recovery": None})
        return [Sequenced(structure=backbone.structure, columns=columns, record={"model": "none"}) for _ in places]
    if campaign.sequence_model == "own":
        return _own(backbone, campaign, number, places, asked)
    return _published(backbone, campaign, number, places, asked, device)


def asked_of(backbone: BackboneFiles, campaign: Campaign, number: int) -> Asked:
    """What is asked of the sequences of a backbone. Raises InputError for letters at residues that keep their type."""
    structure, text = backbone.structure, campaign.settings.allow_at
    tied = rows_alike(structure, _alike_chains(backbone, campaign, number))
    fixed = _fixed_residues(backbone, tied)
    return Asked(fixed=fixed, tied=tied, allowed=allowed_by_row(text, structure, fixed, tied) if text else {})


def _alike_chains(backbone: BackboneFiles, campaign: Campaign, number: int) -> list[tuple[str, ...]]:
    """Names of chains that get one sequence: copies of a symmetric design, and those that are alike in the input."""
    spec, layout, motif = layout_of(campaign.spec, number)
    groups = alike_chains(spec, layout, motif)
    symmetry = backbone.residue_map.get("symmetry")
    if symmetry is None:
        return groups
    first, *others = (copy["chains"] for copy in symmetry["copies"])
    alone = set(layout.chains) - {name for group in groups for name in group}
    return [
        (*group, *(chains[first.index(name)] for chains in others for name in group))
        for group in (*groups, *((name,) for name in first if name in alone))
    ]


def _own(backbone: BackboneFiles, campaign: Campaign, number: int, places: range, asked: Asked) -> list[Sequenced]:
    """Draws from what the network's sequence head thinks of each open residue; equal chains are drawn alike.

    Where nothing else is asked, the first is the one that the backbone came with.
    """
    settings = campaign.settings
    confidence = backbone.confidence
    if "sequence_probabilities" not in confidence:
        raise InputError("this backbone knows no probabilities of its sequence: design it anew")
    letters = confidence["amino_acids"]
    shares = np.array([row or [None] * len(letters) for row in confidence["sequence_probabilities"]], float)
    rows = _residue_of_token(backbone)
    allowed, found = asked.allowed, []
    for place in places:
        random = np.random.default_rng([campaign.spec.seed, number, place])
        logits = np.log(np.clip(shares, 1e-6, None)) / campaign.temperature
        logits[:, [letters.index(letter) for letter in settings.avoid]] = -np.inf
        for token, row in enumerate(rows.tolist()):
            if row in allowed:
                logits[token, [slot for slot, letter in enumerate(letters) if letter not in allowed[row]]] = -np.inf
        drawn = np.argmax(logits + random.gumbel(size=logits.shape), -1)
        names = backbone.structure.residues.name.astype("U5")
        open_ = np.flatnonzero(np.isfinite(shares).all(-1))
        if place == 0 and settings.plain:
            drawn[open_] = [letters.index(PROTEIN_THREE_TO_ONE[name]) for name in names[rows[open_]]]
        names[rows[open_]] = [PROTEIN_ONE_TO_THREE[letters[index]] for index in drawn[open_]]
        for alike in asked.tied:  # each takes the letters of the first of its kind
            names[alike] = names[alike[0]]
        drawn[open_] = [letters.index(PROTEIN_THREE_TO_ONE[name]) for name in names[rows[open_]]]
        chosen = logits[open_] - np.logaddexp.reduce(logits[open_], -1, keepdims=True)
        nll = -float(np.mean(chosen[np.arange(len(open_)), drawn[open_]])) if len(open_) else None
        made = Sequenced(
            structure=_renamed(backbone, names), columns={"sequence_nll": _short(nll)}, record=_record(campaign, place)
        )
        if place != 0 or not settings.plain:  # else it is relaxed with these letters already
            made = _finished(made, job_of(campaign.spec, number, abilities=campaign.abilities), backbone, campaign)
        found.append(made)
    return found


def _record(campaign: Campaign, place: int) -> dict[str, Any]:
    """What a sequence is made with: the settings of the campaign, and what these leave open. place: from 0."""
    record = {**campaign.asked["sequence"]["sequence_settings"], "temperature": campaign.temperature, "index": place}
    if campaign.sequence_model in SEQUENCE_WEIGHTS:
        record["weights"] = SEQUENCE_WEIGHTS[campaign.sequence_model]
    if campaign.packing_hash is not None:
        record |= {"side_chains": PACKING_WEIGHTS, "side_chains_sha256": campaign.packing_hash}
    return record


def _residue_of_token(backbone: BackboneFiles) -> np.ndarray:
    """Row of the structure's residue of each token, -1 for a token that is none of its own."""
    confidence = backbone.confidence
    rows = {key: row for row, key in enumerate(residue_keys(backbone.structure))}
    codes = confidence.get("token_insertion_code") or [""] * len(confidence["token_chain"])
    tokens = zip(confidence["token_chain"], confidence["token_number"], codes, strict=True)
    return np.array([rows.get(key, -1) for key in tokens])


def renamed_tokens(backbone: BackboneFiles, structure: Structure) -> list[str]:
    """The component of each token of a backbone once it has a sequence."""
    rows, names = _residue_of_token(backbone), structure.residues.name.tolist()
    before = backbone.confidence["token_component"]
    return [names[row] if row >= 0 else name for row, name in zip(rows, before, strict=True)]


def _renamed(backbone: BackboneFiles, names: np.ndarray) -> Structure:
    """The backbone with its chains' residues renamed; of those that changed only the backbone's atoms are kept."""
    given = backbone.structure
    structure = dataclasses.replace(given, residues=dataclasses.replace(given.residues, name=names))
    changed = structure.residues.name != given.residues.name
    main = np.isin(structure.atoms.name, ("N", "CA", "C", "O", "OXT"))
    return structure.select(structure.atoms.resolved & (main | ~changed[structure.atoms.residue]))


def _published(
    backbone: BackboneFiles, campaign: Campaign, number: int, places: range, asked: Asked, device: str
) -> list[Sequenced]:
    from structdiff.inverse_folding import design_sequences

    settings, structure = campaign.settings, backbone.structure
    found = design_sequences(
        structure,
        model=campaign.sequence_model,
        num_sequences=len(places),
        first=places.start,
        temperature=campaign.temperature,
        seed=int(np.random.SeedSequence([campaign.spec.seed, number]).generate_state(1)[0]),
        bias=_favoured(structure, campaign, number, asked) if campaign.favour_present else None,
        fixed=asked.fixed,
        banned=settings.avoid,
        allowed=asked.allowed or None,
        tied=asked.tied or None,
        pack=campaign.packing_hash is not None,
        device=device,
    )
    confidence = _residue_b_factor(structure)
    job = job_of(campaign.spec, number, abilities=campaign.abilities)
    return [
        _finished(
            Sequenced(
                structure=_with_b_factor(each.structure, confidence),
                columns={"sequence_nll": _short(each.negative_log_likelihood), "recovery": _short(each.recovery)},
                record=_record(campaign, each.index),
            ), job, backbone, campaign,
        )
        for each in found
    ]  # fmt: skip


def _favoured(structure: Structure, campaign: Campaign, number: int, asked: Asked) -> np.ndarray:
    _, layout, motif = layout_of(campaign.spec, number)
    return favoured_letters(structure, layout, motif, asked.tied, campaign.favour_present)


def _finished(made: Sequenced, job: Job, backbone: BackboneFiles, campaign: Campaign) -> Sequenced:
    """A backbone with its new sequence, relaxed with the side chains that it has where relaxation is wanted."""
    structure = made.structure
    group = None if job.symmetry is None else job.symmetry.operators
    asked = job.kept_at(unit_of(job, structure).atoms.positions) if campaign.options.relax else None
    if asked is not None:
        structure = relaxed_design(structure, asked, group)
    elif group is not None:
        structure = with_equal_copies(structure, group)
    # A fold that was made up is not kept: how near the backbone came to it stands as it was found.
    followed = [Verdict(**each) for each in backbone.confidence["verdicts"] if is_of_made_up_fold(each["name"])]
    return dataclasses.replace(made, structure=structure, verdicts=(*finished_verdicts(job, structure), *followed))


def _fixed_residues(backbone: BackboneFiles, tied: list[list[int]]) -> np.ndarray:
    """Which residues of a backbone keep their type: all whose amino acid was not open."""
    fixed = np.ones(len(backbone.structure.residues), bool)
    rows = _residue_of_token(backbone)
    open_ = np.array([row is not None and row[0] is not None for row in backbone.confidence["sequence_probabilities"]])
    fixed[rows[open_ & (rows >= 0)]] = False
    for alike in tied:
        # Of a large symmetric assembly only the copies that were judged have probabilities.
        fixed[alike] = fixed[alike].all()
    return fixed


def _residue_b_factor(structure: Structure) -> dict[tuple[str, int], float]:
    chains = structure.chains.name[structure.residues.chain]
    keys = list(zip(chains.tolist(), structure.residues.label_seq_id.tolist(), strict=True))
    rows = np.flatnonzero(structure.atoms.resolved)
    return {keys[structure.atoms.residue[row]]: float(structure.atoms.b_factor[row]) for row in rows}


def _with_b_factor(structure: Structure, values: Mapping[tuple[str, int], float]) -> Structure:
    chains = structure.chains.name[structure.residues.chain]
    keys = list(zip(chains.tolist(), structure.residues.label_seq_id.tolist(), strict=True))
    per_residue = np.array([values.get(key, 0.0) for key in keys], np.float32)
    atoms = dataclasses.replace(structure.atoms, b_factor=per_residue[structure.atoms.residue])
    return dataclasses.replace(structure, atoms=atoms)


def read_backbone(folder: Path, name: str) -> BackboneFiles:
    """A finished backbone from its files. Raises InputError where one is missing or damaged."""
    parts = {part: read_json(folder / f"{name}.{part}.json") for part in ("residue_map", "confidence")}
    return BackboneFiles(structure=read_structure(folder / f"{name}.cif"), **parts)


def _short(value: float | None) -> float | None:
    return None if value is None or value != value else round(float(value), 4)

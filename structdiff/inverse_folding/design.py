"""Sequences for given backbones."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from numbers import Real
from typing import TYPE_CHECKING

import numpy as np
import torch

from structdiff.arguments import check_kind, check_whole_number, checked_names
from structdiff.errors import InputError
from structdiff.inverse_folding.alphabet import NUM_AMINO_ACIDS, UNKNOWN, residue_name
from structdiff.inverse_folding.backbone import Backbone, chain_letters, protein_backbone
from structdiff.inverse_folding.decoding import Decoded, Decoder, Lane
from structdiff.inverse_folding.library import check_membrane, load_network, model_name, seen_labels
from structdiff.inverse_folding.mutation import with_residues
from structdiff.inverse_folding.network import Encoding, InverseFoldingNetwork, join_encodings
from structdiff.inverse_folding.restrictions import Plan, Restrictions, checked_favour, favoured, plan_of
from structdiff.published_weights.catalogue import CATALOGUE, full_names
from structdiff.structure.tables import Structure
from structdiff.version import __version__

if TYPE_CHECKING:
    from structdiff.inverse_folding.packing import PackingConfig

#: Residues that are decoded together; more need more memory and save little time.
ROWS_AT_ONCE = 4096


@checked_names
@dataclass(frozen=True, kw_only=True)
class SequenceConfig:
    """How sequences are drawn.

    model: proteinmpnn, solublempnn, ligandmpnn, proteinmpnn_ca, membrane_mpnn, or the full name of weights.
    num_sequences: how many for each backbone. first: the number of the first of them, from 0. temperature: of the amino
    acids; at 0 the most likely ones. seed: of all draws. favour_present: added to the logit of the amino acid that each
    residue has already. side_chain_context: the side chains of fixed residues are seen (ligandmpnn only).
    """

    model: str = "proteinmpnn"
    num_sequences: int = 8
    first: int = 0
    temperature: float = 0.1
    seed: int = 0
    favour_present: float = 0.0
    side_chain_context: bool = False

    @property
    def numbers(self) -> range:
        """The numbers of the sequences that are drawn; each sequence depends on the seed and its own number alone."""
        return range(self.first, self.first + self.num_sequences)

    def __post_init__(self) -> None:
        check_kind(self.model, str, "model", "a name that structdiff weights list gives")
        for key in ("first", "num_sequences", "seed"):
            check_whole_number(getattr(self, key), key, 0)
        check_kind(self.temperature, Real, "temperature", "a number of 0 or more")
        if self.num_sequences < 1:
            raise InputError("at least one sequence must be wanted", key="num_sequences", found=self.num_sequences)
        if not 0 <= self.temperature < float("inf"):
            raise InputError("the temperature must be 0 or more", key="temperature", found=self.temperature)
        object.__setattr__(self, "temperature", float(self.temperature))
        object.__setattr__(self, "favour_present", checked_favour(self.favour_present))
        if not 0 <= self.seed < 2**63:
            raise InputError("a seed is a whole number from 0 to 2^63 - 1", key="seed", found=self.seed)


@dataclass(frozen=True, kw_only=True, eq=False)
class DesignedSequence:
    """One sequence for a backbone.

    sequences: letters of each protein chain, by its name; residues without a backbone keep their own letter.
    negative_log_likelihood: mean over the designed residues, nats, by the network at temperature 1 as they were drawn.
    recovery: share of the designed residues that are what they were; None where that is not known.
    residue_negative_log_likelihood: (residue,) of the structure, NaN where nothing was drawn. designed: (residue,),
    those drawn, and those that take the amino acid of a fixed one that they are tied to, which count in no number.
    structure: with that sequence; side chains of designed residues are resolved only where they were packed.
    """

    index: int
    sequences: Mapping[str, str]
    negative_log_likelihood: float
    recovery: float | None
    residue_negative_log_likelihood: np.ndarray = field(repr=False)
    designed: np.ndarray = field(repr=False)
    structure: Structure
    provenance: Mapping[str, object]


@checked_names
def design_sequences(
    structure: Structure,
    *,
    model: str = "proteinmpnn",
    num_sequences: int = 8,
    first: int = 0,
    temperature: float = 0.1,
    seed: int = 0,
    favour_present: float = 0.0,
    fixed: np.ndarray | None = None,
    banned: str = "",
    banned_at: Mapping[int, str] | None = None,
    allowed: str | Mapping[int, str] | None = None,
    tied: Sequence[Sequence[int]] | None = None,
    bias: Mapping[str, float] | np.ndarray | None = None,
    order: Sequence[int] | None = None,
    membrane: np.ndarray | None = None,
    side_chain_context: bool = False,
    pack: bool | PackingConfig = False,
    device: torch.device | str = "cpu",
) -> list[DesignedSequence]:
    """Sequences that a network thinks will fold to a given backbone (all protein chains of a structure).

    The options are those of ``SequenceConfig`` and ``Restrictions``; pack: build the side chains too. Sequence number i
    of a seed is the same whatever else is drawn. Raises InputError for what cannot be asked, and when the weights have
    not been fetched.
    """
    config = SequenceConfig(
        model=model, num_sequences=num_sequences, first=first, temperature=temperature, seed=seed,
        favour_present=favour_present, side_chain_context=side_chain_context,
    )  # fmt: skip
    asked = Restrictions(
        fixed=fixed, banned=banned, banned_at=banned_at, allowed=allowed, tied=tied, bias=bias, order=order,
        membrane=membrane,
    )  # fmt: skip
    return design_for_backbones([(structure, asked)], config, pack=pack, device=device)[0]


@torch.no_grad()
def design_for_backbones(
    backbones: Sequence[tuple[Structure, Restrictions]],
    config: SequenceConfig,
    *,
    pack: bool | PackingConfig = False,
    device: torch.device | str = "cpu",
    on_progress: Callable[[int, int], None] | None = None,
) -> list[list[DesignedSequence]]:
    """``design_sequences`` for several structures, drawn together; each gets what it would get alone.

    on_progress: called with the number of sequences that are drawn, and that of all.
    """
    for structure, _ in backbones:
        check_kind(structure, Structure, "structure", "a Structure: read_structure(file), or a design's .structure")
    network = load_network(config.model, device=device)
    _refuse_without_effect(config, network)
    tasks = [_task(structure, asked, network, config) for structure, asked in backbones]
    total, done = len(tasks) * config.num_sequences, 0
    found: list[list[DesignedSequence]] = [[] for _ in tasks]
    for batch in _batches([(row, index) for row in range(len(tasks)) for index in config.numbers], tasks):
        rows = sorted({row for row, _ in batch})
        decoder = Decoder(network, join_encodings([tasks[row].encoding for row in rows]))
        lanes = [_lane(tasks[row], rows.index(row), config.seed, index) for row, index in batch]
        for (row, index), decoded in zip(batch, decoder.sample(lanes, config.temperature), strict=True):
            found[row].append(_finished(tasks[row], decoded, config, index))
        done += len(batch)
        if on_progress is not None:
            on_progress(done, total)
    return [_packed(each, pack, config, device) for each in found] if pack else found


@dataclass(frozen=True, kw_only=True)
class _Task:
    """One backbone with all that is asked of its sequences."""

    structure: Structure
    backbone: Backbone
    plan: Plan
    encoding: Encoding


def _task(structure: Structure, asked: Restrictions, network: InverseFoldingNetwork, config: SequenceConfig) -> _Task:
    check_membrane(config.model, network, asked.membrane)
    backbone = protein_backbone(structure, ca_only=network.config.kind == "ca")
    plan = favoured(plan_of(structure, backbone, asked), backbone, config.favour_present)
    if config.side_chain_context and plan.new.all():
        message = "every residue is designed, so no side chain is there to be seen"
        raise InputError(message, key="side_chain_context", allowed="with residues that are fixed")
    given = torch.from_numpy(~plan.new) if config.side_chain_context else None
    labels = torch.from_numpy(seen_labels(config.model, plan.membrane))
    encoding = network.encode(backbone, given_side_chains=given, membrane=labels)
    return _Task(structure=structure, backbone=backbone, plan=plan, encoding=encoding)


def _refuse_without_effect(config: SequenceConfig, network: InverseFoldingNetwork) -> None:
    if config.side_chain_context and network.config.kind != "ligand":
        raise InputError("only ligandmpnn sees side chains", key="side_chain_context", found=config.model)


def _batches(wanted: list[tuple[int, int]], tasks: Sequence[_Task]) -> list[list[tuple[int, int]]]:
    """The sequences in batches of about as many residues; small backbones come together."""
    wanted = sorted(wanted, key=lambda pair: (len(tasks[pair[0]].backbone), pair))
    batches: list[list[tuple[int, int]]] = []
    rows = 0
    for row, index in wanted:
        size = len(tasks[row].backbone)
        if not batches or rows + size > ROWS_AT_ONCE:
            batches.append([])
            rows = 0
        batches[-1].append((row, index))
        rows += size
    return batches


def _lane(task: _Task, backbone: int, seed: int, index: int) -> Lane:
    """Sequence number index of a backbone: its order and its noise depend on the seed and that number alone."""
    plan = task.plan
    rng = np.random.default_rng([seed, index])
    keys = rng.random(len(task.backbone))
    gumbel = rng.gumbel(size=(len(plan.groups), NUM_AMINO_ACIDS))
    known = np.flatnonzero(~plan.designed)
    known = known[np.argsort(keys[known], kind="stable")]
    order = plan.order
    if order is None:
        order = np.argsort([keys[group].min() for group in plan.groups], kind="stable").tolist()
    return Lane(
        backbone=backbone,
        known=torch.from_numpy(known),
        steps=[torch.from_numpy(plan.groups[number]) for number in order],
        letters=torch.from_numpy(plan.letters),
        bias=torch.from_numpy(plan.bias),
        gumbel=torch.from_numpy(gumbel.astype(np.float32)),
    )


def _finished(task: _Task, decoded: Decoded, config: SequenceConfig, index: int) -> DesignedSequence:
    plan, rows = task.plan, task.backbone.rows
    letters = decoded.letters.cpu().numpy()
    chosen = -decoded.log_probabilities.cpu().double().numpy()[np.arange(len(letters)), letters]
    by_residue = np.full(len(task.structure.residues), np.nan)
    by_residue[rows[plan.designed]] = chosen[plan.designed]
    designed = np.zeros(len(task.structure.residues), bool)
    designed[rows[plan.new]] = True
    original = task.backbone.letters
    # A backbone of one letter throughout was written by a program that gave it no sequence.
    known = plan.designed & (original != UNKNOWN) & (len(np.unique(original)) > 1)
    names = {int(rows[place]): residue_name(int(letters[place])) for place in np.flatnonzero(plan.new)}
    names |= {row: residue_name(int(letters[each])) for row, each in plan.followers.items() if letters[each] != UNKNOWN}
    # What an experiment said of the backbone does not hold for another sequence.
    structure = dataclasses.replace(with_residues(task.structure, names), metadata={})
    return DesignedSequence(
        index=index,
        sequences=chain_letters(structure),
        negative_log_likelihood=float(np.nanmean(by_residue)),
        recovery=float((letters == original)[known].mean()) if known.any() else None,
        residue_negative_log_likelihood=by_residue,
        designed=designed,
        structure=structure,
        provenance=_provenance(config, index),
    )  # fmt: skip


def _provenance(config: SequenceConfig, index: int) -> dict[str, object]:
    name = model_name(config.model)
    return {
        "structdiff": __version__, "model": name, "model_sha256": CATALOGUE.weights[name].sha256,
        "temperature": config.temperature, "seed": config.seed, "index": index,
        "favour_present": config.favour_present, "side_chain_context": config.side_chain_context,
    }  # fmt: skip


def _packed(
    found: list[DesignedSequence],
    pack: bool | PackingConfig,
    config: SequenceConfig,
    device: torch.device | str,
) -> list[DesignedSequence]:
    from structdiff.inverse_folding.packing import PACKER, PackingConfig, pack_structures

    check_kind(pack, (bool, PackingConfig), "pack", "True, False or a PackingConfig")
    settings = PackingConfig(seed=config.seed) if isinstance(pack, bool) else pack
    packed = pack_structures(
        [(each.structure, each.designed) for each in found], settings, indices=[each.index for each in found],
        device=device,
    )  # fmt: skip
    weights = CATALOGUE.weights[full_names(PACKER)[0]]
    made = {
        "side_chains": weights.name, "side_chains_sha256": weights.sha256, "packing": dataclasses.asdict(settings),
    }  # fmt: skip
    return [
        dataclasses.replace(each, structure=done, provenance={**each.provenance, **made})
        for each, done in zip(found, packed, strict=True)
    ]

"""What a campaign or a prediction will need before it starts: residues, tokens, peak memory, time."""

from __future__ import annotations

import dataclasses
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from structdiff import pipeline
from structdiff.affinity import affinity_seconds
from structdiff.campaign.plan import Campaign
from structdiff.campaign.settings import BOLTZ
from structdiff.cost import Cost, estimated_cost, estimated_memory
from structdiff.design_jobs import job_of
from structdiff.device import check_memory, choose_device, free_memory
from structdiff.drawing_work import docking_parts_seconds, moving_seconds
from structdiff.engine import guidance_passes
from structdiff.evaluation.trrosetta import LONGEST, SHORTEST
from structdiff.features.chain_folds import LONGEST as LONGEST_FOLD
from structdiff.features.chain_folds import SHORTEST as SHORTEST_FOLD
from structdiff.features.chain_folds import fold_seconds
from structdiff.features.guidance import OF_FOLDS, check_guidance, present_conditions
from structdiff.features.hallucinated_folds import (
    hallucinates,
    hallucination_memory,
    hallucination_seconds,
    hallucination_tries,
)
from structdiff.model.library import load_named_weights
from structdiff.options import RunOptions, recycles_of, sampling_of
from structdiff.structure.tables import ChainKind

if TYPE_CHECKING:
    import torch

    from structdiff.cost import NetworkConfig
    from structdiff.engine import Engine
    from structdiff.jobs import Job
    from structdiff.model.checkpoint import Weights
    from structdiff.spec.layout import Layout

#: How many layouts are drawn to know the lengths of all.
_LAYOUTS = 32
#: Seconds that one core takes to judge a chain, for each pair of its residues (2 s for 100 residues).
_JUDGE_SECONDS = 2e-4


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """residues, tokens: least and most of a design, as the network sees it. batch: structures drawn together.

    memory: peak in bytes, of one process. each_seconds: one of them, a backbone with all its sequences. seconds:
    everything. what: what is counted. longest_seconds: everything, where it may take longer than in most cases.
    """

    what: str = "backbone"

    count: int
    residues: tuple[int, int]
    tokens: tuple[int, int]
    batch: int
    memory: float
    each_seconds: float
    seconds: float
    longest_seconds: float | None = None

    def of(self, count: int) -> Estimate:
        """The same for so many, of those that were counted the ones that are left."""
        longest = None if self.longest_seconds is None else self.longest_seconds * count / self.count
        return dataclasses.replace(self, count=count, seconds=self.each_seconds * count, longest_seconds=longest)

    @property
    def text(self) -> str:
        """The estimate in one line."""
        low, high = self.residues
        many = f"{low}" if low == high else f"{low} to {high}"
        tokens = "" if self.tokens == self.residues else f" ({self.tokens[1]} tokens)"
        return (
            f"{self.count} {self.what}{'' if self.count == 1 else 's'} of {many} residues{tokens}: about "
            f"{self.memory / 2**20:.0f} MiB with {self.batch} at a time, {self.each_seconds:.1f} s a {self.what}, "
            f"{_duration(self.seconds)} in all{self._longest}"
        )

    @property
    def _longest(self) -> str:
        if self.longest_seconds is None:
            return ""
        return f", up to {_duration(self.longest_seconds)} where folds find no room and are made up anew"


def estimate_campaign(campaign: Campaign, weights: Weights, numbers: range) -> Estimate:
    """What the backbones of these numbers will need, judging and refolding by the same network included.

    Raises InputError where the first design cannot be built, ResourceError where one alone does not fit into memory.
    """
    options, spec, config = campaign.options, campaign.spec, weights.network.config
    device = choose_device(options.device)
    layouts = _some_layouts(campaign)
    lengths = [len(layout) for layout in layouts]
    began = time.perf_counter()
    first = job_of(
        spec, numbers[0] if len(numbers) else 0, lambda tokens: check_memory(config, tokens, 1, device),
        abilities=campaign.abilities,
    )  # fmt: skip
    # The measured cost is that of designs without a motif, around which a fold is looked for first.
    planned = time.perf_counter() - began if spec.motif is not None else 0.0
    extra = first.seen_tokens - lengths[0]
    tokens = max(lengths) + extra
    present = present_conditions(first.features)
    check_guidance(options.guidance, {*present, *OF_FOLDS})
    passes = guidance_passes(options.guidance, present)
    check_memory(config, tokens, 1, device, passes=passes)
    batch = 1 if hallucinates(spec) else _batch(config, tokens, len(numbers), options, device, passes)
    steps = sampling_of(options, weights).steps
    mean = int(np.mean(lengths)) + extra
    drawn = estimated_cost(
        config, mean, batch, steps=steps, passes=passes, relax=options.relax, recycles=recycles_of(options, weights)
    )
    seconds = spec.draws * (planned + drawn.seconds / batch)
    if "refold" in campaign.stages and campaign.settings.refold_command is None:
        refold = _refold_cost(campaign, weights, int(np.mean(lengths)), batch)
        seconds += campaign.settings.sequences * refold.seconds / batch
        if campaign.settings.refold == "trrosetta":
            folds = [sum(map(fold_seconds, _new_lengths(layout, SHORTEST_FOLD, LONGEST_FOLD))) for layout in layouts]
            seconds += campaign.settings.sequences * float(np.mean(folds))
    if "judge" in campaign.stages:
        seconds += campaign.settings.sequences * float(np.mean([_judge_seconds(layout) for layout in layouts]))
    peak = estimated_cost(config, tokens, batch, steps=steps, passes=passes).memory + weights.mapped_bytes
    longest = None
    if hallucinates(spec):
        made_up = float(np.mean([hallucination_seconds(layout) for layout in layouts]))
        seconds += made_up
        tries = max(hallucination_tries(layout) for layout in layouts)
        longest = None if tries == 1 else len(numbers) * (seconds + (tries - 1) * made_up)
        peak = max(peak, *(hallucination_memory(layout) for layout in layouts))
    return Estimate(
        count=len(numbers), residues=(min(lengths), max(lengths)), tokens=(min(lengths) + extra, tokens), batch=batch,
        memory=peak, each_seconds=seconds, seconds=seconds * len(numbers), longest_seconds=longest,
    )  # fmt: skip


def _refold_cost(campaign: Campaign, weights: Weights, tokens: int, batch: int) -> Cost:
    """What refolding a batch by a network takes: the one that draws, or Boltz-2's."""
    options = campaign.options
    if campaign.settings.refold == BOLTZ:
        weights = load_named_weights(BOLTZ)
        options = dataclasses.replace(options, weights=BOLTZ, sampling=None, recycles=None)
    return estimated_cost(
        weights.network.config, tokens, batch, steps=sampling_of(options, weights).steps, relax=options.relax,
        recycles=recycles_of(options, weights),
    )  # fmt: skip


def estimate_prediction(job: Job, engine: Engine, options: RunOptions, count: int) -> Estimate:
    """What so many structures of a complex will need. Raises ResourceError where one alone does not fit into memory."""
    config, tokens = engine.weights.network.config, job.seen_tokens
    present = present_conditions(job.features)
    check_guidance(options.guidance, present)
    passes = guidance_passes(options.guidance, present)
    rows = job.features.msa.restype.shape[0]
    check_memory(config, tokens, 1, engine.device, passes=passes, rows=rows)
    batch = _batch(config, tokens, count, options, engine.device, passes, rows)
    sampling = sampling_of(options, engine.weights)
    cost = estimated_cost(
        config,
        tokens,
        batch,
        steps=sampling.steps,
        passes=passes,
        relax=options.relax,
        prediction=True,
        recycles=recycles_of(options, engine.weights),
        rows=rows,
    )
    each = cost.seconds / batch + float(moving_seconds(job, sampling).sum()) + sum(docking_parts_seconds(job, options))
    mapped = engine.weights.mapped_bytes
    if job.binder is not None:
        each += affinity_seconds(engine, job, count) / max(count, 1)
        mapped += engine.affinity_weights.mapped_bytes
    polymers = np.flatnonzero(job.structure.chains.kind < ChainKind.LIGAND).tolist()
    spans = [job.structure.chain_residues(chain) for chain in polymers]
    residues = sum(span.stop - span.start for span in spans)
    return Estimate(
        what="structure", count=count, residues=(residues, residues), tokens=(tokens, tokens), batch=batch,
        memory=cost.memory + mapped, each_seconds=each, seconds=count * each,
    )  # fmt: skip


def _batch(
    config: NetworkConfig,
    tokens: int,
    count: int,
    options: RunOptions,
    device: torch.device,
    passes: int,
    rows: int = 1,
) -> int:
    """How many structures are drawn together: as many as are asked for, halved until they fit into memory."""
    batch = 1 if options.trajectory else min(options.batch_size, max(count, 1))
    while batch > 1 and estimated_memory(config, tokens, batch, passes=passes, rows=rows) > free_memory(device):
        batch = (batch + 1) // 2
    return batch


def _judge_seconds(layout: Layout) -> float:
    return _JUDGE_SECONDS * sum(length**2 for length in _new_lengths(layout, SHORTEST, LONGEST))


def _new_lengths(layout: Layout, shortest: int, longest: int) -> list[int]:
    """Lengths of new chains, of those within these."""
    lengths = [len(chain) for chain in layout.chains.values() if not chain[0].chain_is_fixed]
    return [length for length in lengths if shortest <= length <= longest]


def _some_layouts(campaign: Campaign) -> list[Layout]:
    """Layouts of the first designs: lengths are drawn from the same distribution for all."""
    spec = campaign.spec
    return pipeline.layouts(dataclasses.replace(spec, num_designs=min(spec.num_designs, _LAYOUTS)))


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"

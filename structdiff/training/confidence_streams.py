"""What the confidence head learns from: batches of several kinds, of structures that were learnt and of others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from structdiff.diffusion.sampler import SamplingConfig
from structdiff.errors import InputError
from structdiff.training.batches import BatchConfig, TrainingBatches
from structdiff.training.confidence_validation import chain_crops, crops, task_mix
from structdiff.training.dataset import StructureSet
from structdiff.training.decoys import KINDS
from structdiff.training.held_chains import HeldChains, has_interfaces
from structdiff.training.held_helices import HeldHelices, has_nucleic_acids
from structdiff.training.tasks import TaskMix


@dataclass(frozen=True, kw_only=True)
class ConfidenceTraining:
    """How the confidence head is trained.

    samplings: ways to draw structures, taken in turn; none: the recommended one and two of fewer steps. samples:
    structures drawn for each example. Beside these each batch holds the experiment's structures, the same noised and
    denoised twice, and decoys of these kinds (structdiff.training.decoys). drawn_share: how often a training step
    takes a drawn structure rather than one of the others. held_helices, held_chains: how often a batch is of structures
    with nucleic acids whose helices are held (structdiff.training.held_helices), or of complexes whose chains are
    (structdiff.training.held_chains; cropped by chain_crops, with wrong_poses structures of each whose chains stand
    elsewhere, in place of decoys). unlearnt: how often a batch, of any kind, is of structures that trunk and denoiser
    did not learn from: one half of the validation split. reuse: training steps for each batch. pool: batches kept to
    train on. warmup_steps: of the learning rate, which falls to a tenth in the last half of the run. max_rounds:
    batches to make, those of earlier calls included, None for as many as the time allows. judge_rounds: batches between
    two judgements by judge_batches of the other half; the head that judged best is kept. validation_batches: made in
    the end, from structures of that half cropped by validation_crops. save_minutes: time between two checkpoints.
    """

    samplings: Sequence[SamplingConfig] = ()
    samples: int = 1
    decoys: Sequence[str] = tuple(KINDS)
    drawn_share: float = 0.65
    held_helices: float = 0.15
    held_chains: float = 0.35
    unlearnt: float = 0.4
    reuse: int = 8
    pool: int = 160
    learning_rate: float = 1e-3
    warmup_steps: int = 100
    weight_decay: float = 0.1
    clip_norm: float = 1.0
    ema_decay: float = 0.998
    max_rounds: int | None = None
    judge_rounds: int = 25
    judge_batches: int = 40
    validation_batches: int = 20
    save_minutes: float = 5.0
    batches: BatchConfig = field(default_factory=crops)
    validation_crops: BatchConfig = field(default_factory=crops)
    chain_crops: BatchConfig = field(default_factory=chain_crops)
    wrong_poses: int = 3
    tasks: TaskMix = field(default_factory=task_mix)

    def __post_init__(self) -> None:
        for name in ("held_helices", "held_chains", "unlearnt"):
            share = getattr(self, name)
            if not 0 <= share <= 1:
                raise InputError("must be how often a batch is one of these", key=name, found=share, allowed="0 to 1")
        if self.held_helices + self.held_chains > 1:
            raise InputError("must leave room for held_chains", key="held_helices", found=self.held_helices,
                             allowed=f"0 to {1 - self.held_chains:g}")  # fmt: skip
        for name in ("judge_rounds", "judge_batches"):
            if getattr(self, name) < 1:
                raise InputError("must be at least 1", key=name, found=getattr(self, name))


class Stream(NamedTuple):
    """Batches of one kind: how often one is drawn, and the kinds of decoys that are made for it."""

    kind: str
    share: float
    batches: HeldHelices | HeldChains | TrainingBatches
    decoys: Sequence[str]


def streams(structures: StructureSet, settings: ConfidenceTraining, *, seed: int) -> list[Stream]:
    """Where batches come from: structures of which parts are held, and all others; shares add up to 1.

    A kind of which the set has none is left out, and the others are drawn more often.
    """
    held = []
    if settings.held_helices and has_nucleic_acids(structures):
        helices = HeldHelices(structures, settings.batches, seed=seed)
        held.append(Stream("helices", settings.held_helices, helices, settings.decoys))
    if settings.held_chains and has_interfaces(structures):
        chains = HeldChains(structures, settings.chain_crops, seed=seed, wrong=settings.wrong_poses)
        # The shapes of decoys are none that held chains could have.
        held.append(Stream("chains", settings.held_chains, chains, ()))
    others = TrainingBatches(structures, settings.batches, settings.tasks, seed=seed)
    return [*held, Stream("others", 1 - sum(stream.share for stream in held), others, settings.decoys)]


def mixed_streams(
    structures: StructureSet, unlearnt: StructureSet, settings: ConfidenceTraining, *, seed: int
) -> list[Stream]:
    """The streams of structures that were learnt, and ``settings.unlearnt`` of the others'; says what there is not."""
    learnt = streams(structures, settings, seed=seed)
    kinds = {stream.kind for stream in learnt}
    if settings.held_helices and "helices" not in kinds:
        print("note: no structure has DNA or RNA; nothing is learned of them", flush=True)
    if settings.held_chains and "chains" not in kinds:
        print("note: no structure has chains that touch; nothing is learned of complexes", flush=True)
    if not settings.unlearnt:
        return learnt
    if not unlearnt.weight.any():
        print("note: the validation split has too few structures to learn from one half of it", flush=True)
        return learnt
    others = streams(unlearnt, settings, seed=seed)
    return [
        stream._replace(share=stream.share * share)
        for share, each in ((1 - settings.unlearnt, learnt), (settings.unlearnt, others))
        for stream in each
    ]


def drawn_stream(each: Sequence[Stream], rng: np.random.Generator) -> Stream:
    """One of them, as often as its share says."""
    shares = np.array([stream.share for stream in each])
    return each[rng.choice(len(shares), p=shares / shares.sum())]

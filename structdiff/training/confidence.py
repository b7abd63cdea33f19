"""Trains the confidence head on structures that the network itself has drawn; everything else stays as it is.

Run as ``python -m structdiff.training.confidence WEIGHTS DATA OUT --max-minutes 10``.
"""

from __future__ import annotations

import argparse
import copy
import io
import pickle
import shutil
import sys
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file
from scipy.stats import spearmanr

from structdiff.confidence.scores import plddt_from_logits
from structdiff.configuration import to_dict
from structdiff.diffusion.sampler import SamplingConfig
from structdiff.errors import InputError, StructdiffError
from structdiff.model.checkpoint import WEIGHTS_FILE, Weights, load_weights, save_weights
from structdiff.model.heads import ConfidenceHead
from structdiff.model.network import StructureNetwork
from structdiff.structure.files import write_atomically
from structdiff.training.batches import BatchConfig, TrainingBatches
from structdiff.training.confidence_examples import DrawnBatch, confidence_loss, draw_batch
from structdiff.training.dataset import StructureSet
from structdiff.training.tasks import TaskMix

MODEL_CARD = "MODEL_CARD.md"
_VALIDATION_SEED = 1
_WORST_RESOLUTION = 4.0  # Å; errors beside a blurred structure say little (AlphaFold 3, section 4.3)


def _tasks() -> TaskMix:
    """Mostly prediction; structures that are partly given, so that good ones are among those drawn."""
    return TaskMix(weights={"predict": 0.5, "motif": 0.2, "inpaint": 0.2, "binder": 0.05, "unconditional": 0.05})


def _crops() -> BatchConfig:
    """Smaller crops than in the training of the rest: nearly all the time goes into drawing structures."""
    return BatchConfig(crops=((64, 4, 0.85), (96, 2, 0.1), (128, 1, 0.05)))


@dataclass(frozen=True, kw_only=True)
class ConfidenceTraining:
    """How the confidence head is trained.

    samplings: ways to draw structures, taken in turn. noise_on_truth: as the last of these turns, noise levels (Å), one
    after the other, from which the experiment's own structure is denoised; none by default (docs/log.md). samples:
    structures for each example. reuse: training steps for each batch drawn. pool: batches kept to train on.
    warmup_steps: of the learning rate, which falls to a tenth in the last half of the run. max_rounds: batches to draw
    in this call, None for as many as the time allows. validation_batches: drawn in the end, from held-out structures.
    save_minutes: time between two checkpoints.
    """

    samplings: Sequence[SamplingConfig] = (
        SamplingConfig(steps=10, solver="dpm-solver-2m"),
        SamplingConfig(steps=16, solver="stochastic"),
    )
    noise_on_truth: Sequence[float] = ()
    samples: int = 2
    reuse: int = 24
    pool: int = 32
    learning_rate: float = 1e-3
    warmup_steps: int = 100
    weight_decay: float = 0.01
    clip_norm: float = 1.0
    ema_decay: float = 0.995
    max_rounds: int | None = None
    validation_batches: int = 10
    save_minutes: float = 5.0
    batches: BatchConfig = field(default_factory=_crops)
    tasks: TaskMix = field(default_factory=_tasks)


def train_confidence(
    weights: Path,
    data: Path,
    out: Path,
    *,
    max_minutes: float = 10.0,
    seed: int = 0,
    threads: int | None = None,
    settings: ConfidenceTraining | None = None,
) -> Path:
    """Trains the confidence head of a weights folder and returns the new folder ``out``.

    Trunk, denoiser and distogram come out as they were, bit for bit. A checkpoint beside ``out`` is continued, so an
    interrupted call loses at most some minutes. The call ends after max_minutes of wall-clock time plus a validation
    whose figures go into the new config.json under training.confidence.

    Args:
        weights: folder to start from; not changed, unless it is ``out``.
        data: folder of a StructureSet; its training split is learned from, its validation split is judged.
        out: folder of the new weights.
        max_minutes: wall-clock limit of this call.
        seed: of structures, crops and noise.
        threads: of the CPU; PyTorch decides if None.
        settings: everything else.

    Raises InputError for folders that hold no weights or no structures, and for a checkpoint of other weights.
    """
    if max_minutes <= 0:
        raise InputError("must be more than 0 minutes", key="max_minutes", found=max_minutes)
    if threads:
        torch.set_num_threads(threads)
    source = load_weights(Path(weights))
    run = _Run(source, Path(data), Path(out), seed, settings or ConfidenceTraining())
    run.resume()
    run.train(max_minutes)
    return run.finish()


class _Run:
    """The head under training, its moving average, and the drawn structures it learns from."""

    def __init__(self, source: Weights, data: Path, out: Path, seed: int, settings: ConfidenceTraining) -> None:
        self.source, self.data, self.out, self.seed, self.settings = source, data, out, seed, settings
        self.network: StructureNetwork = source.network
        self.head: ConfidenceHead = self.network.confidence
        self.average = copy.deepcopy(self.head).requires_grad_(False).eval()
        self.head.requires_grad_(True).train()
        self.optimiser = torch.optim.AdamW(
            self.head.parameters(), lr=settings.learning_rate, betas=(0.9, 0.98), weight_decay=settings.weight_decay
        )
        self.checkpoint = out.parent / f"{out.name}-confidence.ckpt"
        self.pool: deque[DrawnBatch] = deque(maxlen=settings.pool)
        self.round = self.step = 0

    def resume(self) -> None:
        """Goes on from the checkpoint if there is one; the pool of drawn structures is filled anew."""
        if not self.checkpoint.is_file():
            return
        try:
            state = torch.load(self.checkpoint, map_location="cpu", weights_only=True)
        except (OSError, RuntimeError, EOFError, ValueError, pickle.UnpicklingError):
            raise InputError("this checkpoint cannot be read; remove it to start anew", path=self.checkpoint) from None
        if state["sha256"] != self.source.sha256:
            raise InputError("this checkpoint belongs to other weights; remove it or write to another folder",
                             path=self.checkpoint)  # fmt: skip
        self.head.load_state_dict(state["head"])
        self.average.load_state_dict(state["average"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.round, self.step = state["round"], state["step"]

    def train(self, max_minutes: float) -> None:
        """Draws and learns in turn until the time is over; saves a checkpoint now and then and in the end."""
        structures = _well_resolved(StructureSet(self.data, "train"))
        batches = TrainingBatches(structures, self.settings.batches, self.settings.tasks, seed=self.seed)
        began = saved = time.monotonic()
        first, limit = self.round, self.settings.max_rounds
        try:
            while limit is None or self.round - first < limit:
                done = (time.monotonic() - began) / (60 * max_minutes)
                if done >= 1:
                    break
                done = done if limit is None else max(done, (self.round - first) / limit)
                terms = self._round(batches, done)
                if self.round % 5 == 1:
                    text = " ".join(f"{name} {value:.3f}" for name, value in terms.items())
                    print(f"round {self.round} step {self.step} ({(1 - done) * max_minutes:.1f} min left) {text}",
                          flush=True)  # fmt: skip
                if time.monotonic() - saved > 60 * self.settings.save_minutes:
                    self._save_checkpoint()
                    saved = time.monotonic()
        finally:
            if self.round > first:
                self._save_checkpoint()

    def _round(self, batches: TrainingBatches, done: float) -> dict[str, float]:
        """One batch drawn, some steps learned; the mean losses."""
        self.pool.append(_drawn(self.network, batches, self.round, self.settings, self.seed))
        rng = np.random.default_rng([self.seed, self.round])
        total: dict[str, float] = {}
        for _ in range(self.settings.reuse):
            item = self.pool[int(rng.integers(len(self.pool)))]
            for name, value in self._learn(item, rng, done).items():
                total[name] = total.get(name, 0.0) + value / self.settings.reuse
        self.round += 1
        return total

    def _learn(self, item: DrawnBatch, rng: np.random.Generator, done: float) -> dict[str, float]:
        settings = self.settings
        rate = min(1.0, (self.step + 1) / max(1, settings.warmup_steps)) * min(1.0, max(0.1, 2 * (1 - done)))
        for group in self.optimiser.param_groups:
            group["lr"] = settings.learning_rate * rate
        index = torch.from_numpy(rng.integers(0, settings.samples, len(item.representative)))
        terms = confidence_loss(item.logits(self.network, index), item.truth.pick(index))
        self.optimiser.zero_grad()
        terms["loss"].backward()
        torch.nn.utils.clip_grad_norm_(self.head.parameters(), settings.clip_norm)
        self.optimiser.step()
        self.step += 1
        # A young average follows quickly, as in the training of the rest.
        decay = min(settings.ema_decay, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            for ours, theirs in zip(self.average.parameters(), self.head.parameters(), strict=True):
                ours.lerp_(theirs, 1 - decay)
        return {name: float(value.detach()) for name, value in terms.items()}

    def _save_checkpoint(self) -> None:
        self.checkpoint.parent.mkdir(parents=True, exist_ok=True)
        state = {
            "sha256": self.source.sha256,
            "head": self.head.state_dict(),
            "average": self.average.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "round": self.round,
            "step": self.step,
        }
        buffer = io.BytesIO()
        torch.save(state, buffer)
        write_atomically(self.checkpoint, buffer.getvalue())

    def finish(self) -> Path:
        """Judges the averaged head on held-out structures and writes the new weights."""
        self.network.confidence.load_state_dict(self.average.state_dict())
        structures = _well_resolved(StructureSet(self.data, "val"))
        figures = validate_confidence(self.network, structures, self.settings)
        for name, value in figures.items():
            print(f"validation {name} {value:.3f}", flush=True)
        record = {"steps": self.step, "rounds": self.round, "seed": self.seed, "from_sha256": self.source.sha256}
        record |= {"validation": figures, "settings": to_dict(self.settings)}
        half = any(tensor.dtype == torch.bfloat16 for tensor in load_file(self.source.path / WEIGHTS_FILE).values())
        card = self.source.path / MODEL_CARD
        save_weights(
            self.network,
            self.out,
            training=self.source.training | {"confidence": record},
            sampling=self.source.sampling,
            half=half,
        )
        if card.is_file() and self.source.path.resolve() != self.out.resolve():
            shutil.copyfile(card, self.out / MODEL_CARD)
        return self.out


def _well_resolved(structures: StructureSet) -> StructureSet:
    """The same set with structures of known poor resolution never drawn."""
    blurred = [float(str(entry.get("resolution", 0.0))) > _WORST_RESOLUTION for entry in structures.metadata]
    structures.weight = structures.weight * ~np.array(blurred, bool)
    return structures


def _drawn(
    network: StructureNetwork, batches: TrainingBatches, number: int, settings: ConfidenceTraining, seed: int
) -> DrawnBatch:
    batch = batches.batch(number)
    turns = len(settings.samplings) + bool(settings.noise_on_truth)
    from_truth = number % turns == len(settings.samplings)
    if from_truth:
        level = settings.noise_on_truth[number // turns % len(settings.noise_on_truth)]
        sampling = SamplingConfig(steps=6, solver="dpm-solver-2m", sigma_max=level)
    else:
        sampling = settings.samplings[number % turns]
    return draw_batch(
        network, batch, samples=settings.samples, sampling=sampling, seed=seed, number=number, from_truth=from_truth
    )


def validate_confidence(
    network: StructureNetwork, structures: StructureSet, settings: ConfidenceTraining
) -> dict[str, float]:
    """How well pLDDT foretells lDDT on structures drawn for given experimental ones.

    Spearman's correlation over all tokens, over the means of whole structures, and the mean of that within each
    structure; the mean absolute difference of pLDDT and lDDT (0 to 100) of tokens; the mean lDDT and pLDDT themselves.
    """
    batches = TrainingBatches(structures, settings.batches, settings.tasks, seed=_VALIDATION_SEED)
    told: list[np.ndarray] = []
    true: list[np.ndarray] = []
    network.confidence.eval()
    for number in range(settings.validation_batches):
        item = _drawn(network, batches, number, settings, _VALIDATION_SEED)
        for place in range(settings.samples):
            index = torch.full((len(item.representative),), place)
            with torch.no_grad():
                logits = item.logits(network, index)
            truth = item.truth.pick(index)
            for row, mask in enumerate(truth.plddt_mask):
                if mask.any():
                    told.append(plddt_from_logits(logits.plddt[row])[mask.numpy()])
                    true.append(100 * truth.lddt[row][mask].numpy())
    all_told, all_true = np.concatenate(told), np.concatenate(true)
    within = [_spearman(a, b) for a, b in zip(told, true, strict=True) if len(a) >= 10]
    return {
        "spearman_tokens": _spearman(all_told, all_true),
        "spearman_structures": _spearman([a.mean() for a in told], [b.mean() for b in true]),
        "spearman_within_structures": float(np.nanmean(within)) if within else float("nan"),
        "mean_absolute_error_0_to_100": float(np.abs(all_told - all_true).mean()),
        "mean_lddt_0_to_100": float(all_true.mean()),
        "mean_plddt_0_to_100": float(all_told.mean()),
    }


def _spearman(told: Sequence[float] | np.ndarray, true: Sequence[float] | np.ndarray) -> float:
    """Spearman's rank correlation; 0 where one side does not vary, since nothing is foretold then."""
    if len(told) < 2 or np.ptp(told) == 0 or np.ptp(true) == 0:
        return 0.0
    return float(spearmanr(told, true).statistic)  # type: ignore[attr-defined]


def main(arguments: Sequence[str] | None = None) -> int:
    """Trains the confidence head from the command line."""
    parser = argparse.ArgumentParser(prog="python -m structdiff.training.confidence", description=__doc__)
    parser.add_argument("weights", type=Path, help="weights folder to start from")
    parser.add_argument("data", type=Path, help="folder of the training set")
    parser.add_argument("out", type=Path, help="folder for the new weights")
    parser.add_argument("--max-minutes", type=float, default=10.0, help="wall-clock limit (default 10)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=None, help="CPU threads")
    chosen: Mapping[str, object] = vars(parser.parse_args(arguments))
    try:
        folder = train_confidence(**chosen)  # type: ignore[arg-type]
    except StructdiffError as error:
        print(error, file=sys.stderr)
        return 2
    print(f"weights written to {folder}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

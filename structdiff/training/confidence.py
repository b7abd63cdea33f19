"""Trains the confidence head on structures of every quality, many drawn by the network; all else stays as it is.

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
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from structdiff.configuration import to_dict
from structdiff.errors import InputError
from structdiff.model.checkpoint import Weights, is_half, save_weights
from structdiff.model.heads import ConfidenceHead
from structdiff.model.library import load_named_weights
from structdiff.model.network import StructureNetwork
from structdiff.options import recommended_sampling
from structdiff.structure.files import write_atomically
from structdiff.training.command import run_command
from structdiff.training.confidence_examples import DrawnBatch, Source, confidence_loss, draw_batch
from structdiff.training.confidence_judge import Judge
from structdiff.training.confidence_sets import validation_halves, well_resolved
from structdiff.training.confidence_streams import ConfidenceTraining, Stream, drawn_stream, mixed_streams, streams
from structdiff.training.confidence_validation import restarts, samplings, validate_confidence
from structdiff.training.dataset import StructureSet
from structdiff.training.history import rounds_in_all

MODEL_CARD = "MODEL_CARD.md"
JUDGE_SEED = 2  # of structures to judge by: the same in every run, so that runs can be compared


def train_confidence(
    weights: str | Path,
    data: Path,
    out: Path,
    *,
    max_minutes: float | None = 10.0,
    seed: int = 0,
    threads: int | None = None,
    fresh: bool = False,
    settings: ConfidenceTraining | None = None,
) -> Path:
    """Trains the confidence head of a weights folder and returns the new folder ``out``.

    Trunk, denoiser and distogram come out as they were, bit for bit. A checkpoint beside ``out`` is continued, so an
    interrupted call loses at most some minutes. The call ends after max_minutes of wall-clock time plus a validation
    whose figures go into the new config.json under training.confidence. The head that is written is the one that judged
    best in the course of it, the one to begin with among them.

    Args:
        weights: name or folder to start from; not changed, unless it is ``out``.
        data: folder of a StructureSet; its training split and one half of its validation split are learned from, the
            other half judges (structdiff.training.confidence_sets).
        out: folder of the new weights.
        max_minutes: wall-clock limit of this call; None where ``settings.max_rounds`` is the limit.
        seed: of structures, crops and noise.
        threads: of the CPU; PyTorch decides if None.
        fresh: begin with an untrained head, whatever head the weights hold.
        settings: everything else.

    Raises InputError for folders that hold no weights or no structures, for a set without validation structures, and
    for a checkpoint of other weights.
    """
    settings = settings or ConfidenceTraining()
    if max_minutes is None and settings.max_rounds is None:
        raise InputError("the call needs a limit", key="max_minutes", found=None, allowed="minutes, or max_rounds")
    if max_minutes is not None and max_minutes <= 0:
        raise InputError("must be more than 0 minutes", key="max_minutes", found=max_minutes)
    if Path(out).exists() and not Path(out).is_dir():  # told before the work, not after
        raise InputError("cannot be written: this is a file, not a folder", path=out, key="out")
    if threads:
        torch.set_num_threads(threads)
    torch.manual_seed(seed)
    source = load_named_weights(weights, fresh_confidence=fresh)
    if not len(StructureSet(data, "val")):
        raise InputError("the set has no structures for validation, by which the head is judged", path=data)
    run = _Run(source, Path(data), Path(out), seed, settings)
    run.rounds_before = 0 if fresh else rounds_in_all(source)
    run.resume()
    run.train(max_minutes)
    return run.finish()


class _Best(NamedTuple):
    """The averaged head that judged best so far, after which round, and its losses (none: nothing was judged)."""

    round: int
    losses: dict[str, float]
    head: dict[str, torch.Tensor]


class _Run:
    """The head under training, its moving average, and the drawn structures it learns from."""

    def __init__(self, source: Weights, data: Path, out: Path, seed: int, settings: ConfidenceTraining) -> None:
        self.source, self.data, self.out, self.seed, self.settings = source, data, out, seed, settings
        self.unlearnt, self.judged = validation_halves(data)
        self.ways = tuple(settings.samplings) or samplings(recommended_sampling(source))
        self.network: StructureNetwork = source.own_network
        self.head: ConfidenceHead = self.network.confidence
        self.average = copy.deepcopy(self.head).requires_grad_(False).eval()
        self.head.requires_grad_(True).train()
        self.optimiser = torch.optim.AdamW(
            self.head.parameters(), lr=settings.learning_rate, betas=(0.9, 0.98), weight_decay=settings.weight_decay
        )
        self.checkpoint = out.parent / f"{out.name}-confidence.ckpt"
        self.pool: deque[DrawnBatch] = deque(maxlen=settings.pool)
        self.round = self.step = self.rounds_before = 0
        self.best = _Best(round=0, losses={}, head=copy.deepcopy(self.head.state_dict()))

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
        self.best = _Best(**state["best"])

    def train(self, max_minutes: float | None) -> None:
        """Draws and learns in turn until a limit is met; saves a checkpoint now and then and in the end."""
        structures, settings = well_resolved(self.data, "train"), self.settings
        kinds = mixed_streams(structures, self.unlearnt, settings, seed=self.seed)
        judge = self._judge()
        began = saved = time.monotonic()
        first, limit = self.round, self.settings.max_rounds
        try:
            while limit is None or self.round < limit:
                minutes = (time.monotonic() - began) / 60
                passed = 0.0 if max_minutes is None else minutes / max_minutes
                if passed >= 1:
                    break
                done = passed if limit is None else max(passed, self.round / limit)
                terms = self._round(kinds, done)
                if self.round % 5 == 1:
                    text = " ".join(f"{name} {value:.3f}" for name, value in terms.items())
                    minutes = (time.monotonic() - began) / 60
                    ends = [] if max_minutes is None else [max_minutes - minutes]
                    ends += [] if limit is None else [minutes / (self.round - first) * (limit - self.round)]
                    print(f"round {self.round} step {self.step} ({min(ends):.1f} min left) {text}", flush=True)
                if self.round % settings.judge_rounds == 0:
                    self._judged(judge)
                if time.monotonic() - saved > 60 * self.settings.save_minutes:
                    self._save_checkpoint()
                    saved = time.monotonic()
            if self.round > first and self.round % settings.judge_rounds:
                self._judged(judge)
        finally:
            if self.round > first:
                self._save_checkpoint()

    def _judge(self) -> Judge:
        """What heads are measured by; the one to begin with is measured at once, unless a checkpoint did."""
        settings = self.settings
        print("drawing structures to judge by", flush=True)
        judge = Judge(
            self.network, streams(self.judged, settings, seed=JUDGE_SEED), recommended_sampling(self.source),
            count=settings.judge_batches, seed=JUDGE_SEED,
        )  # fmt: skip
        if not self.best.losses:
            self._judged(judge)
        return judge

    def _judged(self, judge: Judge) -> None:
        """Measures the averaged head and keeps it if it is the best so far."""
        losses = judge.losses(self.average)
        text = " ".join(f"{name} {value:.3f}" for name, value in losses.items())
        if not self.best.losses or losses["all"] < self.best.losses["all"]:
            self.best = _Best(round=self.round, losses=losses, head=copy.deepcopy(self.average.state_dict()))
        print(f"judged after round {self.round}: {text} (best after round {self.best.round})", flush=True)

    def _round(self, kinds: Sequence[Stream], done: float) -> dict[str, float]:
        """One batch drawn, some steps learned; the mean losses."""
        rng = np.random.default_rng([self.seed, self.round])
        stream = drawn_stream(kinds, rng)
        source = self._source(self.round, stream.decoys)
        batch = stream.batches.batch(self.round)
        self.pool.append(draw_batch(self.network, batch, source, seed=self.seed, number=self.round))
        total: dict[str, float] = {}
        for _ in range(self.settings.reuse):
            item = self.pool[int(rng.integers(len(self.pool)))]
            for name, value in self._learn(item, rng, done).items():
                total[name] = total.get(name, 0.0) + value / self.settings.reuse
        self.round += 1
        return total

    def _source(self, number: int, decoys: Sequence[str]) -> Source:
        settings = self.settings
        sampling = self.ways[number % len(self.ways)]
        return Source(samplings=(sampling,) * settings.samples, restarts=restarts(number), decoys=decoys, truth=True)

    def _learn(self, item: DrawnBatch, rng: np.random.Generator, done: float) -> dict[str, float]:
        settings = self.settings
        rate = min(1.0, (self.step + 1) / max(1, settings.warmup_steps)) * min(1.0, max(0.1, 2 * (1 - done)))
        for group in self.optimiser.param_groups:
            group["lr"] = settings.learning_rate * rate
        drawn, (size, count) = settings.samples, item.positions.shape[:2]
        others = rng.integers(drawn, count, size)
        index = torch.from_numpy(
            np.where(rng.random(size) < settings.drawn_share, rng.integers(0, drawn, size), others)
        )
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
            "best": self.best._asdict(),
        }
        buffer = io.BytesIO()
        torch.save(state, buffer)
        write_atomically(self.checkpoint, buffer.getvalue())

    def finish(self) -> Path:
        """Says how much the head that judged best knows of held-out structures, and writes the new weights."""
        self.network.confidence.load_state_dict(self.best.head)
        figures = validate_confidence(
            self.network,
            self.judged,
            batches=self.settings.validation_batches,
            recommended=recommended_sampling(self.source),
            config=self.settings.validation_crops,
            complexes=self.settings.chain_crops,
        )
        for name, values in figures.items():
            print(f"validation {name} " + " ".join(f"{key} {value:.3f}" for key, value in values.items()), flush=True)
        record: dict[str, object] = {"steps": self.step, "rounds": self.round, "seed": self.seed}
        record |= {"rounds_in_all": self.rounds_before + self.round, "from_sha256": self.source.sha256}
        record |= {"kept_after_round": self.best.round, "judged": self.best.losses}
        record |= {"validation": figures, "settings": to_dict(replace(self.settings, samplings=self.ways))}
        card = self.source.path / MODEL_CARD
        save_weights(
            self.network,
            self.out,
            training=self.source.training | {"confidence": record},
            sampling=self.source.sampling,
            half=is_half(self.source.path),
        )
        if card.is_file() and self.source.path.resolve() != self.out.resolve():
            shutil.copyfile(card, self.out / MODEL_CARD)
        return self.out


def main(arguments: Sequence[str] | None = None) -> int:
    """Trains the confidence head from the command line."""
    parser = argparse.ArgumentParser(prog="python -m structdiff.training.confidence", description=__doc__)
    parser.add_argument("weights", help="name or folder of the weights to start from")
    parser.add_argument("data", type=Path, help="folder of the training set")
    parser.add_argument("out", type=Path, help="folder for the new weights")
    parser.add_argument("--max-minutes", type=float, default=10.0, help="wall-clock limit (default 10)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--fresh", action="store_true", help="begin with an untrained head")
    parser.add_argument("--threads", type=int, default=None, help="CPU threads")
    chosen: Mapping[str, object] = vars(parser.parse_args(arguments))
    return run_command(lambda: f"weights written to {train_confidence(**chosen)}")  # type: ignore[arg-type]


if __name__ == "__main__":
    sys.exit(main())

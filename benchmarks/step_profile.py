"""What a training step costs on a CPU: its parts, the operators that cost most, and the floor of its matrix products.

    python benchmarks/step_profile.py DATA [--settings examples/train_mini.yaml] [--steps 8] [--json OUT]

Processor seconds of one thread, for each size of crop in the settings and for the mix of them. The floor is the time
that the matrix products alone would take: their FLOP (PyTorch's counter on the definitions of the kernels; forward,
backward, first guesses and recycles as often as they are drawn) at the rate of a product of two matrices of 768 x 768,
which is measured between the steps, so that a busy machine slows both.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.profiler import ProfilerActivity, profile
from train_gpu import mean_flop

from structdiff import kernels
from structdiff.evaluation.summary import Summary, summarise
from structdiff.model.network import preset
from structdiff.training.batches import TrainingBatches
from structdiff.training.dataset import StructureSet
from structdiff.training.run import TrainConfig, fresh_module, read_train_config

PARTS = ("data", "trunk", "denoiser", "losses", "backward", "optimiser")
_EDGE = 768  # of the matrices whose product tells the rate; those of the step are about as large
_OPERATORS = 16  # that are listed


@dataclass(frozen=True, kw_only=True)
class Timed:
    """One step: processor seconds by part, and the rate of a matrix product right after it in FLOP/s."""

    parts: dict[str, float]
    rate: float

    @property
    def seconds(self) -> float:
        return sum(self.parts.values())


class Step:
    """A training step taken apart."""

    def __init__(self, config: TrainConfig) -> None:
        self.config = config
        torch.manual_seed(config.seed)
        self.module = fresh_module(config, preset(config.model))
        self.optimiser = self.module.configure_optimizers()["optimizer"]
        structures = StructureSet(config.data, "train")
        self.batches = TrainingBatches(structures, config.batches, config.tasks, seed=config.seed)

    def take(self, tokens: int, size: int, number: int, mark: Callable[[str], None]) -> None:
        """A step on a batch of that size; mark is called with the name of each part as it ends."""
        batch = self.batches.draw(tokens, size, np.random.default_rng([self.config.seed, number]))
        mark("data")
        generator = torch.Generator().manual_seed(self.config.seed * 1_000_003 + number)
        with self._watched(mark):
            loss = self.module.losses(self.module.network, batch, generator)["loss"]
        mark("losses")
        self.optimiser.zero_grad()
        loss.backward()
        mark("backward")
        self.module.configure_gradient_clipping(self.optimiser, self.config.optimiser.clip_norm)
        self.optimiser.step()
        self.module.carry_average_on()
        mark("optimiser")

    @contextmanager
    def _watched(self, mark: Callable[[str], None]) -> Iterator[None]:
        """Marks the ends of trunk and denoiser; what lies between is the losses'."""
        network = self.module.network
        hooks = []
        for part, layer in (("trunk", network.trunk), ("denoiser", network.denoiser)):
            hooks.append(layer.register_forward_pre_hook(lambda *_: mark("losses")))
            hooks.append(layer.register_forward_hook(lambda *_, part=part: mark(part)))
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()


def product_rate() -> float:
    """FLOP a second of one matrix product, the best of three."""
    matrix = torch.ones(_EDGE, _EDGE)
    best = float("inf")
    for _ in range(3):
        began = time.process_time()
        torch.mm(matrix, matrix)
        best = min(best, time.process_time() - began)
    return 2 * _EDGE**3 / best


def timed(step: Step, tokens: int, size: int, number: int) -> Timed:
    """One step with its parts timed."""
    parts, last = defaultdict(float), time.process_time()

    def mark(part: str) -> None:
        nonlocal last
        now = time.process_time()
        parts[part] += now - last
        last = now

    step.take(tokens, size, number, mark)
    return Timed(parts={part: parts[part] for part in PARTS}, rate=product_rate())


def crop_report(steps: list[Timed], size: int, flop: float) -> dict[str, Any]:
    """Figures of one size of crop: means, the interval of the seconds, shares, and the floor of the products."""
    seconds = summarise([each.seconds for each in steps])
    floor = summarise([flop / each.rate for each in steps])
    return {
        "structures": size, "seconds": _stated(seconds), "structures a second": size / seconds.mean,
        "share, %": {part: 100 * float(np.mean([each.parts[part] for each in steps])) / seconds.mean for part in PARTS},
        "tera FLOP of matrix products": flop / 1e12, "giga FLOP a second of a product": flop / floor.mean / 1e9,
        "matrix products alone, s": _stated(floor), "matrix products alone, %": 100 * floor.mean / seconds.mean,
    }  # fmt: skip


def _stated(found: Summary) -> dict[str, float]:
    return {"mean": found.mean, "low": found.low, "high": found.high}


def operators(step: Step, crops: list[tuple[int, int]]) -> dict[str, float]:
    """Share (%) of the time that each operator takes itself, of one step for each crop, the largest first."""
    with profile(activities=[ProfilerActivity.CPU]) as watched:
        for tokens, size in crops:
            step.take(tokens, size, 1, lambda part: None)
    found = {each.key: each.self_cpu_time_total for each in watched.key_averages()}
    total = sum(found.values())
    return {name: 100 * own / total for name, own in sorted(found.items(), key=lambda item: -item[1])[:_OPERATORS]}


def measure(config: TrainConfig, repeats: int) -> dict[str, Any]:
    """All figures: by crop, of the mix, and the operators."""
    crops = [(int(tokens), int(size), float(share)) for tokens, size, share in config.batches.crops]
    flops = [mean_flop(config, [crop]) for crop in crops]
    kernels.set_mode(None)
    step = Step(config)
    for tokens, size, _ in crops:
        step.take(tokens, size, 0, lambda part: None)  # memory and tables of the first call
    steps: list[list[Timed]] = [[] for _ in crops]
    for number in range(1, repeats + 1):
        for place, (tokens, size, _) in enumerate(crops):
            steps[place].append(timed(step, tokens, size, number))
    found = {
        str(tokens): crop_report(each, size, flop)
        for each, (tokens, size, _), flop in zip(steps, crops, flops, strict=True)
    }
    rows = list(found.values())
    shares = np.array([share for *_, share in crops]) / sum(share for *_, share in crops)
    seconds = float(shares @ [row["seconds"]["mean"] for row in rows])
    floor = float(shares @ [row["matrix products alone, s"]["mean"] for row in rows])
    structures = float(shares @ [row["structures"] for row in rows])
    mix = {"seconds": seconds, "structures a second": structures / seconds,
           "matrix products alone, %": 100 * floor / seconds}  # fmt: skip
    return {"crops": found, "mix": mix, "operators, %": operators(step, [(tokens, size) for tokens, size, _ in crops])}


def table(found: dict[str, Any]) -> list[str]:
    """Markdown: a line a size of crop, then the operators."""
    lines = [
        "| crop | s a step | structures a second | " + " | ".join(PARTS) + " | matrix products alone |",
        "|---|---|---|" + "---|" * len(PARTS) + "---|",
    ]
    for tokens, row in found["crops"].items():
        seconds = row["seconds"]
        shares = " | ".join(f"{row['share, %'][part]:.1f} %" for part in PARTS)
        lines.append(
            f"| {tokens} x {row['structures']} | {seconds['mean']:.2f} [{seconds['low']:.2f}, {seconds['high']:.2f}] "
            f"| {row['structures a second']:.2f} | {shares} | {row['matrix products alone, %']:.0f} % of the step: "
            f"{row['tera FLOP of matrix products']:.3f} TFLOP at {row['giga FLOP a second of a product']:.0f} GFLOP/s |"
        )
    mix = found["mix"]
    lines.append(
        f"| mix | {mix['seconds']:.2f} | {mix['structures a second']:.2f} |" + " |" * len(PARTS)
        + f" {mix['matrix products alone, %']:.0f} % |"
    )  # fmt: skip
    lines += ["", "| operator | share of the step |", "|---|---|"]
    return lines + [f"| `{name}` | {share:.1f} % |" for name, share in found["operators, %"].items()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--settings", type=Path, default=Path(__file__).parents[1] / "examples" / "train_mini.yaml")
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    found = measure(read_train_config(options.settings, {"data": str(options.data)}), options.steps)
    print("\n".join(table(found)))
    if options.json:
        options.json.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()

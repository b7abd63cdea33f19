"""Ways to train compared: the same time of one core for each, one yardstick of held-out losses and drawn structures.

    python benchmarks/ablate_training.py DATA runs/ablation --minutes 2.5 --json benchmarks/results/ablation.json
    python benchmarks/ablate_training.py DATA runs/denoisers --set denoisers --minutes 8 --json denoisers.json
    python benchmarks/ablate_training.py --table benchmarks/results/ablation.json

The settings are those of examples/train_mini.yaml, short (ablation_variants.py) and with one change each, for a
cut-down network of 0.7 million parameters, which takes hundreds of steps in minutes: a few dozen steps of mini, new or
continued, move nothing beyond noise. Variants take turns of half a minute of processor time on one thread, so that what
else the machine does meets all alike; runs/ablation keeps their state, and the same command goes on (with fewer minutes
it ends earlier). The baseline is trained from two seeds; its mean is what all are held against, and its difference is
what a seed alone makes. In the baseline, averages of the weights over different shares of the steps are followed too,
as they are when the rate begins to fall and in the end. Designs of the denoiser are compared at the size of mini.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import torch
from ablation_judge import MEASURES, counts, difference, held_out, judged
from ablation_variants import AGAIN, BASELINE, SETS, Variant, cut_down, settings

from structdiff.structure.files import write_atomically
from structdiff.training.batches import TrainingBatches
from structdiff.training.dataset import StructureSet
from structdiff.training.run import TrainConfig, fresh_module

_TURN = 30.0  # s of processor time
#: Averages that are followed: 1 / the share of the steps they remember. The first is what training takes in short runs.
MEMORIES = (9, 30, 4)
FALLING, END = "when the rate begins to fall", "in the end"


class Training:
    """One variant under training; its state is in a file between turns."""

    def __init__(self, variant: Variant, data: Path, minutes: float, path: Path) -> None:
        self.config: TrainConfig = settings(data, variant)
        self.seconds, self.step, self.path = 0.0, 0, path
        self.allowed, self.variant = 60 * minutes, variant
        self.batches = TrainingBatches(
            _structures(data, variant.alike), self.config.batches, self.config.tasks, seed=self.config.seed
        )
        torch.manual_seed(self.config.seed)
        with variant.denoiser():
            self.module = fresh_module(self.config, variant.sizes or cut_down())
        self.optimiser = self.module.configure_optimizers()["optimizer"]
        memories = MEMORIES if variant.name == BASELINE else MEMORIES[:1]
        self.averages = {memory: [x.detach().clone() for x in self._weights()] for memory in memories}
        self.kept: dict[int, list[torch.Tensor]] = {}
        if path.is_file():
            self._load()

    def _weights(self) -> list[torch.Tensor]:
        return list(self.module.network.parameters())

    def turn(self) -> None:
        """Trains for a turn, or to the end of its time, and saves."""
        until = min(self.allowed, self.seconds + _TURN)
        while self.seconds < until:
            began = time.process_time()
            self._step()
            self.seconds += time.process_time() - began
            if not self.kept and self._passed() >= 1 - self.config.optimiser.decay_share:
                self.kept = {0: [x.detach().clone() for x in self._weights()]}
                self.kept |= {memory: [x.clone() for x in average] for memory, average in self.averages.items()}
        self._save()

    def _passed(self) -> float:
        return min(1.0, self.seconds / self.allowed)

    def _step(self) -> None:
        config = self.config.optimiser
        for group in self.optimiser.param_groups:
            group["lr"] = config.learning_rate * config.rate(self.step, self._passed())
        generator = torch.Generator().manual_seed(self.config.seed * 1_000_003 + self.step)
        loss = self.module.losses(self.module.network, self.batches.batch(self.step), generator)["loss"]
        self.optimiser.zero_grad()
        loss.backward()
        self.module.configure_gradient_clipping(self.optimiser, config.clip_norm)
        self.optimiser.step()
        self.step += 1
        with torch.no_grad():
            for memory, average in self.averages.items():
                decay = min(config.ema_decay, (1 + self.step) / (1 + memory + self.step))
                torch._foreach_lerp_(average, self._weights(), 1 - decay)  # pyright: ignore

    def _save(self) -> None:
        state = {"network": self.module.network.state_dict(), "optimiser": self.optimiser.state_dict(),
                 "averages": self.averages, "kept": self.kept, "step": self.step, "seconds": self.seconds}  # fmt: skip
        part = self.path.with_suffix(".part")
        torch.save(state, part)
        part.replace(self.path)

    def _load(self) -> None:
        state = torch.load(self.path, map_location="cpu", weights_only=True)
        self.module.network.load_state_dict(state["network"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.averages, self.kept = state["averages"], state["kept"]
        self.step, self.seconds = state["step"], state["seconds"]

    def judged_with(self, weights: Sequence[torch.Tensor], batches: Sequence, guess: bool) -> dict[str, list[float]]:
        """The yardstick with these weights in the network."""
        with torch.no_grad():
            for own, new in zip(self._weights(), weights, strict=True):
                own.copy_(new)
        return judged(self.module.network, batches, guess=guess)

    def result(self, batches: Sequence) -> dict[str, Any]:
        """What is kept of a variant whose time is over."""
        learnt = self.config.self_conditioning > 0
        found: dict[str, Any] = {
            "name": self.variant.name, "steps": self.step, "seconds": round(self.seconds, 1),
            "parameters": sum(x.numel() for x in self._weights()),
        }  # fmt: skip
        found["values"] = self.judged_with(self.averages[MEMORIES[0]], batches, learnt)
        if learnt and self.variant.name == BASELINE:
            found["without guess"] = self.judged_with(self.averages[MEMORIES[0]], batches, False)
        return found

    def judged_averages(self, batches: Sequence) -> Iterator[tuple[str, str, dict[str, list[float]]]]:
        """The averages that were followed: moment, what they remember ("0" is none), and the yardstick."""
        moments = {END: {0: [x.detach().clone() for x in self._weights()]} | self.averages, FALLING: self.kept}
        for moment, kept in moments.items():
            for memory, weights in kept.items():
                yield moment, str(memory), self.judged_with(weights, batches, self.config.self_conditioning > 0)


def _file_name(name: str) -> str:
    return "".join(letter if letter.isalnum() else "_" for letter in name) + ".pt"


@cache
def _structures(data: Path, alike: bool) -> StructureSet:
    structures = StructureSet(data, "train")
    if alike:
        structures.weight = structures.weight * 0 + 1
    return structures


def run(data: Path, out: Path, variants: Sequence[Variant], minutes: float, path: Path) -> None:
    """Trains all variants in turns, and writes what each came to as soon as its time is over."""
    out.mkdir(parents=True, exist_ok=True)
    report = json.loads(path.read_text()) if path.is_file() else {"minutes": minutes, "variants": {}}
    if report["minutes"] != minutes:
        raise SystemExit(f"{path} is of {report['minutes']} minutes; name another file for {minutes}")
    batches = held_out(data)
    waiting = [variant for variant in variants if variant.name not in report["variants"]]
    began = time.monotonic()
    while waiting:
        still = []
        for variant in waiting:
            training = Training(variant, data, minutes, out / _file_name(variant.name))
            if training.seconds < training.allowed:
                training.turn()
                still.append(variant)
                continue
            report["variants"][variant.name] = training.result(batches)
            write_atomically(path, json.dumps(report) + "\n")
            print(f"{variant.name}: judged", flush=True)
        waiting = still
        wall = (time.monotonic() - began) / 60
        if waiting:
            print(
                f"{len(waiting)} left, {training.seconds:.0f} of {training.allowed:.0f} s ({wall:.0f} min)", flush=True
            )
    first = next((variant for variant in variants if variant.name == BASELINE), None)
    if first and "averages" not in report["variants"][BASELINE]:
        kept: dict[str, dict[str, Any]] = {}
        training = Training(first, data, minutes, out / _file_name(BASELINE))
        for moment, memory, values in training.judged_averages(batches):
            kept.setdefault(moment, {})[memory] = values
        report["variants"][BASELINE]["averages"] = kept
        write_atomically(path, json.dumps(report) + "\n")


def table(report: Mapping[str, Any]) -> list[str]:
    """The markdown tables of a report: variants beside the baseline, then averages of the weights."""
    rows = report["variants"]
    seeds = [rows[name]["values"] for name in (BASELINE, AGAIN) if name in rows]
    if len(seeds) < 2:
        raise SystemExit("the two seeds of the baseline are not there yet")
    apart = {name: difference(seeds[1][name], [seeds[0][name]]) for name in MEASURES}
    lines = [_line(["", "steps", *(words for words, *_ in MEASURES.values())]), "|---|" + "---|" * (len(MEASURES) + 1)]
    steps = f"{rows[BASELINE]['steps']}, {rows[AGAIN]['steps']}"
    absolute = [_shown(difference(_mean(seeds, name), [[0.0] * len(seeds[0][name])]), name) for name in MEASURES]
    lines.append(_line(["baseline, two seeds", steps, *absolute]))
    lines.append(_line(["one seed less the other", "", *(_shown(apart[name], name) for name in MEASURES)]))
    others = {name: row["values"] for name, row in rows.items() if name not in (BASELINE, AGAIN)}
    if "without guess" in rows[BASELINE]:
        lines.append(
            _row("not shown its own answer, first seed", "", rows[BASELINE]["without guess"], seeds[:1], apart)
        )
    for name, values in others.items():
        lines.append(_row(name, str(rows[name]["steps"]), values, seeds, apart))
    for moment, kept in rows[BASELINE].get("averages", {}).items():
        lines += ["", *_averages(moment, kept, apart)]
    return lines


def _averages(moment: str, kept: Mapping[str, Any], apart: Mapping[str, Any]) -> list[str]:
    """Averages of the weights at a moment, less the one that training takes."""
    own = kept[str(MEMORIES[0])]
    header = _line([f"average {moment}", *(words for words, *_ in MEASURES.values())])
    lines = [header, "|---|" + "---|" * len(MEASURES)]
    for memory, values in kept.items():
        if values is not own:
            name = "none" if memory == "0" else f"over the last {100 / int(memory):.0f} % of the steps"
            cells = [_cell(values[measure], [own[measure]], measure, 0.0) for measure in MEASURES]
            lines.append(_line([name, *cells]))
    return lines


def _row(name: str, steps: str, values: Mapping, seeds: Sequence[Mapping], apart: Mapping[str, Any]) -> str:
    cells = [
        _cell(values[measure], [seed[measure] for seed in seeds], measure, abs(apart[measure].mean))
        for measure in MEASURES
    ]
    return _line([name, steps, *cells])


def _cell(own: Sequence[float], others: Sequence[Sequence[float]], measure: str, seeds: float) -> str:
    found = difference(own, others)
    if not counts(found, seeds):
        return _shown(found, measure, sign=True)
    better = (found.mean > 0) == MEASURES[measure][2]
    return f"{_shown(found, measure, sign=True)} {'better' if better else 'worse'}"


def _shown(found: Any, measure: str, sign: bool = False) -> str:
    digits = MEASURES[measure][1]
    plus = "+" if sign else ""
    return f"{found.mean:{plus}.{digits}f} [{found.low:{plus}.{digits}f}, {found.high:{plus}.{digits}f}]"


def _mean(seeds: Sequence[Mapping[str, Sequence[float]]], name: str) -> list[float]:
    return [sum(values) / len(values) for values in zip(*(seed[name] for seed in seeds), strict=True)]


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, nargs="?")
    parser.add_argument("out", type=Path, nargs="?")
    parser.add_argument("--set", choices=SETS, default="settings")
    parser.add_argument("--minutes", type=float, default=2.5)
    parser.add_argument("--only", nargs="+")
    parser.add_argument("--json", type=Path, default=Path("benchmarks/results/ablation.json"))
    parser.add_argument("--table", type=Path)
    options = parser.parse_args()
    if options.table:
        print("\n".join(table(json.loads(options.table.read_text()))))
        return
    if options.data is None or options.out is None:
        parser.error("a training set and a folder for the state of the runs are needed")
    known = {variant.name: variant for variant in SETS[options.set]}
    if unknown := set(options.only or ()) - set(known):
        parser.error(f"--only {', '.join(sorted(unknown))}: there are {', '.join(known)}")
    torch.set_num_threads(1)
    run(options.data, options.out, [known[name] for name in options.only or known], options.minutes, options.json)


if __name__ == "__main__":
    main()

"""Makes weights again, from nothing, by their record: every part of their training in turn, then the confidence head.

    python -m structdiff.training.repeat WEIGHTS DATA OUT
    python -m structdiff.training.repeat mini data runs/again --share 0.01    a hundredth of all steps, to try it

The same command goes on after a stop. OUT/weights is the result, OUT/part_1, OUT/part_2 and so on are the runs.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from structdiff.configuration import from_dict
from structdiff.errors import InputError, OutOfReachError, StructdiffError
from structdiff.model.checkpoint import Weights, is_half, load_weights, save_weights
from structdiff.model.library import load_named_weights
from structdiff.model.network import preset
from structdiff.training.command import run_command
from structdiff.training.confidence import train_confidence
from structdiff.training.confidence_streams import ConfidenceTraining
from structdiff.training.designs import DrawnDesigns, draw_designs
from structdiff.training.history import Record, parts_of, rounds_in_all
from structdiff.training.redesign import Redesign, redesign
from structdiff.training.run import TrainConfig, train
from structdiff.training.step_settings import OptimiserConfig


def repeat_training(
    weights: str | Path,
    data: Path,
    out: Path,
    *,
    share: float = 1.0,
    threads: int | None = None,
    accelerator: str | None = None,
) -> Path:
    """Trains a fresh network as weights were trained; returns the folder of what came out.

    A part that was limited by the clock takes as many steps as it took then, its rate falling over the same share of
    them. Sums are taken in another order on other machines and with other threads, so that the outcome is of the same
    kind, not the same to the bit.

    Args:
        weights: whose training is repeated: a name or a folder. Only its record is used.
        data: made by ``structdiff prepare``.
        out: folder of all that comes out; finished parts in it are kept, unfinished ones go on.
        share: of all steps.
        threads, accelerator: in place of the recorded ones.

    Raises InputError when the record is no whole history, for a folder of another repetition, and where after the share
    of the steps the network draws nothing that its confidence head could learn from.
    """
    if not 0 < share <= 1:
        raise InputError("a share of the steps is more than 0 and at most 1", key="share", found=share)
    source = load_named_weights(weights)
    runs = _runs(source, data, out, share, {"threads": threads, "accelerator": accelerator})
    _redesign(source, data, share)
    for number, (config, part) in enumerate(zip(runs, parts_of(source.training), strict=True), 1):
        print(f"part {number} of {len(runs)}: {config.max_steps} steps in {config.out}", flush=True)
        if config.designs is not None:
            _designs(config.designs, config, part, share, source)
        _finish(config)
    trained = load_weights(runs[-1].out / "weights")
    recorded: Mapping[str, Any] = source.training.get("confidence", {})  # type: ignore[assignment]
    whole = out / ("before_confidence" if recorded else "weights")
    save_weights(trained.network, whole, training=trained.training, sampling=source.sampling, half=is_half(source.path))
    if not recorded:
        return whole
    settings = from_dict(ConfidenceTraining, recorded["settings"], path=source.path, key="training.confidence.settings")
    rounds = max(1, round(share * rounds_in_all(source)))
    print(f"confidence head: {rounds} rounds", flush=True)
    try:
        return train_confidence(
            whole, data, out / "weights", max_minutes=None, seed=recorded["seed"], threads=threads, fresh=True,
            settings=dataclasses.replace(settings, max_rounds=rounds),
        )  # fmt: skip
    except OutOfReachError:
        steps = sum(config.max_steps for config in runs)
        raise InputError(f"after {steps} steps in all the network cannot draw structures yet for its confidence head "
                         "to learn from: atoms end out of reach; give a larger share and another folder", path=whole,
                         key="share", found=share) from None  # fmt: skip


def _runs(source: Weights, data: Path, out: Path, share: float, changes: Mapping[str, object]) -> list[TrainConfig]:
    parts = parts_of(source.training)
    if not parts or parts[0]["settings"]["start_from"] is not None:
        raise InputError("the weights do not record how they were made from nothing", path=source.path)
    runs: list[TrainConfig] = []
    for number, part in enumerate(parts, 1):
        key = f"training.parts.{number}.settings"
        config = _scaled(from_dict(TrainConfig, part["settings"], path=source.path, key=key), part, share)
        given = {name: value for name, value in changes.items() if value is not None}
        config = dataclasses.replace(
            config,
            data=data, out=out / f"part_{number}", start_from=runs[-1].out / "weights" if runs else None,
            designs=None if config.designs is None else out / f"designs_{number}", max_minutes=None, **given,
        )  # fmt: skip
        runs.append(config)
    if preset(runs[0].model).trunk != source.own_network.config.trunk:
        raise InputError("the sizes of these weights are those of no preset any more", path=source.path)
    return runs


def _redesign(source: Weights, data: Path, share: float) -> None:
    """Draws the designed sequences that a part was trained with, unless the set has as many."""
    wanted = [part["redesign"] for part in parts_of(source.training) if "redesign" in part]
    if not wanted:
        return
    settings = from_dict(Redesign, wanted[-1], path=source.path, key="training.parts.redesign")
    count = max(1, round(share * settings.done))
    print(f"designed sequences: {count}", flush=True)
    redesign(data, dataclasses.replace(settings, done=count))


def _designs(out: Path, config: TrainConfig, part: Record, share: float, source: Weights) -> None:
    """Draws the designs that a part was trained with, by the network that it begins with; the first, by ``source``."""
    settings = from_dict(DrawnDesigns, part["designs"], path=source.path, key="training.parts.designs")
    scaled = dataclasses.replace(settings, designs=max(1, round(share * settings.designs)))
    print(f"designs: {scaled.designs}", flush=True)
    try:
        draw_designs(out, scaled, weights=config.start_from or source.path, threads=config.threads)
    except InputError:
        raise
    except StructdiffError as error:
        if share == 1 or config.start_from is None:
            raise
        # Why is told by the command that drew them; only one reason has to do with the share.
        raise StructdiffError(f"{error}; if atoms were thrown out of reach, the network has been trained for too few "
                              f"steps: give a larger share than {share:g}, and another folder") from None  # fmt: skip


def _scaled(config: TrainConfig, part: Record, share: float) -> TrainConfig:
    """The settings with limits in steps, of which only that share is taken."""
    steps = max(1, round(share * part["steps"]))
    old: OptimiserConfig = config.optimiser
    begin, falling = old.decay_from, old.decay_steps
    if old.decay_share:
        begin = round((1 - old.decay_share) * part["steps"])
        falling = part["steps"] - begin
    optimiser = dataclasses.replace(
        old,
        warmup_steps=round(share * old.warmup_steps),
        decay_from=None if begin is None else round(share * begin),
        decay_steps=max(1, round(share * falling)),
        decay_share=0.0,
    )
    return dataclasses.replace(config, max_steps=steps, optimiser=optimiser)


def _finish(config: TrainConfig) -> None:
    """Begins the run, goes on with it, or leaves it as it is where it has all its steps."""
    path = config.out / "run.json"
    if path.is_file():
        found = json.loads(path.read_text())
        if found["settings"]["max_steps"] != config.max_steps:
            raise InputError("holds a part of other length; give the same share, or another folder", path=config.out,
                             found=found["settings"]["max_steps"], allowed=str(config.max_steps))  # fmt: skip
        if found["steps"] >= config.max_steps:
            return
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*does not have many workers.*")
        train(config)


def main(arguments: Sequence[str] | None = None) -> int:
    """Repeats a training from the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m structdiff.training.repeat", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("weights", help="name or folder of the weights to make again")
    parser.add_argument("data", type=Path, help="folder of the training set")
    parser.add_argument("out", type=Path, help="folder for the runs and the new weights")
    parser.add_argument("--share", type=float, default=1.0, help="of all steps (default 1)")
    parser.add_argument("--threads", type=int, default=None, help="CPU threads")
    parser.add_argument("--accelerator", default=None, help="what to train on: auto, cpu, gpu, mps (default: as then)")
    chosen: Mapping[str, Any] = vars(parser.parse_args(arguments))
    return run_command(
        lambda: f"weights written to {repeat_training(**chosen)}",
        again=f"the same command goes on from {chosen['out']}",
    )


if __name__ == "__main__":
    sys.exit(main())

"""Minutes of a large GPU made into trained weights, as many calls as there are; each goes on where the last one ended.

    python -m structdiff.training.set_archive pack DATA runs/data.set      # once, where the data are
    python benchmarks/train_gpu.py runs/data.set runs/gpu --minutes 8 --carry $OUT
    python benchmarks/train_gpu.py runs/data.set runs/gpu --minutes 8 --carry $OUT --last

runs/gpu keeps the whole state as long as the machine is the same. --carry names a folder for what is to leave it: the
state in pieces of at most 15 MiB (--max-mebibytes together), its index, the log and result.json, eight files at most.
On another machine --carried names the folder that they were brought in. With --last the rate falls to a tenth over
the last two fifths of the call, which is worth a good deal: say so in the call that ends the training.

The run is a process of its own that saves every two minutes. Where it fails it is started again, first with the blocks
interpreted and then with PyTorch's operators in place of native kernels, and where it hangs it is ended; what it had
saved is carried all the same. The last line printed is result.json: steps, samples and structures a second, losses,
and MFU: the matrix-product FLOP of a step (PyTorch's counter; forward, backward and first guesses as often as they are
drawn), times the steps a second, over the maker's dense bf16 peak.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import subprocess
import sys
import time
from contextlib import nullcontext
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

sys.path.insert(0, str(Path(__file__).parents[1]))  # the machine may have nothing installed but PyTorch

from structdiff import kernels
from structdiff.model.network import preset
from structdiff.structure.files import write_atomically
from structdiff.training import carrying, set_archive
from structdiff.training.batches import TrainingBatches
from structdiff.training.dataset import StructureSet
from structdiff.training.module import TrainingModule
from structdiff.training.run import TrainConfig, read_train_config

_GRACE = 75.0  # s a run may take beyond its minutes to begin and to end
_PEAK_FLOP = {"H100": 989e12, "H200": 989e12, "A100": 312e12}
#: What is changed after each failure.
_ATTEMPTS = ([], ["--no-compile"], ["--no-compile", "--kernels", "reference"])


def train(settings: Path, data: Path, run: Path, minutes: float, extra: list[str]) -> list[str]:
    """Trains in processes of their own until the minutes are over; returns what went wrong on the way."""
    ends, problems = time.monotonic() + 60 * minutes, []
    for attempt in _ATTEMPTS:
        left = (ends - time.monotonic()) / 60
        if left < 0.05:
            break
        command = [sys.executable, "-m", "structdiff", "train", str(settings), "--data", str(data), "--out", str(run)]
        command += ["--max-minutes", f"{left:.3f}", *attempt, *extra]
        try:
            done = subprocess.run(command, check=False, timeout=60 * left + _GRACE, env=_environment())
        except subprocess.TimeoutExpired:
            problems.append(f"{' '.join(attempt) or 'the run'}: ended, since it had not by itself")
            break
        if done.returncode == 0:
            break
        problems.append(f"{' '.join(attempt) or 'the run'}: exit code {done.returncode}")
    return problems


def _environment() -> dict[str, str]:
    found = {"OMP_NUM_THREADS": "1", "PYTORCH_CUDA_ALLOC_CONF": "expandable_segments:True"} | dict(os.environ)
    paths = (str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", ""))
    return found | {"PYTHONPATH": os.pathsep.join(filter(None, paths))}


def flop_of_a_step(config: TrainConfig, module: TrainingModule, tokens: int, size: int) -> float:
    """Matrix-product FLOP of a step at that size of crop, the mean over what a step may draw; nothing is computed."""
    batches = TrainingBatches(StructureSet(config.data, "train"), config.batches, config.tasks, seed=0)
    batch = batches.draw(tokens, 1, np.random.default_rng(0)).map(lambda tensor: tensor.to("meta"))
    totals = []
    for recycles in range(config.recycles + 1):
        for share, first_guess in ((config.self_conditioning, 1.0), (1 - config.self_conditioning, 0.0)):
            module.recycles, module.self_conditioning = recycles, first_guess
            with FlopCounterMode(display=False) as counter:
                module.losses(module.network, batch, _First(recycles))["loss"].backward()
            totals.append(share * counter.get_total_flops())
    return size * sum(totals) / (config.recycles + 1)


class _First(torch.Generator):
    """Stands for a generator on the device, and gives as many recycles as are asked for."""

    def __new__(cls, recycles: int) -> _First:
        made = super().__new__(cls)
        seed = 0
        while int(torch.randint(recycles + 1, (), generator=torch.Generator().manual_seed(seed))) != recycles:
            seed += 1
        made.manual_seed(seed)
        return made

    def __init__(self, recycles: int) -> None:
        pass

    @property
    def device(self) -> torch.device:
        return torch.device("meta")


def mean_flop(config: TrainConfig, crops: list[tuple[int, int, float]]) -> float:
    """FLOP of a step, the mean over the sizes of crops."""
    from structdiff.model.checkpoint import load_weights

    sizes = preset(config.model) if config.start_from is None else load_weights(config.start_from).network.config
    kernels.set_mode("reference")
    # There is no autocast for meta tensors; dtypes make no difference to the count.
    with mock.patch.object(torch, "autocast", return_value=nullcontext()):
        module = TrainingModule(sizes, noise_levels=config.noise_levels).to("meta")
        total = sum(share for _, _, share in crops)
        return sum(share * flop_of_a_step(config, module, tokens, size) for tokens, size, share in crops) / total


def result(config: TrainConfig, run: Path, before: int, problems: list[str]) -> dict[str, object]:
    """What the call came to, from the run's own records."""
    record: dict[str, Any] = {"steps": before}
    if (run / "run.json").exists():
        record = json.loads((run / "run.json").read_text())
    rows = _log(run)
    found: dict[str, object] = {"steps": record["steps"], "steps of this call": record["steps"] - before}
    found |= {"problems": problems, "trial": record.get("trial")}
    for kind in ("loss", "validation/loss", "validation/position", "validation/smooth_lddt"):
        values = [float(row[kind]) for row in rows if row.get(kind)]
        found[kind] = round(float(np.mean(values[-5:] if kind == "loss" else values[-1:])), 5) if values else None
    timed = record.get("timed", {"steps": 0, "seconds": 0.0})
    if record["steps"] > before and timed["seconds"] > 0:
        crops = [tuple(crop) for crop in (record.get("trial") or {}).get("crops", config.batches.crops)]
        total = sum(share for _, _, share in crops)
        structures = sum(share * size for _, size, share in crops) / total
        steps_a_second = timed["steps"] / timed["seconds"]
        flop = mean_flop(config, crops)
        found |= {"steps a second": steps_a_second, "structures a second": structures * steps_a_second,
                  "noisy samples a second": structures * steps_a_second * config.noise_levels,
                  "tera FLOP a step": flop / 1e12, "TFLOP a second": flop * steps_a_second / 1e12}  # fmt: skip
        name = torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU"
        found["device"] = name
        for model, peak in _PEAK_FLOP.items():
            if model in name:
                found["MFU, % of the bf16 peak"] = 100 * flop * steps_a_second / peak
    return found


def _log(run: Path) -> list[dict[str, str]]:
    files = sorted(run.glob("logs/version_*/metrics.csv"), key=lambda path: path.stat().st_mtime)
    if not files:
        return []
    with files[-1].open() as lines:
        return list(csv.DictReader(lines))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="A set made by set_archive, or the folder of a set.")
    parser.add_argument("run", type=Path, help="Where the run keeps its state on this machine.")
    parser.add_argument("--minutes", type=float, required=True)
    parser.add_argument("--settings", type=Path, default=Path(__file__).with_name("train_gpu.yaml"))
    parser.add_argument("--carry", type=Path, help="Where to put what is to leave this machine.")
    parser.add_argument("--carried", type=Path, help="What another machine's --carry held.")
    parser.add_argument("--max-mebibytes", type=float, default=60.0, help="Of the state in pieces.")
    parser.add_argument("--last", action="store_true", help="Let the rate fall in this call's last part.")
    options, extra = parser.parse_known_args()
    began = time.monotonic()
    data = options.data
    if data.is_file():
        data = options.run.parent / f"{options.data.stem}.unpacked"
        if not (data / "set.json").exists():
            set_archive.unpack(options.data, data)
    checkpoint = options.run / carrying.CHECKPOINT_FILE
    if options.carried is not None and not checkpoint.exists():
        print(f"goes on from step {carrying.unpack(options.carried, options.run)}", flush=True)
    settings = options.settings if not options.last else _with_decay(options.settings, options.run)
    config = read_train_config(settings, {"data": str(data), "out": str(options.run)})
    before = _steps(options.run)
    minutes = options.minutes - (time.monotonic() - began) / 60
    problems = train(settings, data, options.run, minutes, extra)
    carried: dict[str, object] = {}
    if options.carry is not None and checkpoint.exists():
        # First of all: counting takes long, and a call that is ended meanwhile has lost what was not put there.
        rung = carrying.pack(options.run, options.carry, options.max_mebibytes)
        carried["carried"] = f"{rung.weights} bits a weight, {rung.average} more for the average"
        write_atomically(options.carry / "log.csv", _last_log(options.run) + "\n")
    try:
        found = result(config, options.run, before, problems) | carried
    except Exception as error:  # figures must not cost the weights
        found = {"problems": [*problems, f"figures: {type(error).__name__}: {error}"], **carried}
    if options.carry is not None and checkpoint.exists():
        write_atomically(options.carry / "result.json", json.dumps(found) + "\n")
    print(json.dumps(found))
    return 0 if checkpoint.exists() and _steps(options.run) > before else 1


def _with_decay(settings: Path, run: Path) -> Path:
    """The settings with a rate that falls over the last two fifths of the call."""
    import yaml

    table = yaml.safe_load(settings.read_text())
    table["optimiser"] = {**table.get("optimiser", {}), "decay_share": 0.4}
    run.mkdir(parents=True, exist_ok=True)
    return write_atomically(run / "last_call.yaml", yaml.safe_dump(table))


def _steps(run: Path) -> int:
    path = run / carrying.CHECKPOINT_FILE
    return int(torch.load(path, map_location="cpu", weights_only=True)["global_step"]) if path.exists() else 0


def _last_log(run: Path) -> str:
    files = sorted(run.glob("logs/version_*/metrics.csv"), key=lambda path: path.stat().st_mtime)
    return files[-1].read_text() if files else ""


if __name__ == "__main__":
    sys.exit(main())

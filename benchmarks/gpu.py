"""A machine with a GPU, measured in one go, in under nine minutes: what is built, right, quick, and what it means.

    python benchmarks/gpu.py --out runs/gpu [--data DATA [--train-minutes 7]] [--minutes 9]

Builds the native kernels for this GPU, compares them with float64, runs compute-sanitizer on small sizes where it is
installed, times them beside PyTorch's own attention, FlexAttention, trifast and cuEquivariance (those that can be
imported), then designs a second and training steps. After each section OUT/results.json and OUT/table.md are written
anew, so that a run that was stopped leaves what it had. With --data and --train-minutes `mini` is trained in the end,
and its weights are in OUT/weights. ``--device cpu --quick`` runs the same on a CPU, to test this script.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path

import torch

ROOT = Path(__file__).parents[1]
_SANITIZERS = ("memcheck", "racecheck")
_SANITIZER_SECONDS = 75


_BUILD = """
import sys
sys.path.insert(0, "csrc")
from setuptools import Distribution
from build_kernels import BuildKernels
command = BuildKernels(Distribution())
command.inplace = True
command.run()
"""


def build() -> dict[str, object]:
    """Compiles csrc/ for this machine, as ``setup.py build_kernels --inplace`` does."""
    began = time.monotonic()
    done = subprocess.run([sys.executable, "-c", _BUILD], cwd=ROOT, capture_output=True, text=True, check=False)
    said = [line for line in done.stderr.splitlines() if line.strip()]
    return {"seconds": time.monotonic() - began, "exit code": done.returncode, "said": said[-12:]}


def machine(device: torch.device) -> dict[str, object]:
    """Versions, the GPU, and what runs the operators."""
    from structdiff import kernels

    out: dict[str, object] = {"python": sys.version.split()[0], "torch": torch.__version__, "cuda": torch.version.cuda}
    if device.type == "cuda":
        properties = torch.cuda.get_device_properties(device)
        out |= {"gpu": properties.name, "capability": f"{properties.major}.{properties.minor}"}
        out |= {"multiprocessors": properties.multi_processor_count, "gib": properties.total_memory / 2**30}
    for package in ("triton", "cuequivariance-torch", "cuequivariance-ops-torch-cu13", "trifast"):
        out[package] = _version(package)
    return out | {"operators": kernels.status()}


def _version(package: str) -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def sanitize() -> dict[str, object]:
    """Small sizes under compute-sanitizer, which looks at our kernels only."""
    program = shutil.which("compute-sanitizer") or shutil.which("/usr/local/cuda/bin/compute-sanitizer")
    if program is None:
        return {"compute-sanitizer": "not installed"}
    out: dict[str, object] = {}
    for tool in _SANITIZERS:
        command = [program, "--tool", tool, "--error-exitcode", "9", "--kernel-regex", "kns=structdiff"]
        command += [sys.executable, __file__, "--only-agreement"]
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_SANITIZER_SECONDS)
            out[tool] = {"exit code": done.returncode, "said": (done.stdout + done.stderr).splitlines()[-12:]}
        except subprocess.TimeoutExpired:
            out[tool] = f"not done after {_SANITIZER_SECONDS} s"
    return out


def table(results: dict[str, object]) -> str:
    """The results to be read: times side by side, other figures line by line."""
    lines = ["# GPU", ""]
    for section, found in results.items():
        lines += [f"## {section}", ""]
        if section == "times" and isinstance(found, dict):
            for kind, rows in found.items():
                lines += [f"### {kind}, ms (median)", "", *_times(rows), ""]
        elif isinstance(found, dict):
            lines += [f"- {key}: {_short(value)}" for key, value in found.items() if key != "all"] + [""]
        else:
            lines += [str(found), ""]
    return "\n".join(lines)


def _short(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _times(rows: object) -> list[str]:
    if not isinstance(rows, dict):
        return [str(rows)]
    measured = [row for row in rows.values() if isinstance(row, dict)]
    names = list(dict.fromkeys(name for row in measured for name in row if not name.startswith("clocks")))
    lines = ["| N | " + " | ".join(names) + " |", "|---" * (len(names) + 1) + "|"]
    for n, row in rows.items():
        cells = [row.get(name, "") if isinstance(row, dict) else row for name in names]
        shown = [_short(x["median_ms"]) if isinstance(x, dict) else str(x) for x in cells]
        lines.append(f"| {n} | " + " | ".join(shown) + " |")
    return lines


def train_mini(data: Path, out: Path, minutes: float) -> dict[str, object]:
    """Trains the default network under bf16 autocast, from its default weights."""
    from structdiff.training.batches import BatchConfig
    from structdiff.training.module import OptimiserConfig
    from structdiff.training.run import TrainConfig, train

    train(
        TrainConfig(
            data=data, out=out, start_from=ROOT / "weights/mini", accelerator="gpu",
            precision="bf16-mixed", noise_levels=16, max_minutes=minutes,
            batches=BatchConfig(crops=((64, 32, 0.5), (96, 16, 0.25), (128, 8, 0.25))),
            optimiser=OptimiserConfig(learning_rate=5e-4, warmup_steps=100),
        )
    )  # fmt: skip
    return {"weights": str(out / "weights")}


def sections(options: argparse.Namespace, deadline: float) -> dict[str, Callable[[], object]]:
    """What is done, in this order. Imports come after the build, whose libraries they open."""
    device, quick = torch.device(options.device), options.quick

    def left(reserve: float) -> Callable[[], float]:
        return lambda: deadline - reserve - time.monotonic()

    def agree() -> object:
        from gpu_agreement import agreement

        return agreement(device, quick)

    def measure() -> object:
        from gpu_timing import times

        return times(device, quick, left(120))

    def call() -> object:
        from gpu_timing import host_cost

        return {"triangle attention, µs of the processor a call": host_cost(device)}

    def draw() -> object:
        from gpu_engine import sampling_figures

        return sampling_figures(device, quick)

    def learn() -> object:
        from gpu_engine import training_figures, training_set

        return training_figures(training_set(options.data, options.out), device, quick)

    all_sections: dict[str, Callable[[], object]] = {} if options.no_build else {"build": build}
    all_sections |= {"machine": lambda: machine(device), "agreement": agree}
    if device.type == "cuda":
        all_sections["sanitizer"] = sanitize
    all_sections |= {"calls": call, "times": measure, "designs": draw, "training": learn}
    if options.data is not None and options.train_minutes > 0 and not quick:
        all_sections["trained"] = lambda: train_mini(options.data, options.out, options.train_minutes)
    return all_sections


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--data", type=Path, help="A training set (structdiff prepare); else the tests' structures.")
    parser.add_argument("--train-minutes", type=float, default=0.0, help="Also train mini for so long; needs --data.")
    parser.add_argument("--minutes", type=float, default=9.0, help="For all but that; what comes last is left out.")
    parser.add_argument("--out", type=Path, default=Path("runs/gpu"))
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--no-build", action="store_true", help="Take the kernels as they are.")
    parser.add_argument("--only-agreement", action="store_true", help="A quick comparison and nothing else.")
    options = parser.parse_args()
    if options.only_agreement:
        from gpu_agreement import agreement

        return 1 if agreement(torch.device(options.device), quick=True)["wrong"] else 0
    options.out.mkdir(parents=True, exist_ok=True)
    deadline = time.monotonic() + 60 * options.minutes
    results: dict[str, object] = {}
    failed = False
    for name, section in sections(options, deadline).items():
        began = time.monotonic()
        if began > deadline - 30 and name not in ("trained",):
            results[name] = "no time left"
            continue
        try:
            results[name] = section()
        except Exception:  # the other sections are worth having
            failed, results[name] = True, traceback.format_exc()
        print(f"{name}: {time.monotonic() - began:.0f} s", flush=True)
        for file, text in (("results.json", json.dumps(results, indent=1)), ("table.md", table(results))):
            partial = options.out / f".{file}"
            partial.write_text(text + "\n")
            os.replace(partial, options.out / file)
    print(table(results))
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())

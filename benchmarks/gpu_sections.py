"""The sections of gpu.py, each run in a process of its own:

    python benchmarks/gpu_sections.py NAME --out runs/gpu [--device cuda] [--quick]

writes OUT/NAME.json, several times where it takes long, so that what was measured is there even if it is killed.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))  # the machine may have nothing installed but PyTorch
#: What compute-sanitizer runs, one after the other: an operator that fails takes no other with it.
_UNDER_SANITIZER = ("small_attention", "small_multiplication")

_BUILD = """
import sys
sys.path.insert(0, "csrc")
from setuptools import Distribution
from build_kernels import BuildKernels
command = BuildKernels(Distribution())
command.inplace = True
command.run()
"""

Report = Callable[[dict[str, object]], None]


def build(options: argparse.Namespace, report: Report) -> dict[str, object]:
    """Compiles csrc/ for this machine, as ``setup.py build_kernels --inplace`` does."""
    began = time.monotonic()
    done = subprocess.run([sys.executable, "-c", _BUILD], cwd=ROOT, capture_output=True, text=True, check=False)
    said = [line for line in done.stderr.splitlines() if line.strip()]
    return {"compiled in, s": time.monotonic() - began, "exit code": done.returncode, "lines": said[-12:]}


def machine(options: argparse.Namespace, report: Report) -> dict[str, object]:
    """Versions, the GPU, and what runs the operators."""
    from structdiff import kernels

    out: dict[str, object] = {"python": sys.version.split()[0], "torch": torch.__version__, "cuda": torch.version.cuda}
    if options.device == "cuda":
        properties = torch.cuda.get_device_properties(0)
        out |= {"gpu": properties.name, "capability": f"{properties.major}.{properties.minor}"}
        out |= {"multiprocessors": properties.multi_processor_count, "gib": properties.total_memory / 2**30}
    for package in ("triton", "cuequivariance-torch", "cuequivariance-ops-torch-cu13", "trifast"):
        out[package] = _version(package)
    return out | kernels.status()


def _version(package: str) -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def checks(options: argparse.Namespace, report: Report) -> dict[str, object]:
    """What the kernels' own checks say, each kernel given up that fails."""
    from structdiff import kernels

    began = time.monotonic()
    status: dict[str, object] = dict(kernels.check(options.device))
    return status | {"checked in, s": time.monotonic() - began}


def agreement(options: argparse.Namespace, report: Report) -> dict[str, object]:
    """The kernels beside float64."""
    from gpu_agreement import agreement as agree

    return agree(torch.device(options.device), options.quick, report)


def small_attention(options: argparse.Namespace, report: Report) -> dict[str, object]:
    """The same at a few small sizes, for compute-sanitizer."""
    from gpu_agreement import agreement as agree

    # Memory cannot be asked for while a graph is captured, unless PyTorch keeps it.
    return agree(torch.device(options.device), True, report, graphs=False, operators=("attention",))


def small_multiplication(options: argparse.Namespace, report: Report) -> dict[str, object]:
    """The same of triangle multiplication."""
    from gpu_agreement import agreement as agree

    return agree(torch.device(options.device), True, report, graphs=False, operators=("multiplication",))


def memcheck(options: argparse.Namespace, report: Report) -> dict[str, object]:
    """Accesses out of bounds. Copies by Hopper's copy engine are checked from compute-sanitizer 2026.2 on."""
    return _sanitize("memcheck", options, {"PYTORCH_NO_CUDA_MEMORY_CACHING": "1"})  # each tensor a block of its own


def racecheck(options: argparse.Namespace, report: Report) -> dict[str, object]:
    """Races for shared memory, in the kernels for every GPU: it takes waits for Hopper's copy engine for races."""
    return _sanitize("racecheck", options, {"STRUCTDIFF_CUDA_SPECIAL": "0"})


def _sanitize(tool: str, options: argparse.Namespace, changes: dict[str, str]) -> dict[str, object]:
    """Small sizes under compute-sanitizer, which looks at our kernels only."""
    program = shutil.which("compute-sanitizer") or shutil.which("/usr/local/cuda/bin/compute-sanitizer")
    if program is None:
        return {"compute-sanitizer": "not installed"}
    found: dict[str, object] = {"exit code": 0}
    for section in _UNDER_SANITIZER:
        log = options.out / f"{tool}_{section}.txt"
        command = [
            program,
            "--tool",
            tool,
            "--error-exitcode",
            "9",
            "--report-api-errors",
            "no",
            "--log-file",
            str(log),
        ]
        command += ["--kernel-name", "kns=structdiff", sys.executable, __file__, section, "--out", str(options.out)]
        # Each launch is waited for, so that a failure is told by the call that it comes from.
        environment = os.environ | {"CUDA_LAUNCH_BLOCKING": "1"} | changes
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
        said = log.read_text(errors="replace").splitlines() if log.exists() else []
        if any("not supported" in line for line in said):
            return {"compute-sanitizer": "does not support this machine"}
        found[section] = (said[-20:] + (done.stdout + done.stderr).splitlines())[-30:]
        found["exit code"] = found["exit code"] or done.returncode
    return found


def times(options: argparse.Namespace, report: Report) -> dict[str, object]:
    """Operators side by side."""
    from gpu_timing import times as measure

    return measure(torch.device(options.device), options.quick, report)


def calls(options: argparse.Namespace, report: Report) -> dict[str, object]:
    """What a call costs the processor."""
    from gpu_calls import costs

    return costs(torch.device(options.device))


def limits(options: argparse.Namespace, report: Report) -> dict[str, object]:
    """What bounds the kernels, measured: exponentials a clock, bytes a clock out of the second-level cache."""
    sys.path.insert(0, str(ROOT / "csrc"))
    from build_kernels import nvcc

    program = options.out / "gpu_limits"
    major, minor = torch.cuda.get_device_capability()
    command = [nvcc() or "nvcc", "-O3", "-std=c++17", f"-arch=sm_{major}{minor}", "-cudart=static"]
    subprocess.run([*command, str(Path(__file__).with_name("gpu_limits.cu")), "-o", str(program)], check=True)
    done = subprocess.run([str(program.resolve())], capture_output=True, text=True, check=True)
    program.unlink()
    return json.loads(done.stdout)


def profile(options: argparse.Namespace, report: Report) -> dict[str, object]:
    """What each kernel waits for; hardware counters, which some machines do not let programs read."""
    from gpu_profile import METRICS, rows

    program = shutil.which("ncu") or shutil.which("/usr/local/cuda/bin/ncu")
    if program is None:
        return {"ncu": "not installed"}
    command = [program, "--clock-control", "none", "--profile-from-start", "off", "--kernel-name-base", "demangled"]
    command += ["--kernel-name", "regex:structdiff", "--metrics", ",".join(METRICS), "--csv", "--page", "raw"]
    command += [sys.executable, str(Path(__file__).with_name("gpu_profile.py")), "calls"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    launches = rows(done.stdout)
    found: dict[str, object] = {f"{number:02d} {row.pop('kernel')}": row for number, row in enumerate(launches)}
    return found if launches else {"ncu": (done.stdout + done.stderr).splitlines()[-8:], "exit code": done.returncode}


def designs(options: argparse.Namespace, report: Report) -> dict[str, object]:
    """Designs a second."""
    from gpu_engine import sampling_figures

    return sampling_figures(torch.device(options.device), options.quick, report)


def training(options: argparse.Namespace, report: Report) -> dict[str, object]:
    """Training steps and their MFU."""
    from gpu_engine import training_figures, training_set

    data = training_set(options.data, options.out)
    return training_figures(data, torch.device(options.device), options.quick, report)


def published(options: argparse.Namespace, report: Report) -> dict[str, object]:
    """The networks of Boltz-2 and BoltzGen."""
    from gpu_published import published_figures

    return published_figures(torch.device(options.device), options.quick, report)


def trained(options: argparse.Namespace, report: Report) -> dict[str, object]:
    """Trains the default network under bf16 autocast, from its default weights."""
    from structdiff.training.batches import BatchConfig
    from structdiff.training.run import TrainConfig, train
    from structdiff.training.step_settings import OptimiserConfig

    train(
        TrainConfig(
            data=options.data, out=options.out, start_from=ROOT / "weights/mini", accelerator="gpu",
            precision="bf16-mixed", noise_levels=16, max_minutes=options.train_minutes,
            batches=BatchConfig(crops=((64, 32, 0.5), (96, 16, 0.25), (128, 8, 0.25))),
            optimiser=OptimiserConfig(learning_rate=5e-4, warmup_steps=100),
        )
    )  # fmt: skip
    return {"weights": str(options.out / "weights")}


_ON_ANY_MACHINE = (build, machine, checks, agreement, times, calls, designs, training, published, trained)
_ON_GPU_ONLY = (small_attention, small_multiplication, memcheck, racecheck, limits, profile)
SECTIONS: dict[str, Callable[[argparse.Namespace, Report], dict[str, object]]] = {
    each.__name__: each for each in (*_ON_ANY_MACHINE, *_ON_GPU_ONLY)
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", choices=SECTIONS)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--data", type=Path)
    parser.add_argument("--train-minutes", type=float, default=0.0)
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    target, partial = options.out / f"{options.name}.json", options.out / f".{options.name}.json"

    def report(found: dict[str, object]) -> None:
        partial.write_text(json.dumps(found, indent=1))
        partial.replace(target)

    report(SECTIONS[options.name](options, report))
    found = json.loads(target.read_text())
    return int(bool(found.get("wrong")) or found.get("exit code", 0) != 0)


if __name__ == "__main__":
    sys.exit(main())

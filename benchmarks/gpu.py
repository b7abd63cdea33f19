"""A machine with a GPU, measured in one go, in under nine minutes: what is built, right, quick, and what it means.

    python benchmarks/gpu.py --out runs/gpu [--data DATA [--train-minutes 7]] [--minutes 9]

Each section (gpu_sections.py) is a process of its own with a time limit of its own: a kernel that hangs or breaks the
GPU's context costs its section and no other. A section writes OUT/NAME.json as it goes; after each one
OUT/results.json and OUT/table.md are written anew. Where the kernels' own checks fail, what follows is measured without
the kernels that were made for this GPU alone. ``--sections times,calls`` runs some of them. To test this script,
``--device cpu --quick`` runs the same on a CPU, with four times as long for each.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]

#: Seconds that each section may take, in the order in which they run.
SECONDS = {
    "build": 120,
    "machine": 30,
    "checks": 60,
    "agreement": 70,
    "times": 110,
    "calls": 20,
    "limits": 20,
    "profile": 60,
    "designs": 45,
    "training": 45,
    "published": 60,
    "memcheck": 120,
    "racecheck": 120,
}
_SANITIZERS = ("memcheck", "racecheck")
_ON_GPU_ONLY = (*_SANITIZERS, "limits", "profile")


def run_section(name: str, options: argparse.Namespace, seconds: float) -> dict[str, object]:
    """Runs a section in a process of its own; returns what it had written, and how it ended."""
    written = options.out / f"{name}.json"
    written.unlink(missing_ok=True)
    command = [sys.executable, str(Path(__file__).with_name("gpu_sections.py")), name, "--out", str(options.out)]
    command += ["--device", options.device, *(["--quick"] if options.quick else [])]
    command += ["--train-minutes", str(options.train_minutes), *(["--data", str(options.data)] if options.data else [])]
    began, log = time.monotonic(), options.out / f"{name}.log"
    with log.open("w") as said:
        process = subprocess.Popen(command, stdout=said, stderr=subprocess.STDOUT, start_new_session=True)
        try:
            code: int | None = process.wait(seconds)
        except subprocess.TimeoutExpired:
            code = None
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    found = json.loads(written.read_text()) if written.exists() else {}
    found["seconds"] = round(time.monotonic() - began, 1)
    if code is None:
        found["stopped"] = f"not done after {seconds:.0f} s"
    elif code != 0:
        found["failed"] = f"exit code {code}"
    if code != 0:
        found["said"] = log.read_text(errors="replace").splitlines()[-12:]
    return found


def table(results: dict[str, dict[str, object]]) -> str:
    """The results to be read: times side by side, other figures line by line."""
    lines = ["# GPU", ""]
    for section, found in results.items():
        lines += [f"## {section}", ""]
        for key, value in found.items():
            if section == "times" and isinstance(value, dict):
                lines += ["", f"### {key}, ms (median)", "", *_times(value), ""]
            elif key != "all":
                lines.append(f"- {key}: {_short(value)}")
        lines.append("")
    return "\n".join(lines)


def _short(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _times(rows: dict) -> list[str]:
    measured = [row for row in rows.values() if isinstance(row, dict)]
    names = list(dict.fromkeys(name for row in measured for name in row if not name.startswith("clocks")))
    lines = ["| N | " + " | ".join(names) + " |", "|---" * (len(names) + 1) + "|"]
    for n, row in rows.items():
        cells = [row.get(name, "") if isinstance(row, dict) else row for name in names]
        shown = [_short(x["median_ms"]) if isinstance(x, dict) else str(x) for x in cells]
        lines.append(f"| {n} | " + " | ".join(shown) + " |")
    return lines


def sections(options: argparse.Namespace) -> dict[str, float]:
    """Names and seconds of what is to be done."""
    wanted = options.sections.split(",") if options.sections else list(SECONDS)
    unknown = set(wanted) - set(SECONDS)
    if unknown:
        raise SystemExit(f"--sections: {', '.join(sorted(unknown))}: not one of {', '.join(SECONDS)}")
    chosen = {name: float(seconds) for name, seconds in SECONDS.items() if name in wanted}
    if options.no_build:
        chosen.pop("build", None)
    if options.device == "cpu":
        chosen = {name: 4 * seconds for name, seconds in chosen.items() if name not in _ON_GPU_ONLY}
    return chosen


def _went_wrong(checks: dict[str, object]) -> bool:
    return bool({"failed", "stopped"} & set(checks)) or any("failed its check" in str(x) for x in checks.values())


def write(out: Path, results: dict[str, dict[str, object]]) -> None:
    for file, text in (("results.json", json.dumps(results, indent=1)), ("table.md", table(results))):
        partial = out / f".{file}"
        partial.write_text(text + "\n")
        partial.replace(out / file)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--data", type=Path, help="A training set (structdiff prepare); else the tests' structures.")
    parser.add_argument("--train-minutes", type=float, default=0.0, help="Also train mini for so long; needs --data.")
    parser.add_argument("--minutes", type=float, default=9.0, help="For all but that; what comes last is left out.")
    parser.add_argument("--out", type=Path, default=Path("runs/gpu"))
    parser.add_argument("--sections", help="Some of: " + ", ".join(SECONDS) + ".")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--no-build", action="store_true", help="Take the kernels as they are.")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    deadline = time.monotonic() + 60 * options.minutes - 5
    results: dict[str, dict[str, object]] = {}
    for name, seconds in sections(options).items():
        left = deadline - time.monotonic()
        results[name] = {"stopped": "no time left"} if left < 10 else run_section(name, options, min(seconds, left))
        print(f"{name}: {results[name].get('seconds', 0)} s", flush=True)
        if name == "checks" and _went_wrong(results[name]):
            # A kernel that breaks the GPU's context takes the others' checks, and every later section, with it.
            os.environ["STRUCTDIFF_CUDA_SPECIAL"] = "0"
            results["checks, kernels for every GPU"] = run_section("checks", options, seconds)
        write(options.out, results)
    if options.data is not None and options.train_minutes > 0 and not options.quick:
        results["trained"] = run_section("trained", options, 60 * (options.train_minutes + 3))
        write(options.out, results)
    print(table(results))
    return int(any("failed" in found or "stopped" in found for found in results.values()))


if __name__ == "__main__":
    sys.exit(main())

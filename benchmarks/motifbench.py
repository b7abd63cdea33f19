"""Designs for the problems of MotifBench, and their scores.

    python benchmarks/motifbench.py PROBLEMS OUT [--designs 100] [--groups 1] [--max-length 150] [--seed 1] [-- OPTIONS]

PROBLEMS is a copy of the repository blt2114/MotifBench. Designs go to OUT/scaffolds, a folder for each problem; OPTIONS
are those of ``structdiff design``. What is there from a run before is kept. In the end ``structdiff evaluate
--motifbench`` judges them: by geometry, unless OUT/refolded holds structures predicted from their sequences.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

from structdiff.evaluation.motifbench import Problem, read_problems


def design(problem: Problem, folder: Path, designs: int, seed: int, options: list[str]) -> int:
    """Runs the design command for one problem, and gives its exit code."""
    command = [
        sys.executable, "-m", "structdiff", "design", "--motif", str(problem.path), "--contigs", problem.contigs,
        "--length", str(problem.length), "-n", str(designs), "--name", problem.name, "--seed", str(seed),
        "--out", str(folder), *options,
    ]  # fmt: skip
    if problem.redesign:
        free = ",".join(f"{chain}{number}" for chain, number in sorted(problem.redesign))
        command += ["--redesign", free]
    print(" ".join(command), flush=True)
    return subprocess.run(command, check=False).returncode


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("problems", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--designs", type=int, default=100)
    parser.add_argument("--groups", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--max-length", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("options", nargs="*", help="after --: options of structdiff design")
    arguments = parser.parse_args()
    chosen = [
        problem for problem in read_problems(arguments.problems)
        if problem.group in arguments.groups and problem.length <= arguments.max_length
    ]  # fmt: skip
    scaffolds, refolded = arguments.out / "scaffolds", arguments.out / "refolded"
    failed = [
        problem.name for problem in chosen
        if design(problem, scaffolds / problem.name, arguments.designs, arguments.seed, arguments.options)
    ]  # fmt: skip
    judge = [sys.executable, "-m", "structdiff", "evaluate", str(scaffolds), "--motifbench", str(arguments.problems)]
    judge += ["--out", str(arguments.out / "judged"), *(["--refolded", str(refolded)] if refolded.is_dir() else [])]
    code = subprocess.run(judge, check=False).returncode
    if failed:
        print(f"no designs for {', '.join(failed)}", file=sys.stderr)
    return code or bool(failed)


if __name__ == "__main__":
    sys.exit(main())

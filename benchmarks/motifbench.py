"""Designs for the problems of MotifBench, and their scores.

    python benchmarks/motifbench.py PROBLEMS [--designs 10 --minutes 20 --json benchmarks/results/motifbench.json]
    python benchmarks/motifbench.py PROBLEMS --all --designs 100 --sequences 8 --refold-command "boltz predict ..."
    python benchmarks/motifbench.py --table benchmarks/results/motifbench.json

PROBLEMS is a copy of the repository blt2114/MotifBench. By default its nine problems of one segment and up to 150
residues are taken, with --all all thirty. Designs go to --out, a folder for each problem; what is there from a run
before is kept, and after --minutes no further problem is begun. ``structdiff evaluate --motifbench`` judges them, by
geometry, unless --refold-command names a program that predicts structures from the designed sequences. OPTIONS after --
are those of ``structdiff design``. --table writes the table of the model card.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from structdiff.evaluation.motifbench import Problem, read_problems
from structdiff.evaluation.summary import Summary, summarise
from structdiff.structure.files import write_atomically

MOTIF_LIMIT = 1.0  # Å
VALIDITY = {  # as the targets of designs from nothing: name, scale, words, what is wanted
    "bond_over_4_sigma": (100, "bond lengths over 4 sigma, %", "under 1"),
    "angle_over_4_sigma": (100, "bond angles over 4 sigma, %", "under 1"),
    "rama_favoured": (100, "Ramachandran favoured, %", "at least 95"),
    "chain_breaks": (1, "chain breaks", "0"),
    "share_l": (100, "L residues, %", "100"),
    "backbone_clashes_per_100": (1, "clashes per 100 residues, backbone", "under 1"),
    "clashes_per_100": (1, "clashes per 100 residues, all atoms", "under 1"),
}


def design(problem: Problem, folder: Path, arguments: argparse.Namespace) -> int:
    """Runs the design command for one problem, and gives its exit code."""
    command = [
        sys.executable, "-m", "structdiff", "design", "--motif", str(problem.path), "--contigs", problem.contigs,
        "--length", str(problem.length), "-n", str(arguments.designs), "--name", problem.name,
        "--seed", str(arguments.seed), "--out", str(folder),
    ]  # fmt: skip
    if arguments.refold_command:
        command += ["--sequences", str(arguments.sequences), "--refold-command", arguments.refold_command]
    else:
        command += ["--sequence-model", "own", "--judge", "none", "--refold", "none"]
    if problem.redesign:
        command += ["--redesign", ",".join(f"{chain}{number}" for chain, number in sorted(problem.redesign))]
    command += arguments.options
    print(" ".join(command), flush=True)
    return subprocess.run(command, check=False).returncode


def judge(arguments: argparse.Namespace) -> int:
    """Runs the evaluate command over all designs, and gives its exit code."""
    command = [sys.executable, "-m", "structdiff", "evaluate", str(arguments.out / "scaffolds")]
    command += ["--motifbench", str(arguments.problems), "--out", str(arguments.out / "judged")]
    if arguments.refold_command:
        command += ["--refolded", str(arguments.out / "scaffolds")]
    return subprocess.run(command, check=False).returncode


def report(judged: dict[str, Any]) -> dict[str, Any]:
    """What is kept of the judgement: a row a problem, and means with intervals over all designs."""
    designs = [each for problem in judged["problems"] for each in problem["designs"]]
    problems = []
    for problem in judged["problems"]:
        own = problem["designs"]
        problems.append(
            {key: problem[key] for key in ("name", "group", "length", "scaffolds", "score")}
            | {"solutions": problem["motifbench_solutions"], "success": problem["motifbench_success"]}
            | {"motif_rmsd": stated(numbers(own, "motif_rmsd")), "under_1": stated(under(own))}
            | {name: stated(values(own, name)) for name in VALIDITY}
        )
    return {
        "score": judged["motifbench_score"],
        "score_by_geometry": judged["geometry_score"],
        "success_means": judged["success_means"],
        "problems": problems,
        "all": {"designs": len(designs), "motif_rmsd": stated(numbers(designs, "motif_rmsd")),
                "under_1": stated(under(designs)), "success": stated([float(each["success"]) for each in designs])}
        | {name: stated(values(designs, name)) for name in VALIDITY},
    }  # fmt: skip


def numbers(designs: Sequence[dict], key: str) -> list[float]:
    return [float("nan") if each[key] is None else each[key] for each in designs]


def under(designs: Sequence[dict]) -> list[float]:
    """A design that could not be judged is no success."""
    return [float(value < MOTIF_LIMIT) for value in numbers(designs, "motif_rmsd")]


def values(designs: Sequence[dict], name: str) -> list[float]:
    return [value for each in designs if (value := each["values"].get(name)) is not None]


def stated(own: Sequence[float]) -> dict[str, float]:
    summary: Summary = summarise(own)
    return {"mean": round(summary.mean, 5), "low": round(summary.low, 5), "high": round(summary.high, 5)}


def table(result: dict[str, Any]) -> str:
    """The tables of the model card: validity over all designs, and a row a problem."""
    every = result["all"]
    lines = [
        f"| {every['designs']} designs for {len(result['problems'])} problems | mean [95 % interval] | wanted |",
        "|---|---|---|",
        f"| motif RMSD under 1 Å, % | {_cell(every['under_1'], 100)} | at least 90 |",
        f"| motif RMSD, backbone, Å | {_cell(every['motif_rmsd'], 1)} | |",
    ]
    lines += [f"| {text} | {_cell(every[name], scale)} | {want} |" for name, (scale, text, want) in VALIDITY.items()]
    lines += ["", "| problem | residues | designs | motif RMSD, Å | successful, % | unique | score |", "|---" * 7 + "|"]
    for each in result["problems"]:
        cells = [each["name"], each["length"], each["scaffolds"], f"{each['motif_rmsd']['mean']:.2f}",
                 f"{100 * each['success']:.0f}", each["solutions"], f"{each['score']:.1f}"]  # fmt: skip
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    score, kind = result["score"], "MotifBench score over all thirty problems"
    if score is None:
        score, kind = result["score_by_geometry"], "Its formula over all thirty problems (no MotifBench score)"
    text = (
        f"Success here means: {result['success_means']}. {kind}: {score:.2f}; unique designs are scaled to a hundred."
    )
    return "\n".join([*lines, "", text])


def _cell(value: dict[str, float], scale: float) -> str:
    return f"{scale * value['mean']:.3g} [{scale * value['low']:.3g}, {scale * value['high']:.3g}]"


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("problems", type=Path, nargs="?")
    parser.add_argument("--out", type=Path, default=Path("motifbench"))
    parser.add_argument("--designs", type=int, default=10, help="for each problem; 100 is what MotifBench asks for")
    parser.add_argument("--all", action="store_true", help="all thirty problems")
    parser.add_argument("--sequences", type=int, default=8, help="for each design, with --refold-command")
    parser.add_argument("--refold-command", help="as in structdiff design")
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--table", type=Path, help="write the tables of a result, and design nothing")
    # Positional arguments that stand apart are not put together by argparse.
    own = sys.argv[1:]
    end = own.index("--") if "--" in own else len(own)
    arguments = parser.parse_args(own[:end])
    arguments.options = own[end + 1 :]
    if arguments.problems is None and arguments.table is None:
        parser.error("PROBLEMS is missing")
    return arguments


def main() -> int:
    arguments = parsed()
    if arguments.table:
        print(table(json.loads(arguments.table.read_text())))
        return 0
    chosen = [
        problem for problem in read_problems(arguments.problems)
        if arguments.all or (problem.group == 1 and problem.length <= 150)
    ]  # fmt: skip
    began, failed = time.monotonic(), []
    for number, problem in enumerate(chosen, start=1):
        if time.monotonic() - began > 60 * arguments.minutes:
            print(f"{arguments.minutes:g} minutes are over after {number - 1} of {len(chosen)} problems", flush=True)
            break
        print(f"problem {number} of {len(chosen)}", flush=True)
        if design(problem, arguments.out / "scaffolds" / problem.name, arguments):
            failed.append(problem.name)
    code = judge(arguments)
    judged = arguments.out / "judged" / "motifbench.json"
    if judged.is_file():
        result = report(json.loads(judged.read_text()))
        if arguments.json:
            write_atomically(arguments.json, json.dumps(result, indent=1) + "\n")
        print(table(result))
    if failed:
        print(f"not all designs for {', '.join(failed)}", file=sys.stderr)
    return code or bool(failed)


if __name__ == "__main__":
    sys.exit(main())

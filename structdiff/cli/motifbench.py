"""Scores on MotifBench, for ``structdiff evaluate --motifbench``: files and table."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.table import Table

from structdiff.cli.console import table_console
from structdiff.errors import InputError

if TYPE_CHECKING:
    from structdiff.evaluation.backbone import Backbone
    from structdiff.evaluation.evaluation import OnProgress
    from structdiff.evaluation.motifbench_scoring import ProblemScore

RESULT_FILE = "motifbench.json"


def score_motifbench(
    scaffolds: Sequence[Path],
    problems: Path,
    refolded: Path | None,
    known: Sequence[tuple[str, Backbone]],
    progress: OnProgress,
) -> tuple[list[ProblemScore], float]:
    """Reads the problems and judges the scaffolds; raises InputError where these are not one folder."""
    from structdiff.evaluation.motifbench import read_problems
    from structdiff.evaluation.motifbench_scoring import score_benchmark

    if len(scaffolds) != 1 or not scaffolds[0].is_dir():
        raise InputError("MotifBench judges one folder, with a folder of scaffolds for each problem", key="motifbench",
                         found=", ".join(map(str, scaffolds)))  # fmt: skip
    if refolded is not None and not refolded.is_dir():
        raise InputError("no such folder", path=refolded, key="refolded")
    return score_benchmark(scaffolds[0], read_problems(problems), refolded=refolded, known=known, on_progress=progress)


def write_motifbench(
    scores: Sequence[ProblemScore], score: float, out: Path, provenance: dict[str, Any], *, refolded: bool
) -> Path:
    """Writes everything as JSON; by geometry alone the score is no MotifBench score, and has another name."""
    from structdiff.structure.files import write_atomically

    data = {
        "provenance": provenance,
        "success_means": "refolded within 2 Å, motif within 1 Å" if refolded else "geometry: nothing was refolded",
        "motifbench_score": score if refolded else None,
        "geometry_score": None if refolded else score,
        "problems": [
            {
                "name": each.problem.name, "group": each.problem.group, "length": each.problem.length,
                "scaffolds": len(each.scaffolds), "motifbench_success": each.success_rate,
                "motifbench_geometry": each.geometry_rate, "motifbench_solutions": each.solutions,
                "motifbench_novelty": _known(each.novelty), "score": each.score, "failures": list(each.failures),
                "designs": [{key: _known(value) for key, value in asdict(s).items()} for s in each.scaffolds],
            }
            for each in scores
        ],
    }  # fmt: skip
    out.mkdir(parents=True, exist_ok=True)
    return write_atomically(out / RESULT_FILE, json.dumps(data, indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def show_motifbench(scores: Sequence[ProblemScore], score: float, *, refolded: bool, quiet: bool) -> int:
    """Prints a row a problem and the score; gives the number of files that could not be judged."""
    failed = [reason for each in scores for reason in each.failures]
    if not quiet:
        from structdiff.evaluation.catalogue import metric, shown

        names = ("motifbench_success", "motifbench_geometry", "motifbench_solutions", "motifbench_novelty")
        table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
        table.add_column("problem")
        for heading in ("scaffolds", *(metric(name).heading for name in names), "score"):
            table.add_column(heading, justify="right")
        for each in scores:
            values = (each.success_rate, each.geometry_rate, float(each.solutions), each.novelty)
            cells = [shown(name, value) for name, value in zip(names, values, strict=True)]
            table.add_row(each.problem.name, str(len(each.scaffolds)), *cells, f"{each.score:.1f}")
        console = table_console()
        console.print(table)
        kind = "MotifBench score" if refolded else "score by geometry alone (nothing was refolded; no MotifBench score)"
        console.print(f"{kind}: {score:.2f}, {len(scores)} of 30 problems have scaffolds")
    for reason in failed:
        print(f"error: {reason}", file=sys.stderr)
    return len(failed)


def _known(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _known(each) for key, each in value.items()}
    return None if isinstance(value, float) and value != value else value

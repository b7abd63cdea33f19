"""How few network evaluations will do: solvers, steps and schedules, by validity, clashes, folds and their variety.

    python benchmarks/few_steps.py [--minutes 20 --json benchmarks/results/few_steps.json]
    python benchmarks/few_steps.py --table benchmarks/results/few_steps.json

Eight designs of 64 residues from nothing for each setting, the same noise and fold plan in all, as drawn and relaxed.
First every solver with 4 to 200 evaluations, then one knob of the schedule at a time with 20. The reference is the
recommended solver with 200. Settings in the file of a run before are kept; after --minutes no further one is begun.
--table writes the tables of the documents.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from drawn_designs import MEASURED, draw_set, paired_difference, stated, validity_of, variety

from structdiff.engine import Engine
from structdiff.model.checkpoint import Weights
from structdiff.options import RunOptions, recommended_sampling
from structdiff.pipeline import load_engine
from structdiff.spec.contig_grammar import parse_contigs
from structdiff.spec.design import DesignSpec
from structdiff.structure.files import write_atomically

SOLVERS = ("stochastic", "euler", "heun", "dpm-solver-2m", "ancestral")
EVALUATIONS = (200, 20, 4, 6, 8, 10, 50, 100)  # the more telling first
FEW, REFERENCE = 20, 200
#: One at a time, beside what the weights recommend.
KNOBS: dict[str, tuple[float, ...]] = {
    "step_scale": (1.0, 1.25, 1.75, 2.0),
    "noise_scale": (0.8, 0.9, 1.0, 1.1),
    "rho": (3.0, 5.0, 10.0),
    "sigma_max": (40.0, 80.0, 160.0),
    "churn": (0.0, 0.4, 1.2),
}
SHOWN = ("rama_favoured", "angle_over_4_sigma", "chain_breaks", "backbone_clashes_per_100", "clashes_per_100")


def settings(weights: Weights) -> list[dict[str, Any]]:
    """All settings in the order in which they are measured; each is the changes to what the weights recommend."""
    own = str(recommended_sampling(weights).solver)
    solvers = sorted(SOLVERS, key=lambda solver: solver != own)
    found = [{"solver": own, "evaluations": count} for count in (REFERENCE, FEW, 4, 6, 8, 10, 50)]
    found += [{"solver": solver, "evaluations": FEW} for solver in solvers]
    found += [{"solver": own, "evaluations": FEW, knob: value} for knob, values in KNOBS.items() for value in values]
    found += [{"solver": solver, "evaluations": count} for solver in solvers for count in EVALUATIONS]
    # Two evaluations a step: of four, Heun's solver makes two steps, which throw the atoms apart.
    found = [each for each in found if (each["solver"], each["evaluations"]) != ("heun", 4)]
    return [each for place, each in enumerate(found) if each not in found[:place]]


def name_of(setting: dict[str, Any]) -> str:
    more = [f"{key} {value:g}" for key, value in setting.items() if key not in ("solver", "evaluations")]
    return ", ".join([f"{setting['solver']} {setting['evaluations']}", *more])


def measured(engine: Engine, setting: dict[str, Any], spec: DesignSpec, weights: str) -> dict[str, Any]:
    """One setting: values of each design before and after relaxation, variety, seconds."""
    changes = {key: value for key, value in setting.items() if key != "evaluations"}
    each_step = 2 if setting["solver"] == "heun" else 1
    changes["steps"] = max(2, round(setting["evaluations"] / each_step))
    options = RunOptions(weights=weights, sampling=recommended_sampling(engine.weights, **changes), batch_size=8)
    drawn = draw_set(engine, spec, options)
    return {
        "name": name_of(setting), "setting": setting, "raw": validity_of(drawn.raw),
        "relaxed": validity_of(drawn.relaxed), "variety": variety(drawn.relaxed),
        "seconds_drawing": round(drawn.seconds_drawing, 3), "seconds_relaxing": round(drawn.seconds_relaxing, 3),
    }  # fmt: skip


def report(rows: Sequence[dict], weights: Weights, spec: DesignSpec, length: int) -> dict[str, Any]:
    """The rows, with means and differences from the reference."""
    for row in rows:
        for kind in ("raw", "relaxed"):
            row[f"{kind}_mean"] = {name: stated([each[name] for each in row[kind]]) for name in MEASURED}
            row[f"{kind}_difference"] = {
                name: paired_difference([each[name] for each in row[kind]], [each[name] for each in rows[0][kind]])
                for name in MEASURED
            }
    return {
        "weights": weights.sha256, "recommended": dict(weights.sampling), "designs": spec.num_designs,
        "length": length, "fold_plan": spec.fold_plan, "reference": rows[0]["name"], "settings": list(rows),
    }  # fmt: skip


def verdict(row: dict[str, Any]) -> str:
    """In what a setting is surely worse than the reference once relaxed: where the interval leaves 0 out."""
    worse = []
    for name, (words, scale, more) in MEASURED.items():
        found = row["relaxed_difference"][name]
        if more is not None and (found["high"] < 0 if more else found["low"] > 0):
            worse.append(f"{words.split(',')[0]} {scale * found['mean']:+.3g}")
    return "; ".join(worse) or "in nothing"


def table(result: dict[str, Any]) -> str:
    """The tables of the documents: means of each setting as drawn / relaxed, and in what it is worse."""
    heads = [MEASURED[name][0] for name in SHOWN]
    heads = ["solver and evaluations", *heads, "helix, strand, %", "clusters", "surely worse in"]
    lines = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for row in result["settings"]:
        cells = []
        for name in SHOWN:
            scale = MEASURED[name][1]
            cells.append(" / ".join(f"{scale * row[f'{kind}_mean'][name]['mean']:.3g}" for kind in ("raw", "relaxed")))
        content = ", ".join(f"{100 * row['relaxed_mean'][name]['mean']:.0f}" for name in ("helix", "strand"))
        cells += [content, f"{row['variety']['clusters']} of {row['variety']['designs']}"]
        last = "reference" if row["name"] == result["reference"] else verdict(row)
        lines.append(f"| {row['name']} | " + " | ".join(cells) + f" | {last} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", default="mini")
    parser.add_argument("--designs", type=int, default=8)
    parser.add_argument("--length", type=int, default=64)
    parser.add_argument("--fold-plan", default=DesignSpec.fold_plan, help="none: the network's own folds")
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--table", type=Path, help="write the tables of a result, and measure nothing")
    arguments = parser.parse_args()
    if arguments.table:
        print(table(json.loads(arguments.table.read_text())))
        return
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    engine = load_engine(RunOptions(weights=arguments.weights))
    spec = DesignSpec(
        contigs=parse_contigs(str(arguments.length)), num_designs=arguments.designs, seed=1,
        fold_plan=arguments.fold_plan,
    )  # fmt: skip
    known = json.loads(arguments.json.read_text()) if arguments.json and arguments.json.is_file() else {}
    own = {"weights": engine.weights.sha256, "designs": arguments.designs, "length": arguments.length,
           "fold_plan": arguments.fold_plan}  # fmt: skip
    same = all(known.get(key) == value for key, value in own.items())
    kept = {row["name"]: row for row in known.get("settings", []) if same}
    rows, began, every = [], time.monotonic(), settings(engine.weights)
    for number, setting in enumerate(every, start=1):
        if name_of(setting) not in kept and time.monotonic() - began > 60 * arguments.minutes:
            print(f"{arguments.minutes:g} minutes are over", flush=True)
            break
        rows.append(kept.get(name_of(setting)) or measured(engine, setting, spec, arguments.weights))
        result = report(rows, engine.weights, spec, arguments.length)
        print(f"{number}/{len(every)} {table(result).splitlines()[-1]}", flush=True)
        if arguments.json:
            write_atomically(arguments.json, json.dumps(result) + "\n")
    print(table(report(rows, engine.weights, spec, arguments.length)))


if __name__ == "__main__":
    main()

"""What an evaluation found, as JSON and CSV."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from structdiff.evaluation.catalogue import metric
from structdiff.evaluation.evaluation import Evaluation
from structdiff.evaluation.ligand_pose import LigandPose
from structdiff.evaluation.summary import Summary
from structdiff.structure.files import write_atomically

RESULT_FILE, TABLE_FILE, LIGANDS_FILE = "evaluation.json", "structures.csv", "ligands.csv"


def write_table(evaluation: Evaluation, path: Path) -> Path:
    """A CSV file with a row for each structure; shares are numbers in [0, 1], as in the catalogue."""
    names = evaluation.metrics
    named_reference = any(row.nearest_reference for row in evaluation.rows)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["name", "file", *names, *(["nearest_reference"] if named_reference else [])])
    for row in evaluation.rows:
        cells = [_number(row.values[name]) if name in row.values else "" for name in names]
        writer.writerow([row.name, row.path, *cells, *([row.nearest_reference] if named_reference else [])])
    return write_atomically(path, text.getvalue())


def write_ligands(evaluation: Evaluation, path: Path) -> Path | None:
    """A CSV file with a row for each ligand of the references; without any, that of an earlier run is removed."""
    found = [(row.name, *each) for row in evaluation.rows for each in row.ligands]
    if not found:
        path.unlink(missing_ok=True)
        return None
    text = io.StringIO()
    rows = [{"structure": name} | _ligand(pose, averaged) for name, pose, averaged in found]
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(row | {"averaged": str(row["averaged"]).lower()} for row in rows)
    return write_atomically(path, text.getvalue())


def write_result(evaluation: Evaluation, path: Path, provenance: Mapping[str, Any]) -> Path:
    """A JSON file with everything: summary, targets, structures, failures, what each metric means, how it was made."""
    data = result_data(evaluation, provenance)
    return write_atomically(path, json.dumps(data, indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def result_data(evaluation: Evaluation, provenance: Mapping[str, Any]) -> dict[str, Any]:
    """The content of that file as plain data; what has no value is null."""
    names = [*evaluation.metrics, *evaluation.summary]
    return {
        "provenance": {**provenance, "natural_chains": dict(evaluation.natural.provenance)},
        "summary": {name: summary_data(value) for name, value in evaluation.summary.items()},
        "targets": [
            {
                "group": target.group, "text": target.text, "value": summary_data(target.value),
                "wanted": target.wanted, "met": target.met,
            }
            for target in evaluation.targets
        ],
        "structures": [
            {"name": row.name, "file": str(row.path), **{key: _number(value) for key, value in row.values.items()}}
            | ({"nearest_reference": row.nearest_reference} if row.nearest_reference else {})
            | ({"ligands": [_ligand(*each) for each in row.ligands]} if row.ligands else {})
            for row in evaluation.rows
        ],
        "failures": [{"file": str(path), "reason": reason} for path, reason in evaluation.failures],
        "notes": list(evaluation.notes),
        "metrics": {
            each.name: dataclasses.asdict(each) | {"unit": each.stored_unit}
            for each in map(metric, dict.fromkeys(names))
        },
    }  # fmt: skip


def _ligand(pose: LigandPose, averaged: bool) -> dict[str, Any]:
    return {
        "name": pose.name, "chain": pose.chain, "number": pose.number, "rmsd": _number(pose.rmsd),
        "lddt_pli": _number(pose.lddt_pli), "atoms": pose.atoms, "atoms_found": pose.atoms_found, "averaged": averaged,
    }  # fmt: skip


def summary_data(summary: Summary) -> dict[str, Any]:
    """A mean with its interval as plain data."""
    data = dataclasses.asdict(summary)
    return {key: _plain(value) for key, value in data.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, Sequence):
        return [_plain(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _number(value: float) -> float | int | None:
    if not math.isfinite(value):
        return None
    return int(value) if value == int(value) else float(f"{value:.6g}")

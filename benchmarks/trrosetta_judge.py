"""How well trRosetta tells designed sequences from shuffled ones, on de novo designs and small natural proteins.

    python benchmarks/trrosetta_judge.py DATA [--minutes 30 --no-fold --json benchmarks/results/trrosetta_judge.json]

DATA is a folder made by ``structdiff prepare`` of a collection that has the entries named below. For each: one
ProteinMPNN sequence, and the same letters shuffled. Beside the judge's own log likelihood stand others that its
description would allow. About a minute a backbone on one core, 15 s without folding (scTM); after --minutes no further
one is begun. What is in the file of a run before is kept.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from structdiff.errors import InputError
from structdiff.evaluation.backbone import CA, Backbone, N
from structdiff.evaluation.oxygen import with_oxygen
from structdiff.evaluation.trrosetta import judge_design
from structdiff.inverse_folding import design_sequences
from structdiff.structure.files import write_atomically
from structdiff.structure.tables import Structure
from structdiff.training.dataset import StructureSet
from structdiff.training.set_files import SPLITS
from structdiff.trrosetta.geometry import classes_of, pair_geometry
from structdiff.trrosetta.network import CLASSES, Expectation, expect, expect_each

#: Designed folds and repeats (5vmr_c is a mini-protein bound to its target); small proteins much studied for folding.
BACKBONES = {
    "de novo": ("6mrr", "6mrs_a", "4r80_a", "4pww_a", "1na3_a", "2avp_a", "1n0q_a", "5vmr_c"),
    "natural": ("1ubi", "1uzc", "1shg", "1ten", "1csp", "1orc", "1enh_a", "1ris"),
}
COLUMNS = ("log_likelihood", "contact_precision", "sc_tm")


def found(data: Path) -> dict[str, Structure]:
    """The entries of all splits, with the oxygens that backbone-only entries lack."""
    wanted = {name for names in BACKBONES.values() for name in names}
    structures = {}
    for split in SPLITS:
        entries = StructureSet(data, split)
        for index, name in enumerate(entries.names):
            if name in wanted:
                structures[name] = with_oxygen(entries.structure(index))
    if missing := wanted - set(structures):
        raise InputError("the set lacks backbones of this benchmark", path=data, found=sorted(missing))
    return structures


def other_likelihoods(backbone: Backbone, sequence: str) -> dict[str, float]:
    """Mean log likelihoods a pair by other definitions than the judge's (6 apart, within 20 Å, mean network)."""
    positions = torch.from_numpy(backbone.positions).float()
    pairs = pair_geometry(positions[:, N], positions[:, CA], torch.from_numpy(backbone.cb_or_ideal).float())
    true = classes_of(pairs)
    place = torch.arange(len(sequence))
    apart = (place[:, None] - place).abs()
    near = pairs.distance < 20.0

    def logs(expected: Expectation, name: str = "distance") -> torch.Tensor:
        return getattr(expected, name).gather(-1, true[name].unsqueeze(-1)).squeeze(-1)

    together, each = logs(expect(sequence)), [logs(own) for own in expect_each(sequence)]
    six = torch.stack([logs(expect(sequence), name) for name in CLASSES]).mean(0)
    values = {
        "all distances, beyond 20 Å too": together[apart >= 6],
        "separation of 3 and more": together[near & (apart >= 3)],
        "all pairs, neighbours too": together[near & (apart >= 1)],
        "within 12 Å": together[(pairs.distance < 12.0) & (apart >= 6)],
        "distances and angles, mean of four": six[near & (apart >= 6)],
        "mean over single networks": torch.stack(each).mean(0)[near & (apart >= 6)],
        "best single network": max((own[near & (apart >= 6)] for own in each), key=lambda own: float(own.mean())),
    }
    return {name: round(float(value.mean()), 3) for name, value in values.items()}


def auc(high: Sequence[float], low: Sequence[float]) -> float:
    """The chance that one of the first is above one of the second."""
    one, other = np.array(high)[:, None], np.array(low)[None]
    return float(((one > other) + 0.5 * (one == other)).mean())


def row(name: str, group: str, structure: Structure, *, fold: bool) -> dict:
    backbone = Backbone.from_structure(structure)
    (designed,) = design_sequences(structure, num_sequences=1, seed=0)
    letters = "".join(designed.sequences.values())
    sequences = {
        "designed": letters,
        "shuffled": "".join(np.random.default_rng(len(letters)).permutation(list(letters))),
    }
    kinds = {}
    for kind, sequence in sequences.items():
        verdict = judge_design(backbone, sequence, refold=fold)
        known = {column: getattr(verdict, column) for column in COLUMNS}
        kinds[kind] = {column: round(float(value), 3) for column, value in known.items() if value is not None}
        kinds[kind]["otherwise"] = other_likelihoods(backbone, sequence)
    return {"name": name, "group": group, "residues": len(backbone), **kinds}


def summary(rows: Sequence[dict]) -> dict:
    """Quartiles of each column by group and kind of sequence, medians by the other definitions, and AUC."""
    groups = {"all": list(rows)} | {group: [own for own in rows if own["group"] == group] for group in BACKBONES}
    report: dict = {}
    for group, own in groups.items():
        if not own:
            continue
        report[group] = {"backbones": len(own)}
        for kind in ("designed", "shuffled"):
            report[group][kind] = {
                column: [round(float(np.quantile(values, q)), 3) for q in (0.25, 0.5, 0.75)]
                for column in COLUMNS
                if (values := column_of(own, kind, column))
            }
        report[group]["auc_designed_against_shuffled"] = {
            column: round(auc(column_of(own, "designed", column), column_of(own, "shuffled", column)), 3)
            for column in COLUMNS
            if column_of(own, "designed", column)
        }
    report["all"]["median_otherwise"] = {
        name: {kind: round(float(np.median([own[kind]["otherwise"][name] for own in rows])), 3)
               for kind in ("designed", "shuffled")}
        for name in rows[0]["designed"]["otherwise"]
    }  # fmt: skip
    return report


def column_of(rows: Sequence[dict], kind: str, column: str) -> list[float]:
    return [each[kind][column] for each in rows if column in each[kind]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--no-fold", dest="fold", action="store_false", help="leave scTM out")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    structures = found(arguments.data)
    known = json.loads(arguments.json.read_text()) if arguments.json and arguments.json.is_file() else {}
    kept = {own["name"]: own for own in known.get("rows", []) if not arguments.fold or "sc_tm" in own["designed"]}
    # The groups in turn, so that a run cut short has some of each.
    order = [(name, group) for names in zip(*BACKBONES.values(), strict=True)
             for name, group in zip(names, BACKBONES, strict=True)]  # fmt: skip
    rows, began = [], time.monotonic()
    for number, (name, group) in enumerate(order, start=1):
        if name not in kept and time.monotonic() - began > 60 * arguments.minutes:
            print(f"{arguments.minutes:g} minutes are over", flush=True)
            break
        rows.append(kept.get(name) or row(name, group, structures[name], fold=arguments.fold))
        print(f"{number}/{len(order)}", json.dumps(rows[-1]), flush=True)
        if arguments.json:
            write_atomically(arguments.json, json.dumps(summary(rows) | {"rows": rows}, indent=1) + "\n")
    print(json.dumps(summary(rows), indent=1))


if __name__ == "__main__":
    main()

"""How well trRosetta tells designed sequences from shuffled ones, on natural chains it can be asked about.

    python benchmarks/trrosetta_judge.py DATA [--chains 16 --json benchmarks/results/trrosetta_judge.json]

DATA is a folder made by ``structdiff prepare``. For single chains of 50 to 100 residues of its test and validation
splits: one ProteinMPNN sequence, the same letters shuffled, and the natural sequence.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import torch

from structdiff.chemistry.residues import PROTEIN_THREE_TO_ONE
from structdiff.evaluation.backbone import Backbone
from structdiff.evaluation.descriptors import radius_of_gyration_score
from structdiff.evaluation.trrosetta import judge_design
from structdiff.inverse_folding import design_sequences
from structdiff.structure.files import write_atomically
from structdiff.structure.tables import Structure
from structdiff.training.dataset import StructureSet

COLUMNS = ("log_likelihood", "contact_precision", "sc_tm")


def usable(structures: StructureSet, index: int) -> tuple[Structure, Backbone] | None:
    if structures.antibody[index] or not 50 <= structures.num_residues[index] <= 130:
        return None
    structure = structures.structure(index)
    backbone = Backbone.from_structure(structure)
    whole = len(set(backbone.chain)) == 1 and np.isfinite(backbone.positions).all() and backbone.bonded[1:].all()
    compact = whole and 50 <= len(backbone) <= 100 and abs(radius_of_gyration_score(backbone)) < 2
    return (structure, backbone) if compact else None


def auc(high: list[float], low: list[float]) -> float:
    """The chance that one of the first is above one of the second."""
    one, other = np.array(high)[:, None], np.array(low)[None]
    return float(((one > other) + 0.5 * (one == other)).mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--chains", type=int, default=16)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    rng = np.random.default_rng(0)
    rows: dict[str, list] = {"designed": [], "shuffled": [], "natural": []}
    names: list[str] = []
    for split in ("test", "val"):
        structures = StructureSet(arguments.data, split)
        for index in rng.permutation(len(structures)):
            found = usable(structures, int(index))
            if found is None or len(names) == arguments.chains:
                continue
            structure, backbone = found
            (designed,) = design_sequences(structure, num_sequences=1, seed=0)
            letters = "".join(designed.sequences.values())
            sequences = {
                "designed": letters,
                "shuffled": "".join(rng.permutation(list(letters))),
                "natural": "".join(PROTEIN_THREE_TO_ONE.get(name, "A") for name in backbone.restype),
            }
            names.append(structures.names[index])
            for kind, sequence in sequences.items():
                rows[kind].append(judge_design(backbone, sequence))
            print(names[-1], len(backbone), *(f"{kind} {rows[kind][-1]}" for kind in rows), flush=True)
    report: dict[str, object] = {"chains": names}
    values = {kind: {name: [getattr(each, name) for each in own] for name in COLUMNS} for kind, own in rows.items()}
    for kind, columns in values.items():
        report[kind] = {name: [float(np.quantile(own, q)) for q in (0.25, 0.5, 0.75)] for name, own in columns.items()}
    report["auc_designed_against_shuffled"] = {
        name: auc(values["designed"][name], values["shuffled"][name]) for name in COLUMNS
    }
    print(json.dumps(report, indent=2))
    if arguments.json:
        write_atomically(arguments.json, json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()

"""Do designs get sequences that fold into them? LigandMPNN writes them, trRosetta judges them.

    python benchmarks/designability.py FOLDER... [--designs 20 --sequences 8 --json OUT]

FOLDERs hold designs (``structdiff design --contigs 64 -n 100 -o FOLDER``). Of each design its best sequence counts,
by trRosetta's log likelihood of the design's own distances; the same letters shuffled stand beside it.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import torch

from structdiff.evaluation.backbone import Backbone
from structdiff.evaluation.summary import summarise
from structdiff.evaluation.trrosetta import judge_design
from structdiff.inverse_folding import design_sequences
from structdiff.structure.files import read_structure, write_atomically

GOOD_LIKELIHOOD, GOOD_PRECISION = -3.0, 0.5  # what small natural proteins reach


def judged(path: Path, sequences: int, rng: np.random.Generator) -> dict[str, float]:
    structure = read_structure(path)
    backbone = Backbone.from_structure(structure)
    found = design_sequences(structure, model="ligandmpnn", num_sequences=sequences, seed=0)
    letters = ["".join(each.sequences.values()) for each in found]
    verdicts = [judge_design(backbone, each, refold=False) for each in letters]
    best = int(np.argmax([each.log_likelihood for each in verdicts]))
    shuffled = judge_design(backbone, "".join(rng.permutation(list(letters[best]))), refold=False)
    return {
        "log_likelihood": verdicts[best].log_likelihood,
        "contact_precision": verdicts[best].contact_precision,
        "negative_log_likelihood": min(each.negative_log_likelihood for each in found),
        "shuffled_log_likelihood": shuffled.log_likelihood,
        "shuffled_contact_precision": shuffled.contact_precision,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--designs", type=int, default=20, help="the first so many of each folder")
    parser.add_argument("--sequences", type=int, default=8)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    rng, report = np.random.default_rng(0), {}
    for folder in arguments.folders:
        files = sorted(folder.glob("*.cif"), key=lambda path: (len(path.stem), path.stem))[: arguments.designs]
        rows = [judged(path, arguments.sequences, rng) for path in files]
        columns = {name: [row[name] for row in rows] for name in rows[0]}
        columns["good"] = [
            float(row["log_likelihood"] >= GOOD_LIKELIHOOD and row["contact_precision"] >= GOOD_PRECISION)
            for row in rows
        ]
        report[folder.name] = {"designs": len(rows)} | {
            name: {
                "mean": (found := summarise(own)).mean,
                "low": found.low,
                "high": found.high,
                "median": float(np.median(own)),
            }
            for name, own in columns.items()
        }
        print(folder.name, json.dumps(report[folder.name], indent=1), flush=True)
    if arguments.json:
        write_atomically(arguments.json, json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()

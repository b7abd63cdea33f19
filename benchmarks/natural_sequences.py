"""What ProteinMPNN and LigandMPNN think of the sequences of held-out natural chains, as the package bundles it.

    python benchmarks/natural_sequences.py DATA [--chains 100 --minutes 20]

DATA is a folder made by ``structdiff prepare``. Single chains without gaps of its validation and test splits, 40 to 150
residues, O placed where the file has none: likelihood of the own sequence, and recovery by one designed sequence, as
``structdiff evaluate --sequence-model`` measures both. Chains that are in the file are kept.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np
import torch
from held_out_chains import Chain, of_both_splits

import structdiff.evaluation.natural_sequences as bundled
from structdiff.evaluation.oxygen import with_oxygen
from structdiff.inverse_folding import design_sequences, score_sequence
from structdiff.structure.files import write_atomically

MODELS = ("proteinmpnn", "ligandmpnn")
FILE = Path(bundled.__file__).parent / "data" / bundled.DATA_FILE


def row(chain: Chain) -> dict:
    found: dict = {"name": chain.name, "length": len(chain.ca)}
    structure = with_oxygen(chain.structure)
    for model in MODELS:
        (designed,) = design_sequences(structure, model=model, num_sequences=1, seed=0)
        likelihood = score_sequence(structure, model=model).negative_log_likelihood
        found[model] = {"nll": round(likelihood, 3), "recovery": round(float(designed.recovery or 0.0), 3)}
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--chains", type=int, default=100)
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    kept = {own["name"]: own for own in json.loads(FILE.read_text())["chains"]} if FILE.is_file() else {}
    rows, began = [], time.monotonic()
    chains = of_both_splits(arguments.data, shortest=40, longest=150)[: arguments.chains]
    for number, chain in enumerate(chains, start=1):
        if chain.name not in kept and time.monotonic() - began > 60 * arguments.minutes:
            print(f"{arguments.minutes:g} minutes are over", flush=True)
            break
        rows.append(kept.get(chain.name) or row(chain))
        print(f"{number}/{len(chains)} {json.dumps(rows[-1])}", flush=True)
        write_atomically(FILE, json.dumps(content(rows), indent=1) + "\n")
    for model in MODELS:
        for column in ("nll", "recovery"):
            print(model, column, np.quantile([own[model][column] for own in rows], (0.25, 0.5, 0.75)).round(3).tolist())


def content(rows: list[dict]) -> dict:
    return {
        "provenance": {"chains": "single held-out chains of the Protein Data Bank, 40 to 150 residues, no gaps",
                       "command": "python benchmarks/natural_sequences.py DATA"},
        "chains": rows,
    }  # fmt: skip


if __name__ == "__main__":
    main()

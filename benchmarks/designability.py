"""Do designs get sequences that fold into them? LigandMPNN writes them, trRosetta judges them.

    python benchmarks/designability.py FOLDER... [--designs 20 --sequences 8 --json OUT] [--natural DATA --length 100]

FOLDERs hold designs (``structdiff design --contigs 64 -n 100 -o FOLDER``). Of each design its best sequence counts,
by trRosetta's log likelihood of the design's own distances; the same letters shuffled stand beside it. Residues of a
motif (those that ``residue_map.json`` beside the design names) keep their letters. With --natural, held-out chains of a
folder made by ``structdiff prepare`` are treated in the same way: of both held-out splits, a tenth shorter or longer
than the lengths asked for, and as compact as single chains are. With --judges the two networks alone judge that make
no folds up (``--fold-plan hallucinated``). --favour-present 1 favours the letters that designs came with, as campaigns
do with those that folds were made up with (``--sequence-model own`` leaves them in the files).
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from held_out_chains import of_both_splits

from structdiff.evaluation.backbone import Backbone
from structdiff.evaluation.descriptors import radius_of_gyration_score
from structdiff.evaluation.motif import residues_of_map
from structdiff.evaluation.oxygen import with_oxygen
from structdiff.evaluation.summary import summarise
from structdiff.evaluation.trrosetta import judge_design
from structdiff.inverse_folding import design_sequences, rows_in
from structdiff.structure.files import read_structure, write_atomically
from structdiff.structure.tables import Structure
from structdiff.trrosetta.hallucination import JUDGES
from structdiff.trrosetta.network import NETWORKS

GOOD_LIKELIHOOD, GOOD_PRECISION = -3.0, 0.5
EACH = ("log_likelihood", "contact_precision", "negative_log_likelihood")  # kept of each design, in their order
COMPACT = 1.5  # natural standard deviations that a chain's radius of gyration may be off


def judged(
    structure: Structure, sequences: int, rng: np.random.Generator, fixed: np.ndarray | None = None,
    networks: Sequence[str] = NETWORKS, favour_present: float = 0.0,
) -> dict[str, float]:  # fmt: skip
    """trRosetta's verdict on the best sequence. fixed (residue,): bool, of residues that keep their letters."""
    backbone = Backbone.from_structure(structure)
    found = design_sequences(structure, model="ligandmpnn", num_sequences=sequences, seed=0, fixed=fixed,
                             favour_present=favour_present)  # fmt: skip
    letters = ["".join(each.sequences.values()) for each in found]
    verdicts = [judge_design(backbone, each, refold=False, networks=networks) for each in letters]
    best = int(np.argmax([each.log_likelihood for each in verdicts]))
    shuffled = judge_design(backbone, "".join(rng.permutation(list(letters[best]))), refold=False, networks=networks)
    return {
        "log_likelihood": verdicts[best].log_likelihood,
        "contact_precision": verdicts[best].contact_precision,
        "negative_log_likelihood": min(each.negative_log_likelihood for each in found),
        "shuffled_log_likelihood": shuffled.log_likelihood,
        "shuffled_contact_precision": shuffled.contact_precision,
    }


def motif_rows(path: Path, structure: Structure) -> np.ndarray | None:
    """Which residues (residue,) of a design come from its motif; None where no map beside it names any."""
    beside = path.with_suffix(".residue_map.json")
    found = residues_of_map(json.loads(beside.read_text())) if beside.is_file() else []
    names = ["".join(map(str, each.design)).strip() for each in found]
    return rows_in(structure, ",".join(names)) if names else None


def designs_of(folder: Path) -> Iterator[tuple[Structure, np.ndarray | None]]:
    """The designs of a folder in their order, each with its motif's residues."""
    for path in sorted(folder.glob("*.cif"), key=lambda path: (len(path.stem), path.stem)):
        structure = read_structure(path)
        yield structure, motif_rows(path, structure)


def natural_chains(data: Path, length: int) -> Iterator[Structure]:
    for chain in of_both_splits(data, shortest=round(0.9 * length), longest=round(1.1 * length)):
        structure = with_oxygen(chain.structure)
        if abs(radius_of_gyration_score(Backbone.from_structure(structure))) <= COMPACT:
            yield structure


def report_of(rows: list[dict[str, float]]) -> dict[str, object]:
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    columns["good"] = [
        float(row["log_likelihood"] >= GOOD_LIKELIHOOD and row["contact_precision"] >= GOOD_PRECISION) for row in rows
    ]
    summaries = {
        name: {
            "mean": (found := summarise(own)).mean,
            "low": found.low,
            "high": found.high,
            "median": float(np.median(own)),
        }
        for name, own in columns.items()
    }
    each = {name: [round(value, 3) for value in columns[name]] for name in EACH}
    return {"designs": len(rows)} | summaries | {"each": each}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="*", type=Path)
    parser.add_argument("--natural", type=Path, metavar="DATA")
    parser.add_argument("--length", type=int, nargs="*", default=[64, 100], help="residues of natural chains")
    parser.add_argument("--designs", type=int, default=20, help="the first so many of each folder")
    parser.add_argument("--sequences", type=int, default=8)
    parser.add_argument("--judges", action="store_true", help="by the two networks alone that make no folds up")
    parser.add_argument("--favour-present", type=float, default=0.0, help="as structdiff sequence has it")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    if not (arguments.folders or arguments.natural):
        parser.error("give folders of designs, or --natural DATA")
    torch.set_num_threads(arguments.threads)
    sets: dict[str, Iterable[tuple[Structure, np.ndarray | None]]] = {}
    for folder in arguments.folders:
        sets[folder.name] = designs_of(folder)
    if arguments.natural:
        sets |= {
            f"natural_{length}": ((each, None) for each in natural_chains(arguments.natural, length))
            for length in arguments.length
        }
    rng, report = np.random.default_rng(0), {}
    for name, structures in sets.items():
        chosen = islice(structures, arguments.designs)
        networks = JUDGES if arguments.judges else NETWORKS
        favour = arguments.favour_present
        rows = [judged(each, arguments.sequences, rng, fixed, networks, favour) for each, fixed in chosen]
        if not rows:
            parser.error(f"{name}: nothing to judge")
        report[name] = report_of(rows)
        print(name, json.dumps(report[name], indent=1), flush=True)
    if arguments.json:
        write_atomically(arguments.json, json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()

"""What alignments are worth: chains predicted by the network alone, and following trRosetta's reading of an alignment.

    python benchmarks/alignments.py DATA [--folder FOLDER] [--entries 60 --minutes 40 --json OUT]
    python benchmarks/alignments.py --table OUT

Of each of the first held-out chains of the test split (of a folder made by ``structdiff prepare``; those of
``prediction.py``) the alignment is its sequence alone. FOLDER holds alignments of many sequences: NAME.a3m beside
NAME.pdb or NAME.cif, the true structure, of which the chain most like the alignment's first sequence counts. One sample
each. Needs trRosetta's weights, which have learnt from the Protein Data Bank of 2018: most of these chains are not held
out for them.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from held_out_chains import held_out_chains
from prediction import against_truth
from scipy.stats import spearmanr

from structdiff.engine import Engine
from structdiff.evaluation.lddt import lddt
from structdiff.evaluation.summary import summarise
from structdiff.options import RunOptions
from structdiff.pipeline import load_engine, predict
from structdiff.spec.chain import ChainSpec
from structdiff.spec.complex import ComplexSpec
from structdiff.structure.complex import build_complex
from structdiff.structure.files import read_structure, write_atomically
from structdiff.structure.sequence_alignment import aligned_residues
from structdiff.structure.tables import ChainKind
from structdiff.training.dataset import StructureSet
from structdiff.trrosetta.alignment import read_alignment

SHORTEST, LONGEST = 40, 150
SYSTEMS = {
    "network": "network alone",
    "sequence": "trRosetta, sequence alone",
    "alignment": "trRosetta, alignment",
}


@dataclass(frozen=True, kw_only=True)
class Case:
    """A chain, CA atoms (Å, NaN where not seen) of its true structure, and the file of its alignment if it has one."""

    name: str
    sequence: str
    truth: np.ndarray
    alignment: Path | None = None


def of_test_split(data: Path, count: int) -> list[Case]:
    chains = held_out_chains(StructureSet(data, "test"), shortest=SHORTEST, longest=LONGEST)[:count]
    return [Case(name=chain.name, sequence=chain.sequence, truth=chain.ca) for chain in chains]


def of_folder(folder: Path) -> Iterator[Case]:
    for path in sorted(folder.glob("*.a3m")):
        lines = path.read_text().split(">", 2)[1].splitlines()[1:]
        sequence = "".join(lines).replace("-", "")
        truth = next((path.with_suffix(end) for end in (".pdb", ".cif") if path.with_suffix(end).is_file()), None)
        if truth is None:
            raise SystemExit(f"{path}: no {path.stem}.pdb or .cif beside it")
        yield Case(name=path.stem, sequence=sequence, truth=true_alphas(truth, sequence), alignment=path)


def true_alphas(path: Path, sequence: str) -> np.ndarray:
    """CA atoms (residue, 3) of the chain of a file that is most like the sequence; NaN where it was not seen."""
    given = read_structure(path)
    asked = build_complex(complex_of("x", sequence, None))
    own = np.arange(len(sequence))
    best = np.full((len(sequence), 3), np.nan)
    for row in np.flatnonzero(given.chains.kind == ChainKind.PROTEIN).tolist():
        theirs = np.arange(len(given.residues))[given.chain_residues(row)]
        found = np.full((len(sequence), 3), np.nan)
        for place, residue in aligned_residues(asked, given, own, theirs).tolist():
            part = given.residue_atoms(residue)
            alpha = (given.atoms.name[part] == "CA") & given.atoms.resolved[part]
            if asked.residues.name[place] == given.residues.name[residue] and alpha.any():
                found[place] = given.atoms.positions[part][alpha][0]
        if np.isfinite(found).sum() > np.isfinite(best).sum():
            best = found
    return best


def complex_of(name: str, sequence: str, alignment: str | None) -> ComplexSpec:
    msa = () if alignment is None else (alignment,)
    return ComplexSpec(name=name, chains=(ChainSpec(ids=("A",), kind="protein", sequence=sequence, msa=msa),))


def judged(case: Case, alignment: str | None, engine: Engine, options: RunOptions) -> dict[str, float]:
    (found,) = predict(complex_of(case.name, case.sequence, alignment), seed=0, engine=engine, options=options)
    atoms, seen = found.structure.atoms, np.isfinite(case.truth).all(-1)
    ca = atoms.positions[atoms.name == "CA"][seen]
    own = lddt(ca, case.truth[seen])
    within = spearmanr(found.confidence.plddt[seen], own.per_group).statistic
    return against_truth(ca, case.truth[seen]) | {
        "plddt": found.confidence.mean_plddt / 100, "ptm": found.confidence.ptm, "within": float(np.nan_to_num(within)),
    }  # fmt: skip


def entry(case: Case, engine: Engine, options: RunOptions) -> dict:
    alignments = {"network": None, "sequence": "self"} | ({"alignment": str(case.alignment)} if case.alignment else {})
    systems = {
        name: {key: round(value, 4) for key, value in judged(case, alignment, engine, options).items()}
        for name, alignment in alignments.items()
    }
    found = {"name": case.name, "residues": len(case.sequence), "systems": systems}
    if case.alignment is not None:
        found["rows"] = read_alignment(case.alignment, case.sequence).rows
    return found


def measured(arguments: argparse.Namespace, keep: Callable[[list[dict]], None]) -> list[dict]:
    options = RunOptions(weights=arguments.weights)
    engine, began = load_engine(options), time.monotonic()
    identity = engine.weights.sha256[:16]
    known = json.loads(arguments.json.read_text()) if arguments.json and arguments.json.is_file() else {}
    kept = {row["name"]: row for row in known.get("entries", []) if known.get("weights") == identity}
    cases = [
        *(of_folder(arguments.folder) if arguments.folder else ()),
        *of_test_split(arguments.data, arguments.entries),
    ]
    entries: list[dict] = []
    for number, case in enumerate(cases, start=1):
        if case.name not in kept and time.monotonic() - began > 60 * arguments.minutes:
            print(f"{arguments.minutes:g} minutes are over after {len(entries)} chains", file=sys.stderr)
            break
        entries.append(kept.get(case.name) or entry(case, engine, options))
        keep(entries)
        own = entries[-1]["systems"]
        text = ", ".join(f"{name} {own[name]['lddt']:.2f} {own[name]['tm']:.2f}" for name in own)
        print(f"{number}/{len(cases)} {case.name} {len(case.sequence)}: {text}", flush=True)
    return entries


def mean(values: list[float]) -> str:
    found = summarise(values)
    return f"{found.mean:.2f} [{found.low:.2f}, {found.high:.2f}]"


def table(entries: list[dict]) -> str:
    """Tables of both sets: accuracy of each system, differences by pairs, and what its confidence knows."""
    lines = []
    for title, rows in (
        ("test split, each sequence alone", [row for row in entries if "rows" not in row]),
        ("with alignments", [row for row in entries if "rows" in row]),
    ):
        if not rows:
            continue
        lines += [f"{title}: {len(rows)} chains", "", "| | lDDT of CA | over the network alone | TM-score | over the "
                  "network alone | TM over 0.5 | pLDDT / 100 | pTM | pLDDT and lDDT, Spearman | within one |",
                  "|---|---|---|---|---|---|---|---|---|---|"]  # fmt: skip
        for name, words in SYSTEMS.items():
            own = [row["systems"][name] for row in rows if name in row["systems"]]
            if not own:
                continue
            pairs = [(row["systems"][name], row["systems"]["network"]) for row in rows]
            more = {key: mean([a[key] - b[key] for a, b in pairs]) for key in ("lddt", "tm")}
            known = spearmanr([one["plddt"] for one in own], [one["lddt"] for one in own]).statistic
            cells = [words]
            for key in ("lddt", "tm"):
                cells += [mean([one[key] for one in own]), "" if name == "network" else more[key]]
            plddt, ptm, within = (f"{np.mean([one[key] for one in own]):.2f}" for key in ("plddt", "ptm", "within"))
            right = sum(one["tm"] > 0.5 for one in own)
            cells += [f"{right} of {len(own)}", plddt, ptm, f"{known:.2f}", within]
            lines.append(f"| {' | '.join(cells)} |")
        lines.append("")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, nargs="?")
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--weights", default="mini")
    parser.add_argument("--entries", type=int, default=60)
    parser.add_argument("--minutes", type=float, default=40)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--table", type=Path, help="write the tables of a result, and measure nothing")
    arguments = parser.parse_args()
    if arguments.table:
        print(table(json.loads(arguments.table.read_text())["entries"]))
        return
    if arguments.data is None:
        parser.error("DATA is missing")
    identity = load_engine(RunOptions(weights=arguments.weights)).weights.sha256[:16]

    def keep(entries: list[dict]) -> None:
        if arguments.json:
            write_atomically(arguments.json, json.dumps({"weights": identity, "entries": entries}, indent=1) + "\n")

    print(table(measured(arguments, keep)))


if __name__ == "__main__":
    main()

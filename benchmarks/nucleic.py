"""How well held-out DNA and RNA are predicted, alone and with their proteins, from sequences alone.

    python benchmarks/nucleic.py DATA [--weights mini --tokens 220 --json benchmarks/results/nucleic.json]
    python benchmarks/nucleic.py --table benchmarks/results/nucleic.json

DATA is a set made by ``structdiff prepare``; of its validation and test splits all entries with nucleic acids and at
most so many residues, all of them standard, are predicted without their ligands. lDDT of C1' atoms (radius 15 Å, all
chains of nucleic acid together, copies in their best order), and the base pairs (Watson-Crick and wobble, every
hydrogen bond within 0.6 Å of its length): how many of the true ones are found, and how many of those drawn are true.
Beside each stands the network alone, told that nothing pairs, and as it is with the nucleotides of each chain shuffled.
A line below says how pLDDT goes with lDDT, with and without the validation entries that the confidence head has learnt.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import permutations, product
from pathlib import Path
from typing import Any

import numpy as np
from foretelling import correlated, correlation_text, learnt_entries, mean_error
from prediction import identity, shuffled

from structdiff.chemistry.residues import DNA_NAMES, PROTEIN_THREE_TO_ONE, RNA_NAMES
from structdiff.engine import Engine
from structdiff.evaluation.lddt import lddt
from structdiff.evaluation.summary import summarise
from structdiff.options import RunOptions
from structdiff.output.prediction import Prediction
from structdiff.pipeline import load_engine, predict
from structdiff.spec.base_pairs import BasePairsSpec
from structdiff.spec.chain import ChainSpec
from structdiff.spec.complex import ComplexSpec
from structdiff.structure.base_pairs import base_pairs
from structdiff.structure.files import write_atomically
from structdiff.structure.tables import ChainKind, Structure
from structdiff.training.dataset import StructureSet

_KINDS = {ChainKind.PROTEIN: "protein", ChainKind.DNA: "dna", ChainKind.RNA: "rna"}
_LETTER = dict(PROTEIN_THREE_TO_ONE) | {name: name[-1] for name in (*DNA_NAMES, *RNA_NAMES)}
_SHORTEST = 8  # nucleotides in all
_NAMES = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#: As predicted, the network alone, and with shuffled sequences.
SYSTEMS = ("prediction", "alone", "shuffled")


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A held-out structure without its ligands, and the letters and kind of each of its chains."""

    name: str
    structure: Structure
    chains: tuple[tuple[str, str], ...]

    @property
    def kind(self) -> str:
        kinds = {kind for kind, _ in self.chains}
        return " and ".join(each for each in ("protein", "dna", "rna") if each in kinds)


def held_out(data: Path, tokens: int) -> Iterator[Entry]:
    """Entries with nucleic acids, all of their residues standard and at most so many, in the order of the set."""
    for split in ("val", "test"):
        structures = StructureSet(data, split)
        for index in np.flatnonzero(structures.nucleic).tolist():
            structure = structures.structure(index)
            polymer = np.isin(structure.chains.kind, list(_KINDS))[structure.residues.chain]
            structure = structure.select(polymer[structure.atoms.residue])
            names, chain = structure.residues.name, structure.residues.chain
            kinds = [_KINDS[kind] for kind in structure.chains.kind]
            nucleotides = sum(kinds[number] != "protein" for number in chain)
            standard = all(str(name) in _LETTER for name in names)
            if standard and len(names) <= tokens and nucleotides >= _SHORTEST:
                letters = ["".join(_LETTER[str(name)] for name in names[chain == row]) for row in range(len(kinds))]
                yield Entry(
                    name=structures.names[index], structure=structure, chains=tuple(zip(kinds, letters, strict=True))
                )


def predicted(entry: Entry, engine: Engine, options: RunOptions, system: str) -> Prediction:
    """The first draw for an entry's sequences as one of the SYSTEMS has them."""
    chains = []
    for row, (kind, text) in enumerate(entry.chains):
        letters = shuffled(text) if system == "shuffled" and kind != "protein" else text
        chains.append(ChainSpec(ids=(_NAMES[row],), kind=kind, sequence=letters))
    unpaired = [BasePairsSpec(chains=each.ids, structure="." * len(each)) for each in chains if each.kind != "protein"]
    spec = ComplexSpec(name=entry.name, chains=tuple(chains), base_pairs=tuple(unpaired) if system == "alone" else ())
    (found,) = predict(spec, seed=0, options=options, engine=engine)
    return found


def judged(model: Structure, entry: Entry, plddt: np.ndarray) -> dict[str, float]:
    """lDDT of C1', shares of base pairs, and mean pLDDT of the nucleotides; copies in the order with the best lDDT."""
    truth = entry.structure
    orders = list(_orders(entry.chains))
    scores = [lddt(_sugar(model)[order], _sugar(truth)).score for order in (_rows(truth, each) for each in orders)]
    best = _rows(truth, orders[int(np.argmax(scores))])
    place = {int(row): number for number, row in enumerate(best)}
    found = {frozenset(place[row] for row in pair) for pair in base_pairs(model).tolist()}
    true = {frozenset(pair) for pair in base_pairs(truth).tolist()}
    return {
        "lddt": max(scores), "pairs": len(true), "pairs_found": len(found & true), "pairs_drawn": len(found),
        "plddt": float(plddt[np.isfinite(_sugar(model)[:, 0])].mean()) / 100,
    }  # fmt: skip


def _sugar(structure: Structure) -> np.ndarray:
    """C1' of each residue (Å), NaN where there is none."""
    place = np.full((len(structure.residues), 3), np.nan)
    rows = np.flatnonzero((structure.atoms.name == "C1'") & structure.atoms.resolved)
    place[structure.atoms.residue[rows]] = structure.atoms.positions[rows]
    return place


def _orders(chains: Sequence[tuple[str, str]]) -> Iterator[tuple[int, ...]]:
    """Orders of the chains that exchange copies of the same nucleic acid."""
    groups: dict[tuple[str, str], list[int]] = {}
    for row, chain in enumerate(chains):
        groups.setdefault(chain if chain[0] != "protein" else (f"protein {row}", ""), []).append(row)
    for choice in product(*(permutations(rows) for rows in groups.values())):
        order = dict(
            zip((row for rows in groups.values() for row in rows), (r for c in choice for r in c), strict=True)
        )
        yield tuple(order[row] for row in range(len(chains)))


def _rows(structure: Structure, order: tuple[int, ...]) -> np.ndarray:
    """Rows of the residues of the chains in another order."""
    return np.concatenate([np.flatnonzero(structure.residues.chain == row) for row in order])


def measured(arguments: argparse.Namespace) -> list[dict]:
    options = RunOptions(weights=arguments.weights)
    engine, rows, learnt = load_engine(options), [], learnt_entries(arguments.data)
    for entry in held_out(arguments.data, arguments.tokens):
        row: dict[str, Any] = {"name": entry.name, "kind": entry.kind, "residues": len(entry.structure.residues),
                               "learnt": entry.name in learnt}  # fmt: skip
        for system in SYSTEMS:
            found = predicted(entry, engine, options, system)
            values = judged(found.structure, entry, np.asarray(found.confidence.plddt))
            row[system] = {key: round(float(value), 4) for key, value in values.items()}
        rows.append(row)
        scores = ", ".join(f"{system} {row[system]['lddt']:.2f}" for system in SYSTEMS)
        own = row["prediction"]
        pairs = f"pairs {own['pairs_found']:.0f} of {own['pairs']:.0f}, drawn {own['pairs_drawn']:.0f}"
        print(f"{entry.name} {entry.kind} {row['residues']}: lDDT {scores}; {pairs}", file=sys.stderr)
    return rows


def table(rows: Sequence[dict]) -> str:
    """The table of the model card."""
    lines = [
        "| | entries | lDDT of C1', mean [95 % interval] | no pairs | shuffled | base pairs found | no pairs "
        "| shuffled | true of those drawn | pLDDT / 100 |",
        "|---" * 10 + "|",
    ]
    for kind in ["all", *sorted({row["kind"] for row in rows})]:
        own = [row for row in rows if kind in ("all", row["kind"])]
        scores = [summarise([row[system]["lddt"] for row in own]) for system in SYSTEMS]
        total = {
            (system, key): round(sum(row[system][key] for row in own))
            for system in SYSTEMS
            for key in ("pairs", "pairs_found", "pairs_drawn")
        }
        cells = [
            kind,
            str(len(own)),
            *(f"{score.mean:.2f} [{score.low:.2f}, {score.high:.2f}]" for score in scores),
            *(f"{total[system, 'pairs_found']} of {total[system, 'pairs']}" for system in SYSTEMS),
            f"{total['prediction', 'pairs_found']} of {total['prediction', 'pairs_drawn']}",
            f"{np.mean([row['prediction']['plddt'] for row in own]):.2f}",
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join([*lines, "", confidence(rows)])


def confidence(rows: Sequence[dict]) -> str:
    """How pLDDT goes with lDDT, over all entries and over those that the confidence head has not learnt from."""
    parts = []
    for name, own in (("all", rows), ("not learnt", [row for row in rows if not row["learnt"]])):
        pairs = [(row["prediction"]["plddt"], row["prediction"]["lddt"]) for row in own]
        parts.append(f"{name} {len(own)}: {correlation_text(correlated(pairs))}, mean error {mean_error(pairs)} of 100")
    return f"Spearman correlation of pLDDT with lDDT: {'; '.join(parts)}."


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, nargs="?")
    parser.add_argument("--weights", default="mini")
    parser.add_argument("--tokens", type=int, default=220)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--table", type=Path, help="write the table of a result, and measure nothing")
    arguments = parser.parse_args()
    if arguments.table:
        print(table(json.loads(arguments.table.read_text())["entries"]))
        return
    if arguments.data is None:
        parser.error("DATA is missing")
    rows = measured(arguments)
    if arguments.json:
        result = {"weights": identity(arguments.weights), "entries": rows}
        write_atomically(arguments.json, json.dumps(result, indent=1) + "\n")
    print(table(rows))


if __name__ == "__main__":
    main()

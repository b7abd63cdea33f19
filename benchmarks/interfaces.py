"""How much of a chain lies against another: copies of symmetric designs, binders on their targets, and nature.

    python benchmarks/interfaces.py assemblies [--groups C2,C3,D2,T --designs 12 --length 80] [--json FILE]
    python benchmarks/interfaces.py binders DATA [--designs 6] [--json FILE]
    python benchmarks/interfaces.py natural DATA

DATA is a set made by ``structdiff prepare``, of which come three of the seven targets (an epitope of its bound chain,
a dimer, a repressor on its DNA); the others are test files and the examples' leucine zipper. Designs are those of the
default weights with the network's own letters; their backbones decide. "Pairs" are pairs of residues of two chains
with CB within 8 Å, of the largest contact of a chain (of binders: with all that is kept); "residues" are how many of
the chain are in one, or within 6.5 Å of an atom of a nucleic acid. Natural chains are those of 50 to 110 residues in
structures of at most six protein chains, apart by whether the other has the same sequence.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

import numpy as np
from scipy.spatial.distance import cdist

import structdiff
from structdiff.evaluation.backbone import Backbone
from structdiff.evaluation.summary import summarise
from structdiff.structure.files import write_atomically, write_structure
from structdiff.structure.tables import ChainKind, Structure
from structdiff.training.dataset import StructureSet

ROOT = Path(__file__).resolve().parent.parent
CONTACT, NUCLEIC_CONTACT = 8.0, 6.5  # Å
SHORTEST, LONGEST, MOST_CHAINS, MOST_RESIDUES = 50, 110, 6, 1200
#: Of an entry of the set: the contigs of a binder, and the chain whose place it is to take.
ENTRIES = {"7oao": ("60 F", "E"), "1vqb": ("50-60 A B", None), "3cro": ("60 L A B", None)}
FILES = {"tests/data/1orc.pdb.gz": "55-65 A", "tests/data/1dix.cif.gz": "60-70 A"}
PROBLEMS = ("examples/problems/binder.yaml", "examples/problems/binder_epitope.yaml")


def in_contact(structure: Structure, first: str, others: list[str]) -> tuple[int, int]:
    """Pairs of residues in contact of a protein chain with others, and its residues that are in contact."""
    backbone = Backbone.from_structure(structure)
    names = structure.chains.name[backbone.chain]
    cb = backbone.cb_or_ideal
    near = cdist(cb[names == first], cb[np.isin(names, others)]) < CONTACT
    touching = near.any(1)
    nucleic = np.isin(structure.chains.kind, (ChainKind.DNA, ChainKind.RNA)) & np.isin(structure.chains.name, others)
    atoms = structure.atoms.positions[nucleic[structure.atom_chain] & structure.atoms.resolved]
    if len(atoms):
        touching = touching | (cdist(cb[names == first], atoms) < NUCLEIC_CONTACT).any(1)
    return int(near.sum()), int(touching.sum())


def of_design(design: structdiff.Design, *, copies: bool) -> dict:
    """What is measured of a design: copies of a unit against each other, or its first chain against all others."""
    first, *others = design.structure.chains.name.tolist()
    each = [[name] for name in others] if copies else [others]
    pairs, residues = max(in_contact(design.structure, first, names) for names in each)
    return {"pairs": pairs, "residues": residues, "met": bool(design.all_met)}


def assemblies(arguments: argparse.Namespace) -> dict[str, list[dict]]:
    found = {}
    for group in arguments.groups.split(","):
        designs = structdiff.design(
            length=arguments.length, symmetry=group, num_designs=arguments.designs, seed=arguments.seed
        )
        found[group] = [of_design(design, copies=True) for design in designs]
        print(row(group, found[group]), flush=True)
    return found


def binders(arguments: argparse.Namespace) -> dict[str, list[dict]]:
    asked = {name: (str(ROOT / name), {"contigs": contigs}) for name, contigs in FILES.items()}
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        entries = StructureSet(arguments.data, "train")
        for name, (contigs, epitope) in ENTRIES.items():
            path = write_structure(entries.structure(entries.names.index(name)), Path(folder) / f"{name}.pdb")
            asked[name] = (str(path), {"contigs": contigs} | ({"epitope": epitope} if epitope else {}))
        settings = {"num_designs": arguments.designs, "seed": arguments.seed}
        runs = {name: {"motif": path, **rest, **settings} for name, (path, rest) in asked.items()}
        for name, keywords in runs.items():
            found[name] = [of_design(design, copies=False) for design in structdiff.design(**keywords)]
            print(row(name, found[name]), flush=True)
    for name in PROBLEMS:
        designs = structdiff.design(str(ROOT / name), **settings)
        found[name] = [of_design(design, copies=False) for design in designs]
        print(row(name, found[name]), flush=True)
    return found


def natural(arguments: argparse.Namespace) -> dict[str, list[dict]]:
    """The largest contact of each natural chain, by whether the other chain is the same."""
    found: dict[str, list[dict]] = {"same chains": [], "other chains": []}
    for split in ("train", "val", "test"):
        entries = StructureSet(arguments.data, split)
        usable = entries.several_chains & ~entries.antibody & (entries.atoms_kind == "all")
        for index in np.flatnonzero(usable & (entries.num_residues < MOST_RESIDUES)).tolist():
            largest = _largest(entries.structure(index))
            for name, contact in largest.items():
                found[name].append(contact)
    for name, contacts in found.items():
        print(row(name, contacts), "quartiles", np.percentile([each["pairs"] for each in contacts], [25, 50, 75]))
    return found


def _largest(structure: Structure) -> dict[str, dict]:
    """Of the first chain that is of a fitting length the largest contacts with chains like it, and unlike it."""
    protein = np.flatnonzero(structure.chains.kind == ChainKind.PROTEIN)
    letters = {row: structure.residues.name[structure.residues.chain == row].tolist() for row in protein.tolist()}
    first = next((row for row, own in letters.items() if SHORTEST <= len(own) <= LONGEST), None)
    if first is None or not 2 <= len(protein) <= MOST_CHAINS:
        return {}
    part = structure.select(np.isin(structure.atom_chain, protein))
    found: dict[str, dict] = {}
    for row, own in letters.items():
        if row == first or len(own) < 30:
            continue
        same = sum(a == b for a, b in zip(own[5:], letters[first][5:], strict=False)) > 0.5 * len(letters[first])
        name, other = (str(structure.chains.name[each]) for each in (first, row))
        pairs, residues = in_contact(part, name, [other])
        kind = "same chains" if same else "other chains"
        if pairs > found.get(kind, {"pairs": 0})["pairs"]:
            found[kind] = {"pairs": pairs, "residues": residues}
    return found


def row(name: str, found: list[dict]) -> str:
    """A line of the table: the mean and median pairs, the mean residues, and how many meet all that is asked."""
    pairs = [each["pairs"] for each in found]
    residues = summarise([each["residues"] for each in found])
    mean = summarise(pairs)
    met = f" | {sum(each['met'] for each in found)} of {len(found)}" if found and "met" in found[0] else ""
    return (f"| {name} ({len(found)}) | {mean.mean:.0f} [{mean.low:.0f}, {mean.high:.0f}] | {np.median(pairs):.0f} "
            f"| {residues.mean:.0f} [{residues.low:.0f}, {residues.high:.0f}]{met} |")  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    kinds = parser.add_subparsers(required=True)
    for function in (assemblies, binders, natural):
        kind = kinds.add_parser(function.__name__)
        kind.set_defaults(function=function)
        if function is not assemblies:
            kind.add_argument("data", type=Path)
        kind.add_argument("--designs", type=int, default=12 if function is assemblies else 6)
        kind.add_argument("--seed", type=int, default=1)
        kind.add_argument("--json", type=Path)
    kinds.choices["assemblies"].add_argument("--groups", default="C2,C3,D2,T")
    kinds.choices["assemblies"].add_argument("--length", default="80")
    arguments = parser.parse_args()
    found = arguments.function(arguments)
    every = [each for contacts in found.values() for each in contacts]
    print(row("all", every))
    if arguments.json:
        write_atomically(arguments.json, json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()

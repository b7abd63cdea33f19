"""The ``vina`` package on the same problems, by the same types of atoms and the same scoring function (Vinardo).

Molecules are handed over as PDBQT text, in which hydrogens say who gives hydrogen bonds: one stands beside each donor.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from tempfile import NamedTemporaryFile

import numpy as np
from vina import Vina

from structdiff.chemistry.elements import element_symbol
from structdiff.docking.conformers import ligand_conformers
from structdiff.docking.placement import torsions_of
from structdiff.evaluation.ligand_atom_types import AtomTypes
from structdiff.structure.tables import ChainKind, Structure

_EXHAUSTIVENESS = 8
_HYDROGEN, _BONDED = 1.0, 1.9  # Å from a donor to its hydrogen, and to the heavy atoms that it is bonded to


def _type(element: int, acceptor: bool) -> str:
    plain = {6: "C", 7: "NA" if acceptor else "N", 8: "OA", 16: "S"}
    return plain.get(element, element_symbol(element))


def _line(number: int, point: np.ndarray, kind: str) -> str:
    x, y, z = point
    return (f"ATOM  {number % 100000:5d}  {kind:<3s} LIG A   1    {x:8.3f}{y:8.3f}{z:8.3f}  1.00  0.00    "
            f"{0.0:6.3f} {kind:<2s}")  # fmt: skip


class _Molecule:
    def __init__(self, structure: Structure, rows: np.ndarray, positions: np.ndarray) -> None:
        types = AtomTypes.of(structure).rows(rows)
        self.positions, self.donor = positions, types.donor
        self.kinds = [_type(int(element), bool(acceptor)) for element, acceptor in
                      zip(structure.atoms.element[rows], types.acceptor, strict=True)]  # fmt: skip
        self.number: dict[int, int] = {}
        self.count = 0

    def hydrogen(self, atom: int) -> np.ndarray:
        """Where a hydrogen of a donor may be: away from its neighbours, so that it stands between no two atoms."""
        arrows = self.positions - self.positions[atom]
        near = arrows[(np.linalg.norm(arrows, axis=1) < _BONDED) & (np.arange(len(arrows)) != atom)]
        away = -near.mean(0) if len(near) else np.array([0.0, 0.0, 1.0])
        return self.positions[atom] + _HYDROGEN * away / max(float(np.linalg.norm(away)), 1e-3)

    def lines(self, atoms: list[int]) -> list[str]:
        found = []
        for atom in atoms:
            self.count += 1
            self.number[atom] = self.count
            found.append(_line(self.count, self.positions[atom], self.kinds[atom]))
            if self.donor[atom] and self.kinds[atom][0] in "NO":
                self.count += 1
                found.append(_line(self.count, self.hydrogen(atom), "HD"))
        return found


def receptor_text(structure: Structure, rows: np.ndarray) -> str:
    molecule = _Molecule(structure, rows, structure.atoms.positions[rows])
    return "\n".join(molecule.lines(list(range(len(rows))))) + "\n"


def ligand_text(ligand: Structure, positions: np.ndarray) -> tuple[str, list[int]]:
    """The tree of a ligand, and the rows of its heavy atoms in the order of the text."""
    molecule, torsions = _Molecule(ligand, np.arange(len(positions)), positions), torsions_of(ligand)
    axes, sides = torsions.axes.tolist(), [set(side.nonzero()[:, 0].tolist()) for side in torsions.side]

    def branch(atoms: set[int], within: list[int]) -> list[str]:
        # Those of the torsions within that no other of them has inside of its side come next.
        outer = [t for t in within if not any(sides[t] < sides[o] for o in within)]
        own = atoms - set().union(*(sides[t] for t in outer))
        lines = [] if own == atoms and not outer and not atoms else molecule.lines(sorted(own))
        body: list[str] = []
        for t in outer:
            one, other = axes[t]
            inner = [o for o in within if sides[o] < sides[t]]
            before = molecule.count
            del before
            text = branch_of(t, one, other, inner)
            body += text
        return ["ROOT", *lines, "ENDROOT", *body] if atoms == everything else [*lines, *body]

    def branch_of(t: int, one: int, other: int, inner: list[int]) -> list[str]:
        outer = [o for o in inner if not any(sides[o] < sides[p] for p in inner)]
        own = sides[t] - set().union(*(sides[o] for o in outer))
        lines = molecule.lines([other, *sorted(own - {other})])
        body = []
        for o in outer:
            body += branch_of(o, *axes[o], [p for p in inner if sides[p] < sides[o]])
        head = f"{molecule.number[one]:4d}{molecule.number[other]:4d}"
        return [f"BRANCH {head}", *lines, *body, f"ENDBRANCH {head}"]

    everything = set(range(len(positions)))
    text = branch(everything, list(range(len(axes))))
    order = sorted(molecule.number, key=molecule.number.__getitem__)
    return "\n".join([*text, f"TORSDOF {len(axes)}"]) + "\n", order


def _prepared(structure: Structure, rows: np.ndarray, centre: np.ndarray, box: float) -> Vina:
    there = structure.atoms.resolved & (structure.chains.kind[structure.atom_chain] != ChainKind.WATER)
    there[rows] = False
    vina = Vina(sf_name="vinardo", cpu=1, seed=1, verbosity=0)
    with NamedTemporaryFile("w", suffix=".pdbqt") as file:
        file.write(receptor_text(structure, np.flatnonzero(there)))
        file.flush()
        vina.set_receptor(file.name)
    vina.compute_vina_maps(center=centre.tolist(), box_size=[box] * 3)
    return vina


def vina_docked(case, box: float, deviation: Callable) -> tuple[float, float]:
    """RMSD (Å) of the best of Vina's poses from the dictionary's conformer, and the seconds that it took."""
    structure, rows = case.structure, case.rows
    ligand = structure.select(np.isin(np.arange(len(structure.atoms)), rows))
    from redocking import elsewhere

    began = time.perf_counter()
    conformer = ligand_conformers(ligand.with_positions(elsewhere(case)[rows]))[0].numpy()
    vina = _prepared(structure, rows, structure.atoms.positions[rows].mean(0), box)
    text, order = ligand_text(ligand, conformer)
    vina.set_ligand_from_string(text)
    vina.dock(exhaustiveness=_EXHAUSTIVENESS, n_poses=1)
    lines = [line for line in vina.poses(n_poses=1).splitlines() if line.startswith("ATOM") and line[77:79] != "HD"]
    positions = structure.atoms.positions.copy()
    positions[rows[order]] = [[float(line[at : at + 8]) for at in (30, 38, 46)] for line in lines]
    return deviation(case, positions), time.perf_counter() - began


def vina_score(structure: Structure, rows: np.ndarray) -> float:
    """Vina's energy between a ligand and all else (kcal/mol), of the structure as it is."""
    ligand = structure.select(np.isin(np.arange(len(structure.atoms)), rows))
    vina = _prepared(structure, rows, structure.atoms.positions[rows].mean(0), 40.0)
    text, _ = ligand_text(ligand, structure.atoms.positions[rows])
    vina.set_ligand_from_string(text)
    return float(vina.score()[1])

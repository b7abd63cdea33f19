"""The ``vina`` package on the problems of redocking.py, by the same types of atoms and scoring function (Vinardo).

Molecules are handed over as PDBQT text, in which hydrogens say who gives hydrogen bonds: one stands beside each donor.
"""

from __future__ import annotations

import time
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
    axes, sides = torsions.axes.tolist(), [frozenset(side.nonzero()[:, 0].tolist()) for side in torsions.side]

    def branches(within: list[int]) -> list[str]:
        """Those of the torsions that turn in no other one's part, each with those that turn in its own."""
        lines = []
        for outer in (each for each in within if not any(sides[each] < sides[other] for other in within)):
            one, other = axes[outer]
            inner = [each for each in within if sides[each] < sides[outer]]
            own = sides[outer].difference(*(sides[each] for each in inner))
            atoms = molecule.lines([other, *sorted(own - {other})])
            head = f"{molecule.number[one]:4d}{molecule.number[other]:4d}"
            lines += [f"BRANCH {head}", *atoms, *branches(inner), f"ENDBRANCH {head}"]
        return lines

    root = molecule.lines(sorted(set(range(len(positions))).difference(*sides)))
    text = ["ROOT", *root, "ENDROOT", *branches(list(range(len(axes)))), f"TORSDOF {len(axes)}"]
    order = sorted(molecule.number, key=molecule.number.__getitem__)
    return "\n".join(text) + "\n", order


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


def vina_docked(structure: Structure, rows: np.ndarray, away: np.ndarray, box: float) -> tuple[np.ndarray, float]:
    """Positions (Å) of all atoms with the best of Vina's poses of a ligand, and the seconds that it took.

    away: positions with the ligand somewhere else. box: side (Å) of the cube about the ligand that is searched.
    """
    ligand = structure.select(np.isin(np.arange(len(structure.atoms)), rows))
    began = time.perf_counter()
    conformer = ligand_conformers(ligand.with_positions(away[rows]))[0].numpy()
    vina = _prepared(structure, rows, structure.atoms.positions[rows].mean(0), box)
    text, order = ligand_text(ligand, conformer)
    vina.set_ligand_from_string(text)
    vina.dock(exhaustiveness=_EXHAUSTIVENESS, n_poses=1)
    lines = [line for line in vina.poses(n_poses=1).splitlines() if line.startswith("ATOM") and line[77:79] != "HD"]
    positions = structure.atoms.positions.copy()
    positions[rows[order]] = [[float(line[at : at + 8]) for at in (30, 38, 46)] for line in lines]
    return positions, time.perf_counter() - began

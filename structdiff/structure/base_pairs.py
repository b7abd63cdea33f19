"""Watson-Crick and wobble base pairs: which nucleotides form them, by which hydrogen bonds; which a structure has."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from structdiff.chemistry.residues import DNA_NAMES, RNA_NAMES
from structdiff.structure.tables import Structure
from structdiff.typing import Float, Int

#: Hydrogen bonds of each pair of bases: atom of the first, atom of the second, length in Å. Saenger, Principles of
#: Nucleic Acid Structure (1984), pairs XIX, XX and XXVIII; the bond N1 to N3 or O2 comes first.
PAIR_BONDS: Mapping[tuple[str, str], tuple[tuple[str, str, float], ...]] = {
    ("A", "T"): (("N1", "N3", 2.82), ("N6", "O4", 2.95)),
    ("A", "U"): (("N1", "N3", 2.82), ("N6", "O4", 2.95)),
    ("G", "C"): (("N1", "N3", 2.95), ("N2", "O2", 2.86), ("O6", "N4", 2.91)),
    ("G", "U"): (("N1", "O2", 2.80), ("O6", "N3", 2.83)),
    ("G", "T"): (("N1", "O2", 2.80), ("O6", "N3", 2.83)),
}
#: Å that the hydrogen bonds of a pair may be off.
FORMED = 0.6
_NUCLEOTIDES = frozenset((*DNA_NAMES, *RNA_NAMES))


@dataclass(frozen=True, kw_only=True)
class PairAtoms:
    """Pairs that could form: residues, and the atoms of their hydrogen bonds.

    residues: [pair, 2] rows, purine first; atoms: [pair, 3, 2] rows, length: [pair, 3] in Å, NaN where a pair has two
    bonds (its atoms are then those of its first).
    """

    residues: Int[np.ndarray, "pair 2"]
    atoms: Int[np.ndarray, "pair 3 2"]
    length: Float[np.ndarray, "pair 3"]

    def errors(self, structure: Structure) -> Float[np.ndarray, " pair"]:
        """How far (Å) the worst bond of each pair is off its length; infinite where an atom is not resolved."""
        positions = structure.atoms.positions
        between = np.linalg.norm(positions[self.atoms[..., 0]] - positions[self.atoms[..., 1]], axis=-1)
        worst = np.nanmax(np.abs(between - self.length), axis=1, initial=0.0)
        return np.where(structure.atoms.resolved[self.atoms].all((1, 2)), worst, np.inf)


def base_letter(name: str) -> str:
    """The base of a standard nucleotide (A of DA and A), empty for anything else."""
    return name[-1] if name in _NUCLEOTIDES else ""


def base_letters(structure: Structure) -> np.ndarray:
    """The base of each residue, empty where it is no standard nucleotide."""
    return np.array([base_letter(name) for name in structure.residues.name.tolist()], "U1")


def pair_atoms(structure: Structure, pairs: Int[np.ndarray, "pair 2"], letters: np.ndarray | None = None) -> PairAtoms:
    """The hydrogen bonds of pairs of residues; those whose bases do not fit, or lack an atom of a bond, are left out.

    letters: the base of each residue, where its name does not say it (modified residues).
    """
    letters = base_letters(structure) if letters is None else letters
    atom_row = _atom_rows(structure, np.unique(pairs))
    found, atoms, lengths = [], [], []
    for one, other in np.asarray(pairs, np.int64).reshape(-1, 2).tolist():
        i, j = (one, other) if (letters[one], letters[other]) in PAIR_BONDS else (other, one)
        bonds = PAIR_BONDS.get((str(letters[i]), str(letters[j])), ())
        rows = [(atom_row.get((i, first), -1), atom_row.get((j, second), -1)) for first, second, _ in bonds]
        if not rows or min(min(row) for row in rows) < 0:
            continue
        found.append((i, j))
        atoms.append(rows + rows[:1] * (3 - len(rows)))
        lengths.append([length for *_, length in bonds] + [np.nan] * (3 - len(bonds)))
    return PairAtoms(
        residues=np.array(found, np.int64).reshape(-1, 2),
        atoms=np.array(atoms, np.int64).reshape(-1, 3, 2),
        length=np.array(lengths, np.float64).reshape(-1, 3),
    )


def possible_pairs(structure: Structure) -> PairAtoms:
    """All pairs of nucleotides whose bases fit, wherever they are; neighbours in a chain do not pair."""
    letters, chain = base_letters(structure), structure.residues.chain
    found = [
        (i, j)
        for first, second in PAIR_BONDS
        for i in np.flatnonzero(letters == first).tolist()
        for j in np.flatnonzero(letters == second).tolist()
        if chain[i] != chain[j] or abs(i - j) > 1
    ]
    return pair_atoms(structure, np.array(found, np.int64).reshape(-1, 2), letters)


def base_pairs(structure: Structure) -> Int[np.ndarray, "pair 2"]:
    """Pairs of a structure: every hydrogen bond within FORMED of its length, each residue in its best pair alone."""
    possible = possible_pairs(structure)
    error = possible.errors(structure)
    return possible.residues[_exclusive(possible.residues, error, FORMED)]


def _exclusive(residues: Int[np.ndarray, "pair 2"], cost: Float[np.ndarray, " pair"], most: float) -> np.ndarray:
    """Rows of pairs that cost at most so much, the cheapest first, none with a residue of one before; ascending."""
    taken: set[int] = set()
    kept = []
    for row in np.argsort(cost, kind="stable").tolist():
        pair = residues[row].tolist()
        if cost[row] <= most and not taken.intersection(pair):
            kept.append(row)
            taken.update(pair)
    return np.array(sorted(kept), np.int64)


def _atom_rows(structure: Structure, residues: np.ndarray) -> dict[tuple[int, str], int]:
    """The row of each atom of some residues, by residue and name."""
    rows = np.flatnonzero(np.isin(structure.atoms.residue, residues))
    keys = zip(structure.atoms.residue[rows].tolist(), structure.atoms.name[rows].tolist(), strict=True)
    return dict(zip(keys, rows.tolist(), strict=True))

"""Other amino acids on a structure: what stays, what is new, and that nothing else changes."""

from __future__ import annotations

import numpy as np
import pytest

from structdiff.inverse_folding.alphabet import residue_name
from structdiff.inverse_folding.backbone import protein_backbone
from structdiff.inverse_folding.context import _GROUPS, _PERIODS
from structdiff.inverse_folding.mutation import with_residues
from structdiff.structure.files import read_structure, write_structure
from structdiff.structure.tables import Structure


def bonds_of(structure: Structure) -> set[tuple[int, int, int]]:
    bonds = structure.bonds
    pairs = np.sort(np.stack([bonds.atom_1, bonds.atom_2], 1), 1)
    return {(int(a), int(b), int(order)) for (a, b), order in zip(pairs, bonds.order, strict=True)}


def test_its_own_residues_give_the_same_structure(polymerase: Structure) -> None:
    backbone = protein_backbone(polymerase)
    names, side_chains = {}, {}
    for row, letter in zip(backbone.rows.tolist(), backbone.letters.tolist(), strict=True):
        span = polymerase.residue_atoms(row)
        names[row] = residue_name(letter)
        seen = np.flatnonzero(polymerase.atoms.resolved[span]) + span.start
        side_chains[row] = {str(polymerase.atoms.name[atom]): polymerase.atoms.positions[atom] for atom in seen}
    same = with_residues(polymerase, names, side_chains)
    for column in ("name", "element", "residue", "positions", "resolved"):
        assert (getattr(same.atoms, column) == getattr(polymerase.atoms, column)).all()
    assert bonds_of(same) == bonds_of(polymerase)
    assert (same.residues.atom_start == polymerase.residues.atom_start).all()


def test_a_new_residue(cro: Structure, tmp_path) -> None:
    row = int(protein_backbone(cro).rows[5])
    changed = with_residues(cro, {row: "TRP"})
    span = changed.residue_atoms(row)
    assert changed.atoms.name[span].tolist()[:5] == ["N", "CA", "C", "O", "CB"]
    assert len(changed.atoms.name[span]) == 14
    assert changed.atoms.resolved[span].tolist() == [True] * 4 + [False] * 10
    inside = [pair for pair in bonds_of(changed) if all(span.start <= end < span.stop for end in pair[:2])]
    assert len(inside) == 15  # the atoms of tryptophan in two rings
    before, after = cro.residue_atoms(row), slice(span.stop, None)
    assert (changed.atoms.positions[after] == cro.atoms.positions[before.stop :]).all()
    assert len(bonds_of(changed)) - 15 == len(
        [pair for pair in bonds_of(cro) if not all(before.start <= end < before.stop for end in pair[:2])]
    )
    for name in ("x.cif", "x.pdb"):
        again = read_structure(write_structure(changed, tmp_path / name))
        assert again.residues.name.tolist().count("TRP") == cro.residues.name.tolist().count("TRP") + 1


def test_a_bond_of_a_side_chain_that_goes_is_gone(peptides: Structure) -> None:
    rows = [int(row) for row in np.flatnonzero(peptides.residues.name == "CYS")]
    changed = with_residues(peptides, dict.fromkeys(rows, "SER"))
    first, second = changed.atoms.element[changed.bonds.atom_1], changed.atoms.element[changed.bonds.atom_2]
    assert not ((first == 16) & (second == 16)).any()


@pytest.mark.parametrize(
    ("number", "group", "period"),
    [(1, 1, 1), (2, 18, 1), (6, 14, 2), (8, 16, 2), (12, 2, 3), (15, 15, 3), (17, 17, 3), (26, 8, 4), (30, 12, 4),
     (53, 17, 5), (56, 2, 6), (57, 3, 6), (71, 3, 6), (72, 4, 6), (78, 10, 6), (92, 3, 7), (104, 4, 7), (118, 18, 7)],
)  # fmt: skip
def test_the_periodic_table(number: int, group: int, period: int) -> None:
    assert (int(_GROUPS[number]), int(_PERIODS[number])) == (group, period)

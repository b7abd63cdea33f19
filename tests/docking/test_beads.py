"""Residues of proteins as beads."""

from __future__ import annotations

import numpy as np
import pytest

from structdiff.docking.beads import BEAD_KINDS, Beads
from structdiff.structure.build import ChainSequence, build_structure
from structdiff.structure.tables import ChainKind


def peptide(*residues: str):
    structure = build_structure([ChainSequence(name="A", kind=ChainKind.PROTEIN, residues=residues)])
    places = np.random.default_rng(0).normal(size=(len(structure.atoms), 3)).astype(np.float32)
    return structure.with_positions(places)


def kinds(structure) -> list[str]:
    return [BEAD_KINDS[kind] for kind in Beads.of(structure, np.ones(len(structure.atoms), bool)).kind]


@pytest.mark.parametrize(
    ("residue", "expected"),
    [
        ("GLY", ["GLY"]),
        ("ALA", ["CA", "ALA"]),
        ("LEU", ["CA", "LEU"]),
        ("LYS", ["CA", "LYS", "LYS end"]),
        ("TRP", ["CA", "TRP", "TRP end"]),
        ("SEP", ["CA", "ALA"]),  # what is not known counts as alanine
    ],
)
def test_long_side_chains_have_two_beads_and_glycine_one_of_its_own(residue, expected):
    assert kinds(peptide(residue)) == expected


def test_a_bead_is_where_the_middle_of_its_atoms_is_and_knows_its_residue():
    structure = peptide("ALA", "LYS", "GLY")
    beads = Beads.of(structure, np.ones(len(structure.atoms), bool))
    assert beads.residue.tolist() == [0, 0, 1, 1, 1, 2]
    atoms = {
        (int(residue), name): place
        for residue, name, place in zip(
            structure.atoms.residue, structure.atoms.name.tolist(), structure.atoms.positions, strict=True
        )
    }
    assert beads.positions[0] == pytest.approx(atoms[0, "CA"])
    assert beads.positions[3] == pytest.approx((atoms[1, "CB"] + atoms[1, "CG"]) / 2, abs=1e-6)
    assert beads.positions[4] == pytest.approx((atoms[1, "CD"] + atoms[1, "CE"] + atoms[1, "NZ"]) / 3, abs=1e-6)


def test_only_atoms_that_are_meant_count():
    structure = peptide("ALA", "LYS", "GLY")
    beads = Beads.of(structure, structure.atoms.residue == 1)
    assert beads.residue.tolist() == [1, 1, 1]
    assert len(beads) == 3

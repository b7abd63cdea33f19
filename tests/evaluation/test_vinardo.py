"""The scoring function of ligands: single pairs by hand, and ligands of real structures by the vina package (1.2.7)."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from structdiff.evaluation.vinardo import Kinds, energy, free_molecules, ligand_scores, slope
from structdiff.structure.build import ChainSequence, build_structure
from structdiff.structure.files import read_structure
from structdiff.structure.tables import ChainKind
from tests.docking.examples import chromophore, ligand
from tests.features.examples import placed
from tests.structure.comparison import DATA


def kinds(touching, hydrophobic=0.0, bonding=0.0):
    """What a number of pairs are to each other."""
    return Kinds(**{name: torch.tensor(value, dtype=torch.float64) for name, value in
                         {"touching": touching, "hydrophobic": hydrophobic, "bonding": bonding}.items()})  # fmt: skip


@pytest.mark.parametrize(
    ("surface", "hydrophobic", "bonding", "expected"),
    [
        (0.0, 0, 0, -0.045),
        (0.8, 0, 0, -0.045 * math.exp(-1)),
        (-1.0, 0, 0, -0.045 * math.exp(-1.5625) + 0.8),
        (0.0, 1, 0, -0.045 - 0.035),
        (1.25, 1, 0, -0.045 * math.exp(-2.44140625) - 0.0175),
        (3.0, 1, 0, -0.045 * math.exp(-14.0625)),
        (0.4, 0, 1, -0.045 * math.exp(-0.25)),
        (-0.3, 0, 1, -0.045 * math.exp(-0.140625) + 0.8 * 0.09 - 0.3),
        (-0.7, 0, 1, -0.045 * math.exp(-0.765625) + 0.8 * 0.49 - 0.6),
    ],
)
def test_pairs_by_hand(surface, hydrophobic, bonding, expected):
    touching = 3.7
    distance = torch.tensor(touching + surface, dtype=torch.float64)
    found = energy(distance, kinds(touching, float(hydrophobic), float(bonding)))
    assert found.item() == pytest.approx(expected, abs=1e-12)


def test_slope_agrees_with_finite_differences():
    distance = torch.linspace(1.013, 8.0, 300, dtype=torch.float64)
    for flags in ((0.0, 0.0), (1.0, 0.0), (0.0, 1.0), (1.0, 1.0)):
        pair = kinds(3.7, *flags)
        expected = (energy(distance + 1e-6, pair) - energy(distance - 1e-6, pair)) / 2e-6
        assert slope(distance, pair).numpy() == pytest.approx(expected.numpy(), abs=1e-7)


def test_kinds_of_pairs():
    from structdiff.evaluation.ligand_atom_types import AtomTypes

    own = AtomTypes.of(ligand("GOL"))  # C1 O1 C2 O2 C3 O3
    pair = Kinds.of(own.rows(np.array([0, 1, 1])), own.rows(np.array([2, 3, 2])))
    assert pair.touching.tolist() == pytest.approx([4.0, 3.2, 3.6])
    assert pair.hydrophobic.tolist() == [0, 0, 0]
    assert pair.bonding.tolist() == [0, 1, 0]


@pytest.mark.parametrize(
    ("file", "code", "chain", "torsions", "between"),
    [
        ("5i55.cif.gz", "MPD", "A", 2, -1.124),
        ("5ugo.pdb.gz", "2PN", "A", 2, -3.356),
        ("1stp.pdb.gz", "BTN", "A", 5, -7.0),
    ],
)
def test_as_the_vina_package_has_it(file, code, chain, torsions, between):
    (found,) = ligand_scores(read_structure(DATA / file))
    assert (found.components, found.chains, found.torsions) == ((code,), (chain,), torsions)
    assert found.affinity * (1 + 0.05846 * torsions) == pytest.approx(between, abs=0.005)


def test_what_is_bonded_to_a_polymer_has_no_score():
    assert ligand_scores(read_structure(DATA / "4i39.cif.gz")) == []
    free, rows = chromophore()
    (found,) = ligand_scores(free)
    assert (found.components, found.atoms) == (("HC4",), len(rows))


def test_atoms_that_were_not_seen_do_not_count():
    structure, rows = chromophore()
    seen = structure.atoms.resolved.copy()
    seen[rows[:2]] = False
    (found,) = ligand_scores(structure.with_positions(structure.atoms.positions, resolved=seen))
    assert found.atoms == len(rows) - 2
    seen[rows[4:]] = False
    assert ligand_scores(structure.with_positions(structure.atoms.positions, resolved=seen)) == []


def test_a_ligand_alone_and_small_ones_have_no_score():
    assert ligand_scores(ligand("GOL")) == []
    chains = [ChainSequence(name=code, kind=ChainKind.LIGAND, residues=(code,)) for code in ("EDO", "ZN")]
    assert ligand_scores(placed(chains)) == []


def test_a_ligand_far_from_all_else_is_worth_nothing():
    structure, rows = chromophore()
    positions = structure.atoms.positions.copy()
    positions[rows] += 500.0
    (found,) = ligand_scores(structure.with_positions(positions))
    assert found.affinity == 0.0


def test_molecules_of_several_components_and_several_in_a_chain():
    chains = [
        ChainSequence(name="A", kind=ChainKind.PROTEIN, residues=("ASN", "GLY")),
        ChainSequence(name="L", kind=ChainKind.LIGAND, residues=("NAG",)),
        ChainSequence(name="M", kind=ChainKind.LIGAND, residues=("NAG",)),
        ChainSequence(name="N", kind=ChainKind.LIGAND, residues=("NAG",)),
        ChainSequence(name="G", kind=ChainKind.LIGAND, residues=("GOL", "GOL")),
    ]
    bonds = [(("L", 1, "O4"), ("M", 1, "C1")), (("A", 1, "ND2"), ("N", 1, "C1"))]
    structure = build_structure(chains, bonds=bonds)
    found = [tuple(structure.chains.name[np.unique(structure.atom_chain[rows])]) for rows in free_molecules(structure)]
    assert found == [("L", "M"), ("G",), ("G",)]
    scores = ligand_scores(placed(chains, bonds=bonds))
    assert [(each.chains, each.components) for each in scores] == [
        (("L", "M"), ("NAG", "NAG")), (("G",), ("GOL",)), (("G",), ("GOL",))
    ]  # fmt: skip

"""The bonds of known molecules that turn freely."""

from __future__ import annotations

import numpy as np
import pytest

from structdiff.chemistry.components import component, component_from_smiles
from structdiff.chemistry.rotatable_bonds import rotatable_bonds


def turning(whole):
    return rotatable_bonds(whole.elements, whole.bonds, whole.bond_orders)


def of_smiles(smiles):
    return turning(component_from_smiles(smiles, "MOL"))


@pytest.mark.parametrize(
    ("smiles", "count"),
    [
        ("CC", 0),
        ("CCCC", 1),  # ends turn, but have nothing to turn
        ("C1CCCCC1", 0),
        ("C/C=C/C", 0),
        ("c1ccccc1-c1ccccc1", 1),
        ("CC(=O)NC", 0),  # an amide
        ("CC(=S)NC", 0),
        ("CC(=N)NC", 0),
        ("CC(=O)N(CC)CC", 2),
        ("CC(=O)OC", 1),  # an ester's bond is no amide's
        ("CCC(F)(F)F", 1),
        ("CCC#N", 1),
        ("OC(=O)CCC(=O)O", 3),
    ],
)
def test_known_molecules(smiles, count):
    assert len(of_smiles(smiles)) == count


@pytest.mark.parametrize(("code", "count"), [("BTN", 5), ("ATP", 8), ("BNZ", 0), ("GOL", 2), ("PLM", 14)])
def test_components_of_the_dictionary(code, count):
    assert len(turning(component(code))) == count


def test_the_smaller_side_turns():
    (bond,) = of_smiles("CCc1ccccc1")
    assert (bond.stays, bond.leads, bond.side) == (2, 1, {0, 1})
    for each in turning(component("ATP")):
        assert each.leads in each.side
        assert each.stays not in each.side
        assert 2 * len(each.side) <= len(component("ATP"))


def test_a_bond_that_is_told_twice_is_one():
    element, bonds = np.full(4, 6), np.array([[0, 1], [1, 2], [2, 1], [2, 3]])
    assert len(rotatable_bonds(element, bonds, np.ones(4, int))) == 1


def test_no_bond():
    assert rotatable_bonds(np.array([30]), np.zeros((0, 2), int), np.zeros(0, int)) == []

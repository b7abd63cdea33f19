"""Aromatic bonds as RDKit has them, from the dictionary's flags."""

from __future__ import annotations

import pytest

from structdiff.chemistry.aromaticity import OTHER, rdkit_bond_orders
from structdiff.chemistry.components import AROMATIC, Component, component


def orders_of(known: Component) -> dict[frozenset[str], int]:
    bonds = tuple((int(first), int(second)) for first, second in known.bonds)
    found = rdkit_bond_orders(tuple(known.elements.tolist()), tuple(known.charges.tolist()), bonds,
                              tuple(known.bond_orders.tolist()))  # fmt: skip
    return {frozenset(known.atom_names[list(bond)].tolist()): order for bond, order in zip(bonds, found, strict=True)}


@pytest.mark.parametrize("code", ["GTP", "2MG", "PSU"])
def test_rings_with_carbonyls_are_aromatic(code):
    orders = orders_of(component(code))
    assert orders[frozenset(("C4", "C5"))] == AROMATIC
    assert orders[frozenset(("N1", "C2"))] == AROMATIC
    assert orders[frozenset(("C1'", "C2'"))] == 1


def test_hydrogens_of_nitrogens_stand_where_most_is_aromatic():
    """Of 6-benzyloxypurine the hydrogen is in the five-membered ring: both rings are aromatic, and so is their bond."""
    known = component("OBG")
    orders = orders_of(known)
    assert AROMATIC in known.bond_orders
    assert orders[frozenset(("C10", "C12"))] == AROMATIC
    assert list(orders.values()).count(AROMATIC) == 16


def test_bonds_that_neutral_nitrogens_give_to_metals_are_other():
    orders = orders_of(component("HEM"))
    assert {bond for bond, order in orders.items() if order == OTHER} == {
        frozenset(("NB", "FE")), frozenset(("ND", "FE")),
    }  # fmt: skip


def test_what_cannot_be_perceived_keeps_its_orders():
    five_bonds = ((0, 1), (0, 2), (0, 3), (0, 4), (0, 5))
    assert rdkit_bond_orders((6,) * 6, (0,) * 6, five_bonds, (1,) * 5) == (1,) * 5

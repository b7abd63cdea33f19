"""The operators of symmetric assemblies are groups."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from structdiff.geometry.point_groups import SymmetryGroup, helix, point_group

ORDERS = {"C1": 1, "C2": 2, "C3": 3, "C5": 5, "C7": 7, "C12": 12, "D2": 4, "D3": 6, "D5": 10, "T": 12, "O": 24, "I": 60}


@pytest.fixture(params=ORDERS, scope="module")
def group(request) -> SymmetryGroup:
    return point_group(request.param)


def row_of(rotation: np.ndarray, group: SymmetryGroup) -> int:
    difference = np.abs(group.rotations - rotation).max((1, 2))
    assert difference.min() < 1e-12
    return int(difference.argmin())


def test_it_has_as_many_different_operators_as_it_should(group):
    assert len(group) == ORDERS[group.name]
    apart = np.abs(group.rotations[:, None] - group.rotations[None]).max((2, 3))
    assert (apart + np.eye(len(group)) > 1e-3).all()


def test_the_first_operator_is_the_identity_to_the_last_bit(group):
    assert np.array_equal(group.rotations[0], np.eye(3))
    assert np.array_equal(group.translations, np.zeros((len(group), 3)))


def test_operators_are_proper_rotations(group):
    square = group.rotations @ np.swapaxes(group.rotations, 1, 2)
    assert np.abs(square - np.eye(3)).max() < 1e-12
    assert np.abs(np.linalg.det(group.rotations) - 1).max() < 1e-12


def test_products_and_inverses_belong_to_it(group):
    products = [[row_of(one @ other, group) for other in group.rotations] for one in group.rotations]
    everything = list(range(len(group)))
    # A Latin square: each operator is reached once from each, so every one has its inverse.
    assert all(sorted(row) == everything for row in products)
    assert all(sorted(column) == everything for column in zip(*products, strict=True))


def test_relatives_lead_from_copy_to_copy(group):
    rotations, translations = group.relatives
    positions = np.random.default_rng(0).normal(size=(4, 3)) * 20
    copies = group.apply(positions)
    for one in range(len(group)):
        for other in range(len(group)):
            row = group.relative_rows[one, other]
            assert (row < 0) == (one == other)
            if row >= 0:
                seen = (positions @ rotations[row].T + translations[row]) @ group.rotations[one].T
                assert np.allclose(seen, copies[other])


def test_inverses_lead_back(group):
    rotations, _ = group.relatives
    for row, inverse in enumerate(group.inverses):
        assert np.allclose(rotations[row] @ rotations[inverse], np.eye(3))


def test_what_no_operator_turns_is_unmoved(group):
    moved = group.rotations @ group.unmoved
    assert np.allclose(moved, group.unmoved)
    assert np.linalg.matrix_rank(group.unmoved) == {"C1": 3}.get(group.name, 1 if group.name[0] == "C" else 0)


def test_contacts_of_one_kind_join_a_ring_but_not_a_dihedral():
    ring, dihedral = point_group("C5"), point_group("D3")
    first = np.zeros(4, bool)
    first[0] = True
    assert ring.joined(first)
    turns = np.array([row[2, 2] > 0 for row in dihedral.relatives[0]])
    assert not dihedral.joined(turns)
    assert dihedral.joined(~turns)
    assert not ring.joined(np.zeros(4, bool))
    # In a ring of four every second copy only is reached by half turns.
    square = point_group("C4")
    assert not square.joined(np.array([np.isclose(row[0, 0], -1) for row in square.relatives[0]]))


@pytest.mark.parametrize("copies", [2, 5, 6])
def test_a_helix_steps_along_its_axis(copies):
    made = helix(copies, rise=4.5, twist=np.radians(100))
    assert np.array_equal(made.rotations[0], np.eye(3))
    order = np.argsort(made.translations[:, 2])
    steps = np.diff(made.translations[order, 2])
    assert np.allclose(steps, 4.5)
    turn = made.rotations[order[1]] @ made.rotations[order[0]].T
    for low, high in itertools.pairwise(order):
        assert np.allclose(made.rotations[high] @ made.rotations[low].T, turn)
    assert (made.inverses >= 0).all()
    assert (made.relative_rows[0, 1:] >= 0).all()
    near = np.isclose(np.abs(made.relatives[1][:, 2]), 4.5)
    assert made.joined(near)
    assert not made.joined(~near) or copies > 4


@pytest.mark.parametrize("name", ["C0", "D1", "X", "C", "T2", ""])
def test_other_names_are_no_groups(name):
    with pytest.raises(ValueError, match="no point group"):
        point_group(name)

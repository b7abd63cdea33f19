"""What is asked of a ligand that is docked, as an energy."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from structdiff.docking.asked_contacts import LINEAR, STIFF, AskedContacts
from structdiff.features.requests import Proximity

ROWS = np.array([10, 11, 12])
THERE = np.arange(20) < 10
PLACES = np.random.default_rng(0).normal(size=(20, 3)).astype(np.float32) * 4


def asked(*contacts, rows=ROWS, there=THERE, docked=None):
    return AskedContacts.of(contacts, rows, PLACES, there, docked)


def contact(first, second, bound=4.0, avoid=False):
    return Proximity(name="x", first=np.array(first), second=np.array(second), bound=bound, avoid=avoid)


def test_either_end_may_be_the_ligand():
    for found in (asked(contact([11], [3, 4])), asked(contact([3, 4], [11]))):
        assert [own.tolist() for own in found.own] == [[1]]
        assert torch.equal(found.others[0], torch.from_numpy(PLACES[[3, 4]]))
        assert found.aimed == pytest.approx((3.6,))
        assert found.farthest == pytest.approx(3.6)
        assert found.points().tolist() == PLACES[[3, 4]].astype(np.float64).tolist()


def test_what_is_of_others_or_not_there_yet_is_left_out():
    assert asked() is None
    assert asked(contact([1], [2])) is None  # not of this ligand
    assert asked(contact([11], [15])) is None  # with what is docked later
    assert asked(contact([11], [10, 12])) is None  # with itself
    assert asked(contact([11, 13, 14], [2])) is None  # mostly of another molecule
    assert asked(contact([11, 13, 14], [2]), docked=[ROWS, np.array([13, 14])]) is None


def test_of_equal_molecules_the_first_takes_a_contact_and_the_next_what_is_not_met():
    three = [ROWS, np.array([13, 14, 15]), np.array([16, 17, 18])]
    everyone, there = np.concatenate(three), THERE | np.isin(np.arange(20), ROWS)
    for ends in ((everyone, [2]), ([2], everyone)):
        assert asked(contact(*ends), docked=three).own[0].tolist() == [0, 1, 2]
    apart = float(np.linalg.norm(PLACES[ROWS] - PLACES[2], axis=1).min())
    met, missed = (contact([2], everyone, bound=apart + more) for more in (0.1, -0.1))
    found = asked(met, missed, rows=three[1], there=there, docked=three)
    assert found.aimed == pytest.approx((0.9 * missed.bound,))
    assert found.own[0].tolist() == [0, 1, 2]


def test_each_of_several_molecules_keeps_away():
    three = [np.array([13, 14, 15, 16]), ROWS]
    found = asked(contact(np.concatenate(three), [2], avoid=True), docked=three)
    assert found.avoid == (True,)


def test_what_is_to_be_avoided_counts_alone_too():
    found = asked(contact([10, 11, 12], [2], bound=9.0, avoid=True))
    assert found.avoid == (True,)
    assert found.aimed == pytest.approx((10.0,))


@pytest.mark.parametrize(
    ("avoid", "distance", "expected"),
    [
        (False, 3.0, 0.0),
        (False, 5.6, STIFF * 4.0),
        (False, 13.6, STIFF * LINEAR * (20.0 - LINEAR)),
        (True, 5.0, 0.0),
        (True, 4.0 / 0.9 - 2, STIFF * 4.0),
    ],
)
def test_energy_by_hand(avoid, distance, expected):
    places = np.zeros((20, 3), np.float32)
    found = AskedContacts.of([contact([10], [0], avoid=avoid)], ROWS, places, THERE)
    positions = torch.zeros(1, 3, 3)
    positions[0, :, 0] = torch.tensor([distance, 50.0, 60.0])
    energy, gradient = found.energy(positions)
    assert energy.item() == pytest.approx(expected, rel=1e-5)
    assert torch.equal(gradient[0, 1:], torch.zeros(2, 3))


@pytest.mark.parametrize("avoid", [False, True])
def test_gradient_agrees_with_finite_differences(avoid):
    found = asked(contact([10, 12], [1, 2, 3], bound=3.0 if not avoid else 8.0, avoid=avoid), contact([5], [11]))
    found = AskedContacts(own=found.own, others=tuple(each.double() for each in found.others), aimed=found.aimed,
                          avoid=found.avoid)  # fmt: skip
    generator = torch.Generator().manual_seed(0)
    positions = 5 * torch.randn(6, 3, 3, generator=generator, dtype=torch.float64)
    direction = torch.randn(positions.shape, generator=generator, dtype=torch.float64)
    _, gradient = found.energy(positions)
    ends = [found.energy(positions + step * direction)[0] for step in (1e-6, -1e-6)]
    slopes = (gradient * direction).sum((1, 2))
    assert ((ends[0] - ends[1]) / 2e-6).numpy() == pytest.approx(slopes.numpy(), rel=1e-4, abs=1e-5)
    assert (slopes != 0).any()


def test_an_atom_on_the_very_place_that_it_avoids_does_no_harm():
    found = asked(contact([10], [2], avoid=True))
    energy, gradient = found.energy(torch.from_numpy(PLACES[[2, 3, 4]])[None])
    assert bool(energy.isfinite().all() & gradient.isfinite().all())


@pytest.mark.parametrize(
    ("avoid", "distance", "missed"), [(False, 3.9, 0), (False, 4.1, 1), (True, 3.9, 1), (True, 4.1, 0)]
)
def test_what_is_missed_is_told_by_what_was_asked_for(avoid, distance, missed):
    places = np.zeros((20, 3), np.float32)
    found = AskedContacts.of([contact([10], [0], avoid=avoid)], ROWS, places, THERE)
    poses = torch.zeros(2, 3, 3)
    poses[1, 0, 0] = distance
    assert found.missed(poses).tolist() == [int(avoid), missed]

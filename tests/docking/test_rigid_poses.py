"""Poses of rigid bodies, and how far they are from each other."""

from __future__ import annotations

import pytest
import torch

from structdiff.docking.rigid_poses import RigidPoses
from structdiff.geometry.rotations import random_rotation

DICE = torch.Generator().manual_seed(0)
BODY = torch.randn(30, 3, generator=DICE) * torch.tensor([9.0, 4.0, 2.0]) + 3.0


def poses(count: int) -> RigidPoses:
    return RigidPoses(turn=random_rotation(count, generator=DICE), middle=5 * torch.randn(count, 3, generator=DICE))


def test_poses_are_found_again_from_where_a_body_is():
    some = poses(7)
    found = RigidPoses.of(BODY, some.placed(BODY))
    assert found.turn == pytest.approx(some.turn, abs=1e-4)
    assert found.middle == pytest.approx(some.middle, abs=1e-4)


def test_coordinates_are_as_far_apart_as_poses_are():
    some = poses(8)
    places = some.placed(BODY)
    exact = (places[:, None] - places[None]).square().sum(-1).mean(-1).sqrt()
    coordinates = some.coordinates(BODY)
    assert torch.cdist(coordinates, coordinates) == pytest.approx(exact, abs=1e-2)


def test_distinct_poses_are_the_first_of_those_that_are_alike():
    some = poses(4)
    near = RigidPoses(turn=some.turn, middle=some.middle + 0.1)
    both = RigidPoses.joined(some, near)
    assert both.distinct(BODY, 1.0, 100).tolist() == [0, 1, 2, 3]
    assert both.distinct(BODY, 0.01, 100).tolist() == list(range(8))
    assert both.distinct(BODY, 1.0, 2).tolist() == [0, 1]

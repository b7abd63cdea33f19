"""Ways for one body to come up to another."""

from __future__ import annotations

import torch

from structdiff.docking.approaches import approaches
from structdiff.geometry.distances import norm

DICE = torch.Generator().manual_seed(0)
STILL = 8 * torch.randn(60, 3, generator=DICE) + 20.0
BODY = 6 * torch.randn(40, 3, generator=DICE)
BODY = BODY - BODY.mean(0)


def found():
    return approaches(STILL, BODY, 20, 15, torch.Generator().manual_seed(1))


def test_a_body_touches_and_hardly_overlaps():
    poses = found()
    assert len(poses) == 300
    apart = torch.cdist(poses.placed(BODY), STILL.expand(300, -1, -1))
    assert ((apart < 5.5).flatten(1).sum(1) >= 3).all()
    assert (((apart < 3.0).any(-1)).sum(1) <= 8).all()


def test_it_comes_from_all_sides_and_turned_in_all_ways():
    poses = found()
    direction = poses.middle - STILL.mean(0)
    assert norm(direction.mean(0)) < 3.0
    assert norm(poses.turn.mean(0)).amax() < 0.2


def test_the_same_numbers_give_the_same_poses():
    one, other = found(), found()
    assert torch.equal(one.middle, other.middle)
    assert torch.equal(one.turn, other.turn)

"""Which pose a ligand takes, how much better it is than others, and how likely it is right."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from structdiff.docking.pose_choice import (
    MOST_MARGIN,
    SUREST,
    best_by_energy,
    best_by_networks,
    chance_of,
    kinds_of_poses,
)
from structdiff.docking.pose_scorer import PoseScores

#: Carbon, carbon and oxygen in a row; the second is of the same kind, and so is the third, whose carbons are exchanged.
ELEMENT = np.array([6, 6, 8])
FIRST = torch.tensor([[0.0, 0, 0], [3, 0, 0], [6, 0, 0]])
POSES = torch.stack([FIRST, FIRST + 0.2, FIRST[[1, 0, 2]], FIRST + 4.0, FIRST + 9.0])
COST = torch.tensor([-9.0, -8.9, -8.8, -7.5, -7.0])


def scores(probability, affinity):
    own = torch.tensor(affinity)
    return PoseScores(probability=torch.tensor(probability), affinity=own, affinity_spread=own / 10)


@pytest.mark.parametrize(("poses", "cost", "margin"), [
    (POSES, COST, 1.5), (POSES[:3], COST[:3], MOST_MARGIN), (POSES[[0, 3]], torch.tensor([-50.0, 0]), MOST_MARGIN)
])  # fmt: skip
def test_the_margin_is_to_poses_of_another_kind(poses, cost, margin):
    """Poses that are near, or that symmetry makes of the first, are of the same kind."""
    chosen = best_by_energy(poses, cost, ELEMENT, told=False)
    assert (chosen.pose, chosen.scores) == (0, None)
    assert chosen.margin == pytest.approx(margin)


def test_a_told_site_and_a_margin_make_a_pose_likelier():
    near, far = best_by_energy(POSES, COST, ELEMENT, told=False), best_by_energy(POSES, COST, ELEMENT, told=True)
    assert near.chance < far.chance
    assert chance_of(0.0, (0.0, 1.0)) == 0.5
    assert chance_of(1.0, (0.0, 1.0)) == pytest.approx(1 / (1 + math.exp(-1)))
    assert chance_of(1e6, (0.0, 1.0)) == SUREST
    assert 0 < chance_of(-1e6, (0.0, 1.0)) < 1e-4


def test_a_kind_is_its_best_pose():
    assert kinds_of_poses(POSES, ELEMENT, 20).tolist() == [0, 3, 4]
    assert kinds_of_poses(POSES, ELEMENT, 2).tolist() == [0, 3]
    assert kinds_of_poses(POSES[:1], ELEMENT, 20).tolist() == [0]


def test_networks_weigh_probability_affinity_and_energy():
    kinds = kinds_of_poses(POSES, ELEMENT, 20)

    def chosen(probability, affinity):
        return best_by_networks(POSES, COST, ELEMENT, kinds, scores(probability, affinity), told=True)

    assert chosen([0.5, 0.5, 0.5], [5.0, 5.0, 5.0]).pose == 0  # the energy decides
    assert chosen([0.5, 0.9, 0.5], [5.0, 5.0, 5.0]).pose == 3
    assert chosen([0.5, 0.5, 0.5], [5.0, 5.0, 6.0]).pose == 4
    assert chosen([0.5, 0.6, 0.5], [5.0, 5.0, 5.0]).pose == 0  # log 1.5 < 0.75
    assert chosen([1.0, 0.0, 0.0], [5.0, 5.0, 5.0]).pose == 0  # of certainties no number is infinite


def test_what_networks_chose_has_its_own_scores_margin_and_chance():
    kinds = kinds_of_poses(POSES, ELEMENT, 20)
    found = best_by_networks(POSES, COST, ELEMENT, kinds, scores([0.1, 0.8, 0.1], [5.0, 6.0, 4.0]), told=True)
    assert found.pose == 3
    assert found.scores is not None
    assert found.scores.probability.tolist() == pytest.approx([0.8])
    assert found.scores.affinity.tolist() == [6.0]
    assert found.scores.affinity_spread.tolist() == pytest.approx([0.6])
    assert found.margin == pytest.approx(-1.5)  # another kind has less energy
    for probability, told in ((0.7, True), (0.8, False)):
        own = scores([0.1, probability, 0.1], [5.0, 6.0, 4.0])
        less = best_by_networks(POSES, COST, ELEMENT, kinds, own, told=told)
        assert less.chance < found.chance < SUREST

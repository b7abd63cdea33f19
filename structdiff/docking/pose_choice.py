"""Which of the poses that were found a ligand takes, and how likely that one is right.

By the scoring function of the search alone, or with GNINA's networks: of the best poses of each kind the one whose
probability, affinity and energy together are best.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from structdiff.docking.pose_scorer import PoseScores
from structdiff.typing import Float, Int

#: kcal/mol: by more than this no pose is said to be better than others.
MOST_MARGIN = 10.0
#: Kinds of poses that networks judge.
MOST_JUDGED = 20
#: The logarithm of the odds that a pose is within 2 Å, without any margin and for each kcal/mol of it, and by the
#: networks' own odds (training split; docs/log.md); the greatest chance, and the least odds.
SUREST, _LEAST_ODDS = 0.95, -10.0
_LIGANDS_TOLD, _LIGANDS = (-1.7, 3.4), (-2.3, 2.8)
_JUDGED_TOLD, _JUDGED = (-2.2, 1.3), (-2.7, 1.3)
#: What a unit of pK, and a kcal/mol above the best energy, are worth beside the logarithm of the networks' odds.
_OF_AFFINITY, _OF_ENERGY = 2.0, 0.5
_ALIKE = 1.0  # Å from atom to nearest atom of the same element, in the mean
_NEVER = 1e-6


@dataclass(frozen=True, kw_only=True)
class Choice:
    """The number of a pose among those found, by how much (kcal/mol) it is better than any other kind, and the chance
    that it is right. scores: of that pose alone, where networks judged.
    """

    pose: int
    margin: float
    chance: float
    scores: PoseScores | None = None


def chance_of(value: float, odds: tuple[float, float]) -> float:
    """The chance that a pose is right, from the logarithm of its odds without and for each unit of a value."""
    logarithm = max(odds[0] + odds[1] * value, _LEAST_ODDS)
    return min(1 / (1 + math.exp(-logarithm)), SUREST)


def kinds_of_poses(
    poses: Float[Tensor, "pose atom 3"], element: Int[np.ndarray, " atom"], most: int
) -> Int[np.ndarray, " kind"]:
    """Of poses in the order of their energies the first of each kind, by number; the first so many kinds.

    Of one kind are poses whose atoms lie near some of each other's atoms of the same element: no symmetry makes them
    others.
    """
    kept: list[int] = []
    for number in range(len(poses)):
        if not kept or not bool((_unlike(poses[kept], poses[number], element) <= _ALIKE).any()):
            kept.append(number)
            if len(kept) == most:
                break
    return np.array(kept, np.int64)


def best_by_energy(
    poses: Float[Tensor, "pose atom 3"], cost: Float[Tensor, " pose"], element: Int[np.ndarray, " atom"], *, told: bool
) -> Choice:
    """The pose of lowest energy (kcal/mol, in ascending order); told: it was searched where something asks for it."""
    margin = _margin(poses, cost, 0, element)
    return Choice(pose=0, margin=margin, chance=chance_of(margin, _LIGANDS_TOLD if told else _LIGANDS))


def best_by_networks(
    poses: Float[Tensor, "pose atom 3"],
    cost: Float[Tensor, " pose"],
    element: Int[np.ndarray, " atom"],
    kinds: Int[np.ndarray, " kind"],
    scores: PoseScores,
    *,
    told: bool,
) -> Choice:
    """The best of the kinds of poses that were judged; kinds: numbers of these poses. scores: theirs."""
    odds = torch.logit(scores.probability.double(), eps=_NEVER)
    energy = cost[kinds].double() - float(cost[0])
    best = int((odds + _OF_AFFINITY * scores.affinity - _OF_ENERGY * energy).argmax())
    pose = int(kinds[best])
    one = slice(best, best + 1)
    own = PoseScores(
        probability=scores.probability[one], affinity=scores.affinity[one], affinity_spread=scores.affinity_spread[one]
    )
    margin = _margin(poses, cost, pose, element)
    chance = chance_of(float(odds[best]), _JUDGED_TOLD if told else _JUDGED)
    return Choice(pose=pose, margin=margin, chance=chance, scores=own)


def _margin(poses: Tensor, cost: Tensor, pose: int, element: np.ndarray) -> float:
    """By how much (kcal/mol) a pose is better than the best of those that are not like it; below 0 where it is not."""
    other = _unlike(poses, poses[pose], element) > _ALIKE
    return min(float(cost[other].min() - cost[pose]), MOST_MARGIN) if bool(other.any()) else MOST_MARGIN


def _unlike(
    poses: Float[Tensor, "pose atom 3"], one: Float[Tensor, "atom 3"], element: Int[np.ndarray, " atom"]
) -> Float[Tensor, " pose"]:
    """How far (Å) each atom of one pose is, in the mean, from the nearest atom of its element in others."""
    same = torch.from_numpy(element[:, None] == element[None])
    apart = torch.cdist(poses, one.expand_as(poses), compute_mode="donot_use_mm_for_euclid_dist")
    return torch.where(same, apart, torch.inf).amin(-1).mean(-1)

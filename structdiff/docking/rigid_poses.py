"""Poses of a rigid body, and which of them are alike."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy.spatial import KDTree
from torch import Tensor

from structdiff.geometry.superposition import nearest_rotation
from structdiff.typing import Float, Int


@dataclass(frozen=True, kw_only=True, eq=False)
class RigidPoses:
    """Turns [pose, 3, 3] of a body about its middle, and where that middle is [pose, 3] (Å)."""

    turn: Tensor
    middle: Tensor

    def __len__(self) -> int:
        return len(self.turn)

    def __getitem__(self, rows: Tensor | slice) -> RigidPoses:
        return RigidPoses(turn=self.turn[rows], middle=self.middle[rows])

    @classmethod
    def of(cls, own: Float[Tensor, "point 3"], positions: Float[Tensor, "pose point 3"]) -> RigidPoses:
        """The poses that lay a body's points (Å, about its middle) on positions (Å)."""
        middle = positions.mean(1)
        lever = own - own.mean(0)
        turn = nearest_rotation(torch.einsum("pax,ay->pxy", positions - middle[:, None], lever))
        return cls(turn=turn, middle=middle - (turn @ own.mean(0)))

    @classmethod
    def joined(cls, *poses: RigidPoses) -> RigidPoses:
        """All of several, one after the other."""
        return cls(turn=torch.cat([each.turn for each in poses]), middle=torch.cat([each.middle for each in poses]))

    def placed(self, own: Float[Tensor, "point 3"]) -> Float[Tensor, "pose point 3"]:
        """A body's points (Å, about its middle) in all poses."""
        return own @ self.turn.mT + self.middle[:, None]

    def coordinates(self, own: Float[Tensor, "point 3"]) -> Float[Tensor, "pose 12"]:
        """Vectors (Å) as far from each other as the root mean square deviation of the body's points.

        The mean of |(R - S) x + r - s|² over points x about their middle is the squared length of (R - S) C and of
        r - s together, where C C is the mean of x xᵀ.
        """
        lever = own - own.mean(0)
        values, axes = torch.linalg.eigh(lever.mT @ lever / len(lever))
        root = axes * values.clamp(min=0.0).sqrt() @ axes.mT
        place = self.middle + self.turn @ own.mean(0)
        return torch.cat([(self.turn @ root).flatten(1), place], -1)

    def distinct(self, own: Float[Tensor, "point 3"], apart: float, most: int) -> Int[Tensor, " kept"]:
        """Rows of the first so many of which each is farther (Å) from all before it that are kept."""
        places = self.coordinates(own).numpy().astype(np.float64)
        near = KDTree(places)
        gone, kept = np.zeros(len(places), bool), []
        for row in range(len(places)):
            if gone[row]:
                continue
            kept.append(row)
            if len(kept) == most:
                break
            gone[near.query_ball_point(places[row], apart)] = True
        return torch.tensor(kept, dtype=torch.int64)

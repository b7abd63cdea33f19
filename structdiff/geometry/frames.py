"""Rigid transforms, and local frames built on three atoms."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from structdiff.geometry.distances import norm, unit
from structdiff.geometry.rotations import rotate
from structdiff.typing import Bool, Float


@dataclass(frozen=True, kw_only=True)
class RigidTransform:
    """Turns, then shifts: ``rotation @ x + translation``. Read as a frame: its axes are the rotation's columns.

    ``rotation`` [*batch, 3, 3], ``translation`` [*batch, 3] in Å; both carry the same leading axes.
    """

    rotation: Float[Tensor, "*batch 3 3"]
    translation: Float[Tensor, "*batch 3"]

    def apply(self, positions: Float[Tensor, "*batch n 3"]) -> Float[Tensor, "*batch n 3"]:
        """Moves the points of each set (Å), or takes them from the frame's own axes to the global ones."""
        return rotate(self.rotation, positions) + self.translation.unsqueeze(-2)

    def inverse(self) -> RigidTransform:
        """The transform that undoes this one."""
        backwards = self.rotation.transpose(-1, -2)
        return RigidTransform(rotation=backwards, translation=-_matvec(backwards, self.translation))

    def compose(self, first: RigidTransform) -> RigidTransform:
        """One transform for ``first`` followed by this one."""
        return RigidTransform(
            rotation=self.rotation @ first.rotation,
            translation=_matvec(self.rotation, first.translation) + self.translation,
        )


def backbone_frames(
    n: Float[Tensor, "*batch 3"], ca: Float[Tensor, "*batch 3"], c: Float[Tensor, "*batch 3"]
) -> RigidTransform:
    """The frame of a residue's backbone: origin at CA, first axis towards C, N in the plane of the first two.

    AlphaFold 2, Algorithm 21. Where the atoms coincide or lie on a line an axis is zero: ask `frames_are_valid`.
    """
    first = unit(c - ca)
    towards_n = n - ca
    second = unit(towards_n - first * (first * towards_n).sum(-1, keepdim=True))
    third = torch.linalg.cross(first, second)
    return RigidTransform(rotation=torch.stack([first, second, third], -1), translation=ca)


def bisector_frames(
    a: Float[Tensor, "*batch 3"], b: Float[Tensor, "*batch 3"], c: Float[Tensor, "*batch 3"]
) -> RigidTransform:
    """The frame in which errors are aligned: origin at b, first axis halfway between a and c.

    AlphaFold 3, Algorithm 29 (expressCoordinatesInFrame). For a line use `frames_are_valid`.
    """
    towards_a, towards_c = unit(a - b), unit(c - b)
    first = unit(towards_a + towards_c)
    second = unit(towards_c - towards_a)
    third = torch.linalg.cross(first, second)
    return RigidTransform(rotation=torch.stack([first, second, third], -1), translation=b)


def frames_are_valid(
    a: Float[Tensor, "*batch 3"],
    b: Float[Tensor, "*batch 3"],
    c: Float[Tensor, "*batch 3"],
    *,
    min_angle: float = math.radians(25),
    min_length: float = 0.01,
) -> Bool[Tensor, "*batch"]:
    """Whether three atoms span a plane: no two coincide (``min_length``, Å) and they are not nearly on a line.

    The angle at b must be at least ``min_angle`` radian away from 0 and from pi (25 degrees: AlphaFold 3, 4.3.2).
    """
    one, two = a - b, c - b
    sine = norm(torch.linalg.cross(unit(one), unit(two)))
    return (sine >= math.sin(min_angle)) & (norm(one) >= min_length) & (norm(two) >= min_length)


def positions_in_frames(
    frames: RigidTransform, positions: Float[Tensor, "*batch n 3"]
) -> Float[Tensor, "*batch frame n 3"]:
    """Every point (Å) as every frame sees it: the quantity whose error is the PAE.

    ``frames`` carry [*batch, frame]; the result does not change when frames and points move together.
    """
    offsets = positions.unsqueeze(-3) - frames.translation.unsqueeze(-2)
    return offsets @ frames.rotation


def _matvec(matrix: Tensor, vector: Tensor) -> Tensor:
    return (matrix @ vector.unsqueeze(-1)).squeeze(-1)

"""Ways for one body to come up to another: from all sides, turned in all ways, until their surfaces just touch.

What lies before a body that comes along a line is a landscape of heights, as a grid seen along that line has it; the
body stands where a few of its points reach the ground. That takes a look at the grid for each point, and not a distance
for each pair of points.
"""

from __future__ import annotations

import torch
from torch import Tensor

from structdiff.constraints.docking import spread_directions
from structdiff.docking.rigid_poses import RigidPoses
from structdiff.geometry.distances import norm
from structdiff.geometry.rotations import random_rotation
from structdiff.typing import Float

_STEP = 1.0  # Å between points of the grid
_TOUCHING = 4.0  # Å between beads of both
_SUNK = 4  # of a body's beads reach the ground where it stands: those before them go through
_ASIDE = 4.0  # Å, how far its middle may pass the other's by
_DEEP = -1e3  # Å, where there is no ground


def approaches(
    still: Float[Tensor, "bead 3"],
    own: Float[Tensor, "own_bead 3"],
    directions: int,
    turns: int,
    generator: torch.Generator,
) -> RigidPoses:
    """Poses of a body where it touches another: so many turns from each of so many directions.

    still: beads of the other (Å). own: beads of the body about their middle (Å).
    """
    found = []
    for direction in spread_directions(directions):
        some = random_rotation(turns, generator=generator)
        aside = (2 * torch.rand(turns, 2, generator=generator) - 1) * _ASIDE
        found.append(come_down(still, own, direction, some, aside))
    return RigidPoses.joined(*found)


def come_down(
    still: Float[Tensor, "bead 3"],
    own: Float[Tensor, "own_bead 3"],
    direction: Float[Tensor, " 3"],
    turns: Float[Tensor, "turn 3 3"],
    aside: Float[Tensor, "turn 2"],
) -> RigidPoses:
    """Poses of a body that comes from one direction, in several turns, each so far aside (Å), until it touches.

    still: beads of the other (Å). own: beads of the body about their middle (Å). Aside is along the first two rows of
    `frame_of` the direction.
    """
    middle, frame = still.mean(0), frame_of(direction)
    height = _Ground((still - middle) @ frame.mT).reached(own @ (frame @ turns).mT, aside)
    return RigidPoses(turn=turns, middle=torch.cat([aside, height[:, None]], -1) @ frame + middle)


def frame_of(direction: Float[Tensor, " 3"]) -> Float[Tensor, "3 3"]:
    """A rotation after which a direction is the third axis."""
    helper = torch.eye(3)[int(direction.abs().argmin())]
    first = torch.linalg.cross(helper, direction)
    first = first / norm(first)
    return torch.stack([first, torch.linalg.cross(direction, first), direction])


class _Ground:
    """How high a body is along the third axis: where beads of another would touch its own."""

    def __init__(self, beads: Float[Tensor, "bead 3"]) -> None:
        self.reach = float(beads[:, :2].square().sum(-1).amax().sqrt()) + _TOUCHING
        self.side = int(2 * self.reach / _STEP) + 2
        points = ((beads[:, None, :2] + self.reach) / _STEP).round() + _discs()
        aside = (points * _STEP - self.reach - beads[:, None, :2]).square().sum(-1)
        there = (aside < _TOUCHING**2) & ((points >= 0) & (points < self.side)).all(-1)
        rows = (points[..., 0] * self.side + points[..., 1])[there].long()
        heights = (beads[:, None, 2] + (_TOUCHING**2 - aside).clamp(min=0.0).sqrt())[there]
        self.height = torch.full((self.side**2,), _DEEP).scatter_reduce_(0, rows, heights, "amax")

    def reached(self, own: Float[Tensor, "turn bead 3"], aside: Float[Tensor, "turn 2"]) -> Float[Tensor, " turn"]:
        """Heights of a body's middle where it stands, when it comes down so far aside (Å)."""
        points = ((own[..., :2] + aside[:, None] + self.reach) / _STEP).round()
        there = ((points >= 0) & (points < self.side)).all(-1)
        points = points.clamp(0, self.side - 1)
        ground = self.height[(points[..., 0] * self.side + points[..., 1]).long()]
        needed = torch.where(there, ground - own[..., 2], _DEEP)
        return needed.topk(min(_SUNK, needed.shape[1]), dim=1).values[:, -1]


def _discs() -> Float[Tensor, "1 point 2"]:
    reach = int(_TOUCHING / _STEP) + 1
    line = torch.arange(-reach, reach + 1.0)
    return torch.cartesian_prod(line, line)[None]

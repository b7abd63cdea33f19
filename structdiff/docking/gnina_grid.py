"""Atoms as densities on a grid about a ligand, as GNINA's networks see them (libmolgrid; Sunseri & Koes 2020)."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from structdiff.typing import Float, Int

#: Points a side, and Å from one to the next.
POINTS, SPACING = 48, 0.5
_HALF = SPACING * (POINTS - 1) / 2
#: In radii of an atom: up to here a density is a bell, from there it falls to nothing as a parabola.
_BELL, _END = 1.0, 1.5
#: Å from the middle, in each direction, beyond which no atom has a density on the grid.
REACH = _HALF + _END * 2.2
_BLOCK = math.ceil(2 * _END * 2.2 / SPACING) + 1  # points a side that the largest atom may have a density at


def densities(
    places: Float[Tensor, "atom 3"],
    channel: Int[Tensor, " atom"],
    radius: Float[Tensor, " atom"],
    middle: Float[Tensor, "3"],
    channels: int,
) -> Float[Tensor, "channel 48 48 48"]:
    """The densities of atoms (Å) in their channels on a grid about a point, axes x, y and z.

    exp(-2 q²) up to one radius from an atom (q in radii), and then (4 q² - 12 q + 9) / e² up to one and a half.
    """
    first = torch.ceil((places - middle - _END * radius[:, None] + _HALF) / SPACING).long()
    index = first[..., None] + torch.arange(_BLOCK, device=places.device)  # [atom, axis, point]
    apart = index * SPACING - _HALF - (places - middle)[..., None]
    square = (apart / radius[:, None, None]).square()
    q2 = square[:, 0, :, None, None] + square[:, 1, None, :, None] + square[:, 2, None, None, :]
    q = q2.sqrt()
    tail = math.exp(-2.0) * (4 * q2 - 12 * q + 9)
    value = torch.where(q <= _BELL, torch.exp(-2 * q2), torch.where(q < _END, tail, 0.0))
    there = (index >= 0) & (index < POINTS)
    inside = there[:, 0, :, None, None] & there[:, 1, None, :, None] & there[:, 2, None, None, :]
    place = ((channel[:, None, None, None] * POINTS + index[:, 0, :, None, None]) * POINTS
             + index[:, 1, None, :, None]) * POINTS + index[:, 2, None, None, :]  # fmt: skip
    grid = places.new_zeros(channels * POINTS**3)
    kept = inside & (value > 0)
    return grid.index_add(0, place[kept], value[kept]).view(channels, POINTS, POINTS, POINTS)

"""What docking of rigid pieces needs: turns spread evenly, side chains guessed from a trace, contacts counted."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from structdiff.geometry.distances import norm
from structdiff.geometry.rotations import rotation_from_quaternion, rotation_from_vector
from structdiff.typing import Float

#: Å between CA atoms (or centre atoms) of two pieces, of which no two are to be nearer.
CLEARANCE = 5.5
#: Å of noise from which on pieces are turned to where they have most contacts, until which they may turn right round,
#: and until which a little (docs/log.md).
TURNED_FROM, TURNED_ROUND, TURNED_LITTLE = 32.0, 4.0, 0.3
#: Turns whose distances are in memory at a time.
AT_ONCE = 16
#: Small turns about the best, one list after the other (radians), and where only poses nearby are tried; how many times
#: as good a pose has to be that is worth going to.
_AROUND, _SMALL, _SMALLER = 48, (0.35, 0.15), (0.15, 0.08)
_BETTER, _BETTER_NEARBY = 1.25, 1.05
#: Å from a CA atom to the middle of its side chain; between middles that are in full contact, and in none.
_SIDE, _FULL, _NONE = 2.4, 6.0, 10.0
_BONDED = 4.5  # Å between CA atoms of neighbours along a chain, at most
_STILL = 1e-4  # a squared Å for each: what goes along by less does not part
_LEAST, _BEHIND = 1e-6, 1e8  # Å², the least whose root is taken; Å behind for each Å² that is missing to it
_PSI = 1.533751168755204288118041  # of the spiral: Alexa, CVPR 2022


@lru_cache(maxsize=4)
def spread_turns(count: int) -> Float[Tensor, "turn 3 3"]:
    """Rotations spread evenly over all there are: a spiral on the sphere of quaternions (Alexa, CVPR 2022)."""
    place = np.arange(count) + 0.5
    low, high = np.sqrt(place / count), np.sqrt(1 - place / count)
    one, other = 2 * np.pi * place / np.sqrt(2), 2 * np.pi * place / _PSI
    quaternion = np.stack([low * np.sin(one), low * np.cos(one), high * np.sin(other), high * np.cos(other)], -1)
    return rotation_from_quaternion(torch.from_numpy(quaternion)).float()


@lru_cache(maxsize=4)
def spread_directions(count: int) -> Float[Tensor, "direction 3"]:
    """Directions spread evenly over a sphere (a Fibonacci lattice)."""
    place = np.arange(count) + 0.5
    height, angle = 1 - 2 * place / count, np.pi * (1 + np.sqrt(5)) * place
    around = np.sqrt(1 - height**2)
    return torch.from_numpy(np.stack([around * np.cos(angle), around * np.sin(angle), height], -1)).float()


def small_turns(*, nearby: bool) -> list[Float[Tensor, "turn 3 3"]]:
    """Small turns about the best so far, in all directions. nearby: where only poses nearby are tried."""
    return [rotation_from_vector(size * spread_directions(_AROUND)) for size in (_SMALLER if nearby else _SMALL)]


def worth(*, nearby: bool) -> float:
    """How many times as good a pose has to be as the one at hand."""
    return _BETTER_NEARBY if nearby else _BETTER


def side_chains(trace: Float[Tensor, "residue 3"]) -> Float[Tensor, "residue 3"]:
    """About where the middles of side chains are (Å), from CA atoms in order; at the ends of chains the atoms
    themselves.
    """
    bonded = norm(trace[1:] - trace[:-1]) < _BONDED
    inner = bonded[1:] & bonded[:-1]
    outwards = 2 * trace[1:-1] - trace[:-2] - trace[2:]
    outwards = outwards / norm(outwards).clamp(min=1e-3)[:, None]
    sides = trace.clone()
    sides[1:-1] += _SIDE * outwards * inner[:, None]
    return sides


def contact_shares(distance: Float[Tensor, "*batch one other"]) -> Float[Tensor, "*batch one other"]:
    """How much side chains are in contact (0 to 1), from the distances (Å) of their middles."""
    return ((_NONE - distance) / (_NONE - _FULL)).clamp(0.0, 1.0)


def free_from(
    own: Float[Tensor, "*batch one 3"],
    other: Float[Tensor, "*batch other 3"],
    along: Float[Tensor, "*batch 3"],
    clearance: float | Float[Tensor, " other"] = CLEARANCE,
) -> Float[Tensor, "*batch"]:
    """How far (Å, 0 or more) a piece goes along until it is clear of another, when it comes from far away.

    own, other: points (Å) of the piece before it goes, and of the other. along: how the way from the other to the piece
    changes with each Å. Infinite where it never gets clear.
    """
    speed = along.square().sum(-1)
    way = along[..., None]
    ahead = own @ way - (other @ way).mT
    squares = own.square().sum(-1, keepdim=True) + other.square().sum(-1)[..., None, :]
    inside = squares - 2 * own @ other.mT - clearance**2  # below 0 where two points are too near as they are
    beside = ahead.square() - speed[..., None, None] * inside
    # Points that pass each other are put far behind: roots of nothing and masks take most of the time.
    far = beside.clamp(min=_LEAST).sqrt_().sub_(ahead).add_((beside - _LEAST).clamp_(max=0.0), alpha=_BEHIND)
    farthest = far.flatten(-2).amax(-1)
    found = (farthest / speed.clamp(min=_STILL)).clamp(min=0.0)
    return torch.where((speed < _STILL) & (inside < 0).any(-1).any(-1), torch.inf, found)

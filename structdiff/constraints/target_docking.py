"""How new chains, as one rigid piece, lie best against what is kept: of many turns and ways in, most contacts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from structdiff.constraints.docking import (
    AT_ONCE,
    contact_shares,
    free_from,
    side_chains,
    small_turns,
    spread_directions,
    spread_turns,
    worth,
)
from structdiff.geometry.distances import norm
from structdiff.typing import Bool, Float

_TURNS = 600  # that are tried, each from another side
_FACING = 0.3  # cosine: from how far aside a piece may come in where it is to touch something
_REACHED, _MISSED = 8.0, 2.0  # Å within which something is touched; contacts that a squared Å beyond it costs
_SMALL_PART = 0.15  # what an atom counts for, of what is no protein, where an amino acid counts 1
_STRIDE = 211  # prime: turns and ways in go through their lists at different paces


@dataclass(frozen=True, kw_only=True, eq=False)
class Standing:
    """What is kept: points (Å; CA atoms, and all atoms of what is no protein) and how near a CA atom may come to each.

    alphas: which points are CA atoms, in the order of their chains. touched, avoided: atoms of each residue that is to
    be touched, or not to be.
    """

    points: Float[Tensor, "point 3"]
    clearance: Float[Tensor, " point"]
    alphas: Bool[Tensor, " point"]
    touched: Sequence[Float[Tensor, "atom 3"]]
    avoided: Sequence[Float[Tensor, "atom 3"]] = ()


@dataclass(frozen=True, kw_only=True, eq=False)
class Placement:
    """A turn (3, 3) of a piece about its middle, where that middle goes (Å), and what is to be said for it."""

    turn: Tensor
    middle: Tensor
    score: float


def better_placement(
    trace: Float[Tensor, "residue 3"], standing: Standing, *, nearby: bool = False
) -> Placement | None:
    """A place for a piece with clearly more contacts than where it is, if there is one.

    trace: its CA atoms (Å). nearby: only small turns are tried.
    """
    middle = trace.mean(0)
    search = _Search(trace - middle, side_chains(trace) - middle, standing)
    now = search.as_it_is(middle)
    best = Placement(turn=torch.eye(3).to(trace), middle=middle, score=now)
    if not nearby:
        best = search.best(spread_turns(_TURNS).to(trace), search.ways(_TURNS))
    for turns in small_turns(nearby=nearby):
        small = turns.to(trace)
        way = best.middle - search.anchor
        near = search.best(small @ best.turn, (way / norm(way).clamp(min=1e-6)) @ small.flip(0).mT)
        best = near if near.score > best.score else best
    return best if best.score > max(worth(nearby=nearby) * now, now, 0.0) else None


class _Search:
    """Tries poses of one piece: its CA atoms and side chains, about its middle, against what stands there."""

    def __init__(self, own: Tensor, sides: Tensor, standing: Standing) -> None:
        self.own, self.sides, self.standing = own, sides, standing
        self.anchor = torch.cat(list(standing.touched)).mean(0) if standing.touched else standing.points.mean(0)
        opposite = standing.points.clone()
        opposite[standing.alphas] = side_chains(standing.points[standing.alphas])
        self.opposite = opposite
        self.weight = torch.where(standing.alphas, 1.0, _SMALL_PART)

    def ways(self, count: int) -> Float[Tensor, "turn 3"]:
        """From which sides a piece comes in."""
        every = spread_directions(4 * count).to(self.own)
        if self.standing.touched:
            outwards = self.anchor - self.standing.points.mean(0)
            facing = every @ (outwards / norm(outwards).clamp(min=1e-6)) > _FACING
            every = every[facing] if float(norm(outwards)) > 1.0 else every
        return every[(_STRIDE * torch.arange(count)) % len(every)]

    def best(self, turns: Float[Tensor, "turn 3 3"], ways: Float[Tensor, "turn 3"]) -> Placement:
        """The best of some turns, each with the way along which the piece comes in until it touches."""
        scores, middles = [], []
        for some, along in zip(turns.split(AT_ONCE), ways.split(AT_ONCE), strict=True):
            own, sides = self.own @ some.mT + self.anchor, self.sides @ some.mT + self.anchor
            far = free_from(own, self.standing.points.expand(len(own), -1, -1), along, self.standing.clearance)
            shift = far[:, None] * along
            scores.append(self.score(own + shift[:, None], sides + shift[:, None]))
            middles.append(self.anchor + shift)
        score = torch.cat(scores)
        place = int(score.argmax())
        return Placement(turn=turns[place], middle=torch.cat(middles)[place], score=float(score[place]))

    def as_it_is(self, middle: Float[Tensor, " 3"]) -> float:
        """The score of the piece where it is, minus what it overlaps."""
        own, sides = (self.own + middle)[None], (self.sides + middle)[None]
        overlap = (self.standing.clearance - torch.cdist(own, self.standing.points)).clamp(min=0.0).square().sum()
        return float(self.score(own, sides)) - float(overlap)

    def score(
        self, own: Float[Tensor, "turn residue 3"], sides: Float[Tensor, "turn residue 3"]
    ) -> Float[Tensor, " turn"]:
        """Contacts, less what is missing to those that are asked for, and to staying away."""
        found = (contact_shares(torch.cdist(sides, self.opposite)) * self.weight).sum((-2, -1))
        for sign, asked in ((1.0, self.standing.touched), (-1.0, self.standing.avoided)):
            for atoms in asked:
                nearest = torch.cdist(own, atoms).flatten(1).amin(1)
                found = found - _MISSED * (sign * (nearest - _REACHED)).clamp(min=0.0).square()
        return found

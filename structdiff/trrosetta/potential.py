"""What a fold costs by what trRosetta expects of its distances and orientations: an energy with a gradient.

Only pairs of which something is expected are looked at, and of these only such as count yet.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from structdiff.geometry.torsions import bond_angle, torsion
from structdiff.trrosetta.network import Expectation
from structdiff.typing import Bool, Float, Int

_NEAR, _CLASH, _CLASH_WEIGHT = 0.5, 3.6, 2.0  # probability from which orientations count; Å between CA
_HELD = 2.0  # of what is held, per Å² that its distances are off
_SLOPE = 0.1  # a pair that should be near and is not, per Å
#: Probability of being within 20 Å from which a pair counts; the chance of a distance grows with this power of it, as
#: in DFIRE (Zhou & Zhou 2002); what is added to probabilities so that odds stay finite.
_KNOWN, _CHANCE, _FLOOR = 0.15, 1.57, 1e-4
#: Å and radian of a class; the middle of the first distance.
_STEP, _TURN, _FIRST = 0.5, math.radians(15.0), 2.25
_FAR = 20.0  # Å; classes end there
_LEAST_APART, _CLASH_APART = 2, 3  # residues in sequence


@dataclass(frozen=True, kw_only=True)
class Held:
    """Residues that are to keep their shape: which (bool a residue), and N, CA, C (Å) of each."""

    places: Bool[Tensor, " residue"]
    backbone: Float[Tensor, "held 3 3"]


@dataclass(frozen=True, kw_only=True)
class _Pairs:
    """Pairs of residues and what each class of their geometry is worth, more being better.

    weight: how often a pair counts; a pair whose geometry is the same both ways is here once.
    """

    first: Int[Tensor, " pair"]
    second: Int[Tensor, " pair"]
    worth: Float[Tensor, "pair class"]
    weight: Float[Tensor, " pair"]

    def of_first(self, points: Float[Tensor, "start residue 3"]) -> Float[Tensor, "start pair 3"]:
        """Points of the first residue of each pair; by `index_select`, whose gradient is the quicker one."""
        return points.index_select(1, self.first)

    def of_second(self, points: Float[Tensor, "start residue 3"]) -> Float[Tensor, "start pair 3"]:
        """Points of the second."""
        return points.index_select(1, self.second)

    def within(self, reach: int) -> _Pairs:
        """Those no further apart in sequence."""
        near = (self.first - self.second).abs() <= reach
        return _Pairs(
            first=self.first[near], second=self.second[near], worth=self.worth[near], weight=self.weight[near]
        )

    def total(self, place: Float[Tensor, "start pair"], *, wrap: bool = False) -> Float[Tensor, " start"]:
        """What all pairs are worth, linear between the middles of the classes; place counts classes."""
        count = self.worth.shape[-1]
        whole = place.detach().floor()
        low, high = whole.long(), whole.long() + 1
        low, high = (low % count, high % count) if wrap else (low.clamp(0, count - 1), high.clamp(0, count - 1))
        row = count * torch.arange(len(self.worth))
        first, second = (self.worth.flatten()[row + index] for index in (low, high))
        return (first + (place - whole) * (second - first)).sum(-1)


class Potential:
    """Minus the log probability of a fold's geometry, interpolated between the classes, a pair.

    expected: log probabilities. held: residues whose distances are kept, nearly.
    """

    def __init__(self, expected: Expectation, held: Held | None = None) -> None:
        residues = len(expected.distance)
        place = torch.arange(residues)
        self.separation = (place[:, None] - place).abs()
        counts = (self.separation >= _LEAST_APART).float()
        known = counts * (expected.distance[..., 1:].exp().sum(-1) >= _KNOWN)
        near = expected.distance[..., 1:21].exp().sum(-1)  # within 12 Å
        oriented = counts * torch.where(near >= _NEAR, near, 0.0)
        worth = {name: oriented[..., None] * getattr(expected, name)[..., 1:] for name in ("omega", "theta", "phi")}
        self.pairs = {
            "distance": _both_ways(known[..., None] * _above_chance(expected.distance), known),
            "omega": _both_ways(worth["omega"], oriented),
            "theta": _one_way(worth["theta"], oriented),  # the same pairs as of phi
            "phi": _one_way(worth["phi"], oriented),
        }
        self.held = None if held is None else _Shape.of(held)
        self._near: dict[int, dict[str, _Pairs]] = {}

    def energy(
        self, n: Float[Tensor, "start residue 3"], ca: Float[Tensor, "start residue 3"],
        c: Float[Tensor, "start residue 3"], reach: int,
    ) -> Float[Tensor, " start"]:  # fmt: skip
        """Of each start (Å); pairs further apart in sequence than ``reach`` do not count."""
        if reach not in self._near:
            self._near[reach] = {name: own.within(reach) for name, own in self.pairs.items()}
        cb, pairs = ideal_cb(n, ca, c), self._near[reach]
        worth = _distances_worth(pairs["distance"], cb)
        own = pairs["omega"]
        omega = torsion(own.of_first(ca), own.of_first(cb), own.of_second(cb), own.of_second(ca))
        worth = worth + own.total((omega + math.pi) / _TURN - 0.5, wrap=True)
        own = pairs["theta"]
        one, axis, other = own.of_first(ca), own.of_first(cb), own.of_second(cb)
        theta = torsion(own.of_first(n), one, axis, other)
        worth = worth + own.total((theta + math.pi) / _TURN - 0.5, wrap=True)
        phi = bond_angle(one, axis, other)
        worth = worth + pairs["phi"].total((phi / _TURN - 0.5).clamp(0, 11))
        counted = ((self.separation >= _LEAST_APART) & (self.separation <= reach)).sum().clamp(min=1)
        energy = (_CLASH_WEIGHT * self._clashes(ca) - worth) / counted
        return energy if self.held is None else energy + _HELD * self.held.off(n, ca, c)

    def _clashes(self, ca: Float[Tensor, "start residue 3"]) -> Float[Tensor, " start"]:
        apart = torch.cdist(ca, ca) + 10.0 * (self.separation < _CLASH_APART)
        return functional.relu(_CLASH - apart).square().sum((1, 2))


def _one_way(worth: Float[Tensor, "i j class"], weight: Float[Tensor, "i j"]) -> _Pairs:
    """Pairs with a weight, whose geometry differs by which of both is looked from."""
    first, second = weight.nonzero(as_tuple=True)
    return _Pairs(first=first, second=second, worth=worth[first, second], weight=weight[first, second])


def _both_ways(worth: Float[Tensor, "i j class"], weight: Float[Tensor, "i j"]) -> _Pairs:
    """Pairs whose geometry is the same both ways, each once."""
    return _one_way(worth + worth.transpose(0, 1), torch.triu(weight + weight.T))


def _distances_worth(pairs: _Pairs, cb: Float[Tensor, "start residue 3"]) -> Float[Tensor, " start"]:
    away = pairs.of_first(cb) - pairs.of_second(cb)
    distance = (away.square().sum(-1) + 1e-6).sqrt()
    # Further apart nothing is known but that the pair should be nearer: a slope leads there.
    slope = (pairs.weight * functional.relu(distance - _FAR)).sum(-1)
    return pairs.total(((distance - _FIRST) / _STEP).clamp(0, 36)) - _SLOPE * slope


@dataclass(frozen=True, kw_only=True)
class _Shape:
    """Distances (Å) that atoms of some residues keep: rows of the pairs among N, CA and C of all residues."""

    first: Int[Tensor, " pair"]
    second: Int[Tensor, " pair"]
    distance: Float[Tensor, " pair"]

    @classmethod
    def of(cls, held: Held) -> _Shape:
        points = held.backbone.flatten(0, 1)
        rows = (3 * held.places.nonzero()[:, 0, None] + torch.arange(3)).flatten()
        distance = torch.cdist(points, points, compute_mode="donot_use_mm_for_euclid_dist")
        one, other = torch.triu_indices(len(rows), len(rows), 1)
        return cls(first=rows[one], second=rows[other], distance=distance[one, other])

    def off(self, n: Tensor, ca: Tensor, c: Tensor) -> Float[Tensor, " start"]:
        """Mean square of how far the distances are off (Å²)."""
        points = torch.stack([n, ca, c], 2).flatten(1, 2)
        away = points.index_select(1, self.first) - points.index_select(1, self.second)
        # A small number in place of no distance at all, of which the root has no gradient.
        return ((away.square().sum(-1) + 1e-6).sqrt() - self.distance).square().mean(-1)


def ideal_cb(n: Tensor, ca: Tensor, c: Tensor) -> Tensor:
    """The ideal CB of an L residue."""
    b, a = ca - n, c - ca
    return ca - 0.58273431 * torch.linalg.cross(b, a, dim=-1) + 0.56802827 * b - 0.54067466 * a


def _above_chance(logs: Float[Tensor, "i j class"]) -> Float[Tensor, "i j class"]:
    """Log odds of each distance against that of two residues anywhere, the last before 20 Å being 0; and beyond, 0."""
    middle = _FIRST + _STEP * torch.arange(36)
    odds = (logs[..., 1:].exp() + _FLOOR).log()
    odds = odds - odds[..., -1:] - _CHANCE * (middle / middle[-1]).log()
    return torch.cat([odds, torch.zeros_like(odds[..., :1])], -1)

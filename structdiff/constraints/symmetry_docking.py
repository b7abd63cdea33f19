"""How a rigid unit stands best to its copies: of many turns the one with most contacts, where copies just touch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
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
from structdiff.geometry.point_groups import SymmetryGroup
from structdiff.typing import Bool, Float, Int

_TURNS = 400  # that are tried
_NEAREST = 8  # copies that are looked at, those from which a unit on its way outwards parts most slowly
_TOUCHING = 5.0  # contacts of copies that count as joined


@dataclass(frozen=True, kw_only=True, eq=False)
class Pose:
    """A turn (3, 3) of a unit about its middle, where that middle goes (Å), and the contacts that it has there."""

    turn: Tensor
    middle: Tensor
    contacts: float


@dataclass(frozen=True, kw_only=True, eq=False)
class _Unit:
    """Points of a unit and its side chains about its middle (Å), and which of them count in contacts (1, else 0)."""

    own: Float[Tensor, "point 3"]
    sides: Float[Tensor, "point 3"]
    counted: Float[Tensor, " point"]


class SymmetryDocking:
    """Finds poses of units by contacts. group: the operators. device: of the units."""

    def __init__(self, group: SymmetryGroup, device: torch.device) -> None:
        self.group = group
        rotations, translations = group.relatives
        rows = np.arange(len(rotations))
        inverse = group.inverses
        # An operator and its inverse make the same contacts.
        self.rows = np.flatnonzero((inverse < 0) | (rows <= inverse))
        self.rotations = torch.from_numpy(rotations[self.rows]).float().to(device)
        self.translations = torch.from_numpy(translations[self.rows]).float().to(device)
        self.unmoved = torch.from_numpy(group.unmoved).float().to(device)

    def better(
        self,
        trace: Float[Tensor, "point 3"],
        counted: Bool[Tensor, " point"] | None = None,
        *,
        nearby: bool = False,
    ) -> Pose | None:
        """A pose with clearly more contacts than the unit has as it stands, if there is one.

        trace: CA atoms, and centre atoms of what is no protein (Å). counted: those whose contacts count, of None all;
        the others stand in the way. nearby: only small turns are tried.
        """
        middle = trace.mean(0)
        counted = torch.ones(len(trace)) if counted is None else counted
        unit = _Unit(own=trace - middle, sides=side_chains(trace) - middle, counted=counted.to(trace))
        outwards = middle - self.unmoved @ middle
        outwards = outwards / norm(outwards).clamp(min=1e-6)
        now = self._best(unit, torch.eye(3).to(trace)[None], outwards[None])
        best = now
        if not nearby:
            # About an axis all ways outwards are alike.
            ways = outwards.expand(_TURNS, 3) if bool(self.unmoved.any()) else spread_directions(_TURNS).to(trace)
            best = self._best(unit, spread_turns(_TURNS).to(trace), ways)
        for turns in small_turns(nearby=nearby):
            if best is None:
                return None
            way = best.middle / norm(best.middle).clamp(min=1e-6)
            small = turns.to(trace)
            near = self._best(unit, small @ best.turn, way.expand(len(small), 3))
            best = near if near is not None and near.contacts > best.contacts else best
        least = worth(nearby=nearby)
        if best is None or (now is not None and best.contacts < least * now.contacts):
            return None
        return Pose(turn=best.turn, middle=best.middle + self.unmoved @ middle, contacts=best.contacts)

    def _best(self, unit: _Unit, turns: Tensor, ways: Tensor) -> Pose | None:
        """The best of some turns, each with the way that its middle goes outwards; all copies are joined in it."""
        far, found = [], []
        for some, along in zip(turns.split(AT_ONCE), ways.split(AT_ONCE), strict=True):
            distance, each = self._touching(unit.own @ some.mT, unit.sides @ some.mT, along, unit.counted)
            far.append(distance)
            found.append(each)
        distance, each = torch.cat(far).cpu(), torch.cat(found).cpu()
        total = torch.where(distance.isfinite(), each.sum(-1), -1.0)
        for place in total.argsort(descending=True, stable=True).tolist():
            if total[place] <= 0:
                return None
            if self._joined(each[place]):
                middle = float(distance[place]) * ways[place]
                return Pose(turn=turns[place], middle=middle, contacts=float(total[place]))
        return None

    def _touching(
        self,
        own: Float[Tensor, "turn residue 3"],
        sides: Float[Tensor, "turn residue 3"],
        ways: Float[Tensor, "turn 3"],
        counted: Float[Tensor, " residue"],
    ) -> tuple[Float[Tensor, " turn"], Float[Tensor, "turn relative"]]:
        """How far from the middle (Å) units of these shapes touch their copies, and the contacts with each copy."""
        along = ways[:, None] - torch.einsum("gij,tj->tgi", self.rotations, ways)
        near = along.square().sum(-1).argsort(dim=1, stable=True)[:, :_NEAREST]
        along = torch.take_along_dim(along, near[..., None], 1)
        mine = own[:, None].expand(-1, near.shape[1], -1, -1)
        far = free_from(mine, self._images(own, near), along).amax(1)
        steps = torch.where(far.isfinite(), far, 0.0)[:, None, None] * along
        distance = torch.cdist(sides[:, None] + steps[:, :, None], self._images(sides, near))
        every = distance.new_zeros(len(ways), len(self.rows))
        return far, every.scatter(1, near, (contact_shares(distance) * counted[:, None] * counted).sum((-2, -1)))

    def _images(
        self, points: Float[Tensor, "turn residue 3"], near: Int[Tensor, "turn near"]
    ) -> Float[Tensor, "turn near residue 3"]:
        """The points of the copies that are near."""
        turned = torch.einsum("tgij,trj->tgri", self.rotations[near], points)
        return turned + self.translations[near][:, :, None]

    def _joined(self, each: Float[Tensor, " relative"]) -> bool:
        touching = np.zeros(len(self.group.relatives[0]), bool)
        rows = self.rows[(each >= _TOUCHING).numpy()]
        inverse = self.group.inverses[rows]
        touching[rows] = True
        touching[inverse[inverse >= 0]] = True
        return self.group.joined(touching)

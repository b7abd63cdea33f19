"""The search for a ligand's best pose: many poses at once go downhill, are changed at random and go downhill again.

Iterated local search as in AutoDock Vina (Trott & Olson 2010), with all poses in one batch.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor

from structdiff.docking.asked_contacts import LINEAR, STIFF, AskedContacts
from structdiff.docking.maps import Maps
from structdiff.docking.receptor_atoms import ReceptorAtoms
from structdiff.docking.torsions import Torsions
from structdiff.evaluation.vinardo import SCORE, Kinds, energy, slope
from structdiff.geometry.rotations import random_rotation, rotation_from_vector
from structdiff.geometry.superposition import superposed
from structdiff.kernels import ligand_docking
from structdiff.kernels.ligand_docking import LigandPoses
from structdiff.typing import Float, Int

_TEMPERATURE = 1.2  # kcal/mol, of a step from one minimum to the next
_SHIFT, _TURN = 2.0, 1.0  # Å and radian, how far a pose is changed
_RESHAPED = 0.1  # of the changes: another conformer in place of the pose's
_FIRST_STEP, _LAST_STEP = 0.5, 0.02  # Å an atom, of a descent
_FINE_STEP, _FINE_STEPS = 0.1, 30  # of the last one, the first step in Å an atom
_ROOM = 2.0  # Å that an atom may move in it
_OWN = 0.5  # of what a ligand's atoms are worth to each other, in the end: much of that they have anywhere
_ROUNDS, _STEPS = 50, 30  # changes of each pose, and steps downhill after each
_FEW_TORSIONS = 5  # for which so many do
_RENEWED = 5  # rounds after which the worst quarter begins anew
_POOL, _AT_ONCE = 16, 2048  # random poses for each that goes on; those looked at together
_THROUGH, _SOFT = 0.5, 2.0  # kcal/mol an atom at most, where random poses are looked at, and on their first way down

Gradient = tuple[Tensor, Tensor]


@dataclass(frozen=True, kw_only=True, eq=False)
class Landscape:
    """What poses of one ligand cost: in the receptor by its maps or its atoms, the ligand with itself, and what else is
    asked.
    """

    receptor: Maps | ReceptorAtoms
    kind: Int[Tensor, " atom"]
    torsions: Torsions
    inner: Kinds
    asked: AskedContacts | None = None

    def __call__(self, positions: Float[Tensor, "pose atom 3"]) -> Gradient:
        """Energy (kcal/mol) [pose] and its gradient [pose, atom, 3]."""
        if self.native is not None:
            return self.native.energy(positions)
        value, gradient = self.receptor.read(positions, self.kind)
        total = value.sum(-1)
        if len(self.torsions.pairs):
            total = total + self.own(positions)
            (first, second), arrow, distance = self._pairs(positions)
            push = (slope(distance, self.inner) / distance)[..., None] * arrow
            gradient = gradient.index_add(1, first, push).index_add(1, second, -push)
        if self.asked is not None:
            more, push = self.asked.energy(positions)
            total, gradient = total + more, gradient + push
        return total, gradient

    def own(self, positions: Float[Tensor, "pose atom 3"]) -> Float[Tensor, " pose"]:
        """What the ligand's atoms are worth to each other (kcal/mol)."""
        return energy(self._pairs(positions)[-1], self.inner).sum(-1)

    def _pairs(self, positions: Tensor) -> tuple[tuple[Tensor, ...], Tensor, Tensor]:
        """Rows of the atoms of each pair, arrows between them (Å) and their lengths."""
        first, second = self.torsions.pairs.unbind(-1)
        arrow = positions[:, first] - positions[:, second]
        return (first, second), arrow, arrow.square().sum(-1).clamp(min=1e-6).sqrt()

    def softened(self, most: float) -> Landscape:
        """The same where no atom costs more than so much (kcal/mol) by the maps of the receptor."""
        assert isinstance(self.receptor, Maps)
        return replace(self, receptor=replace(self.receptor, most=most))

    @cached_property
    def native(self) -> LigandPoses | None:
        """The native kernel, where there is one."""
        if not ligand_docking.available():
            return None
        start, side = ligand_docking.side_table(self.torsions.side)
        nothing = AskedContacts(own=(), others=(), aimed=(), avoid=())
        ligand = {
            "kind": self.kind.numpy(), "axis": self.torsions.axes.numpy(), "side_start": start, "side": side,
            "pair": self.torsions.pairs.numpy(), "touching": self.inner.touching.numpy(),
            "hydrophobic": self.inner.hydrophobic.numpy(), "bonding": self.inner.bonding.numpy(),
            **(self.asked or nothing).arrays(),
        }  # fmt: skip
        receptor = self.receptor.native()
        receptor["numbers"] |= {"stiff": STIFF, "linear": LINEAR}
        return LigandPoses(score=SCORE, ligand=ligand, **receptor)


def moved(
    torsions: Torsions, positions: Float[Tensor, "pose atom 3"], by: Float[Tensor, "pose freedom"]
) -> Float[Tensor, "pose atom 3"]:
    """Positions (Å) bent by angles (radian), turned about the middle by a rotation vector and shifted (Å).

    by: shift, rotation vector, angles.
    """
    bent = torsions.turned(positions, by[:, 6:])
    middle = bent.mean(1, keepdim=True)
    turn = rotation_from_vector(by[:, 3:6])
    return (bent - middle) @ turn.mT + middle + by[:, None, :3]


def _slopes(torsions: Torsions, positions: Tensor, gradient: Tensor) -> Tensor:
    arrow = positions - positions.mean(1, keepdim=True)
    turning = torch.linalg.cross(arrow, gradient).sum(1)
    return torch.cat([gradient.sum(1), turning, torsions.slopes(positions, gradient)], -1)


def _scales(torsions: Torsions, positions: Float[Tensor, "pose atom 3"]) -> Float[Tensor, " freedom"]:
    """What each freedom is changed by where atoms go by about 1 Å."""
    size = (positions - positions.mean(1, keepdim=True)).square().sum(-1).mean().sqrt().clamp(min=1.0)
    return torch.cat([torch.ones(3), (1 / size).expand(3), (1 / size).expand(len(torsions))])


def descended(
    landscape: Landscape, positions: Float[Tensor, "pose atom 3"], steps: int, first: float = _FIRST_STEP
) -> tuple[Float[Tensor, "pose atom 3"], Float[Tensor, " pose"]]:
    """Poses after so many steps downhill (Adam, steps that fall from ``first`` on, Å an atom), each at its best, and
    their energies (kcal/mol).
    """
    torsions = landscape.torsions
    scale = _scales(torsions, positions)
    if landscape.native is not None:
        return landscape.native.descended(positions, steps, (first, _LAST_STEP), scale)
    mean = square = torch.zeros(len(positions), len(scale))
    best, least = positions, torch.full((len(positions),), torch.inf)
    for number in range(steps + 1):
        cost, gradient = landscape(positions)
        better = cost < least
        least = torch.where(better, cost, least)
        best = torch.where(better[:, None, None], positions, best)
        if number == steps:
            break
        downhill = _slopes(torsions, positions, gradient) * scale
        mean, square = 0.8 * mean + 0.2 * downhill, 0.9 * square + 0.1 * downhill.square()
        share = number / steps
        step = first ** (1 - share) * _LAST_STEP**share
        unit = mean / (1 - 0.8 ** (number + 1)) / (square / (1 - 0.9 ** (number + 1))).sqrt().clamp(min=1e-6)
        positions = moved(torsions, positions, -step * unit * scale)
    return best, least


def random_poses(
    torsions: Torsions,
    conformers: Float[Tensor, "conformer atom 3"],
    places: Float[Tensor, "place 3"],
    count: int,
    generator: torch.Generator,
) -> Float[Tensor, "pose atom 3"]:
    """Poses (Å) of random conformers about random places, turned and bent at random."""
    chosen = conformers[torch.randint(len(conformers), (count,), generator=generator)]
    angles = (2 * torch.rand(count, len(torsions), generator=generator) - 1) * math.pi
    bent = torsions.turned(chosen, angles)
    bent = (bent - bent.mean(1, keepdim=True)) @ random_rotation(count, generator=generator).mT
    return bent + places[torch.randint(len(places), (count,), generator=generator)][:, None]


def reshaped(
    torsions: Torsions,
    conformers: Float[Tensor, "conformer atom 3"],
    positions: Float[Tensor, "pose atom 3"],
    generator: torch.Generator,
) -> Float[Tensor, "pose atom 3"]:
    """A random conformer (Å) in place of each pose, bent to the pose's torsion angles and laid upon it: its rings and
    angles are others, which nothing else in the search changes.
    """
    others = conformers[torch.randint(len(conformers), (len(positions),), generator=generator)]
    others = torsions.turned(others, torsions.angles(positions) - torsions.angles(others))
    return superposed(others, positions)


def _changed(landscape: Landscape, conformers: Tensor, positions: Tensor, generator: torch.Generator) -> Tensor:
    """Each pose changed in one way: shifted, turned, bent about one bond, or made of another conformer."""
    count, torsions = len(positions), landscape.torsions
    by = torch.zeros(count, 6 + len(torsions))
    which = torch.randint(2 + len(torsions), (count,), generator=generator)
    shift, turn = (
        _SHIFT * torch.randn(count, 3, generator=generator),
        _TURN * torch.randn(count, 3, generator=generator),
    )
    angle = (2 * torch.rand(count, generator=generator) - 1) * math.pi
    by[:, :3] = torch.where((which == 0)[:, None], shift, 0.0)
    by[:, 3:6] = torch.where((which == 1)[:, None], turn, 0.0)
    bent = which >= 2
    by[bent, 4 + which[bent]] = angle[bent]
    changed = moved(torsions, positions, by)
    if len(conformers) > 1:
        other = torch.rand(count, generator=generator) < _RESHAPED
        changed[other] = reshaped(torsions, conformers, positions[other], generator)
    return changed


def rounds_for(torsions: Torsions) -> int:
    """How often each pose of a ligand is changed: oftener the more there is to change."""
    return round(_ROUNDS * max(1.0, len(torsions) / _FEW_TORSIONS))


def found_poses(
    landscape: Landscape,
    conformers: Float[Tensor, "conformer atom 3"],
    places: Float[Tensor, "place 3"],
    count: int,
    generator: torch.Generator,
) -> tuple[Float[Tensor, "pose atom 3"], Float[Tensor, " pose"]]:
    """Poses (Å) of a ligand that begins about some places, and their energies (kcal/mol), in ascending order.

    Of many random poses those go on that are best where atoms may pass through others, downhill with softer repulsion
    first; every few rounds the worst begin anew where the best are.
    """
    pool = random_poses(landscape.torsions, conformers, places, _POOL * count, generator)
    through = landscape.softened(_THROUGH)
    cost = torch.cat([through(some)[0] for some in pool.split(_AT_ONCE)])
    pool = pool[cost.argsort(stable=True)[: 2 * count]]
    pool, cost = descended(landscape.softened(_SOFT), pool, _STEPS)
    here, cost = descended(landscape, pool[cost.argsort(stable=True)[:count]], 2 * _STEPS)
    best, least = here, cost
    for number in range(1, rounds_for(landscape.torsions) + 1):
        other, found = descended(landscape, _changed(landscape, conformers, here, generator), _STEPS)
        odds = torch.rand(len(here), generator=generator)
        taken = odds < torch.exp(((cost - found) / _TEMPERATURE).clamp(max=0.0))
        here, cost = torch.where(taken[:, None, None], other, here), torch.where(taken, found, cost)
        better = cost < least
        best, least = torch.where(better[:, None, None], here, best), torch.where(better, cost, least)
        if number % _RENEWED == 0:
            order, some = cost.argsort(stable=True), count // 4
            here[order[count - some :]], cost[order[count - some :]] = here[order[:some]], cost[order[:some]]
    order = least.argsort(stable=True)
    return best[order], least[order]


def refined(
    landscape: Landscape, atoms: ReceptorAtoms, positions: Float[Tensor, "pose atom 3"]
) -> tuple[Float[Tensor, "pose atom 3"], Float[Tensor, " pose"]]:
    """Poses that were found on maps downhill once more among the receptor's atoms, and what they are judged by
    (kcal/mol): their energies, of which the ligand's own count less.

    Maps have narrow pits shallower than they are, and which of two poses is better hangs on them.
    """
    exact = replace(landscape, receptor=atoms.near(positions, _ROOM))
    found, cost = descended(exact, positions, _FINE_STEPS, _FINE_STEP)
    return found, cost - (1 - _OWN) * exact.own(found)

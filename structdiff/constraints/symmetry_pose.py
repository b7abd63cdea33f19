"""How an asymmetric unit stands to its copies: near enough to hold together, not so near that they clash."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from structdiff.constraints.docking import CLEARANCE, TURNED_FROM, TURNED_LITTLE, TURNED_ROUND
from structdiff.constraints.symmetry import SymmetricCopies
from structdiff.constraints.symmetry_docking import SymmetryDocking
from structdiff.geometry.distances import norm
from structdiff.geometry.rotations import rotation_from_vector
from structdiff.typing import Bool, Float

_LARGEST_SIGMA = 16.0  # Å; noisier predictions have no surface yet
_HELD_CLEARANCE, _HELD_TO_CENTRE = 3.4, 4.5  # Å between held atoms of different copies, and from these to centre atoms
_SOFTNESS = 1.5  # Å
_CONTACT = 3.0  # Å, smooth shortest distance of a good interface: some 15 pairs of centre atoms at 7 Å
_OVERLAP_WEIGHT = 10.0  # of clearance, beside that of contacts, when units are moved from or to the axis
_ROUNDS = 12
_CARRIED = 4.0  # Å, how far residues carry their surroundings along
_LARGEST_SHIFT, _LARGEST_TURN = 0.5, 0.04  # Å, radians in a round
_RADIAL_SHIFTS = tuple(float(far) for far in sorted(range(-8, 25), key=abs))  # Å
_FAR = 1e6


@dataclass(frozen=True, kw_only=True)
class _Asked:
    """What is asked of the points of a unit: the first ``count`` are centre atoms, the others held ones.

    clearance: how far points of two copies stay apart (Å). near: rows of the copies that count; wanted: those to touch.
    """

    count: int
    clearance: Float[Tensor, "point point"]
    near: Tensor
    wanted: Bool[Tensor, " near"]


class AssemblyPose:
    """Moves each unit as one rigid piece until its copies touch without clashing and all hold together.

    Which copies must touch: in the order of their distance, as many kinds of contact as it takes for the contacts to
    lead from every copy to every other. Shape and size of the unit are the network's; only its place and orientation
    to the axes change, by less than 0.5 Å and 0.04 radians a round. held: atoms of a motif [sample, atom], whose side
    chains are there before any other.
    """

    def __init__(self, copies: SymmetricCopies, held: Bool[Tensor, "sample atom"]) -> None:
        self.copies, self.held = copies, held
        self.docking = SymmetryDocking(copies.group, copies.rotations.device)

    def project(self, positions: Float[Tensor, "sample atom 3"], sigma: float) -> Float[Tensor, "sample atom 3"]:
        """Positions moved rigidly, while the noise is low enough for the unit to have a surface."""
        if not len(self.copies.rotations):
            return positions
        if TURNED_LITTLE < sigma <= TURNED_FROM:
            nearby = sigma <= TURNED_ROUND
            positions = torch.stack([self._docked(own, row, nearby=nearby) for row, own in enumerate(positions)])
        if sigma > _LARGEST_SIGMA:
            return positions
        return torch.stack([self._moved(own, row) for row, own in enumerate(positions)])

    def _docked(self, positions: Float[Tensor, "atom 3"], row: int, *, nearby: bool) -> Float[Tensor, "atom 3"]:
        """Positions turned and shifted to where the copies have most contacts."""
        exists = self.copies.token_mask[row]
        trace = positions[self.copies.centre[row][exists]]
        # Copies that touch by their ligands or their DNA alone do not hold together.
        pose = self.docking.better(trace, self.copies.protein[row][exists], nearby=nearby)
        if pose is None:
            return positions
        turned = (positions - trace.mean(0)) @ pose.turn.T + pose.middle
        return torch.where((positions != 0).any(-1, keepdim=True), turned, positions)

    def energy(self, positions: Float[Tensor, "sample atom 3"]) -> Float[Tensor, " sample"]:
        """Nothing is preferred of single atoms."""
        return positions.new_zeros(positions.shape[0])

    def _moved(self, positions: Float[Tensor, "atom 3"], row: int) -> Float[Tensor, "atom 3"]:
        copies = self.copies
        place = copies.centre[row][copies.protein[row]]
        count = len(place)
        held = self.held[row] & (positions != 0).any(-1)
        held[place] = False
        near, wanted = self._partners(positions[place])
        place = torch.cat([place, torch.nonzero(held)[:, 0]])
        asked = _Asked(count=count, clearance=_clearances(count, len(place), positions), near=near, wanted=wanted)
        shift = self._radial_shift(positions[place], asked)
        positions = torch.where((positions != 0).any(-1, keepdim=True), positions + shift, positions)
        for _ in range(_ROUNDS):
            points = positions[place]
            middle = points[:count].mean(0)
            push, pull = self._forces(points, asked)
            # A few atoms that clash must move the whole unit, so that they count by their own number.
            pushed = (push != 0).any(-1).sum().clamp(min=1)
            force = push / pushed + pull
            if not bool(force.any()):
                break
            shift = force.sum(0)
            shift = _limited(shift - copies.unmoved @ shift, _LARGEST_SHIFT)
            extent = (points[:count] - middle).square().sum(-1).mean().clamp(min=1.0)
            turn = torch.linalg.cross(points - middle, force).sum(0) / extent
            turn = rotation_from_vector(_limited(turn, _LARGEST_TURN))
            moved = (positions - middle) @ turn.T + middle + shift
            positions = torch.where((positions != 0).any(-1, keepdim=True), moved, positions)
        return positions

    def _radial_shift(self, points: Float[Tensor, "point 3"], asked: _Asked) -> Float[Tensor, " 3"]:
        """How far to go from the axis or centre, or to it: entangled copies are not parted by forces, which cancel."""
        middle = points[: asked.count].mean(0)
        outwards = middle - self.copies.unmoved @ middle
        outwards = outwards / norm(outwards).clamp(min=1e-6)
        costs = [self._cost(points + far * outwards, asked) for far in _RADIAL_SHIFTS]
        return _RADIAL_SHIFTS[int(torch.stack(costs).argmin())] * outwards

    def _cost(self, points: Float[Tensor, "point 3"], asked: _Asked) -> Float[Tensor, ""]:
        distance = norm(self._arrows(points, asked.near)).clamp(min=1e-3)
        overlap = (asked.clearance - distance).clamp(min=0.0).square().sum()
        smooth = _smooth_shortest(distance[:, : asked.count, : asked.count])
        missing = torch.where(asked.wanted, (smooth - _CONTACT).clamp(min=0.0), 0.0).square().sum()
        return _OVERLAP_WEIGHT * overlap + asked.count * missing

    def _partners(self, centres: Float[Tensor, "token 3"]) -> tuple[Tensor, Bool[Tensor, " near"]]:
        """Rows of ``relatives`` that may come near, and which of them must touch."""
        copies, group = self.copies, self.copies.group
        middle = centres.mean(0)
        reach = 2 * (centres - middle).norm(dim=-1).amax() + 20.0
        apart = (copies.rotations @ middle + copies.translations - middle).norm(dim=-1)
        near = torch.nonzero(apart < reach)[:, 0]
        smooth = torch.full((len(copies.rotations),), _FAR)
        smooth[near.cpu()] = _smooth_shortest(norm(self._arrows(centres, near)).clamp(min=1e-3)).cpu()
        touching = np.zeros(len(smooth), bool)
        for each in torch.argsort(torch.minimum(smooth, smooth[group.inverses]), stable=True).tolist():
            if group.joined(touching):
                break
            touching[[each, group.inverses[each]]] = True
        chosen = torch.from_numpy(touching).to(near.device)
        near = torch.unique(torch.cat([near, torch.nonzero(chosen)[:, 0]]))
        return near, chosen[near]

    def _arrows(self, points: Float[Tensor, "point 3"], rows: Tensor) -> Float[Tensor, "relative point point 3"]:
        """From each point of each copy to each of the unit's."""
        image = torch.einsum("kij,tj->kti", self.copies.rotations[rows], points) + self.copies.translations[rows, None]
        return points[None, :, None] - image[:, None]

    def _forces(self, points: Float[Tensor, "point 3"], asked: _Asked) -> tuple[Tensor, Tensor]:
        """What clearance and contacts ask of each point [point, 3] (Å): overlaps, shares of what is missing."""
        count = asked.count
        arrow = self._arrows(points, asked.near)
        distance = norm(arrow).clamp(min=1e-3)
        direction = arrow / distance[..., None]
        between = arrow[:, :count, :count].mean((1, 2))
        # Of entangled chains the arrows between atoms cancel, those between their middles do not.
        apart = direction + (between / norm(between).clamp(min=1e-6)[:, None])[:, None, None]
        push = (asked.clearance - distance).clamp(min=0.0)
        centres = distance[:, :count, :count]
        missing = torch.where(asked.wanted, (_smooth_shortest(centres) - _CONTACT).clamp(min=0.0, max=5.0), 0.0)
        share = torch.softmax(-centres.flatten(1) / _SOFTNESS, 1).view_as(centres)
        pull = torch.zeros_like(distance)
        pull[:, :count, :count] = -missing[:, None, None] * share
        return (push[..., None] * apart).sum((0, 2)), (pull[..., None] * direction).sum((0, 2))


def _clearances(count: int, points: int, like: Tensor) -> Float[Tensor, "point point"]:
    """How far points of two copies stay apart (Å): the first so many are centre atoms, the others held ones."""
    clearance = like.new_full((points, points), _HELD_CLEARANCE)
    clearance[:count], clearance[:, :count] = _HELD_TO_CENTRE, _HELD_TO_CENTRE
    clearance[:count, :count] = CLEARANCE
    return clearance


def _smooth_shortest(distance: Float[Tensor, "relative token token"]) -> Float[Tensor, " relative"]:
    """The shortest distance to each copy, smoothly (Å)."""
    return -_SOFTNESS * torch.logsumexp(-distance.flatten(1) / _SOFTNESS, 1)


class CopyClearance:
    """Moves residues of a unit off its copies where the unit as a whole cannot move, since its motif has its place.

    Each residue goes half of what it lacks, together with those around it, so that the chain is not torn. held: atoms
    that stay [sample, atom].
    """

    def __init__(self, copies: SymmetricCopies, held: Bool[Tensor, "sample atom"]) -> None:
        self.copies, self.held = copies, held

    def project(self, positions: Float[Tensor, "sample atom 3"], sigma: float) -> Float[Tensor, "sample atom 3"]:
        """Positions with more room between copies, while the noise is low enough for the unit to have a surface."""
        if sigma > _LARGEST_SIGMA or not len(self.copies.rotations):
            return positions
        moved = positions.clone()
        for row in range(len(positions)):
            for _ in range(_ROUNDS):
                moved[row] += self._moves(moved[row], row)
        return moved

    def energy(self, positions: Float[Tensor, "sample atom 3"]) -> Float[Tensor, " sample"]:
        """Nothing is preferred: room is made."""
        return positions.new_zeros(positions.shape[0])

    def _moves(self, positions: Float[Tensor, "atom 3"], row: int) -> Float[Tensor, "atom 3"]:
        copies = self.copies
        exists = copies.token_mask[row]
        centres = positions[copies.centre[row]]
        own = centres[exists]
        push = torch.zeros_like(own)
        for rotation, translation in zip(copies.rotations, copies.translations, strict=True):
            arrow = own[:, None] - (own @ rotation.T + translation)
            distance = norm(arrow).clamp(min=1e-3)
            lacking = (CLEARANCE - distance).clamp(min=0.0)
            push += 0.5 * (lacking / distance).unsqueeze(-1).mul(arrow).sum(1)
        near = torch.exp(-0.5 * (torch.cdist(own, own) / _CARRIED).square())
        along = near @ push / near.sum(1, keepdim=True)
        along = along * (_LARGEST_SHIFT / norm(along).clamp(min=1e-12)).clamp(max=1.0)[:, None]
        moves = torch.zeros_like(centres)
        moves[exists] = along
        free = ~self.held[row] & (positions != 0).any(-1)
        return moves.repeat_interleave(copies.num_slots, 0) * free[:, None]


def _limited(vector: Float[Tensor, " 3"], largest: float) -> Float[Tensor, " 3"]:
    return vector * (largest / norm(vector).clamp(min=1e-12)).clamp(max=1.0)

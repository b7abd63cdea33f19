"""Poses of the rigid pieces of a complex: what they cost in overlaps and contacts, and where they cost least."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from structdiff.constraints.piece_distances import Contacting, Overlap
from structdiff.features.requests import Proximity
from structdiff.geometry.rotations import random_rotation, rotation_from_vector
from structdiff.typing import Bool, Float, Int

#: Weighted Å², which are left where pieces stand well.
GOOD = 0.3
_STAYING = 0.01  # weight of Å²
_LIGAND_CLEARANCE = 3.3  # Å between the atoms of a ligand and those of other pieces
ROUNDS = 60  # of a descent, at most
_FIRST_STEP, _LAST_STEP = 2.0, 0.1  # Å
_SPREAD = (1.25, 1.6, 2.2)  # of the pieces' middles about their own, where they part
_TURNED = 12  # orientations that are tried
#: Poses that are tried with and without orientations.
STARTS_TURNED, STARTS = 1 + len(_SPREAD) + _TURNED, 1 + len(_SPREAD)


@dataclass(frozen=True, kw_only=True, eq=False)
class PieceAtoms:
    """Which atoms count in a complex of ``count`` pieces.

    piece: of each atom. points: rows of the atoms that stand for residues of polymers, with the radius (Å) of each.
    ligand: rows of the atoms of ligands. contacts: what is asked between pieces.
    """

    piece: Int[Tensor, " atom"]
    count: int
    points: Int[Tensor, " point"]
    radius: Float[Tensor, " point"]
    ligand: Int[Tensor, " ligand_atom"]
    contacts: tuple[Proximity, ...]


@dataclass(frozen=True, eq=False)
class Poses:
    """Turns [pose, piece, 3, 3] about each piece's own middle, and shifts [pose, piece, 3] (Å)."""

    turn: Tensor
    shift: Tensor

    @classmethod
    def still(cls, poses: int, pieces: int) -> Poses:
        """Everything where it is."""
        return cls(torch.eye(3).expand(poses, pieces, 3, 3), torch.zeros(poses, pieces, 3))

    def of(self, number: int) -> Poses:
        """One of them."""
        return Poses(self.turn[number : number + 1], self.shift[number : number + 1])

    def moved(self, by: Float[Tensor, "pose piece 6"]) -> Poses:
        """Shifted and turned on, by a shift in Å and a rotation vector each."""
        return Poses(rotation_from_vector(by[..., 3:]) @ self.turn, self.shift + by[..., :3])


class Pieces:
    """The atoms of one structure's pieces that count, and what poses of the pieces cost.

    shaped: which pieces may overlap with others that are so. most: points at most, where some suffice.
    """

    def __init__(
        self, atoms: PieceAtoms, positions: Float[Tensor, "atom 3"], shaped: Bool[Tensor, " piece"],
        most: int | None = None,
    ) -> None:  # fmt: skip
        step = 1 if most is None else max(1, -(-len(atoms.points) // most))  # ligands alone have no points
        chosen = torch.arange(0, len(atoms.points), step)
        ends = [torch.from_numpy(rows) for each in atoms.contacts for rows in (each.first, each.second)]
        around = torch.arange(len(positions)) if len(atoms.ligand) else atoms.ligand
        parts = [atoms.points[chosen], atoms.ligand, around, *ends]
        rows = torch.cat(parts)
        self.atoms, self.piece = atoms, atoms.piece[rows]
        self.sections = np.cumsum([len(part) for part in parts])[:-1].tolist()
        ones = torch.ones(len(positions))
        weight = positions.new_zeros(atoms.count).index_add(0, atoms.piece, ones)
        self.middle = positions.new_zeros(atoms.count, 3).index_add(0, atoms.piece, positions) / weight[:, None]
        self.arrow = positions[rows] - self.middle[self.piece]
        spread = (positions - self.middle[atoms.piece]).square().sum(-1)
        size = positions.new_zeros(atoms.count).index_add(0, atoms.piece, spread) / weight
        self.size = size.sqrt().clamp(min=1.0)
        radius, own = atoms.radius[chosen], self.piece[: len(chosen)]
        clearance = (radius[:, None] + radius[None]) * _apart(own, own, shaped)
        self.of_points = Overlap(clearance, weight=0.5)  # each pair is there twice
        self.of_ligands = Overlap(_LIGAND_CLEARANCE * _apart(atoms.piece[atoms.ligand], atoms.piece[around], shaped))
        self.contacts = Contacting(atoms.contacts)

    def cost(self, poses: Poses) -> Float[Tensor, " pose"]:
        """Overlaps and what is missing to contacts (weighted Å²)."""
        turned = torch.einsum("spij,pj->spi", poses.turn.index_select(1, self.piece), self.arrow)
        self._placed = turned + (poses.shift + self.middle).index_select(1, self.piece)
        points, ligands, around, *ends = self._placed.tensor_split(self.sections, dim=1)
        total = self.of_points.cost(points, points) + self.of_ligands.cost(ligands, around)
        for each in self.contacts.cost(ends):
            total = total + each
        return total

    def slopes(self, poses: Poses) -> Float[Tensor, "pose piece 6"]:
        """How the last `cost`, and how far the pieces are `gone`, rise where poses are `moved` (weighted Å²/Å)."""
        atoms = torch.zeros_like(self._placed)
        points, ligands, around, *ends = atoms.tensor_split(self.sections, dim=1)
        if (found := self.of_points.slopes()) is not None:
            torch.add(*found, out=points)
        if (found := self.of_ligands.slopes()) is not None:
            ligands.copy_(found[0])
            around.copy_(found[1])
        for number, slope in self.contacts.slopes():
            ends[number].copy_(slope)
        pushed = torch.nonzero((atoms != 0).any(0).any(-1))[:, 0]
        piece, atoms = self.piece[pushed], atoms[:, pushed]
        every = torch.arange(len(atoms))[:, None]
        shift, turn = torch.zeros_like(poses.shift), torch.zeros(poses.turn.shape)
        shift.index_put_((every, piece), atoms, accumulate=True)
        turn.index_put_((every, piece), atoms[..., None] * self.arrow[pushed][:, None], accumulate=True)
        shift = shift + 2 * _STAYING * poses.shift
        turn = turn + (_STAYING * self.size.square())[:, None, None] * (poses.turn - torch.eye(3))
        about = turn @ poses.turn.mT  # by entries of a rotation from where they are
        turning = [about[..., row, column] - about[..., column, row] for row, column in ((2, 1), (0, 2), (1, 0))]
        return torch.cat([shift, torch.stack(turning, -1)], -1)

    def gone(self, poses: Poses) -> Float[Tensor, " pose"]:
        """How far the pieces are from where they were (weighted Å²), turning counted by their size."""
        turned = (poses.turn - torch.eye(3)).square().sum((-1, -2)) / 2
        return _STAYING * (poses.shift.square().sum(-1) + self.size.square() * turned).sum(-1)

    def descended(self, poses: Poses) -> tuple[Poses, Float[Tensor, " pose"]]:
        """Poses moved downhill, each to where all was least, and what that was, with how far the pieces have gone.

        Steps of about one length, which falls from round to round (Adam; Kingma and Ba 2015).
        """
        scale = torch.cat([torch.ones(len(self.size), 3), 1 / self.size[:, None].expand(-1, 3)], -1)
        mean = square = torch.zeros(1)
        best, least = poses, torch.full((len(poses.shift),), torch.inf)
        for number in range(ROUNDS + 1):
            wrong = self.cost(poses)
            cost = wrong + self.gone(poses)
            better = cost < least
            least = torch.where(better, cost, least)
            best = Poses(
                torch.where(better[:, None, None, None], poses.turn, best.turn),
                torch.where(better[:, None, None], poses.shift, best.shift),
            )
            if number == ROUNDS or bool((wrong <= GOOD).all()):
                break
            slope = self.slopes(poses) * scale
            mean, square = 0.8 * mean + 0.2 * slope, 0.95 * square + 0.05 * slope.square()
            fraction = number / ROUNDS
            step = _FIRST_STEP ** (1 - fraction) * _LAST_STEP**fraction
            unit = mean / (1 - 0.8 ** (number + 1)) / (square / (1 - 0.95 ** (number + 1))).sqrt().clamp(min=1e-9)
            poses = poses.moved(-step * unit * scale)
        return best, least

    def starts(self, *, turned: bool) -> Poses:
        """The pieces as they are, further apart, and, with ``turned``, all but the largest in other orientations."""
        count = len(self.size)
        outwards = self.middle - self.middle.mean(0)
        apart = torch.stack([(factor - 1) * outwards for factor in (1.0, *_SPREAD)])
        eye = torch.eye(3).expand(len(apart), count, 3, 3)
        if not turned:
            return Poses(eye, apart)
        other = random_rotation(_TURNED, count, generator=torch.Generator().manual_seed(0))
        other[:, int(self.size.argmax())] = torch.eye(3)
        shift = apart[1:2].expand(_TURNED, -1, -1)
        return Poses(torch.cat([eye, other]), torch.cat([apart, shift]))

    def placed(self, poses: Poses, positions: Float[Tensor, "atom 3"]) -> Float[Tensor, "atom 3"]:
        """All atoms in the first of the poses."""
        piece = self.atoms.piece
        arrow = positions - self.middle[piece]
        turned = torch.einsum("aij,aj->ai", poses.turn[0][piece], arrow)
        return turned + (poses.shift[0] + self.middle)[piece]


def _apart(own: Int[Tensor, " m"], other: Int[Tensor, " n"], shaped: Bool[Tensor, " piece"]) -> Tensor:
    """Which atoms, by their pieces, are to keep apart [m, n]: of different ones, both of some shape."""
    return (own[:, None] != other[None]) & shaped[own][:, None] & shaped[other][None]

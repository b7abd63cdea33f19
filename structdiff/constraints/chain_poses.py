"""Where the chains of a complex stand: each moves as one piece until it is where contacts want it, and in no other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from torch import Tensor

from structdiff.geometry.rotations import random_rotation, rotation_from_vector
from structdiff.structure.tables import ChainKind, Structure
from structdiff.typing import Bool, Float, Int

_LARGEST_SIGMA = 40.0  # Å of noise, above which nothing has a place
_SHAPED = 8.0  # Å of noise, above which chains that nothing holds have no shape that could overlap
_SEARCHED = 2.0  # Å of noise, above which a chain may still turn right round
_AIMED = 0.85  # of the distance of a contact: what is aimed at
#: Å from atoms that stand for residues to where others begin: CA atoms of different chains are 5.5 Å apart and more.
_RADIUS = {"CA": 2.75, "P": 2.4, "C1'": 2.4, "N1": 2.2}
_LIGAND_CLEARANCE, _LIGAND_CONTACT = 3.3, 4.5  # Å between the atoms of a ligand and those of others
_OVERLAP, _CONTACT, _STAYING = 0.3, 1.0, 0.01  # weights of Å²
_GOOD = 0.3  # weighted Å², which is left where chains stand well
_ROUNDS, _FIRST_STEP, _LAST_STEP = 60, 2.0, 0.1  # of a descent, Å
_MOST = 400  # points that are looked at while other poses are tried
_SPREAD = (1.25, 1.6, 2.2)  # of the pieces' middles about their own, where they part
_TURNED = 12  # orientations that are tried


@dataclass(frozen=True, kw_only=True, eq=False)
class PieceContact:
    """Rows of atoms of which some pair is to be within ``bound`` (Å); with ``avoid`` none is."""

    first: Int[np.ndarray, " m"]
    second: Int[np.ndarray, " n"]
    bound: float
    avoid: bool = False


class ChainPoses:
    """Moves the chains of a complex as rigid pieces: contacts between them are met, and none stands in another.

    Chains that bonds join, or that a template or a helix holds together, are one piece. Contacts that are left to
    forces on atoms tear a chain to where it is to touch another; and of chains that were drawn one through the other
    the forces cancel.

    Args:
        structure: the molecules, all of whose atoms are seen.
        group: the template or helix of each atom, 0 for none.
        contacts: what is asked; those within a piece are the chain's own affair. Ligands of which nothing is asked
            are to lie against a polymer, if there is any.
    """

    def __init__(self, structure: Structure, group: np.ndarray, contacts: Sequence[PieceContact]) -> None:
        piece = _pieces(structure, group)[structure.atom_chain]
        self.piece = torch.from_numpy(piece)
        self.count = int(piece.max(initial=-1)) + 1
        asked = [each for each in contacts if not set(piece[each.first]) & set(piece[each.second])]
        self.contacts = [*asked, *_beside_polymers(structure, piece, asked)]
        self.points, self.radius = _points(structure)
        ligand = (structure.chains.kind == ChainKind.LIGAND)[structure.atom_chain]
        self.ligand = torch.from_numpy(np.flatnonzero(ligand))
        solid = np.ones(self.count, bool)
        solid[piece[~ligand]] = False
        solid[piece[group > 0]] = True
        self.solid = torch.from_numpy(solid)

    def project(self, positions: Float[Tensor, "sample atom 3"], sigma: float) -> Float[Tensor, "sample atom 3"]:
        """Positions with the pieces moved, while noise leaves them a shape."""
        if self.count < 2 or sigma > _LARGEST_SIGMA:
            return positions
        with torch.inference_mode(False), torch.enable_grad():
            own = positions.detach().clone().cpu()
            done = torch.stack([self._moved(each, sigma) for each in own])
        return done.to(positions)

    def energy(self, positions: Float[Tensor, "sample atom 3"]) -> Float[Tensor, " sample"]:
        """Nothing is preferred of single atoms."""
        return positions.new_zeros(positions.shape[0])

    def _moved(self, positions: Float[Tensor, "atom 3"], sigma: float) -> Float[Tensor, "atom 3"]:
        shaped = self.solid | (sigma <= _SHAPED)
        fine = _Pieces(self, positions, shaped)
        still = Poses.still(1, self.count)
        if float(fine.cost(still)) <= _GOOD:
            return positions
        poses, cost = fine.descended(still)
        if sigma > _SEARCHED and float(cost) > _GOOD:
            coarse = _Pieces(self, positions, shaped, most=_MOST)
            tried, costs = coarse.descended(coarse.starts(turned=bool(self.contacts)))
            other, other_cost = fine.descended(tried.of(int(costs.argmin())))
            if float(other_cost) < float(cost):
                poses = other
        return fine.placed(poses, positions, self.piece)


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


class _Pieces:
    """The atoms of one structure's pieces that count, and what poses of the pieces cost.

    shaped: which pieces may overlap with others that are so. most: points at most, where some suffice.
    """

    def __init__(
        self, asked: ChainPoses, positions: Float[Tensor, "atom 3"], shaped: Bool[Tensor, " piece"],
        most: int | None = None,
    ) -> None:  # fmt: skip
        points = torch.from_numpy(asked.points)
        chosen = torch.arange(0, len(points), 1 if most is None else -(-len(points) // most))
        ends = [torch.from_numpy(rows) for each in asked.contacts for rows in (each.first, each.second)]
        around = torch.arange(len(positions)) if len(asked.ligand) else asked.ligand
        parts = [points[chosen], asked.ligand, around, *ends]
        rows = torch.cat(parts)
        self.contacts, self.piece = asked.contacts, asked.piece[rows]
        self.sections = np.cumsum([len(part) for part in parts])[:-1].tolist()
        ones = torch.ones(len(positions))
        weight = positions.new_zeros(asked.count).index_add(0, asked.piece, ones)
        self.middle = positions.new_zeros(asked.count, 3).index_add(0, asked.piece, positions) / weight[:, None]
        self.arrow = positions[rows] - self.middle[self.piece]
        spread = (positions - self.middle[asked.piece]).square().sum(-1)
        size = positions.new_zeros(asked.count).index_add(0, asked.piece, spread) / weight
        self.size = size.sqrt().clamp(min=1.0)
        radius = torch.from_numpy(asked.radius)[chosen]
        self.clearance = (radius[:, None] + radius[None]) * _apart(self.piece[: len(chosen)], None, shaped)
        self.of_ligands = _LIGAND_CLEARANCE * _apart(asked.piece[asked.ligand], asked.piece[around], shaped)

    def cost(self, poses: Poses) -> Float[Tensor, " pose"]:
        """Overlaps and what is missing to contacts (weighted Å²)."""
        turned = torch.einsum("spij,pj->spi", poses.turn[:, self.piece], self.arrow)
        placed = turned + (poses.shift + self.middle)[:, self.piece]
        points, ligands, around, *ends = placed.tensor_split(self.sections, dim=1)
        total = _overlap(points, points, self.clearance) / 2 + _overlap(ligands, around, self.of_ligands)
        for each, first, second in zip(self.contacts, ends[::2], ends[1::2], strict=True):
            nearest = torch.cdist(first, second).flatten(1).amin(1)
            wrong = each.bound / _AIMED - nearest if each.avoid else nearest - _AIMED * each.bound
            total = total + _CONTACT * wrong.clamp(min=0.0).square()
        return total

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
        for number in range(_ROUNDS + 1):
            by = torch.zeros(*poses.shift.shape[:2], 6, requires_grad=True)
            here = poses.moved(by * scale)
            wrong = self.cost(here)
            cost = wrong + self.gone(here)
            better = cost.detach() < least
            least = torch.where(better, cost.detach(), least)
            best = Poses(
                torch.where(better[:, None, None, None], poses.turn, best.turn),
                torch.where(better[:, None, None], poses.shift, best.shift),
            )
            if number == _ROUNDS or bool((wrong <= _GOOD).all()):
                break
            (slope,) = torch.autograd.grad(cost.sum(), by)
            mean, square = 0.8 * mean + 0.2 * slope, 0.95 * square + 0.05 * slope.square()
            fraction = number / _ROUNDS
            step = _FIRST_STEP ** (1 - fraction) * _LAST_STEP**fraction
            unit = mean / (1 - 0.8 ** (number + 1)) / (square / (1 - 0.95 ** (number + 1))).sqrt().clamp(min=1e-9)
            poses = poses.moved((-step * unit * scale).detach())
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

    def placed(
        self, poses: Poses, positions: Float[Tensor, "atom 3"], piece: Int[Tensor, " atom"]
    ) -> Float[Tensor, "atom 3"]:
        """All atoms in the first of the poses."""
        arrow = positions - self.middle[piece]
        turned = torch.einsum("aij,aj->ai", poses.turn[0][piece], arrow)
        return (turned + (poses.shift[0] + self.middle)[piece]).detach()


def _apart(own: Int[Tensor, " m"], other: Int[Tensor, " n"] | None, shaped: Bool[Tensor, " piece"]) -> Tensor:
    """Which atoms, by their pieces, are to keep apart [m, n]: of different ones, both of some shape."""
    other = own if other is None else other
    return (own[:, None] != other[None]) & shaped[own][:, None] & shaped[other][None]


def _overlap(
    first: Float[Tensor, "pose m 3"], second: Float[Tensor, "pose n 3"], clearance: Float[Tensor, "m n"]
) -> Float[Tensor, " pose"]:
    return _OVERLAP * (clearance - torch.cdist(first, second)).clamp(min=0.0).square().sum((1, 2))


def _pieces(structure: Structure, group: np.ndarray) -> np.ndarray:
    """The piece of each chain: chains that a bond or a group joins are in one."""
    chain, count = structure.atom_chain, len(structure.chains)
    first, second = chain[structure.bonds.atom_1], chain[structure.bonds.atom_2]
    held = np.flatnonzero(group)
    size = count + int(group.max(initial=0)) + 1
    rows, columns = np.concatenate([first, chain[held]]), np.concatenate([second, count + group[held]])
    joined = coo_array((np.ones(len(rows)), (rows, columns)), shape=(size, size))
    _, label = connected_components(joined, directed=False)
    return np.unique(label[:count], return_inverse=True)[1].astype(np.int64)


def _beside_polymers(structure: Structure, piece: np.ndarray, asked: Sequence[PieceContact]) -> list[PieceContact]:
    """A contact with any polymer for each piece of ligands of which no contact is asked."""
    ligand = (structure.chains.kind == ChainKind.LIGAND)[structure.atom_chain]
    polymers = np.flatnonzero(~ligand & (structure.chains.kind != ChainKind.WATER)[structure.atom_chain])
    known = {int(row) for each in asked if not each.avoid for end in (each.first, each.second) for row in piece[end]}
    free = sorted(set(piece[ligand].tolist()) - set(piece[polymers].tolist()) - known)
    if not len(polymers):
        return []
    return [
        PieceContact(first=np.flatnonzero(piece == number), second=polymers, bound=_LIGAND_CONTACT) for number in free
    ]


def _points(structure: Structure) -> tuple[np.ndarray, np.ndarray]:
    """Rows of the atoms that stand for residues of polymers, and their radii (Å)."""
    ligand = (structure.chains.kind == ChainKind.LIGAND)[structure.atom_chain]
    radius = np.array([_RADIUS.get(name, 0.0) for name in structure.atoms.name.tolist()], np.float32)
    rows = np.flatnonzero((radius > 0) & ~ligand)
    return rows, radius[rows]

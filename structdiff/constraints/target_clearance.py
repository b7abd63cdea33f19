"""New chains lie against what is kept whole, and not in it: they are moved as one piece while drawn."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from structdiff.constraints.docking import CLEARANCE, TURNED_FROM, TURNED_LITTLE, TURNED_ROUND, spread_directions
from structdiff.constraints.placed_atoms import PlacedAtoms
from structdiff.constraints.target_docking import Standing, better_placement
from structdiff.geometry.superposition import superposition
from structdiff.structure.tables import ChainKind
from structdiff.typing import Float

_SIGMA = (0.3, TURNED_FROM)  # Å of noise: below, a chain has its place; above, it has no shape
_OF_OTHERS = 4.0  # Å from atoms that are no CA atoms to CA atoms of new chains
_NEAREST, _NEAR = 8, 7.0  # so many residues of the new chains should be as near as this (Å)
_CONTACT = 8.0  # Å from what is to be touched, to the nearest CA atom of the new chains
_TOLERATED = 1.0  # Å², what forces between atoms mend
_OVERLAP_WEIGHT = 10.0  # of clearance, beside that of contacts
_STAYING = 0.1  # of staying where it is, beside contacts
_POLYMERS = (ChainKind.PROTEIN, ChainKind.DNA, ChainKind.RNA)
_DIRECTIONS, _LENGTHS = 48, tuple(float(far) for far in np.append(0.5, np.arange(1.0, 30.0, 1.5)))  # Å


class TargetClearance:
    """Moves all new chains by one shift, the best of many, where they stand in what is kept whole, or far from it.

    Forces between atoms do not part what has been drawn one through the other: their arrows cancel. The best shift
    leaves least overlap and contacts, keeps what is to be touched in reach, and is short.

    Args:
        placed: the atoms; chains are moved of which nothing is held.
        left_out: further atoms (Å) that stand in the way, in the frame of the first motif group.
        touched: for each residue that is to be touched, or all that are, the atoms (rows).
        avoided: for each residue that is not to be touched, its atoms (rows).
    """

    def __init__(
        self,
        placed: PlacedAtoms,
        left_out: Float[np.ndarray, "atom 3"],
        touched: Sequence[np.ndarray],
        avoided: Sequence[np.ndarray] = (),
    ) -> None:
        atoms = placed.structure.atoms
        chain = np.asarray(placed.structure.atom_chain)
        free = ~np.isin(chain, chain[placed.held > 0])
        alphas = placed.backbone[:, 1]
        self.moved = torch.from_numpy(free)
        self.centres = torch.from_numpy(alphas[(alphas >= 0) & free[alphas]])
        self.obstacles = torch.from_numpy(_centres(placed, ~free))
        self.alphas = torch.isin(self.obstacles, torch.from_numpy(alphas))
        self.clearance = torch.where(self.alphas, CLEARANCE, _OF_OTHERS)
        self.held = torch.from_numpy(placed.held == 1)
        self.reference = torch.from_numpy(atoms.positions).double()
        self.left_out = torch.from_numpy(np.asarray(left_out)).double()
        self.touched = [torch.from_numpy(rows) for rows in touched]
        residue = placed.structure.atoms.residue
        self.spots = [rows for rows in self.touched if len(np.unique(residue[rows.numpy()])) == 1]
        self.avoided = [torch.from_numpy(rows) for rows in avoided]
        kind = placed.structure.chains.kind[chain[self.obstacles.numpy()]]
        # A chain goes around a ligand, and lies against a polymer.
        self.docks = bool(np.isin(kind, _POLYMERS).any())
        self.shifts = _shifts()

    def project(self, positions: Float[Tensor, "sample atom 3"], sigma: float) -> Float[Tensor, "sample atom 3"]:
        """Positions with the new chains moved out, while noise leaves them a shape and no fixed place."""
        if not _SIGMA[0] <= sigma <= _SIGMA[1] or not len(self.centres) or not len(self.obstacles):
            return positions
        if self.docks and TURNED_LITTLE < sigma <= TURNED_FROM:
            positions = torch.stack([self._docked(own, nearby=sigma <= TURNED_ROUND) for own in positions])
        return torch.stack([self._cleared(own) for own in positions])

    def energy(self, positions: Float[Tensor, "sample atom 3"]) -> Float[Tensor, " sample"]:
        """Nothing is preferred of single atoms."""
        return positions.new_zeros(positions.shape[0])

    def _docked(self, positions: Float[Tensor, "atom 3"], *, nearby: bool) -> Float[Tensor, "atom 3"]:
        """Positions with the new chains turned and moved to where they have clearly more contacts."""
        points, clearance = self._standing(positions)
        alphas = torch.zeros(len(points), dtype=torch.bool)
        alphas[: len(self.alphas)] = self.alphas
        standing = Standing(
            points=points,
            clearance=clearance.to(points),
            alphas=alphas.to(points.device),
            touched=[positions[rows] for rows in self.spots],
            avoided=[positions[rows] for rows in self.avoided],
        )
        trace = positions[self.centres]
        found = better_placement(trace, standing, nearby=nearby)
        if found is None:
            return positions
        turned = (positions - trace.mean(0)) @ found.turn.T + found.middle
        return torch.where(self.moved.to(positions.device)[:, None], turned, positions)

    def _standing(self, positions: Float[Tensor, "atom 3"]) -> tuple[Tensor, Tensor]:
        """What stands in the way (Å), the obstacles before what was left out, and how near CA atoms may come to it."""
        standing, clearance = positions[self.obstacles], self.clearance
        if not len(self.left_out) or not bool(self.held.any()):
            return standing, clearance
        pose = superposition(self.reference, positions.detach().cpu().double(), mask=self.held)
        standing = torch.cat([standing, pose.apply(self.left_out).to(standing)])
        return standing, torch.cat([clearance, torch.full((len(self.left_out),), _OF_OTHERS)])

    def _cleared(self, positions: Float[Tensor, "atom 3"]) -> Float[Tensor, "atom 3"]:
        standing, clearance = self._standing(positions)
        own, standing = positions[self.centres].cpu(), standing.cpu()
        if float(_cost(own[None], standing, clearance)) <= _TOLERATED:
            return positions
        shifts = self.shifts.to(own)
        cost = _STAYING * shifts.square().sum(-1)
        # A few at a time: a large target has thousands of atoms.
        cost += torch.cat([_cost(own + some[:, None], standing, clearance) for some in shifts.split(_DIRECTIONS)])
        for rows in self.touched:
            far = torch.cdist(own + shifts[:, None], positions[rows].cpu().expand(len(shifts), -1, -1))
            cost += (far.flatten(1).amin(1) - _CONTACT).clamp(min=0.0).square()
        shift = shifts[int(cost.argmin())].to(positions)
        return positions + shift * self.moved.to(positions.device)[:, None]


def _cost(
    own: Float[Tensor, "shift centre 3"], standing: Float[Tensor, "atom 3"], clearance: Float[Tensor, " atom"]
) -> Float[Tensor, " shift"]:
    """Sums of squares of what is missing to the clearance, and to contacts (Å²)."""
    distance = torch.cdist(own, standing.expand(len(own), -1, -1))
    overlap = (clearance - distance).clamp(min=0.0).square().sum((1, 2))
    nearest = distance.amin(2).topk(min(_NEAREST, own.shape[1]), dim=1, largest=False).values
    return _OVERLAP_WEIGHT * overlap + (nearest - _NEAR).clamp(min=0.0).square().sum(1)


def _centres(placed: PlacedAtoms, chosen: np.ndarray) -> np.ndarray:
    """Rows of the CA atoms of protein residues among the chosen atoms, and of all atoms of other ones."""
    alphas = placed.backbone[:, 1]
    residue = placed.structure.atoms.residue
    protein = (alphas >= 0)[residue]
    centre = ~protein
    centre[alphas[alphas >= 0]] = True
    return np.flatnonzero(chosen & centre)


def _shifts() -> Float[Tensor, "shift 3"]:
    """Staying, and steps (Å) of many lengths in directions that are spread evenly over a sphere."""
    steps = torch.tensor(_LENGTHS)[:, None, None] * spread_directions(_DIRECTIONS)
    return torch.cat([torch.zeros(1, 3), steps.reshape(-1, 3)])

"""Chains do not pass through themselves: parts of new chains keep their distance while they are drawn."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from structdiff.constraints.surroundings import carried_along
from structdiff.typing import Float, Int

#: Å between CA atoms and middles of peptides of different parts. In sheets, the nearest that there is, they are 4.4 Å
#: and more apart, so that no hydrogen bond is in the way.
_LEAST = 4.2
_FULL = 0.2  # Å of overlap from which on a residue goes its own way
_ALONG_CHAIN = 3  # residues along a chain that are near each other anyway
_ROUNDS = 3


class ChainSpacing:
    """Parts residues whose CA atoms or peptides are nearer than any two in a protein; the surroundings go along.

    Atoms may not do for this: those of a hydrogen bond are nearer than those of a clash.

    Args:
        backbone: rows of N, CA, C, O of each residue (residue, 4), -1 where there are none.
        chain: of each residue.
        held: which residues do not move.
        residue: of each atom.
    """

    def __init__(
        self, backbone: np.ndarray, chain: np.ndarray, held: np.ndarray, residue: Int[Tensor, " atom"]
    ) -> None:
        complete = np.all(backbone >= 0, axis=1)
        alphas = np.flatnonzero(complete)
        joined = complete[:-1] & complete[1:] & (chain[:-1] == chain[1:])
        peptides = np.flatnonzero(joined)
        first = np.concatenate([backbone[alphas, 1], backbone[peptides, 2]])
        second = np.concatenate([backbone[alphas, 1], backbone[peptides + 1, 0]])
        self.ends = torch.from_numpy(np.stack([first, second]).astype(np.int64))
        owner = np.concatenate([alphas, peptides])
        self.owner, self.residue = torch.from_numpy(owner), residue.to("cpu")
        near = np.abs(owner[:, None] - owner[None]) < _ALONG_CHAIN
        of_one = np.equal.outer(chain[owner], chain[owner])
        apart = ~(near & of_one)
        apart &= ~np.logical_and.outer(held[owner], held[owner])
        self.apart = torch.from_numpy(apart)
        self.free = torch.from_numpy(~held)
        self.count = len(backbone)

    def project(self, positions: Float[Tensor, "sample atom 3"], sigma: float) -> Float[Tensor, "sample atom 3"]:
        """Positions with what is too near parted; ``sigma`` makes no difference."""
        for _ in range(_ROUNDS):
            positions = torch.stack([self._parted(own) for own in positions])
        return positions

    def _parted(self, positions: Float[Tensor, "atom 3"]) -> Float[Tensor, "atom 3"]:
        device = positions.device
        points = positions[self.ends.to(device)].mean(0)
        i, j = torch.nonzero(self.apart.to(device) & (torch.cdist(points, points) < _LEAST), as_tuple=True)
        if not len(i):
            return positions
        arrow = points[i] - points[j]
        length = arrow.norm(dim=-1, keepdim=True).clamp(min=1e-3)
        # Each pair is here twice, and every residue goes half the way. Overlaps are the weights, so that nothing jumps
        # where a pair begins to be too near.
        overlap, owner = _LEAST - length, self.owner.to(device)[i]
        push = 0.5 * overlap.square() / length * arrow
        shift = positions.new_zeros(self.count, 3).index_add(0, owner, push)
        total = positions.new_zeros(self.count).index_add(0, owner, overlap[:, 0])
        free = self.free.to(device)[:, None]
        shift = shift / total.clamp(min=1e-6)[:, None] * free
        moved = (total[:, None] / _FULL).clamp(max=1.0) * free
        residue = self.residue.to(device)
        size = positions.new_zeros(self.count).index_add(0, residue, positions.new_ones(len(residue)))
        centre = positions.new_zeros(self.count, 3).index_add(0, residue, positions) / size.clamp(min=1)[:, None]
        along = carried_along(centre[None], shift[None], moved[None, :, 0])[0]
        whole = (moved * shift + (1 - moved) * along) * free
        return positions + whole[residue]

    def energy(self, positions: Float[Tensor, "sample atom 3"]) -> Float[Tensor, " sample"]:
        """Nothing is preferred: what is too near is parted."""
        return positions.new_zeros(positions.shape[0])

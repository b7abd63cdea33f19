"""A fold as a sketch in space: while the noise is high, helices and strands stand where the sketch has them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from structdiff.constraints.surroundings import carried_along
from structdiff.geometry.superposition import superposed, superposition
from structdiff.typing import Float, Int

#: Å of noise: above the first the sketch is followed exactly, below the second the network alone decides. Of a chain
#: of which more is asked than its fold the network decides earlier.
FOLLOWED_LONG, FOLLOWED = (3.0, 0.5), (8.0, 2.0)


class FoldSketch:
    """Moves each helix and strand, as it is, to its place in the sketch; loops go along.

    The sketch itself is laid on the prediction first, so that no place and no direction in space is preferred.

    Args:
        elements: for each helix or strand the rows of its CA atoms, and where the sketch has them (Å).
        residue: the residue of each atom.
        noise: where the sketch is followed exactly, and where no more (Å of noise).
    """

    def __init__(
        self,
        elements: Sequence[tuple[np.ndarray, Float[np.ndarray, "alpha 3"]]],
        residue: Int[Tensor, " atom"],
        noise: tuple[float, float] = FOLLOWED,
    ) -> None:
        self.noise = noise
        self.alphas = [torch.from_numpy(np.asarray(rows)) for rows, _ in elements]
        self.sketch = torch.from_numpy(np.concatenate([places for _, places in elements])).float()
        self.residue = residue.to("cpu")
        self.size = torch.bincount(self.residue)

    def project(self, positions: Float[Tensor, "sample atom 3"], sigma: float) -> Float[Tensor, "sample atom 3"]:
        """Positions with the elements in their places: wholly while the noise is high, then less and less."""
        followed, left = self.noise
        share = min(1.0, (sigma - left) / (followed - left))
        if share <= 0:
            return positions
        device, residue = positions.device, self.residue.to(positions.device)
        rows = torch.cat(self.alphas).to(device)
        given = positions[:, rows]
        sketch = superposed(self.sketch.to(positions).expand(len(positions), -1, -1), given)
        goal = given + share * (sketch - given)
        shift = torch.zeros_like(positions)
        moved = torch.zeros(len(self.size), dtype=torch.bool, device=device)
        first = 0
        for alphas in self.alphas:
            own = alphas.to(device)
            last = first + len(own)
            place = superposition(positions[:, own], goal[:, first:last])
            atoms = torch.isin(residue, residue[own])
            shift[:, atoms] = place.apply(positions[:, atoms]) - positions[:, atoms]
            moved[residue[own]] = True
            first = last
        return positions + shift + self._along(positions, shift, moved, residue)

    def _along(self, positions: Tensor, shift: Tensor, moved: Tensor, residue: Tensor) -> Tensor:
        """How far the atoms of the other residues go along."""
        zeros = positions.new_zeros(len(positions), len(self.size), 3)
        size = self.size.to(positions)[:, None].clamp(min=1)
        centre = zeros.index_add(1, residue, positions) / size
        mean = zeros.index_add(1, residue, shift) / size
        along = carried_along(centre, mean, moved[None].expand(len(positions), -1))
        return (along * ~moved[None, :, None])[:, residue]

    def energy(self, positions: Float[Tensor, "sample atom 3"]) -> Float[Tensor, " sample"]:
        """Nothing is preferred: the elements are put in place."""
        return positions.new_zeros(positions.shape[0])

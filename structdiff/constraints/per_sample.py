"""Constraints of single samples, each of which sees only the atoms of its own structure."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from structdiff.diffusion.constraint_protocol import SamplingConstraint
from structdiff.typing import Float, Int


class PerSample:
    """Every sample's own constraints, in order.

    Args:
        parts: the constraints of each sample; they see positions [1, atom, 3] of its structure's placed atoms.
        rows: where those atoms stand among the batch's.
    """

    def __init__(self, parts: Sequence[Sequence[SamplingConstraint]], rows: Sequence[Int[Tensor, " atom"]]) -> None:
        self.parts, self.rows = tuple(map(tuple, parts)), tuple(rows)

    def project(self, positions: Float[Tensor, "sample atom 3"], sigma: float) -> Float[Tensor, "sample atom 3"]:
        """Each sample's positions projected by its constraints in turn."""
        done = positions.clone()
        for sample, (parts, rows) in enumerate(zip(self.parts, self.rows, strict=True)):
            own = positions[sample, rows][None]
            for part in parts:
                own = part.project(own, sigma)
            done[sample, rows] = own[0]
        return done

    def energy(self, positions: Float[Tensor, "sample atom 3"]) -> Float[Tensor, " sample"]:
        """The sum of the energies (kT) of each sample's constraints."""
        totals = []
        for sample, (parts, rows) in enumerate(zip(self.parts, self.rows, strict=True)):
            own = positions[sample, rows][None]
            totals.append(sum((part.energy(own) for part in parts), torch.zeros_like(own[:, 0, 0])))
        return torch.cat(totals)

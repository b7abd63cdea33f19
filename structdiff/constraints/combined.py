"""Several constraints as one: projections one after the other, energies added."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from structdiff.diffusion.constraint_protocol import SamplingConstraint
from structdiff.typing import Float


class Combined:
    """A set of constraints is a constraint."""

    def __init__(self, parts: Sequence[SamplingConstraint]) -> None:
        self.parts = tuple(parts)

    def project(self, positions: Float[Tensor, "sample atom 3"], sigma: float) -> Float[Tensor, "sample atom 3"]:
        """Every part's projection in turn; the last one holds exactly."""
        for part in self.parts:
            positions = part.project(positions, sigma)
        return positions

    def energy(self, positions: Float[Tensor, "sample atom 3"]) -> Float[Tensor, " sample"]:
        """The sum of all energies (kT)."""
        total = positions.new_zeros(positions.shape[0])
        for part in self.parts:
            total = total + part.energy(positions)
        return total

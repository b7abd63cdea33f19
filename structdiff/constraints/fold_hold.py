"""Folds that are known coarsely: held while noise is large, and left to the network when details are drawn."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from structdiff.geometry.superposition import superposition
from structdiff.typing import Float, Int

_UNTIL = 8.0  # Å of noise


class FoldHold:
    """Lays each fold, as one piece and never mirrored, where the prediction has put it, until 8 Å of noise are left.

    Distances alone, which the network is told of a fold, leave it the choice of the mirror image.

    Args:
        places: rows of the atoms of each fold.
        positions: where they are in it, in Å.
    """

    def __init__(self, places: Sequence[Int[Tensor, " atom"]], positions: Sequence[Float[Tensor, "atom 3"]]) -> None:
        self.places, self.positions = places, positions

    def project(self, positions: Float[Tensor, "sample atom 3"], sigma: float) -> Float[Tensor, "sample atom 3"]:
        """Positions with the folds laid on them, as long as noise is large."""
        if sigma <= _UNTIL:
            return positions
        laid = positions.clone()
        for rows, given in zip(self.places, self.positions, strict=True):
            now = positions[:, rows]
            known = given.to(now).expand_as(now)
            laid[:, rows] = superposition(known, now).apply(known)
        return laid

    def energy(self, positions: Float[Tensor, "sample atom 3"]) -> Float[Tensor, " sample"]:
        """Nothing is preferred of single atoms."""
        return positions.new_zeros(positions.shape[0])

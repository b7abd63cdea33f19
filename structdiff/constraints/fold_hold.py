"""Folds that are known more or less coarsely: held while noise is large, and left to the network for the details."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from structdiff.geometry.superposition import superposition
from structdiff.typing import Float, Int

#: Å of noise until which folds of alignments, and templates, are held (docs/log.md).
FOLD_UNTIL, TEMPLATE_UNTIL = 8.0, 1.0


class FoldHold:
    """Lays each fold, as one piece and never mirrored, where the prediction has put it, while noise is large.

    Distances alone, which the network is told of a fold, leave it the choice of the mirror image.

    Args:
        places: rows of the atoms of each fold.
        positions: where they are in it, in Å.
        until: Å of noise that are left when it is let go.
    """

    def __init__(
        self,
        places: Sequence[Int[Tensor, " atom"]],
        positions: Sequence[Float[Tensor, "atom 3"]],
        until: float = FOLD_UNTIL,
    ) -> None:
        self.places, self.positions, self.until = places, positions, until

    def project(self, positions: Float[Tensor, "sample atom 3"], sigma: float) -> Float[Tensor, "sample atom 3"]:
        """Positions with the folds laid on them, as long as noise is large."""
        if sigma <= self.until:
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

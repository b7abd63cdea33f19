"""Distances of a structure as classes that are looked up, for what judges structures."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from structdiff.model.boltz.inputs import BoltzInputs
from structdiff.typing import Float

_NEAREST = 2.0  # Å, where the bins begin


class DistanceBins(nn.Embedding):
    """The bins of the distances between the atoms that stand for tokens, each with an embedding."""

    def __init__(self, bins: int, c_z: int, *, furthest: float) -> None:
        super().__init__(bins, c_z)
        self.furthest = furthest

    def of(self, inputs: BoltzInputs, packed: Float[Tensor, "batch atom 3"]) -> Float[Tensor, "batch token token c_z"]:
        """The embedding of each pair of tokens where the packed atoms are (Å)."""
        points = packed.gather(1, inputs.representative[..., None].expand(-1, -1, 3))
        apart = torch.cdist(points, points, compute_mode="donot_use_mm_for_euclid_dist")
        edges = torch.linspace(_NEAREST, self.furthest, self.num_embeddings - 1, device=apart.device)
        return functional.embedding(torch.bucketize(apart, edges), self.weight)

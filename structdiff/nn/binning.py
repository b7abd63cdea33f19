"""Distances as soft or hard bins."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from structdiff.typing import Float


class DistanceBasis(nn.Module):
    """Describes a distance (Å) by bell curves that are narrow at bond lengths and wide far away.

    The centres are even in log(1 + d / scale), so that one basis serves from bonds to hundreds of Å of noise.
    """

    def __init__(self, num_centres: int, *, largest: float, scale: float = 2.0) -> None:
        super().__init__()
        self.scale, self.largest = scale, largest
        top = math.log1p(largest / scale)
        self.centres: Tensor
        self.register_buffer("centres", torch.linspace(0.0, top, num_centres), persistent=False)
        self.width = top / (num_centres - 1)

    def forward(self, distance: Float[Tensor, "*pair"]) -> Float[Tensor, "*pair centre"]:
        """How near each distance (Å) is to each centre, from 0 to 1."""
        place = torch.log1p(distance.clamp(max=self.largest) / self.scale)[..., None]
        return torch.exp(-0.5 * ((place - self.centres) / self.width).square())


def bin_index(values: Tensor, *, first: float, last: float, count: int) -> Tensor:
    """Number of the bin of each value among ``count``; the outer bins are open.

    The ``count - 1`` edges are even from first to last.

    >>> bin_index(torch.tensor([0.0, 2.5, 99.0]), first=2.0, last=4.0, count=4)
    tensor([0, 1, 3])
    """
    edges = torch.linspace(first, last, count - 1, device=values.device, dtype=values.dtype)
    return torch.bucketize(values, edges)

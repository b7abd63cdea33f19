"""Dropout that drops a whole line of the pair table at once."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class SharedDropout(nn.Module):
    """Drops features at random in training, the same ones all along one axis, and scales the rest up to keep the mean.

    ``shared_axis=1`` on a pair table (batch, i, j, c_z) is AlphaFold's row-wise dropout (the same mask in every row i),
    ``shared_axis=2`` its column-wise dropout. A rate of 0, or evaluation, passes the input through.
    """

    def __init__(self, rate: float, *, shared_axis: int) -> None:
        super().__init__()
        if not 0 <= rate < 1:
            raise ValueError(f"dropout rate must be at least 0 and below 1, found {rate}")
        self.rate, self.shared_axis = rate, shared_axis

    def forward(self, x: Tensor) -> Tensor:
        """The features, with some dropped in training."""
        if not self.training or self.rate == 0:
            return x
        shape = list(x.shape)
        shape[self.shared_axis] = 1
        kept = torch.rand(shape, device=x.device) >= self.rate
        return x * (kept.to(x.dtype) / (1 - self.rate))

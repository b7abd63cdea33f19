"""A linear layer whose rows do not know of each other."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from structdiff.typing import Float


class RowwiseLinear(nn.Linear):
    """A linear layer for the one row that each sample has: what a row gives is the same, bit by bit, beside any others.

    A plain matrix product sums in another order when there are only one to seven rows, and everything that follows
    would depend, by rounding, on how many samples are drawn together. Products of many rows do not. In training, where
    nothing of this matters, it is a plain layer: row by row, the gradient of the weights is a table for every row.
    """

    def forward(self, x: Float[Tensor, "*rows c_in"]) -> Float[Tensor, "*rows c_out"]:
        """The same numbers as nn.Linear, to rounding."""
        if self.training and torch.is_grad_enabled():
            return super().forward(x)
        rows = x.reshape(-1, 1, x.shape[-1])
        weight = self.weight.t().expand(len(rows), *self.weight.shape[::-1])
        found = torch.bmm(rows, weight) if self.bias is None else torch.baddbmm(self.bias, rows, weight)
        return found.reshape(*x.shape[:-1], self.weight.shape[0])

"""What is done row by row: a linear layer whose rows do not know of each other, and long tables in pieces."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from structdiff.typing import Float

#: Rows of a table that are worked on together where memory counts; a pair table of 256 tokens has two such pieces.
PIECE = 32768


def in_pieces(function: Callable[[Tensor], Tensor], x: Float[Tensor, "*rows channels"]) -> Float[Tensor, "*rows c_out"]:
    """A function of single rows applied to a long table piece by piece, so that what lies between is small.

    Where gradients are wanted, and for tables of one piece, it is simply applied.
    """
    rows = x.reshape(-1, x.shape[-1])
    if len(rows) <= PIECE or torch.is_grad_enabled():
        return function(x)
    first = function(rows[:PIECE])
    found = first.new_empty(len(rows), first.shape[-1])
    found[:PIECE] = first
    for start in range(PIECE, len(rows), PIECE):
        found[start : start + PIECE] = function(rows[start : start + PIECE])
    return found.view(*x.shape[:-1], first.shape[-1])


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

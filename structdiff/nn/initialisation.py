"""How the weights of a linear layer start: AlphaFold's conventions (AlphaFold 2 supplement 1.11.4)."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor, nn

Start = Literal["lecun", "glorot", "normal", "zero"]

# Standard deviation of a standard normal distribution cut at two standard deviations.
_TRUNCATED_STD = 0.87962566103423978


def linear(c_in: int, c_out: int, *, bias: bool = False, start: Start = "lecun") -> nn.Linear:
    """A linear layer whose weights start as asked and whose bias starts at zero.

    ``lecun``: truncated normal of variance 1 / c_in, the default; ``glorot``: uniform, for queries, keys and values;
    ``normal``: normal of variance 1 / c_in, for pair biases; ``zero``: for projections that end a residual branch, so
    that a fresh block passes its input through, and for gates, which then start half open.
    """
    layer = nn.Linear(c_in, c_out, bias=bias)
    start_weight_(layer.weight, start)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer


@torch.no_grad()
def start_weight_(weight: Tensor, start: Start) -> None:
    """Fills the weight (c_out, c_in) of a linear layer in place; see :func:`linear`."""
    if start == "lecun":
        std = 1 / math.sqrt(weight.shape[1]) / _TRUNCATED_STD
        nn.init.trunc_normal_(weight, std=std, a=-2 * std, b=2 * std)
    elif start == "glorot":
        nn.init.xavier_uniform_(weight)
    elif start == "normal":
        nn.init.normal_(weight, std=1 / math.sqrt(weight.shape[1]))
    else:
        nn.init.zeros_(weight)

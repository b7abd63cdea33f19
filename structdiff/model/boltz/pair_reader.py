"""A stack of its own that reads what is told of pairs of tokens, and adds it to the pair table."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from structdiff.model.boltz.config import BoltzConfig, PairReaderConfig
from structdiff.model.pairformer import PairStack
from structdiff.nn.initialisation import linear
from structdiff.typing import Bool, Float


class PairReader(nn.Module):
    """What templates and known distances are read by (after AlphaFold 3, Algorithm 16).

    Args:
        config: of the network.
        sizes: of this stack.
        channels: of a pair in this stack.
        told: of what is told of a pair.
    """

    def __init__(self, config: BoltzConfig, sizes: PairReaderConfig, channels: int, told: int) -> None:
        super().__init__()
        self.norm_in = nn.LayerNorm(config.c_z)
        self.project_in = linear(config.c_z, channels)
        self.features = linear(told, channels)
        stack = config.pair_stack(channels, heads=sizes.heads, head_dim=sizes.head_dim)
        self.stack = PairStack(stack, blocks=sizes.blocks)
        self.norm_out = nn.LayerNorm(channels)
        self.project_out = linear(channels, config.c_z)
        self._bins, self._ends = sizes.bins, (sizes.first, sizes.last)

    def entered(self, z: Float[Tensor, "batch token token c_z"]) -> Float[Tensor, "batch token token channel"]:
        """The pair table in the channels of the stack."""
        return self.project_in(self.norm_in(z))

    def read(
        self, v: Float[Tensor, "batch token token channel"], pair_mask: Bool[Tensor, "batch token token"]
    ) -> Float[Tensor, "batch token token channel"]:
        """What the stack makes of what entered it and what was told."""
        return self.norm_out(v + self.stack(v, pair_mask))

    def update(self, v: Float[Tensor, "batch token token channel"]) -> Float[Tensor, "batch token token c_z"]:
        """The update of the pair table (without the residual) of what was read."""
        return self.project_out(functional.relu(v))

    def binned(
        self, apart: Float[Tensor, "*pair"], bins: Float[Tensor, "bin channel"]
    ) -> Float[Tensor, "*pair channel"]:
        """Of each distance (Å) what its bin says."""
        edges = torch.linspace(*self._ends, self._bins - 1, device=apart.device)
        return functional.embedding(torch.bucketize(apart, edges), bins)

"""What the neighbours in sequence say of each token: convolutions along the chains, before any pair is looked at."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from structdiff.errors import InputError
from structdiff.features.schema import TokenFeatures
from structdiff.model.relative_position import chain_neighbours
from structdiff.nn.initialisation import linear
from structdiff.typing import Bool, Float, Int


@dataclass(frozen=True, kw_only=True)
class SequenceConfig:
    """Sizes of the sequence encoder.

    channels: of each token. layers: convolutions, one after the other. window: residues that one of them sees, odd.
    dropout: share of the channels that each of them must do without, in training.
    """

    channels: int = 128
    layers: int = 3
    window: int = 9
    dropout: float = 0.2

    def __post_init__(self) -> None:
        if self.window % 2 == 0:
            raise InputError("a window has a middle", key="sequence.window", found=self.window, allowed="odd numbers")


class SequenceConvolution(nn.Module):
    """Mixes each residue with its neighbours in the chain; where a chain ends or has a gap there is nothing (zeros)."""

    def __init__(self, channels: int, *, window: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels)
        self.dropout = nn.Dropout(dropout)
        self.mix = linear(window * channels, channels, bias=True)

    def forward(
        self,
        x: Float[Tensor, "batch token channels"],
        neighbour: Int[Tensor, "batch token window"],
        exists: Bool[Tensor, "batch token window"],
    ) -> Float[Tensor, "batch token channels"]:
        """The update of each token (without the residual)."""
        batch = torch.arange(len(x), device=x.device)[:, None, None]
        seen = self.dropout(self.norm(x))[batch, neighbour] * exists[..., None]
        return functional.silu(self.mix(seen.flatten(2)))


class SequenceEncoder(nn.Module):
    """Residual convolutions over what each token is and is told, along each chain by itself; a ring has no ends.

    Windows of a sequence show what its stretches prefer to be, after minutes of training (Qian & Sejnowski 1988; Jones
    1999). So they are read before anything else is, and by themselves if need be.
    """

    def __init__(self, config: SequenceConfig, *, c_in: int, c_s_inputs: int) -> None:
        super().__init__()
        self.offsets = range(-(config.window // 2), config.window // 2 + 1)
        self.enter = linear(c_in, config.channels, bias=True)
        self.convolutions = nn.ModuleList(
            SequenceConvolution(config.channels, window=config.window, dropout=config.dropout)
            for _ in range(config.layers)
        )
        self.norm = nn.LayerNorm(config.channels)
        self.leave = linear(config.channels, c_s_inputs, start="zero")

    def forward(
        self, token: TokenFeatures, channels: Float[Tensor, "batch token c_in"]
    ) -> Float[Tensor, "batch token channels"]:
        """What the surroundings of each token in its chain say; ``leave`` makes an update of s_inputs of it."""
        neighbour, exists = chain_neighbours(token, self.offsets)
        x = self.enter(channels)
        for convolution in self.convolutions:
            x = x + convolution(x, neighbour, exists)
        return self.norm(x)

"""Embeddings of plain numbers."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from structdiff.nn.initialisation import start_weight_
from structdiff.nn.rowwise import RowwiseLinear
from structdiff.typing import Float


class FourierEmbedding(nn.Module):
    """Turns a number into cosines of many random frequencies, so that small differences show.

    The frequencies and phases are drawn once from a standard normal distribution, are saved with the weights and are
    never trained. AlphaFold 3, Algorithm 22.
    """

    weight: Tensor
    bias: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("weight", torch.randn(channels))
        self.register_buffer("bias", torch.randn(channels))

    def forward(self, x: Float[Tensor, "*rows"]) -> Float[Tensor, "*rows channels"]:
        """One row of cosines for each number."""
        return torch.cos(2 * math.pi * (x[..., None] * self.weight + self.bias))


class NoiseEmbedding(nn.Module):
    """Tells the denoiser how noisy the positions are.

    Takes the preconditioned noise level (for AlphaFold 3: a quarter of the logarithm of sigma / sigma_data, no unit).
    AlphaFold 3, Algorithm 21, lines 8 and 9.
    """

    def __init__(self, channels: int, *, c_fourier: int = 256) -> None:
        super().__init__()
        self.fourier = FourierEmbedding(c_fourier)
        self.norm = nn.LayerNorm(c_fourier)
        self.project = RowwiseLinear(c_fourier, channels, bias=False)
        start_weight_(self.project.weight, "lecun")

    def forward(self, noise: Float[Tensor, "*rows"]) -> Float[Tensor, "*rows channels"]:
        """One row of features for each noise level."""
        return self.project(self.norm(self.fourier(noise)))

"""Asking a denoiser that is not equivariant in a frame drawn at random, where the sampler's own frame has to stay."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from structdiff.diffusion.guidance import Denoiser
from structdiff.geometry.distances import centroid
from structdiff.geometry.rotations import random_rotation, rotate
from structdiff.geometry.superposition import superposition
from structdiff.typing import Bool, Float


class TurnedDenoiser:
    """A denoiser whose predictions lie as what it was asked about does, however it turns what it sees.

    Symmetric assemblies have axes that stay where they are, so that the sampler cannot turn everything at random before
    each step, as such networks expect. Here each sample is turned and shifted for the one evaluation, and the
    prediction is laid on what it was made from.

    Args:
        denoise: the denoiser; what it said last is not shown to it again, since that is of another frame.
        mask: atoms that exist.
        generators: the source of randomness of each sample.
    """

    def __init__(
        self, denoise: Denoiser, mask: Bool[Tensor, "sample atom"], generators: Sequence[torch.Generator]
    ) -> None:
        self.denoise, self.mask, self.generators = denoise, mask, generators

    def __call__(
        self, positions: Float[Tensor, "sample atom 3"], sigma: Tensor, previous: Tensor | None, /
    ) -> Float[Tensor, "sample atom 3"]:
        """Denoised positions (Å)."""
        exists = self.mask[..., None]
        turn = torch.stack([random_rotation(generator=each) for each in self.generators]).to(positions)
        shift = torch.stack([torch.randn(3, generator=each) for each in self.generators]).to(positions)[:, None]
        turned = rotate(turn, positions - centroid(positions, self.mask)[:, None]) + shift
        found = self.denoise(torch.where(exists, turned, 0.0), sigma, None)
        return torch.where(exists, superposition(found, positions, mask=self.mask).apply(found), 0.0)

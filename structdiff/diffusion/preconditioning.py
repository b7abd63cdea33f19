"""How a network's input and output are scaled so that it learns equally well at every noise level."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from structdiff.errors import InputError
from structdiff.typing import Float

SIGMA_DATA = 16.0
"""Spread (Å) of the atoms of a centred complex, per axis, as AlphaFold 3 fixes it."""


@dataclass(frozen=True, kw_only=True)
class Preconditioning:
    """Scalings that turn a network F with inputs and outputs of size 1 into a denoiser D of positions in Å.

    D(x, sigma) = c_skip(sigma) x + c_out(sigma) F(c_in(sigma) x, c_noise(sigma)). At low noise D trusts its input and
    F corrects it; at high noise F says everything.

    Karras et al. 2022, Table 1; c_noise and the training noise as in AlphaFold 3, Algorithm 20 and section 3.7.1.
    All functions take sigma (Å) of any shape and return that shape.
    """

    sigma_data: float = SIGMA_DATA
    log_mean: float = -1.2
    log_std: float = 1.5

    def __post_init__(self) -> None:
        if not self.sigma_data > 0:
            raise InputError("must be a length in Å", key="sigma_data", found=self.sigma_data, allowed="> 0")
        if not self.log_std > 0:
            raise InputError("must be a standard deviation", key="log_std", found=self.log_std, allowed="> 0")

    def c_skip(self, sigma: Float[Tensor, "*batch"]) -> Float[Tensor, "*batch"]:
        """Share of the noisy positions that is kept in the prediction."""
        return self.sigma_data**2 / (sigma.square() + self.sigma_data**2)

    def c_out(self, sigma: Float[Tensor, "*batch"]) -> Float[Tensor, "*batch"]:
        """Length (Å) of the correction that the network's output stands for."""
        return sigma * self.sigma_data / self._total(sigma)

    def c_in(self, sigma: Float[Tensor, "*batch"]) -> Float[Tensor, "*batch"]:
        """Factor (1/Å) that brings noisy positions to variance 1."""
        return 1 / self._total(sigma)

    def c_noise(self, sigma: Float[Tensor, "*batch"]) -> Float[Tensor, "*batch"]:
        """The noise level as the network is told it: ln(sigma / sigma_data) / 4."""
        return (sigma / self.sigma_data).log() / 4

    def network_input(
        self, positions: Float[Tensor, "*batch atom 3"], sigma: Float[Tensor, "*batch"]
    ) -> Float[Tensor, "*batch atom 3"]:
        """Noisy positions (Å) scaled to variance 1."""
        return self.c_in(sigma)[..., None, None] * positions

    def denoised(
        self,
        positions: Float[Tensor, "*batch atom 3"],
        output: Float[Tensor, "*batch atom 3"],
        sigma: Float[Tensor, "*batch"],
    ) -> Float[Tensor, "*batch atom 3"]:
        """The denoised positions (Å) that a network's output stands for, beside the noisy ones it was given."""
        return self.c_skip(sigma)[..., None, None] * positions + self.c_out(sigma)[..., None, None] * output

    def loss_weight(self, sigma: Float[Tensor, "*batch"]) -> Float[Tensor, "*batch"]:
        """Weight (1/Å²) of the squared error in positions; with it the loss on F has weight 1 at every noise level."""
        return (sigma.square() + self.sigma_data**2) / (sigma * self.sigma_data).square()

    def draw_sigma(
        self, *shape: int, generator: torch.Generator | None = None, device: torch.device | str = "cpu"
    ) -> Float[Tensor, "*batch"]:
        """Noise levels (Å) for training: sigma_data exp(-1.2 + 1.5 n) with n normal. Drawn where the generator is."""
        normal = torch.randn(*shape, generator=generator, device="cpu" if generator is None else generator.device)
        return (self.sigma_data * (self.log_mean + self.log_std * normal).exp()).to(device)

    def _total(self, sigma: Tensor) -> Tensor:
        return (sigma.square() + self.sigma_data**2).sqrt()

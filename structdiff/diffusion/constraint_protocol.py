"""What the sampler needs of a constraint, and how it follows one."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from structdiff.geometry.distances import norm
from structdiff.typing import Float


@runtime_checkable
class SamplingConstraint(Protocol):
    """Something that holds of the finished structure, whether enforced, preferred or both.

    Both methods see denoised predictions [sample, atom, 3] in Å, padding included (as 0), in an arbitrary position
    and orientation: by default the sampler keeps the noisy positions centred. A constraint that thinks in absolute
    positions must lay its reference on the prediction first, or be used with ``SamplingConfig(centre=False)``.
    """

    def project(self, positions: Float[Tensor, "sample atom 3"], sigma: float) -> Float[Tensor, "sample atom 3"]:
        """The nearest positions that meet the constraint; ``sigma`` (Å) says how noisy the prediction's input was."""
        ...

    def energy(self, positions: Float[Tensor, "sample atom 3"]) -> Float[Tensor, " sample"]:
        """Cost of each sample in units of kT, differentiable; the odds of a structure fall by exp(-energy)."""
        ...


def followed_energy(
    constraint: SamplingConstraint,
    denoised: Float[Tensor, "sample atom 3"],
    sigma: float,
    *,
    weight: float,
    spread: float,
    max_step: float,
) -> Float[Tensor, "sample atom 3"]:
    """The denoised prediction moved downhill in the constraint's energy.

    The step is -weight · v · gradient, with v = sigma² spread² / (sigma² + spread²) (Å²) the variance of the truth
    around a prediction from noise ``sigma``, if truth varies by ``spread`` (Å) per coordinate. For Gaussian data with
    that spread and a linear energy it is exact: samples follow the distribution times exp(-weight · energy). No atom
    moves by more than ``max_step`` (Å). Follows Song et al. 2023 (pseudoinverse-guided diffusion), section 3.
    """
    # A sampler may run under inference_mode, whose tensors refuse gradients: leave it, and work on a copy.
    with torch.inference_mode(False), torch.enable_grad():
        positions = denoised.detach().clone().requires_grad_(True)
        energy = constraint.energy(positions)
        if not energy.requires_grad:
            return denoised
        (gradient,) = torch.autograd.grad(energy.sum(), positions)
    variance = sigma**2 * spread**2 / (sigma**2 + spread**2)
    move = -weight * variance * gradient
    shrink = (max_step / norm(move).clamp(min=1e-12)).clamp(max=1.0)
    return denoised + shrink.unsqueeze(-1) * move

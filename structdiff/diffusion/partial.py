"""Partial diffusion: the end of a schedule alone, from a noise level at which a given structure is still to be seen."""

from __future__ import annotations

from dataclasses import replace

from structdiff.diffusion.sampler import SamplingConfig
from structdiff.errors import InputError


def partial_sampling(
    config: SamplingConfig, *, sigma: float | None = None, share: float | None = None
) -> SamplingConfig:
    """The settings that begin at noise level ``sigma`` (Å), or with the last ``share`` of the steps.

    As many steps are left as the whole schedule has from that level on, spread evenly. Solvers that raise the noise
    before a step begin so much lower that no structure is ever noisier than asked. Raises InputError for a level that
    is not above the schedule's last or not below its first.
    """
    levels = config.levels()
    if sigma is None:
        left = max(1, round((share or 0.0) * config.steps))
        sigma = levels[config.steps - left]
    if not config.sigma_min < sigma <= config.sigma_max:
        raise InputError("no level of the schedule", key="noise", found=sigma,
                         allowed=f"above {config.sigma_min:g} and up to {config.sigma_max:g} Å")  # fmt: skip
    steps = max(2, sum(0 < level <= sigma * (1 + 1e-9) for level in levels))
    first = _before_churn(config, sigma)
    return replace(config, sigma_max=max(first, 2 * config.sigma_min), steps=steps, dilation=1.0)


def _before_churn(config: SamplingConfig, sigma: float) -> float:
    solver = config.build_solver()
    churn, least = getattr(solver, "churn", 0.0), getattr(solver, "churn_min_sigma", 0.0)
    return sigma / (1 + churn) if sigma / (1 + churn) > least else sigma

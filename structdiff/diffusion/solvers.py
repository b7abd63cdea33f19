"""Ways of taking one step from a noise level to the next lower one.

A solver is a frozen dataclass whose fields are its knobs and whose ``step`` is a pure function. To add one, write the
class and name it in ``SOLVERS``. Notation: x positions, D denoised prediction, sigma noise level (Å).
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar, Protocol, runtime_checkable

from torch import Tensor

from structdiff.errors import InputError

#: Share of the way to the prediction that a step may go beyond it; twenty recommended ones go 0.06.
_BEYOND = 0.1


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A denoised prediction (Å, [sample, atom, 3]) and the noise level (Å) at which it was made."""

    denoised: Tensor
    sigma: float


@dataclass(frozen=True, kw_only=True)
class Step:
    """Everything a solver may use for one step.

    ``evaluate(positions, sigma)`` asks the denoiser; ``draw_noise()`` gives a fresh standard normal tensor in the shape
    of ``positions``; ``last`` is the estimate of the step before (None in the first step).
    """

    positions: Tensor
    sigma: float
    sigma_next: float
    evaluate: Callable[[Tensor, float], Tensor]
    draw_noise: Callable[[], Tensor]
    last: Estimate | None = None


@dataclass(frozen=True, kw_only=True)
class StepResult:
    """Where a step ended, and the estimate it was based on (the first one, where it made two)."""

    positions: Tensor
    estimate: Estimate


@runtime_checkable
class Solver(Protocol):
    """One step of a sampler. ``order``: how the error shrinks with the step's length."""

    order: ClassVar[int]

    def step(self, step: Step) -> StepResult:
        """Carries positions from ``step.sigma`` to ``step.sigma_next``."""
        ...


@dataclass(frozen=True, kw_only=True)
class Euler:
    """Straight towards the denoised prediction: the simplest solver, one evaluation a step, first order.

    ``step_scale`` lengthens every step but the last, up to a tenth beyond the prediction; above 1 it sharpens the
    distribution.
    """

    order: ClassVar[int] = 1
    step_scale: float = 1.0

    def step(self, step: Step) -> StepResult:
        """Carries positions one level down."""
        denoised = step.evaluate(step.positions, step.sigma)
        moved = _towards(step.positions, denoised, step.sigma, step.sigma_next, self.step_scale)
        return StepResult(positions=moved, estimate=Estimate(denoised=denoised, sigma=step.sigma))


@dataclass(frozen=True, kw_only=True)
class Heun:
    """Euler, then corrected by the slope found where it landed: two evaluations a step, second order.

    ``churn`` raises the noise before the step by that share and so corrects old errors; 0 is deterministic.
    Karras et al. 2022, Algorithms 1 and 2.
    """

    order: ClassVar[int] = 2
    churn: float = 0.0
    churn_min_sigma: float = 1.0
    noise_scale: float = 1.0

    def step(self, step: Step) -> StepResult:
        """Carries positions one level down."""
        positions, sigma = _churned(step, self.churn, self.churn_min_sigma, self.noise_scale)
        denoised = step.evaluate(positions, sigma)
        estimate = Estimate(denoised=denoised, sigma=sigma)
        predicted = _towards(positions, denoised, sigma, step.sigma_next)
        if step.sigma_next == 0:
            return StepResult(positions=predicted, estimate=estimate)
        slope = (positions - denoised) / sigma
        slope_there = (predicted - step.evaluate(predicted, step.sigma_next)) / step.sigma_next
        moved = positions + (step.sigma_next - sigma) * 0.5 * (slope + slope_there)
        return StepResult(positions=moved, estimate=estimate)


@dataclass(frozen=True, kw_only=True)
class DPMSolver2M:
    """Second order for one evaluation a step: the prediction is extrapolated from this step's and the last one's.

    DPM-Solver++(2M), Lu et al. 2022, Algorithm 2, for noise that is added without shrinking the data (alpha = 1).
    """

    order: ClassVar[int] = 2

    def step(self, step: Step) -> StepResult:
        """Carries positions one level down."""
        denoised = step.evaluate(step.positions, step.sigma)
        target = denoised
        if step.last is not None and step.sigma_next > 0:
            length = math.log(step.sigma / step.sigma_next)
            length_before = math.log(step.last.sigma / step.sigma)
            target = denoised + length / (2 * length_before) * (denoised - step.last.denoised)
        moved = _towards(step.positions, target, step.sigma, step.sigma_next)
        return StepResult(positions=moved, estimate=Estimate(denoised=denoised, sigma=step.sigma))


@dataclass(frozen=True, kw_only=True)
class Ancestral:
    """Draws each level from its exact distribution given the prediction and the level before: DDPM's sampler.

    ``noise_scale`` below 1 gives colder, more typical structures, above 1 more diverse ones.
    Ho et al. 2020, equation 7, with alpha = 1.
    """

    order: ClassVar[int] = 1
    noise_scale: float = 1.0

    def step(self, step: Step) -> StepResult:
        """Carries positions one level down."""
        denoised = step.evaluate(step.positions, step.sigma)
        kept = (step.sigma_next / step.sigma) ** 2
        moved = denoised + kept * (step.positions - denoised)
        spread = self.noise_scale * step.sigma_next * math.sqrt(1 - kept)
        if spread > 0:
            moved = moved + spread * step.draw_noise()
        return StepResult(positions=moved, estimate=Estimate(denoised=denoised, sigma=step.sigma))


@dataclass(frozen=True, kw_only=True)
class Stochastic:
    """AlphaFold 3's sampler: noise is raised by ``churn`` before each step, and steps are longer than Euler's.

    AlphaFold 3, Algorithm 18: ``churn`` is gamma_0, ``churn_min_sigma`` (Å) is gamma_min (no noise is added in steps
    that end below it), ``noise_scale`` is lambda, ``step_scale`` is eta. The last step lands on the prediction itself,
    where a longer step could only overshoot it.
    """

    order: ClassVar[int] = 1
    churn: float = 0.8
    churn_min_sigma: float = 1.0
    noise_scale: float = 1.003
    step_scale: float = 1.5

    def step(self, step: Step) -> StepResult:
        """Carries positions one level down."""
        positions, sigma = _churned(step, self.churn, self.churn_min_sigma, self.noise_scale)
        denoised = step.evaluate(positions, sigma)
        moved = _towards(positions, denoised, sigma, step.sigma_next, self.step_scale)
        return StepResult(positions=moved, estimate=Estimate(denoised=denoised, sigma=sigma))


SOLVERS: dict[str, type[Solver]] = {
    "stochastic": Stochastic,
    "euler": Euler,
    "heun": Heun,
    "dpm-solver-2m": DPMSolver2M,
    "ancestral": Ancestral,
}

_ALLOWED: dict[str, tuple[str, Callable[[float], bool]]] = {
    "churn": ("0 to 10", lambda value: 0 <= value <= 10),
    "churn_min_sigma": ("0 Å or more", lambda value: 0 <= value < math.inf),
    "noise_scale": ("0 to 2", lambda value: 0 <= value <= 2),
    "step_scale": ("above 0, at most 3", lambda value: 0 < value <= 3),
}


def build_solver(name: str, knobs: Mapping[str, float | None]) -> Solver:
    """The solver of that name, with its own defaults for the knobs that are None.

    Raises:
        InputError: an unknown solver, a knob that this solver does not have, or a value that makes no sense.
    """
    if name not in SOLVERS:
        raise InputError("unknown solver", key="solver", found=name, allowed=SOLVERS, suggest_from=SOLVERS)
    has = [field.name for field in dataclasses.fields(SOLVERS[name])]  # pyright: ignore[reportArgumentType]
    given = {key: value for key, value in knobs.items() if value is not None}
    for key, value in given.items():
        if key not in has:
            others = [other for other, solver in SOLVERS.items() if hasattr(solver, key)]
            raise InputError(
                f"solver {name!r} has no such knob", key=key, found=value, allowed=f"with solver {', '.join(others)}"
            )
        allowed, is_sensible = _ALLOWED[key]
        if isinstance(value, bool) or not isinstance(value, int | float) or not is_sensible(value):
            raise InputError("out of range", key=key, found=value, allowed=allowed)
    return SOLVERS[name](**given)


def _towards(positions: Tensor, denoised: Tensor, sigma: float, sigma_next: float, scale: float = 1.0) -> Tensor:
    """Euler's step, written so that a step to 0 gives the prediction to the last bit.

    A long one (scale) goes beyond the prediction by a tenth of the way at most: where few steps are taken each leads to
    a much lower level, and half of the way beyond is noise that no later step takes back.
    """
    if sigma_next == 0:
        return denoised
    left = max(1 + scale * (sigma_next / sigma - 1), -_BEYOND)
    return denoised + left * (positions - denoised)


def _churned(step: Step, churn: float, min_sigma: float, noise_scale: float) -> tuple[Tensor, float]:
    """Positions with fresh noise added, and the level they are then at."""
    if churn == 0 or step.sigma_next <= min_sigma:
        return step.positions, step.sigma
    raised = step.sigma * (1 + churn)
    spread = noise_scale * math.sqrt(raised**2 - step.sigma**2)
    return step.positions + spread * step.draw_noise(), raised

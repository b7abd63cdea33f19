"""Minimisation by limited-memory BFGS, one structure at a time."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from structdiff.typing import Float

#: Energy (kT) and its gradient at positions.
EnergyAndGradient = Callable[[Float[Tensor, "atom 3"]], tuple[float, Float[Tensor, "atom 3"]]]

_MEMORY = 12
_LARGEST_MOVE = 0.3  # Å of any atom in one step
_SUFFICIENT = 1e-4  # Armijo's share of the decrease that the slope promises
_SHRINKAGES = 12


@dataclass(frozen=True, kw_only=True)
class Minimum:
    """Where a minimisation ended: positions (Å), energy (kT), and how many energies it took."""

    positions: Float[Tensor, "atom 3"]
    energy: float
    evaluations: int


def minimise(
    function: EnergyAndGradient, start: Float[Tensor, "atom 3"], *, evaluations: int, tolerance: float
) -> Minimum:
    """Walks downhill until the root mean square force is below ``tolerance`` (kT/Å) or evaluations are used up.

    Two-loop L-BFGS with backtracking (Nocedal & Wright 2006, Algorithms 7.4 and 3.1); no atom moves by more than
    0.3 Å in a step.
    """
    positions = start.clone()
    energy, gradient = function(positions)
    used, steps = 1, deque[tuple[Tensor, Tensor, float]](maxlen=_MEMORY)
    while used < evaluations and _root_mean_square(gradient) > tolerance:
        move = -_quasi_newton(gradient, steps)
        slope = float((move * gradient).sum())
        if slope >= 0:
            steps.clear()
            move = -gradient
            slope = -float(gradient.square().sum())
        if not steps:
            move, slope = (part * (0.05 / float(move.norm(dim=-1).max().clamp(min=1e-12))) for part in (move, slope))
        largest = float(move.norm(dim=-1).max())
        scale = min(1.0, _LARGEST_MOVE / largest)
        for _ in range(_SHRINKAGES):
            trial = positions + scale * move
            trial_energy, trial_gradient = function(trial)
            used += 1
            if trial_energy <= energy + _SUFFICIENT * scale * slope:
                break
            scale *= 0.5 if scale > 1e-3 else 0.1
        else:
            if not steps:
                break  # no way down even along the gradient: the minimum, to within rounding
            steps.clear()
            continue
        change, turn = trial - positions, trial_gradient - gradient
        curvature = float((change * turn).sum())
        if curvature > 1e-10 * float(turn.square().sum()):
            steps.append((change, turn, curvature))
        positions, energy, gradient = trial, trial_energy, trial_gradient
    return Minimum(positions=positions, energy=energy, evaluations=used)


def _quasi_newton(gradient: Tensor, steps: deque[tuple[Tensor, Tensor, float]]) -> Tensor:
    """The inverse Hessian of the steps seen so far, applied to the gradient."""
    if not steps:
        return gradient
    direction, shares = gradient, []
    for change, turn, curvature in reversed(steps):
        share = (change * direction).sum() / curvature
        shares.append(share)
        direction = direction - share * turn
    _, turn, curvature = steps[-1]
    direction = direction * (curvature / turn.square().sum())
    for (change, turn, curvature), share in zip(steps, reversed(shares), strict=True):
        direction = direction + (share - (turn * direction).sum() / curvature) * change
    return direction


def _root_mean_square(gradient: Tensor) -> float:
    return float(gradient.square().sum(-1).mean().sqrt())

"""Minimisation by limited-memory BFGS, one structure at a time."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

#: Energy (kT) and its gradient (kT/Å) at positions (atom, 3).
EnergyAndGradient = Callable[[np.ndarray], tuple[float, np.ndarray]]
#: At positions (atom, 3), a map from gradients to steps that undo them: an approximate inverse Hessian.
Preconditioner = Callable[[np.ndarray], Callable[[np.ndarray], np.ndarray]]

_MEMORY = 20
_REFRESH = 10  # steps after which the preconditioner is made anew
_FIRST_MOVE = 0.05  # Å of the atom that is pulled most, while nothing is known of the curvature
_LARGEST_MOVE = 0.3  # Å of any atom in one step
_SUFFICIENT = 1e-4  # Armijo's share of the decrease that the slope promises
_SHRINKAGES = 12


@dataclass(frozen=True, kw_only=True)
class Minimum:
    """Where a minimisation ended: positions (Å), energy (kT), and how many energies it took."""

    positions: np.ndarray
    energy: float
    evaluations: int


def minimise(
    function: EnergyAndGradient,
    start: np.ndarray,
    *,
    evaluations: int,
    tolerance: float,
    precondition: Preconditioner | None = None,
) -> Minimum:
    """Walks downhill until the root mean square force is below ``tolerance`` (kT/Å) or evaluations are used up.

    Two-loop L-BFGS with backtracking (Nocedal & Wright 2006, Algorithms 7.4 and 3.1); no atom moves by more than
    0.3 Å in a step. Raises nothing: it ends where no step leads down.
    """
    positions = start
    energy, gradient = function(positions)
    used, steps = 1, deque[tuple[np.ndarray, np.ndarray, float]](maxlen=_MEMORY)
    first_guess, age = None, 0
    while used < evaluations and _root_mean_square(gradient) > tolerance:
        if precondition is not None and age % _REFRESH == 0:
            first_guess = precondition(positions)
        age += 1
        move, slope = _downhill(gradient, steps, first_guess)
        informed = steps or first_guess is not None
        scale = min(1.0, (_LARGEST_MOVE if informed else _FIRST_MOVE) / _largest(move))
        found = None
        for _ in range(_SHRINKAGES):
            trial = positions + scale * move
            trial_energy, trial_gradient = function(trial)
            used += 1
            if trial_energy <= energy + _SUFFICIENT * scale * slope:
                found = trial
                break
            scale *= 0.4
        if found is None:
            if not steps:
                break  # no way down even along the gradient: the minimum, to within rounding
            steps.clear()
            continue
        change, turn = found - positions, trial_gradient - gradient
        curvature = float(np.vdot(change, turn))
        if curvature > 1e-10 * float(np.vdot(turn, turn)):
            steps.append((change, turn, curvature))
        positions, energy, gradient = found, trial_energy, trial_gradient
    return Minimum(positions=positions, energy=energy, evaluations=used)


def _downhill(
    gradient: np.ndarray,
    steps: deque[tuple[np.ndarray, np.ndarray, float]],
    first_guess: Callable[[np.ndarray], np.ndarray] | None,
) -> tuple[np.ndarray, float]:
    """The quasi-Newton step and the slope along it; the memory is dropped where it would lead uphill."""
    move = -_quasi_newton(gradient, steps, first_guess)
    slope = float(np.vdot(move, gradient))
    if slope < 0:
        return move, slope
    steps.clear()
    return -gradient, -float(np.vdot(gradient, gradient))


def _quasi_newton(
    gradient: np.ndarray,
    steps: deque[tuple[np.ndarray, np.ndarray, float]],
    first_guess: Callable[[np.ndarray], np.ndarray] | None,
) -> np.ndarray:
    """The inverse Hessian of the first guess and the steps seen so far, applied to the gradient."""
    if not steps:
        return gradient if first_guess is None else first_guess(gradient)
    direction, shares = gradient.copy(), []
    for change, turn, curvature in reversed(steps):
        share = float(np.vdot(change, direction)) / curvature
        shares.append(share)
        direction -= share * turn
    if first_guess is None:
        _, turn, curvature = steps[-1]
        direction *= curvature / float(np.vdot(turn, turn))
    else:
        direction = first_guess(direction)
    for (change, turn, curvature), share in zip(steps, reversed(shares), strict=True):
        direction += (share - float(np.vdot(turn, direction)) / curvature) * change
    return direction


def _largest(move: np.ndarray) -> float:
    return max(float(np.sqrt(np.einsum("ij,ij->i", move, move).max())), 1e-12)


def _root_mean_square(gradient: np.ndarray) -> float:
    return float(np.sqrt(np.vdot(gradient, gradient) / len(gradient)))

"""Energies followed while a structure is drawn: residues move as pieces, and their surroundings go along."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from structdiff.constraints.surroundings import REACH
from structdiff.errors import StructdiffError
from structdiff.typing import Float, Int

_SPREAD = 3.0  # Å, how far a prediction from much noise may be wrong
_DOUBT = 0.4  # Å, how far a prediction from no noise may be wrong: networks have limits
_LONGEST = 3.0  # Å, what no residue moves by in one round
_ROUNDS = 2


@dataclass(frozen=True, kw_only=True)
class Reached:
    """What a finished structure has of something asked: a value in words, and whether it is what was asked."""

    text: str
    met: bool


@dataclass(frozen=True, kw_only=True, eq=False)
class Term:
    """Something preferred of positions [atom, 3] (Å): a value that should be 0, or one that should be low.

    name, asked: in words. weight. levels: the highest and lowest noise level (Å) at which it acts. has_goal: whether
    ``value`` should be 0 (a deviation, in units of its tolerance), else it is an energy in kT. value: differentiable.
    reached: what a finished structure has of it; None where another verdict says it.
    """

    name: str
    asked: str
    weight: float
    levels: tuple[float, float]
    has_goal: bool
    value: Callable[[Float[Tensor, "atom 3"]], Tensor]
    reached: Callable[[Float[Tensor, "atom 3"]], Reached] | None


class EnergyDescent:
    """Moves predictions towards what terms prefer.

    A term with a goal is met as far as it can be believed: the prediction is taken as right to within v, the term to
    within its tolerance, and the move is the compromise of both (the update of a Kalman filter on a linearised term):
    -v K g w r / (1 + w v g K g), with r the deviation, g its gradient, w the weight. Any other energy is followed by
    -v w K g. K says that residues move as a whole and take along what is near; v falls with the noise, but not to 0.

    Args:
        terms: what is preferred.
        residue: the residue of each atom.
    """

    def __init__(self, terms: Sequence[Term], residue: Int[Tensor, " atom"]) -> None:
        self.terms, self.residue = tuple(terms), residue

    def project(self, positions: Float[Tensor, "sample atom 3"], sigma: float) -> Float[Tensor, "sample atom 3"]:
        """Positions after the moves of all terms that act at noise ``sigma`` (Å)."""
        active = [term for term in self.terms if term.levels[1] <= sigma <= term.levels[0]]
        for term in active:
            for _ in range(_ROUNDS):
                positions = torch.stack([self._moved(own, term, sigma) for own in positions])
        return positions

    def _moved(self, positions: Float[Tensor, "atom 3"], term: Term, sigma: float) -> Float[Tensor, "atom 3"]:
        # A sampler may run under inference_mode, whose tensors refuse gradients: leave it, and work on a copy.
        with torch.inference_mode(False), torch.enable_grad():
            place = positions.detach().cpu().clone().requires_grad_(True)
            value = term.value(place)
            if not isinstance(value, Tensor) or value.numel() != 1:
                raise StructdiffError(f"{term.name}: an energy is one number, as a tensor")
            if not value.requires_grad or (term.has_goal and float(value.detach()) == 0):
                return positions
            (gradient,) = torch.autograd.grad(value.reshape(()), place)
        if not bool(torch.isfinite(gradient).all()):
            raise StructdiffError(f"the gradient of {term.name} is not finite at noise {sigma:.3g} Å")
        gradient = gradient.to(positions)
        residue = self.residue.to(positions.device)
        count = int(residue.max()) + 1
        size = positions.new_zeros(count).index_add(0, residue, positions.new_ones(len(residue)))
        centre = positions.new_zeros(count, 3).index_add(0, residue, positions) / size.clamp(min=1)[:, None]
        pull = positions.new_zeros(count, 3).index_add(0, residue, gradient)
        along = torch.exp(-0.5 * (torch.cdist(centre, centre) / REACH).square()) @ pull
        variance = sigma**2 * _SPREAD**2 / (sigma**2 + _SPREAD**2) + _DOUBT**2
        strength = term.weight * variance
        if term.has_goal:
            strength = strength * float(value.detach()) / (1 + strength * (pull * along).sum().clamp(min=0))
        move = -strength * along
        longest = move.norm(dim=-1, keepdim=True).clamp(min=1e-9)
        return positions + (move * (_LONGEST / longest).clamp(max=1.0))[residue]

    def energy(self, positions: Float[Tensor, "sample atom 3"]) -> Float[Tensor, " sample"]:
        """Nothing further: the moves are made in ``project``, where the noise level is known."""
        return positions.new_zeros(positions.shape[0])

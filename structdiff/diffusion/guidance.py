"""Stronger or weaker obedience to conditions: classifier-free guidance."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Protocol, runtime_checkable

from torch import Tensor

from structdiff.errors import InputError
from structdiff.typing import Float


@runtime_checkable
class Denoiser(Protocol):
    """Anything that predicts where the atoms were before noise was added.

    ``positions`` [sample, atom, 3] in Å carry noise of level ``sigma`` [sample] in Å; ``previous`` is the last
    prediction of the same run in the same frame (for self-conditioning), or None in the first evaluation.
    """

    def __call__(
        self,
        positions: Float[Tensor, "sample atom 3"],
        sigma: Float[Tensor, " sample"],
        previous: Float[Tensor, "sample atom 3"] | None,
        /,
    ) -> Float[Tensor, "sample atom 3"]:
        """Predicts the noiseless positions (Å)."""
        ...


def guided(
    unconditional: Denoiser, conditional: Mapping[str, Denoiser], weights: Mapping[str, float] | float
) -> Denoiser:
    """A denoiser that follows conditions as strongly as asked: 0 ignores one, 1 obeys as trained, more exaggerates.

    D = D_uncond + sum over conditions of weight · (D_condition - D_uncond), one weight a condition or one for all.
    Denoisers whose share is 0 are never called: a single condition with weight 1 costs one evaluation, as does 0.

    Ho and Salimans 2022 (their w is weight - 1); several conditions: Liu et al. 2022, equation 11.

    Raises:
        InputError: a weight that is not a finite number, or for a condition that does not exist or has no weight.
    """
    if not isinstance(weights, Mapping):
        weights = dict.fromkeys(conditional, weights)
    shares = guidance_shares(list(conditional), weights)
    terms = [(share, conditional[name]) for name, share in shares[1].items() if share != 0]
    if shares[0] != 0 or not terms:
        terms.insert(0, (shares[0], unconditional))
    if len(terms) == 1 and terms[0][0] == 1:
        return terms[0][1]

    def denoise(positions: Tensor, sigma: Tensor, previous: Tensor | None, /) -> Tensor:
        total = None
        for share, denoiser in terms:
            part = share * denoiser(positions, sigma, previous)
            total = part if total is None else total + part
        assert total is not None
        return total

    return denoise


def guidance_shares(conditions: list[str], weights: Mapping[str, float]) -> tuple[float, dict[str, float]]:
    """The share of the unconditional prediction, and of each condition's; together they are 1.

    >>> guidance_shares(["motif", "hotspots"], {"motif": 1.5, "hotspots": 0.5})
    (-1.0, {'motif': 1.5, 'hotspots': 0.5})
    """
    for name, weight in weights.items():
        if name not in conditions:
            raise InputError(
                "guidance weight for a condition that does not exist",
                key="guidance", found=name, allowed=conditions, suggest_from=conditions,
            )  # fmt: skip
        if isinstance(weight, bool) or not isinstance(weight, int | float) or not math.isfinite(weight):
            raise InputError("must be a finite number", key=f"guidance.{name}", found=weight)
    missing = [name for name in conditions if name not in weights]
    if missing:
        raise InputError(f"no weight for condition {missing[0]!r}", key="guidance", found=dict(weights))
    shares = {name: float(weights[name]) for name in conditions}
    rest = 1 - math.fsum(shares.values())
    return (0.0 if abs(rest) < 1e-9 else rest), shares

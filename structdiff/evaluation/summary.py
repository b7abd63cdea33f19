"""A mean and how sure one is of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, kw_only=True)
class Summary:
    """Mean, its bootstrap 95 % interval (low, high), quartiles, spread and number of the values it was made from."""

    mean: float
    low: float
    high: float
    sd: float
    quartiles: tuple[float, float, float]
    count: int

    def __str__(self) -> str:
        return f"{self.mean:.4g} [{self.low:.4g}, {self.high:.4g}]"


def summarise(values: Iterable[float], *, seed: int = 0, resamples: int = 2000) -> Summary:
    """Mean of some values with the 95 % interval of a percentile bootstrap; values that are NaN are left out.

    Efron & Tibshirani, An Introduction to the Bootstrap (1993). The same seed gives the same interval.

    >>> str(summarise([1.0, 1.0, 1.0]))
    '1 [1, 1]'
    """
    known = np.asarray(list(values), np.float64)
    known = known[np.isfinite(known)]
    if not len(known):
        nan = float("nan")
        return Summary(mean=nan, low=nan, high=nan, sd=nan, quartiles=(nan, nan, nan), count=0)
    draws = np.random.default_rng(seed).integers(len(known), size=(resamples, len(known)))
    low, high = np.quantile(known[draws].mean(1), (0.025, 0.975))
    first, second, third = (float(q) for q in np.quantile(known, (0.25, 0.5, 0.75)))
    return Summary(
        mean=float(known.mean()), low=float(low), high=float(high), sd=float(known.std()),
        quartiles=(first, second, third), count=len(known),
    )  # fmt: skip


def summarise_draws(values: Iterable[float]) -> Summary:
    """Mean and middle 95 % of the draws of one figure of a whole set, which has no values of single structures."""
    known = np.asarray(list(values), np.float64)
    low, first, second, third, high = (float(q) for q in np.quantile(known, (0.025, 0.25, 0.5, 0.75, 0.975)))
    return Summary(
        mean=float(known.mean()), low=low, high=high, sd=float(known.std()), quartiles=(first, second, third),
        count=len(known),
    )  # fmt: skip


def exactly(value: float) -> Summary:
    """A figure that is counted and has no interval."""
    nothing = float("nan")
    return Summary(mean=value, low=nothing, high=nothing, sd=nothing, quartiles=(nothing, nothing, nothing), count=1)

"""How well a confidence foretells how good something is, and of which held-out entries it was told before."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from scipy.stats import mannwhitneyu, spearmanr

from structdiff.training.confidence_sets import validation_halves

_FEWEST = 4


def learnt_entries(data: Path) -> set[str]:
    """Names of the validation entries that the confidence head learns from; trunk and denoiser have learnt none."""
    learnt, _ = validation_halves(data)
    return {learnt.names[index] for index in np.flatnonzero(learnt.weight > 0).tolist()}


def correlated(pairs: Sequence[tuple[float, float]], resamples: int = 500) -> dict[str, float] | None:
    """Spearman correlation of what was told with what is true, and its bootstrap 95 % interval; none of too few.

    None too where all were told, or are, the same.
    """
    table = np.array(pairs)
    if len(pairs) < _FEWEST or not (np.ptp(table, axis=0) > 0).all():
        return None
    rng = np.random.default_rng(0)
    draws = [table[rng.integers(len(table), size=len(table))] for _ in range(resamples)]
    values = [spearmanr(*own.T).statistic for own in draws if (np.ptp(own, axis=0) > 0).all()]
    low, high = np.quantile(values, (0.025, 0.975))
    return {"value": round(float(spearmanr(*table.T).statistic), 3), "low": round(float(low), 3),
            "high": round(float(high), 3)}  # fmt: skip


def correlation_text(value: dict[str, float] | None) -> str:
    return "too few" if value is None else f"{value['value']:.2f} [{value['low']:.2f}, {value['high']:.2f}]"


def told_apart(told: Sequence[float], good: Sequence[bool]) -> str:
    """Area under the curve of what was told for good ones against others, and the means of both."""
    values, right = np.array(told, float), np.array(good, bool)
    if not right.any() or right.all():
        return "-"
    pairs = right.sum() * (~right).sum()
    area = mannwhitneyu(values[right], values[~right]).statistic / pairs
    return f"{area:.2f} ({values[right].mean():.2f}, {values[~right].mean():.2f})"


def mean_error(pairs: Sequence[tuple[float, float]]) -> str:
    """Mean absolute difference, of 100."""
    return f"{100 * np.abs(np.subtract(*np.array(pairs).T)).mean():.1f}"

"""Ranges of numbers, of which flat tables are made."""

from __future__ import annotations

import numpy as np


def ranges(starts: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """All numbers of several ranges, one after another.

    >>> ranges(np.array([5, 0]), np.array([2, 3])).tolist()
    [5, 6, 0, 1, 2]
    """
    stops = np.cumsum(counts)
    return np.arange(stops[-1] if len(stops) else 0) + np.repeat(starts - (stops - counts), counts)

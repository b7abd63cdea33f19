"""What networks that write sequences think of natural chains' own: bundled, to be held beside that of a design."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from importlib import resources
from typing import Any

import numpy as np

DATA_FILE = "natural_sequences.json"
_WINDOW = 0.25  # of the length: chains so much longer or shorter count as alike
_FEWEST = 8


@functools.cache
def natural_sequences() -> Mapping[str, Any]:
    """``chains``: name, length (residues) and, by network, nll (nats a residue) and recovery; and ``provenance``."""
    return json.loads((resources.files("structdiff.evaluation") / "data" / DATA_FILE).read_text(encoding="utf-8"))


def natural_median(model: str, length: float, column: str = "nll") -> float:
    """The median over held-out natural chains of about that length; NaN where fewer than eight are known."""
    values = [
        chain[model][column]
        for chain in natural_sequences()["chains"]
        if model in chain and abs(chain["length"] - length) <= _WINDOW * length
    ]
    return float(np.median(values)) if len(values) >= _FEWEST else float("nan")

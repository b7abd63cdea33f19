"""Which backbone torsions natural loops have together, by what they join and how long they are.

The file is written by ``benchmarks/natural_loops.py`` from high-resolution chains.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources

import numpy as np

from structdiff.typing import Float

FILE = "natural_loops.json.gz"
LENGTHS = (2, 8)  # residues of the shortest and the longest loop that is known


@dataclass(frozen=True, kw_only=True, eq=False)
class LoopShapes:
    """The commonest shapes of loops of one kind: phi and psi (radian) of each residue, and each one's share."""

    torsions: Float[np.ndarray, "shape residue 2"]
    share: Float[np.ndarray, " shape"]


def loop_shapes(joins: str, length: int) -> LoopShapes | None:
    """Shapes of loops of that many residues between two elements, commonest first; None where none are known.

    joins: letters of the elements before and after, "HE" say. A residue's torsions are those of its region of the map
    of phi and psi (Wintjens et al. 1996, ABEGO), in the mean of the chains that share all regions.
    """
    rows = _known().get(f"{joins}{length}")
    if not rows:
        return None
    counts = np.array([row["count"] for row in rows], float)
    torsions = np.radians(np.array([row["torsions"] for row in rows], float))
    return LoopShapes(torsions=torsions, share=counts / counts.sum())


@lru_cache(maxsize=1)
def _known() -> Mapping[str, list[dict]]:
    path = resources.files("structdiff").joinpath("evaluation").joinpath("data").joinpath(FILE)
    return json.loads(gzip.decompress(path.read_bytes()))["loops"]


def region(torsions: Float[np.ndarray, "*batch 2"]) -> np.ndarray:
    """The region of phi and psi (radian): A (helix), B (extended), G (left-handed helix), E (extended, phi positive).

    >>> region(np.radians([[-60.0, -45.0], [-120.0, 130.0], [60.0, 40.0], [80.0, 180.0]])).tolist()
    ['A', 'B', 'G', 'E']
    """
    phi, psi = np.degrees(torsions[..., 0]), np.degrees(torsions[..., 1])
    left = np.where((psi >= -75) & (psi < 50), "A", "B")
    right = np.where((psi >= -100) & (psi < 100), "G", "E")
    return np.where(phi < 0, left, right)

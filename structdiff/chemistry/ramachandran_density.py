"""How often natural residues have each pair of backbone torsions, read from the file that comes with the package.

Four classes as in MolProbity (Lovell et al., Proteins 50, 437, 2003): general, glycine, before proline, proline.
"""

from __future__ import annotations

from functools import lru_cache
from importlib import resources

import numpy as np

CLASSES = ("general", "glycine", "before proline", "proline")
GENERAL, GLYCINE, BEFORE_PROLINE, PROLINE = range(4)


def log_density() -> np.ndarray:
    """Natural log of the density (per square radian) of phi, psi: (class, phi bin, psi bin), bin centres from -pi."""
    return _table("ramachandran.npz")


def loop_log_density() -> np.ndarray:
    """The same of residues in neither helix nor strand: turns and extended stretches instead of those two."""
    return _table("loop_torsions.npz")


@lru_cache(maxsize=2)
def _table(name: str) -> np.ndarray:
    path = resources.files("structdiff").joinpath("evaluation").joinpath("data").joinpath(name)
    with path.open("rb") as stream:
        data = np.load(stream, allow_pickle=False)
        low, high = data["range"]
        table = low + data["levels"].astype(np.float64) / 255 * (high - low)
    table.setflags(write=False)
    return table


def residue_class(name: str, next_name: str) -> int:
    """The class of a residue by its own name and that of the residue after it ("" at the end of a chain).

    >>> CLASSES[residue_class("ALA", "PRO")]
    'before proline'
    """
    own = {"GLY": GLYCINE, "PRO": PROLINE}
    return own.get(name, BEFORE_PROLINE if next_name == "PRO" else GENERAL)

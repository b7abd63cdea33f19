"""lDDT: how well the distances between near atoms are kept, without any superposition.

Mariani, Biasini, Barbato & Schwede, Bioinformatics 29, 2722 (2013).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial import KDTree

from structdiff.errors import InputError
from structdiff.evaluation.superposition import as_positions

INCLUSION_RADIUS = 15.0  # Å in the reference
THRESHOLDS = (0.5, 1.0, 2.0, 4.0)  # Å


@dataclass(frozen=True, kw_only=True, eq=False)
class LDDT:
    """score over all distances; per_group: a score a residue (NaN where it has no distances); distances: how many."""

    score: float
    per_group: np.ndarray
    distances: int


def lddt(
    positions: np.ndarray,
    reference: np.ndarray,
    group: np.ndarray | None = None,
    *,
    chain: np.ndarray | None = None,
    interface_only: bool = False,
    inclusion_radius: float = INCLUSION_RADIUS,
    thresholds: tuple[float, ...] = THRESHOLDS,
) -> LDDT:
    """Local distance difference test of paired atoms (atom, 3) in Å: of CA atoms, or of all.

    group (atom): number of each atom's residue, from 0; distances within a residue are left out. Without it each atom
    is its own residue. chain (atom) with interface_only: only distances between chains count (iLDDT). An atom missing
    in the model (NaN) fails all its distances; one missing in the reference is left out. Raises InputError where the
    arrays do not fit.
    """
    positions, reference = as_positions(positions, "positions"), as_positions(reference, "reference")
    if positions.shape != reference.shape or positions.ndim != 2 or positions.shape[1] != 3:
        raise InputError("lDDT compares atom by atom", found=positions.shape, allowed=str(reference.shape))
    if interface_only and chain is None:
        raise InputError("the lDDT of an interface needs to know the chains", key="chain")
    group = np.arange(len(positions)) if group is None else np.asarray(group, np.int64)
    seen = np.flatnonzero(np.isfinite(reference).all(-1))
    near = KDTree(reference[seen]).query_pairs(inclusion_radius, output_type="ndarray")
    i, j = seen[near.reshape(-1, 2)].T
    keep = group[i] != group[j]
    if interface_only and chain is not None:
        keep &= np.asarray(chain)[i] != np.asarray(chain)[j]
    i, j = i[keep], j[keep]
    deviation = np.abs(
        np.linalg.norm(positions[i] - positions[j], axis=-1) - np.linalg.norm(reference[i] - reference[j], axis=-1)
    )
    kept = np.mean([deviation <= threshold for threshold in thresholds], axis=0)
    size = int(group.max()) + 1 if len(group) else 0
    total = np.bincount(i, kept, len(group)) + np.bincount(j, kept, len(group))
    number = np.bincount(i, minlength=len(group)) + np.bincount(j, minlength=len(group))
    total, number = np.bincount(group, total, size), np.bincount(group, number, size)
    with np.errstate(invalid="ignore", divide="ignore"):
        per_group = total / number
    return LDDT(score=float(kept.mean()) if len(kept) else float("nan"), per_group=per_group, distances=len(kept))

"""What is asked as one value for each residue of a structure."""

from __future__ import annotations

import numpy as np

from structdiff.arguments import shown
from structdiff.errors import InputError


def flags(values: object, count: int, key: str) -> np.ndarray:
    """A column of yes and no, (residue,) bool; all no for None. Raises InputError for anything else."""
    column = _column(values, count, key)
    if not np.isin(column, (0, 1)).all():
        raise InputError("true or false for each residue is needed", key=key, found=shown(column.max()))
    return column.astype(bool)


def membrane_labels(values: object, count: int) -> np.ndarray:
    """Labels of a membrane, (residue,) int64; 0 for None. Raises InputError for what are none."""
    column = _column(values, count, "membrane")
    if not np.isin(column, (0, 1, 2)).all():
        raise InputError("labels are 0 outside, 1 at the interface, 2 buried", key="membrane", found=column.max())
    return column.astype(np.int64)


def _column(values: object, count: int, key: str) -> np.ndarray:
    if values is None:
        return np.zeros(count, bool)
    column = np.asarray(values)
    if column.shape != (count,) or column.dtype.kind not in "biuf":
        found = values if isinstance(values, str) else column.shape
        allowed = "rows_in(structure, 'A10-20'), say" if isinstance(values, str) else None
        raise InputError(f"one value for each of {count} residues is needed", key=key, found=found, allowed=allowed)
    return column

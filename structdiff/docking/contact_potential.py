"""What residues of two chains are worth to each other at a distance, learnt from complexes of known structure.

A table for pairs of kinds of beads, by distance, of which poses that are near to the truth have a lower sum than others
that touch as well (`python -m structdiff.training.contact_potential`).
"""

from __future__ import annotations

from functools import lru_cache
from importlib.resources import files
from io import BytesIO

import numpy as np
import torch
from torch import Tensor

from structdiff.docking.beads import BEAD_KINDS, Beads
from structdiff.docking.maps import Maps, affordable_spacing
from structdiff.typing import Float

#: Å between the distances of the table, from 0 on; and where it ends.
STEP, FARTHEST = 0.5, 12.0
#: How many distances it has.
KNOTS = round(FARTHEST / STEP) + 1
_FINE = 0.1  # Å, of the table that maps are made by
_SPACING, _MARGIN = 1.0, 13.0  # Å between points of maps, and about the beads
#: What no bead costs more than while it is far from its place.
MOST = 1.0


@lru_cache(maxsize=1)
def learnt_potential() -> Float[np.ndarray, "kind kind knot"]:
    """The table that is used, without units; the same for both orders of a pair."""
    data = files("structdiff.docking").joinpath("data/contact_potential.npz").read_bytes()
    with np.load(BytesIO(data), allow_pickle=False) as stored:
        table, kinds = stored["table"].astype(np.float32), tuple(stored["kinds"].tolist())
    assert kinds == BEAD_KINDS, "the table was made for other beads"
    return table


def potential_maps(beads: Beads, table: Float[np.ndarray, "kind kind knot"], spacing: float = _SPACING) -> Maps:
    """What a bead of each kind is worth near some that stand where they are, on a grid all around these.

    spacing: Å between points; more where there would be too many of them.
    """
    low, high = beads.positions.min(0) - _MARGIN, beads.positions.max(0) + _MARGIN
    spacing = affordable_spacing(low, high, spacing)
    size = np.ceil((high - low) / spacing).astype(np.int64) + 1
    fine = torch.from_numpy(_finer(table)).transpose(1, 2).contiguous()  # kind of a bead, distance, kind of the other
    reach = int(FARTHEST / spacing) + 1
    steps = np.stack(np.meshgrid(*[np.arange(-reach, reach + 1)] * 3, indexing="ij"), -1).reshape(-1, 3)
    values = torch.zeros(int(size.prod()), len(table))
    for place, kind in zip(beads.positions, beads.kind.tolist(), strict=True):
        points = np.round((place - low) / spacing).astype(np.int64) + steps
        distance = np.linalg.norm(points * spacing + low - place, axis=1)
        near = (distance < FARTHEST) & ((points >= 0) & (points < size)).all(1)
        x, y, z = points[near].T
        rows = torch.from_numpy((x * size[1] + y) * size[2] + z)
        values.index_add_(0, rows, fine[kind, torch.from_numpy(np.round(distance[near] / _FINE).astype(np.int64))])
    grid = values.T.reshape(len(table), *size.tolist()).contiguous()
    return Maps(values=grid, origin=torch.from_numpy(low.astype(np.float32)), spacing=spacing, most=MOST, outside=0.0)


def _finer(table: np.ndarray) -> np.ndarray:
    """The table at distances that lie nearer to each other, linear between its own."""
    place = np.arange(0, FARTHEST + _FINE / 2, _FINE) / STEP
    low = np.minimum(place.astype(np.int64), KNOTS - 2)
    share = (place - low).astype(np.float32)
    return (1 - share) * table[..., low] + share * table[..., low + 1]


def pair_table(table: Tensor) -> Tensor:
    """The same for both orders of a pair."""
    return (table + table.transpose(0, 1)) / 2

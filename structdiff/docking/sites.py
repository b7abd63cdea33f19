"""Where on a receptor a ligand may lie: the places where most of its atoms would be well off."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from scipy.spatial import KDTree
from torch import Tensor
from torch.nn.functional import avg_pool3d, pad

from structdiff.docking.maps import build_maps, grid_size, kinds_of, occupied
from structdiff.evaluation.ligand_atom_types import AtomTypes
from structdiff.typing import Float, Int

_COARSE = 1.0  # Å between points
_MARGIN = 4.0  # Å about the receptor
_APART = 6.0  # Å between sites
_LEAST_REACH, _MOST_REACH = 3.0, 6.0  # Å about a point over which a ligand's atoms are spread
_PART = 32  # points on a side of a part of the grid; of those far from all atoms no map is made
_NEAR = 8.0  # Å from atoms, beyond which nothing is worth anything


@dataclass(frozen=True, kw_only=True, eq=False)
class Site:
    """Places (Å) about which a ligand may lie, and what its atoms are worth there in the mean (kcal/mol)."""

    places: Float[Tensor, "place 3"]
    worth: float


def binding_sites(
    ligand: AtomTypes,
    radius: float,
    receptor: Float[np.ndarray, "atom 3"],
    types: AtomTypes,
    count: int,
    near: Float[np.ndarray, "point 3"] | None = None,
    within: float = math.inf,
) -> list[Site]:
    """At most so many sites of a receptor (Å), the best first.

    radius: of gyration of the ligand (Å). near, within: only those within so many Å of one of these points, where there
    are any.
    """
    box, margin = (receptor, _MARGIN) if near is None else (near, within)
    grid = _Grid(ligand, radius, receptor, types, box.min(0) - margin, box.max(0) + margin)
    found = [grid.open_points(part) for part in grid.parts()]
    place = np.concatenate([np.zeros((0, 3), np.int64), *(places for places, _ in found)])
    worth = np.concatenate([np.zeros(0, np.float32), *(own for _, own in found)])
    order = np.lexsort(place.T[::-1])
    points = grid.points(place[order])
    left = torch.from_numpy(worth[order])
    if near is not None:
        left[torch.from_numpy(KDTree(near).query(points.numpy())[0] > within)] = 0.0
    return _best_apart(points, left, count)


def _best_apart(points: Float[Tensor, "point 3"], left: Float[Tensor, " point"], count: int) -> list[Site]:
    """At most so many of the points (Å) that are worth something, with those about them and far from each other."""
    found: list[Site] = []
    while len(found) < count and bool((left < 0).any()):
        best = points[left.argmin()]
        apart = (points - best).square().sum(-1).sqrt()
        own = (apart < _APART / 2) & (left < 0)
        found.append(Site(places=points[own], worth=float(left.min())))
        left = torch.where(apart < _APART, 0.0, left)
    return found


class _Grid:
    """Points of a box from ``low`` to ``high`` (Å), read part by part: a receptor may be long, or drawn all apart."""

    def __init__(
        self, ligand: AtomTypes, radius: float, receptor: Float[np.ndarray, "atom 3"], types: AtomTypes,
        low: Float[np.ndarray, "3"], high: Float[np.ndarray, "3"],
    ) -> None:  # fmt: skip
        self._kinds, kind = kinds_of(ligand)
        self._share = torch.from_numpy(np.bincount(kind, minlength=len(self._kinds.radius)) / len(kind)).float()
        self._reach = round(min(max(radius, _LEAST_REACH), _MOST_REACH) / _COARSE)
        self._receptor, self._types, self._tree = receptor, types, KDTree(receptor)
        self._low, self._size = low, grid_size(low, high, _COARSE)

    def parts(self) -> Int[np.ndarray, "part 3"]:
        """The numbers of those that have an atom of the receptor near."""
        number = occupied(self._receptor, self._low, _PART * _COARSE)
        return number[(number * _PART < self._size).all(1)]

    def points(self, place: Int[np.ndarray, "point 3"]) -> Float[Tensor, "point 3"]:
        """Where points of the grid are (Å)."""
        return torch.from_numpy(np.asarray(self._low, np.float32)) + _COARSE * torch.from_numpy(place).float()

    def open_points(self, part: Int[np.ndarray, "3"]) -> tuple[np.ndarray, np.ndarray]:
        """Places on the grid where the middle of a ligand may lie, and what its atoms are worth there (kcal/mol)."""
        first, last = part * _PART, np.minimum((part + 1) * _PART, self._size)
        start, stop = np.maximum(first - self._reach, 0), np.minimum(last + self._reach, self._size)
        low, high = self._low + _COARSE * start, self._low + _COARSE * stop
        middle, far = (low + high) / 2, float(np.linalg.norm(high - low)) / 2 + _NEAR
        near = np.array(sorted(self._tree.query_ball_point(middle, far)), np.int64)
        maps = build_maps(self._kinds, self._receptor[near], self._types.rows(near), low, high, _COARSE)
        x, y, z = (slice(0, int(size)) for size in stop - start)
        values = maps.values[:, x, y, z]
        worth = torch.einsum("k,kxyz->xyz", self._share, values.clamp(max=0.0))
        smooth = avg_pool3d(pad(worth, [self._reach] * 6)[None], 2 * self._reach + 1, stride=1)[0]
        # The middle of a ligand lies where an atom can, or nearly.
        fit = (torch.einsum("k,kxyz->xyz", self._share, values) < 1.0) & (smooth < 0)
        own = tuple(slice(int(one), int(other)) for one, other in zip(first - start, last - start, strict=True))
        return fit[own].nonzero().numpy() + first, smooth[own][fit[own]].numpy()

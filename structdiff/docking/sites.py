"""Where on a receptor a ligand may lie: the places where most of its atoms would be well off."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import avg_pool3d

from structdiff.docking.maps import build_maps, kinds_of
from structdiff.evaluation.ligand_atom_types import AtomTypes
from structdiff.typing import Float

_COARSE = 1.0  # Å between points
_MARGIN = 4.0  # Å about the receptor
_APART = 6.0  # Å between sites
_LEAST_REACH, _MOST_REACH = 3.0, 6.0  # Å about a point over which a ligand's atoms are spread


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
    kinds, kind = kinds_of(ligand)
    box = receptor if near is None else near
    margin = _MARGIN if near is None else within
    maps = build_maps(kinds, receptor, types, box.min(0) - margin, box.max(0) + margin, _COARSE)
    share = torch.from_numpy(np.bincount(kind, minlength=len(kinds.radius)) / len(kind)).float()
    worth = torch.einsum("k,kxyz->xyz", share, maps.values.clamp(max=0.0))
    reach = round(min(max(radius, _LEAST_REACH), _MOST_REACH) / _COARSE)
    smooth = avg_pool3d(worth[None, None], 2 * reach + 1, stride=1, padding=reach)[0, 0]
    points = maps.origin + _COARSE * torch.stack(
        torch.meshgrid(*[torch.arange(size).float() for size in smooth.shape], indexing="ij"), -1
    )
    # The middle of a ligand lies where an atom can, or nearly.
    open_ = torch.einsum("k,kxyz->xyz", share, maps.values) < 1.0
    if near is not None:
        told = torch.from_numpy(np.asarray(near, np.float32))
        open_ &= (torch.cdist(points.reshape(-1, 3), told).amin(1) <= within).reshape(open_.shape)
    left = torch.where(open_, smooth, 0.0).reshape(-1)
    points = points.reshape(-1, 3)
    found: list[Site] = []
    while len(found) < count and bool((left < 0).any()):
        best = points[left.argmin()]
        apart = (points - best).square().sum(-1).sqrt()
        own = (apart < _APART / 2) & (left < 0)
        found.append(Site(places=points[own], worth=float(left.min())))
        left = torch.where(apart < _APART, 0.0, left)
    return found

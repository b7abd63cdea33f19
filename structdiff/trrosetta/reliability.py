"""How far a structure can be trusted, by what trRosetta expected of its distances.

Expected lDDT needs no training: of each pair the network says how likely the true distance is within 0.5, 1, 2 and 4 Å
of the structure's. Errors of positions are errors of distances added up along the surest way from residue to residue.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy.sparse.csgraph import shortest_path
from torch import Tensor

from structdiff.typing import Float

_MIDDLES = 2.25 + 0.5 * torch.arange(36)  # Å, of the classes of distances
_BEYOND = 22.5  # Å, what "20 Å or further" is taken for
_RADIUS, _WITHIN = 15.0, (0.5, 1.0, 2.0, 4.0)  # Å, of lDDT
_KNOWN, _REACH = 0.5, 20.0  # probability of being within 20 Å, and distance (Å), up to which a pair tells of itself
#: Fitted to folds of held-out chains (docs/log.md): true lDDT over expected; aligned error over that of distances along
#: the way; Å where no way leads.
_SHARE, _ALIGNED, _LOST = 1.13, 5.0, 30.0
_LEAST = 1e-3  # Å


@dataclass(frozen=True, kw_only=True)
class Reliability:
    """lddt: 0 to 1, expected of each residue. distance_error, aligned_error: Å, expected of each pair."""

    lddt: Float[Tensor, " residue"]
    distance_error: Float[Tensor, "residue residue"]
    aligned_error: Float[Tensor, "residue residue"]


def reliability(distance: Float[Tensor, "i j class"], cb: Float[Tensor, "residue 3"]) -> Reliability:
    """Of a structure with these CB atoms (Å), from log probabilities of the classes of distances."""
    chance = distance.exp()
    apart = torch.cdist(cb, cb, compute_mode="donot_use_mm_for_euclid_dist")
    error = _distance_error(chance, apart)
    return Reliability(
        lddt=(_SHARE * _expected_lddt(chance, apart)).clamp(max=1.0),
        distance_error=error,
        aligned_error=_ALIGNED * _along_the_way(error, chance, apart),
    )


def _expected_lddt(chance: Tensor, apart: Tensor) -> Float[Tensor, " residue"]:
    """The expected number of distances kept over that of distances within 15 Å, the mean of four limits."""
    counted = _MIDDLES < _RADIUS
    near = chance[..., 1:][..., counted] * ~torch.eye(len(apart), dtype=torch.bool)[..., None]
    off = (_MIDDLES[counted] - apart[..., None]).abs()
    kept = torch.stack([(near * (off < limit)).sum((1, 2)) for limit in _WITHIN]).mean(0)
    return kept / near.sum((1, 2)).clamp(min=_LEAST)


def _distance_error(chance: Tensor, apart: Tensor) -> Float[Tensor, "residue residue"]:
    known = (chance[..., 1:] * (_MIDDLES - apart[..., None]).abs()).sum(-1)
    return known + chance[..., 0] * (_BEYOND - apart).clamp(min=0.0)


def _along_the_way(error: Tensor, chance: Tensor, apart: Tensor) -> Float[Tensor, "residue residue"]:
    """Errors of pairs that tell of themselves, added up as independent ones are along the way where they are least."""
    known = (chance[..., 1:].sum(-1) > _KNOWN) & (apart < _REACH)
    steps = torch.where(known, error.clamp(min=_LEAST).square(), 0.0).double().fill_diagonal_(0.0)
    way = np.sqrt(shortest_path(steps.numpy(), directed=False))
    return torch.from_numpy(np.where(np.isfinite(way), way, _LOST / _ALIGNED)).float()

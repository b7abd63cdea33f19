"""Distances and orientations of residue pairs as trRosetta classes them (Yang et al. 2020, figure 1)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from structdiff.geometry.torsions import bond_angle, torsion
from structdiff.typing import Float, Int

_NEAREST, _FARTHEST, _STEP = 2.0, 20.0, 0.5  # Å
_TURN = math.radians(15.0)


@dataclass(frozen=True, kw_only=True)
class PairGeometry:
    """CB-CB distance (Å); omega CA-CB-CB-CA, theta N-CA-CB-CB and phi CA-CB-CB of the first residue (radian)."""

    distance: Float[Tensor, "residue residue"]
    omega: Float[Tensor, "residue residue"]
    theta: Float[Tensor, "residue residue"]
    phi: Float[Tensor, "residue residue"]


def pair_geometry(
    n: Float[Tensor, "*batch residue 3"], ca: Float[Tensor, "*batch residue 3"], cb: Float[Tensor, "*batch residue 3"]
) -> PairGeometry:
    """The geometry of all pairs from N, CA and (ideal) CB positions in Å."""

    def rows(x: Tensor) -> Tensor:
        return x.unsqueeze(-2).expand(*x.shape[:-1], x.shape[-2], 3)

    def columns(x: Tensor) -> Tensor:
        return x.unsqueeze(-3).expand(*x.shape[:-2], x.shape[-2], x.shape[-2], 3)

    away = columns(cb) - rows(cb)
    return PairGeometry(
        distance=(away.square().sum(-1) + 1e-6).sqrt(),
        omega=torsion(rows(ca), rows(cb), columns(cb), columns(ca)),
        theta=torsion(rows(n), rows(ca), rows(cb), columns(cb)),
        phi=bond_angle(rows(ca), rows(cb), columns(cb)),
    )


def classes_of(pairs: PairGeometry) -> dict[str, Int[Tensor, "residue residue"]]:
    """The class of each answer of the network, 0 where the pair is 20 Å or further apart."""
    far = pairs.distance >= _FARTHEST
    found = {"distance": ((pairs.distance - _NEAREST) / _STEP).floor().clamp(0, 35)}
    for name, lowest, count in (("omega", -math.pi, 24), ("theta", -math.pi, 24), ("phi", 0.0, 12)):
        found[name] = ((getattr(pairs, name) - lowest) / _TURN).floor().clamp(0, count - 1)
    return {name: torch.where(far, 0, 1 + value.long()) for name, value in found.items()}

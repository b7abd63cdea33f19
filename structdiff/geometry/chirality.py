"""Handedness: of a tetrahedral centre, of a protein's alpha carbons, and of its helices."""

from __future__ import annotations

import torch
from torch import Tensor

from structdiff.geometry.torsions import torsion
from structdiff.typing import Bool, Float, Int


def signed_volume(
    centre: Float[Tensor, "*batch 3"],
    a: Float[Tensor, "*batch 3"],
    b: Float[Tensor, "*batch 3"],
    c: Float[Tensor, "*batch 3"],
) -> Float[Tensor, "*batch"]:
    """Triple product (Å³) of the three bonds from a centre; a mirror image has the opposite sign.

    Positive when a, b, c run counter-clockwise seen from their side, that is from outside towards the centre.
    """
    return ((a - centre) * torch.linalg.cross(b - centre, c - centre)).sum(-1)


def alpha_carbon_chirality(
    n: Float[Tensor, "*batch 3"],
    ca: Float[Tensor, "*batch 3"],
    c: Float[Tensor, "*batch 3"],
    cb: Float[Tensor, "*batch 3"],
    *,
    min_volume: float = 0.5,
) -> Int[Tensor, "*batch"]:
    """1 for an L amino acid, -1 for a D amino acid, 0 for one that is nearly flat (below ``min_volume``, Å³).

    An ideal alpha carbon has a volume of 2.6 Å³ (refinement programs restrain it to 2.5 ± 0.2).
    """
    volume = signed_volume(ca, n, c, cb)
    return torch.where(volume.abs() < min_volume, 0, volume.sign()).to(torch.int64)


def ca_torsions(ca: Float[Tensor, "*batch residue 3"]) -> Float[Tensor, "*batch residue-3"]:
    """Torsions (radian) of four CA in a row: near +0.87 (50 degrees) in a right-handed alpha helix.

    Entry i belongs to residues i to i + 3. A mirrored helix gives -0.87; strands lie near ±pi.
    """
    return torsion(ca[..., :-3, :], ca[..., 1:-2, :], ca[..., 2:-1, :], ca[..., 3:, :])


def helix_handedness(
    ca: Float[Tensor, "*batch residue 3"],
    bonded: Bool[Tensor, "*batch residue"],
    *,
    center: float = 0.87,
    width: float = 0.44,
) -> tuple[Int[Tensor, "*batch"], Int[Tensor, "*batch"]]:
    """How many stretches of four residues wind as a right-handed helix, and how many as its mirror image.

    ``bonded[i]`` says that residue i is bonded to residue i + 1. A stretch counts when its CA torsion is within
    ``width`` of ``center`` radian (50 ± 25 degrees) and its first and last CA are within 7 Å, as in a helix's turn.
    """
    angles = ca_torsions(ca)
    whole = bonded[..., :-3] & bonded[..., 1:-2] & bonded[..., 2:-1]
    turn = (ca[..., 3:, :] - ca[..., :-3, :]).square().sum(-1) < 7.0**2
    right = whole & turn & ((angles - center).abs() <= width)
    left = whole & turn & ((angles + center).abs() <= width)
    return right.sum(-1), left.sum(-1)

"""Laying one set of points on another, without reflection, and the deviation that is left."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from structdiff.geometry.distances import centroid
from structdiff.geometry.frames import RigidTransform
from structdiff.typing import Bool, Float

#: Below this the nearest rotation of a matrix with norm 1 is badly determined; above, its error is below 1e-11.
_LEAST_ZETA = 1e-2
#: From the angle of the largest root of a cubic to those of the middle and the smallest.
_THIRD_TURNS = (0.0, 4 * math.pi / 3, 2 * math.pi / 3)


def superposition(
    mobile: Float[Tensor, "*batch n 3"],
    target: Float[Tensor, "*batch n 3"],
    *,
    mask: Bool[Tensor, "*batch n"] | None = None,
    weights: Float[Tensor, "*batch n"] | None = None,
) -> RigidTransform:
    """The turn and shift that lay ``mobile`` on ``target`` with the least weighted squared distance.

    Never a mirror image. Points on a line, in a plane or all in one place give one of the equally good rotations;
    no point at all gives the identity. Points outside the mask may hold anything, NaN too.

    The result carries no gradient. For the deviation that is minimised none is lost: at the best superposition its
    derivative with respect to the superposition is zero, and the derivative of an SVD is infinite for symmetric sets.

    Kabsch 1976 and 1978, in float64 (on Apple's mps: on the CPU).
    """
    with torch.no_grad():
        share = _combined_weights(mobile, mask, weights).detach().to("cpu" if _on_mps(mobile) else mobile.device)
        known = (share > 0).unsqueeze(-1)
        share = share.double()
        source = torch.where(known, mobile.detach().to(share.device).double(), 0.0)
        goal = torch.where(known, target.detach().to(share.device).double(), 0.0)
        source_centre, goal_centre = centroid(source, weights=share), centroid(goal, weights=share)
        covariance = (share.unsqueeze(-1) * (goal - goal_centre.unsqueeze(-2))).transpose(-1, -2) @ (
            source - source_centre.unsqueeze(-2)
        )
        rotation = nearest_rotation(covariance)
        shift = goal_centre - (rotation @ source_centre.unsqueeze(-1)).squeeze(-1)
        return RigidTransform(
            rotation=rotation.to(mobile.dtype).to(mobile.device), translation=shift.to(mobile.dtype).to(mobile.device)
        )


def nearest_rotation(matrix: Float[Tensor, "*batch 3 3"]) -> Float[Tensor, "*batch 3 3"]:
    """The proper rotation nearest to a matrix; a zero matrix gives the identity.

    Markley's FOAM: from the largest root of the quartic whose roots are the signed sums of singular values. It does
    many matrices at once in elementwise steps, where an SVD takes them one by one. It loses digits where a half turn
    is about as good, so those few matrices are given to the SVD. Markley, J. Astronaut. Sci. 41, 261 (1993).
    """
    exact = matrix.double()
    norm = torch.linalg.matrix_norm(exact)[..., None, None]
    unit = exact / torch.where(norm > 0, norm, 1.0)
    cofactors = torch.linalg.cross(unit[..., [1, 2, 0], :], unit[..., [2, 0, 1], :])
    determinant = (unit[..., 0, :] * cofactors[..., 0, :]).sum(-1)
    largest = _signed_sum(determinant, cofactors.square().sum((-1, -2)))
    kappa = 0.5 * (largest * largest - 1)
    # The product of the three sums of two signed singular values: 0 where the best rotation is not unique.
    zeta = kappa * largest - determinant
    found = (1 + kappa)[..., None, None] * unit + largest[..., None, None] * cofactors
    found = (found - unit @ unit.transpose(-1, -2) @ unit) / zeta[..., None, None]
    unclear = ~(zeta > _LEAST_ZETA)
    if unclear.any():
        found = found.masked_scatter(unclear[..., None, None], _by_svd(exact[unclear]))
    return found.to(matrix.dtype)


def _signed_sum(determinant: Tensor, minors: Tensor) -> Tensor:
    """The sum of singular values of matrices with norm 1, the smallest with the determinant's sign.

    minors: the sum of squared cofactors. The singular values by the cubic's cosines, then two steps of Newton's.
    """
    spread = (1 - 3 * minors).clamp(min=0).sqrt()
    cosine = (1 - 4.5 * minors + 13.5 * determinant * determinant) / (spread * spread * spread).clamp(min=1e-30)
    angle = torch.acos(cosine.clamp(-1, 1)) / 3
    values = [((1 + 2 * spread * torch.cos(angle + turn)) / 3).clamp(min=0).sqrt() for turn in _THIRD_TURNS]
    found = values[0] + values[1] + determinant.sign() * values[2]
    constant = 1 - 4 * minors
    for _ in range(2):
        square = found * found
        value = ((square - 2) * found - 8 * determinant) * found + constant
        slope = 4 * ((square - 1) * found - 2 * determinant)
        found = found - value / slope
    return found


def _by_svd(matrix: Tensor) -> Tensor:
    """The direction of the smallest singular value is turned over where the plain answer would be a reflection."""
    left, _, right = torch.linalg.svd(matrix)
    handedness = torch.linalg.det(left @ right).sign().unsqueeze(-1)
    scale = torch.cat([torch.ones_like(handedness).expand(*handedness.shape[:-1], 2), handedness], -1)
    return (left * scale.unsqueeze(-2)) @ right


def superposed(
    mobile: Float[Tensor, "*batch n 3"],
    target: Float[Tensor, "*batch n 3"],
    *,
    mask: Bool[Tensor, "*batch n"] | None = None,
    weights: Float[Tensor, "*batch n"] | None = None,
) -> Float[Tensor, "*batch n 3"]:
    """``mobile`` (Å) moved rigidly onto ``target``; the points outside the mask move along."""
    return superposition(mobile, target, mask=mask, weights=weights).apply(mobile)


def rmsd(
    positions: Float[Tensor, "*batch n 3"],
    reference: Float[Tensor, "*batch n 3"],
    *,
    mask: Bool[Tensor, "*batch n"] | None = None,
    weights: Float[Tensor, "*batch n"] | None = None,
) -> Float[Tensor, "*batch"]:
    """Root-mean-square deviation (Å) of two sets of points where they stand; 0 where no point exists."""
    share = _combined_weights(positions, mask, weights)
    difference = torch.where((share > 0).unsqueeze(-1), positions - reference, 0.0)
    total = share.sum(-1)
    mean = (share * difference.square().sum(-1)).sum(-1) / torch.where(total > 0, total, 1.0)
    # The square root's derivative is infinite at 0: identical sets must give gradient 0, not NaN.
    return torch.where(mean > 0, torch.where(mean > 0, mean, 1.0).sqrt(), 0.0)


def superposed_rmsd(
    positions: Float[Tensor, "*batch n 3"],
    reference: Float[Tensor, "*batch n 3"],
    *,
    mask: Bool[Tensor, "*batch n"] | None = None,
    weights: Float[Tensor, "*batch n"] | None = None,
) -> Float[Tensor, "*batch"]:
    """Least root-mean-square deviation (Å) over all rigid movements; its gradient is exact. A mirror image is not 0."""
    return rmsd(superposed(positions, reference, mask=mask, weights=weights), reference, mask=mask, weights=weights)


def _combined_weights(positions: Tensor, mask: Tensor | None, weights: Tensor | None) -> Tensor:
    if weights is None:
        weights = torch.ones(positions.shape[:-1], dtype=positions.dtype, device=positions.device)
    return weights if mask is None else torch.where(mask, weights, 0.0)


def _on_mps(tensor: Tensor) -> bool:
    return tensor.device.type == "mps"

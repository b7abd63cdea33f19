"""Laying one set of points on another, without reflection, and the deviation that is left."""

from __future__ import annotations

import torch
from torch import Tensor

from structdiff.geometry.distances import centroid
from structdiff.geometry.frames import RigidTransform
from structdiff.geometry.rotations import rotation_from_quaternion
from structdiff.typing import Bool, Float

_SQUARINGS = 30


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

    Kabsch 1976 and 1978, by singular value decomposition in float64 (on Apple's mps: on the CPU).
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

    The direction of the smallest singular value is turned over where the plain answer would be a reflection. On an
    accelerator, where the host would have to wait for an SVD, the same rotation is found as a quaternion.
    """
    if matrix.device.type != "cpu":
        return rotation_by_quaternion(matrix)
    left, _, right = torch.linalg.svd(matrix)
    plain = left @ right
    # The triple product of the rows: `torch.linalg.det` takes longer than the SVD for many small matrices.
    handedness = (torch.linalg.cross(plain[..., 0, :], plain[..., 1, :]) * plain[..., 2, :]).sum(-1).sign()
    return torch.cat([left[..., :2], left[..., 2:] * handedness[..., None, None]], -1) @ right


def rotation_by_quaternion(matrix: Float[Tensor, "*batch 3 3"]) -> Float[Tensor, "*batch 3 3"]:
    """The proper rotation nearest to a matrix, by products of small matrices alone; gradients do not flow.

    The quaternion is the eigenvector of the largest eigenvalue of a symmetric 4 x 4 matrix (Horn 1987). That matrix,
    made positive, is squared again and again until nothing but that eigenvector is left: ratios of eigenvalues down to
    1 - 1e-8 are told apart, and where two are the same any of the equally good rotations results.
    """
    with torch.no_grad():
        (a, b, c), (d, e, f), (g, h, i) = (row.unbind(-1) for row in matrix.double().unbind(-2))
        rows = [
            [a + e + i, h - f, c - g, d - b],
            [h - f, a - e - i, b + d, c + g],
            [c - g, b + d, e - a - i, f + h],
            [d - b, c + g, f + h, i - a - e],
        ]
        form = torch.stack([torch.stack(row, -1) for row in rows], -2)
        size = form.flatten(-2).norm(dim=-1).clamp(min=1e-300)[..., None, None]
        form = form / size + torch.eye(4, dtype=form.dtype, device=form.device)
        for _ in range(_SQUARINGS):
            form = form @ form
            form = form / form.diagonal(dim1=-2, dim2=-1).sum(-1)[..., None, None]
        largest = form.diagonal(dim1=-2, dim2=-1).argmax(-1)[..., None, None]
        quaternion = torch.take_along_dim(form, largest, -1)[..., 0]
        return rotation_from_quaternion(quaternion).to(matrix.dtype)


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

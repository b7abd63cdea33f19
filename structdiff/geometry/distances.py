"""Lengths, distances, centroids and sizes of sets of points, with gradients that stay finite."""

from __future__ import annotations

import torch
from torch import Tensor

from structdiff.typing import Bool, Float


def norm(vectors: Float[Tensor, "*batch 3"], *, eps: float = 1e-12) -> Float[Tensor, "*batch"]:
    """Length of each vector; at the zero vector the gradient is 0 instead of NaN.

    ``eps`` (Å²) is the squared length below which a vector counts as zero.
    """
    squared = vectors.square().sum(-1)
    is_long = squared > eps
    return torch.where(is_long, torch.where(is_long, squared, 1.0).sqrt(), 0.0)


def unit(vectors: Float[Tensor, "*batch 3"], *, eps: float = 1e-12) -> Float[Tensor, "*batch 3"]:
    """Each vector at length 1; the zero vector stays zero, with gradient zero."""
    length = norm(vectors, eps=eps).unsqueeze(-1)
    return torch.where(length > 0, vectors / torch.where(length > 0, length, 1.0), 0.0)


def pairwise_distances(
    positions: Float[Tensor, "*batch n 3"], others: Float[Tensor, "*batch m 3"] | None = None
) -> Float[Tensor, "*batch n m"]:
    """Distances (Å) between all pairs of points, of one set or of two; exactly 0 on the diagonal of one set.

    Differences are formed explicitly: |a|² + |b|² - 2ab would lose all digits of a bond far from the origin.
    """
    others = positions if others is None else others
    return norm(positions.unsqueeze(-2) - others.unsqueeze(-3))


def centroid(
    positions: Float[Tensor, "*batch n 3"],
    mask: Bool[Tensor, "*batch n"] | None = None,
    weights: Float[Tensor, "*batch n"] | None = None,
) -> Float[Tensor, "*batch 3"]:
    """Mean position (Å) of the points that exist, weighted if wanted; the origin where there are none.

    Summed in float64 where the device has it, so that padding does not change the rounded result.
    """
    wide = _wide_dtype(positions)
    if mask is None and weights is None:
        return positions.to(wide).mean(-2).to(positions.dtype)
    share = _shares(positions, mask, weights).to(wide)
    total = share.sum(-1, keepdim=True)
    share = share / torch.where(total > 0, total, 1.0)
    present = torch.where(share.unsqueeze(-1) > 0, positions.to(wide), 0.0)
    return (share.unsqueeze(-1) * present).sum(-2).to(positions.dtype)


def centred(
    positions: Float[Tensor, "*batch n 3"], mask: Bool[Tensor, "*batch n"] | None = None
) -> Float[Tensor, "*batch n 3"]:
    """The same points with their centroid moved to the origin; points that do not exist become 0."""
    moved = positions - centroid(positions, mask).unsqueeze(-2)
    return moved if mask is None else torch.where(mask.unsqueeze(-1), moved, 0.0)


def radius_of_gyration(
    positions: Float[Tensor, "*batch n 3"], mask: Bool[Tensor, "*batch n"] | None = None
) -> Float[Tensor, "*batch"]:
    """Root-mean-square distance (Å) of the points from their centroid: how compact a fold is. All masses are 1."""
    if mask is None:
        mask = torch.ones(positions.shape[:-1], dtype=torch.bool, device=positions.device)
    squared = centred(positions, mask).square().sum(-1)
    return (squared.sum(-1) / mask.sum(-1).clamp(min=1)).sqrt()


def _shares(positions: Tensor, mask: Tensor | None, weights: Tensor | None) -> Tensor:
    if weights is None:
        assert mask is not None
        return mask.to(positions.dtype).expand(positions.shape[:-1])
    return weights if mask is None else torch.where(mask, weights, 0.0)


def _wide_dtype(tensor: Tensor) -> torch.dtype:
    # Apple's mps has no float64.
    return torch.float32 if tensor.device.type == "mps" else torch.float64

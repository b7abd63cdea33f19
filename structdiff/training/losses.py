"""What the network is trained to make small. Positions in Å; every loss is a number per sample."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from structdiff.diffusion.preconditioning import Preconditioning
from structdiff.geometry.superposition import superposed
from structdiff.nn.binning import bin_index
from structdiff.typing import Bool, Float, Int

#: Weight of an atom by kind of chain: protein, DNA, RNA, ligand, water (AlphaFold 3, section 3.7.1).
ATOM_WEIGHT = (1.0, 6.0, 6.0, 11.0, 0.0)
_DISTOGRAM = {"first": 2.0, "last": 22.0, "count": 64}
_BACKBONE_SLOTS = 4
_LARGEST_WEIGHT_SIGMA = 0.5  # Å; below it the weight of the position loss stays, so that tiny noise does not rule


def position_loss(
    denoised: Float[Tensor, "sample atom 3"],
    target: Float[Tensor, "sample atom 3"],
    weight: Float[Tensor, "sample atom"],
    sigma: Float[Tensor, "sample"],
) -> Float[Tensor, "sample"]:
    """Mean squared error after superposition, weighted by noise level (AlphaFold 3, equations 2 to 6)."""
    with torch.no_grad():
        target = superposed(target, denoised, weights=weight)
    square = (denoised - target).square().sum(-1)
    mean = (weight * square).sum(-1) / (3 * weight.sum(-1).clamp(min=1e-6))
    return Preconditioning().loss_weight(sigma.clamp(min=_LARGEST_WEIGHT_SIGMA)) * mean


def pair_distances(points: Float[Tensor, "sample token 3"]) -> Float[Tensor, "sample token token"]:
    """Distances between all points of each sample, of which no gradient is asked.

    As torch.cdist, whose kernel for GPUs is made for many dimensions: it took a tenth of a training step.
    """
    return (points[:, :, None] - points[:, None]).square().sum(-1).sqrt()


def smooth_lddt_loss(
    denoised: Float[Tensor, "sample token 3"],
    target: Float[Tensor, "sample token 3"],
    mask: Bool[Tensor, "sample token"],
) -> Float[Tensor, "sample"]:
    """One minus a smooth lDDT of the token centres (AlphaFold 3, Algorithm 27, radius 15 Å)."""
    true_distance = pair_distances(target)
    distance = torch.sqrt((denoised[:, :, None] - denoised[:, None]).square().sum(-1) + 1e-6)
    error = (distance - true_distance).abs()
    score = sum(torch.sigmoid(bound - error) for bound in (0.5, 1.0, 2.0, 4.0)) / 4
    near = (true_distance < 15.0) & mask[:, :, None] & mask[:, None]
    near &= ~torch.eye(mask.shape[1], dtype=torch.bool, device=mask.device)
    return 1 - (score * near).sum((1, 2)) / near.sum((1, 2)).clamp(min=1)


def local_geometry_loss(
    denoised: Float[Tensor, "sample token slot 3"],
    target: Float[Tensor, "sample token slot 3"],
    mask: Bool[Tensor, "sample token slot"],
    linked: Bool[Tensor, "sample token"],
) -> Float[Tensor, "sample"]:
    """Error (Å, absolute) of distances inside each token and between the backbones of neighbours in a chain.

    linked: the token is followed by its neighbour in the chain. Bonds, angles, the peptide plane and side chains.
    """
    inside = _distance_error(denoised, target, mask, denoised, target, mask)
    x, x_true, x_mask = (each[:, :, :_BACKBONE_SLOTS] for each in (denoised, target, mask))
    follows = x_mask[:, 1:] & linked[:, :-1, None]
    between = _distance_error(x[:, :-1], x_true[:, :-1], x_mask[:, :-1], x[:, 1:], x_true[:, 1:], follows)
    return inside + between


def _distance_error(
    x: Tensor, x_true: Tensor, x_mask: Tensor, y: Tensor, y_true: Tensor, y_mask: Tensor
) -> Float[Tensor, "sample"]:
    distance = torch.sqrt((x[:, :, :, None] - y[:, :, None]).square().sum(-1) + 1e-6)
    true_distance = (x_true[:, :, :, None] - y_true[:, :, None]).square().sum(-1).sqrt()
    both = x_mask[..., None] & y_mask[:, :, None] & (true_distance > 0)
    error = functional.smooth_l1_loss(distance, true_distance, beta=0.1, reduction="none")
    return (error * both).sum((1, 2, 3)) / both.sum((1, 2, 3)).clamp(min=1)


def clash_loss(
    centre: Float[Tensor, "sample token 3"], mask: Bool[Tensor, "sample token"], protein: Bool[Tensor, "sample token"]
) -> Float[Tensor, "sample"]:
    """How far CA atoms come nearer than 3.7 Å to one another, per residue (Å)."""
    both = (mask & protein)[:, :, None] & (mask & protein)[:, None]
    both = both & ~torch.eye(mask.shape[1], dtype=torch.bool, device=mask.device)
    distance = torch.sqrt((centre[:, :, None] - centre[:, None]).square().sum(-1) + 1e-6)
    return (functional.relu(3.7 - distance) * both).sum((1, 2)) / mask.sum(1).clamp(min=1)


def distance_bin(distance: Float[Tensor, "*pairs"]) -> Int[Tensor, "*pairs"]:
    """The bin of each distance (Å) of representative atoms: 64 from 2 to 22 Å (AlphaFold 2, section 1.9.8)."""
    return bin_index(distance, **_DISTOGRAM)


def distogram_entropy(
    logits: Float[Tensor, "batch *pairs bin"], target: Int[Tensor, "batch *pairs"]
) -> Float[Tensor, "batch *pairs"]:
    """Cross entropy of binned distances."""
    return functional.cross_entropy(logits.movedim(-1, 1), target, reduction="none")


def mean_where(values: Float[Tensor, "batch *pairs"], mask: Bool[Tensor, "batch *pairs"]) -> Float[Tensor, ""]:
    """The mean over the pairs of a mask; 0 where there is none.

    Over all entries of a batch together: a mean of each by itself would let one of which a few pairs are known count as
    much as one of which all are.
    """
    return (values * mask).sum() / mask.sum().clamp(min=1)


def restype_loss(
    logits: Float[Tensor, "sample token restype"],
    restype: Int[Tensor, "sample token"],
    hidden: Bool[Tensor, "sample token"],
) -> Float[Tensor, "sample"]:
    """Cross entropy of the residue types that were hidden from the network."""
    entropy = functional.cross_entropy(logits.movedim(-1, 1), restype, reduction="none")
    return (entropy * hidden).sum(1) / hidden.sum(1).clamp(min=1)

"""What confidence is trained to foretell: how wrong a predicted structure turned out beside the experiment.

All of it is the same for a structure that is turned or moved as a whole. Structures are [*batch, token, slot, 3] in Å.
"""

from __future__ import annotations

import torch
from torch import Tensor

from structdiff.confidence.scores import LARGEST_ERROR
from structdiff.features.token_frames import atom_of_token, token_frames
from structdiff.geometry.frames import positions_in_frames
from structdiff.typing import Bool, Float, Int

THRESHOLDS = (0.5, 1.0, 2.0, 4.0)  # Å
RADIUS, NUCLEIC_RADIUS = 15.0, 30.0  # Å in the experimental structure


def token_lddt(
    positions: Float[Tensor, "*batch token slot 3"],
    reference: Float[Tensor, "*batch token slot 3"],
    atom_mask: Bool[Tensor, "*batch token slot"],
    centre: Int[Tensor, "*batch token"],
    polymer: Bool[Tensor, "*batch token"],
    nucleic: Bool[Tensor, "*batch token"],
) -> tuple[Float[Tensor, "*batch token"], Bool[Tensor, "*batch token"]]:
    """The lDDT (0 to 1) of each token, the mean over its atoms, and for which tokens it means anything.

    The distances of an atom to the centre atoms of all other polymer tokens within 15 Å of it (30 Å for nucleotides) in
    the reference count. atom_mask: atoms that are in both structures. AlphaFold 3, section 4.3.1.
    """
    exists = torch.take_along_dim(atom_mask, centre[..., None], -1)[..., 0] & polymer
    distance, true_distance = (
        torch.cdist(each.flatten(-3, -2), atom_of_token(each, centre)).unflatten(-2, atom_mask.shape[-2:])
        for each in (positions, reference)
    )
    radius = torch.where(nucleic, NUCLEIC_RADIUS, RADIUS)[..., None, None, :]
    others = ~torch.eye(centre.shape[-1], dtype=torch.bool, device=centre.device)[:, None]
    counts = (true_distance < radius) & exists[..., None, None, :] & atom_mask[..., None] & others
    error = (distance - true_distance).abs()
    kept = sum((error < threshold).to(error) for threshold in THRESHOLDS) / len(THRESHOLDS)
    number = counts.sum(-1)
    by_atom = (kept * counts).sum(-1) / number.clamp(min=1)
    judged = number > 0
    return (by_atom * judged).sum(-1) / judged.sum(-1).clamp(min=1), judged.any(-1)


def aligned_error(
    positions: Float[Tensor, "*batch token slot 3"],
    reference: Float[Tensor, "*batch token slot 3"],
    atom_mask: Bool[Tensor, "*batch token slot"],
    centre: Int[Tensor, "*batch token"],
    frame: Int[Tensor, "*batch token 3"],
) -> tuple[Float[Tensor, "*batch token token"], Bool[Tensor, "*batch token token"]]:
    """How far (Å) the centre of token j is from its true place when both structures are laid upon token i's frame.

    Row: the aligned frame, column: the judged token. Also which pairs mean anything: the frame exists in both
    structures and the token in the reference. AlphaFold 3, Algorithms 29 and 30.
    """
    exists = torch.take_along_dim(atom_mask, centre[..., None], -1)[..., 0]
    (frames, valid), (true_frames, true_valid) = (
        token_frames(each, frame, atom_mask) for each in (positions, reference)
    )
    seen = positions_in_frames(frames, atom_of_token(positions, centre))
    true_seen = positions_in_frames(true_frames, atom_of_token(reference, centre))
    error = (seen - true_seen).square().sum(-1).sqrt()
    return error, (valid & true_valid)[..., None] & exists[..., None, :]


def distance_error(
    positions: Float[Tensor, "*batch token slot 3"],
    reference: Float[Tensor, "*batch token slot 3"],
    atom_mask: Bool[Tensor, "*batch token slot"],
    representative: Int[Tensor, "*batch token"],
) -> tuple[Float[Tensor, "*batch token token"], Bool[Tensor, "*batch token token"]]:
    """How wrong (Å) the distance between the representative atoms of each pair is, and which pairs exist.

    AlphaFold 3, section 4.3.3.
    """
    exists = torch.take_along_dim(atom_mask, representative[..., None], -1)[..., 0]
    distance, true_distance = (
        torch.cdist(atom, atom) for atom in (atom_of_token(each, representative) for each in (positions, reference))
    )
    return (distance - true_distance).abs(), exists[..., None] & exists[..., None, :]


def error_bins(error: Float[Tensor, "*pair"], count: int = 64) -> Int[Tensor, "*pair"]:
    """The bin of each error: ``count`` equal ones from 0 to 32 Å, the last one open.

    >>> error_bins(torch.tensor([0.0, 0.6, 31.9, 99.0]))
    tensor([ 0,  1, 63, 63])
    """
    return (error * (count / LARGEST_ERROR)).long().clamp(max=count - 1)


def lddt_bins(score: Float[Tensor, "*token"], count: int = 50) -> Int[Tensor, "*token"]:
    """The bin of each lDDT: ``count`` equal ones from 0 to 1.

    >>> lddt_bins(torch.tensor([0.0, 0.5, 1.0]))
    tensor([ 0, 25, 49])
    """
    return (score * count).long().clamp(max=count - 1)

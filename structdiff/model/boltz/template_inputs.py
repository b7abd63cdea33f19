"""Known distances as a template of Boltz-2: each motif group is one structure whose tokens see each other."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from structdiff.features.schema import Features
from structdiff.features.token_frames import atom_of_token
from structdiff.structure.tables import ChainKind
from structdiff.typing import Bool, Float, Int


@dataclass(frozen=True, kw_only=True)
class TemplateInputs:
    """One template of the batch, by token; positions in Å."""

    type: Int[Tensor, "batch token"]
    rotation: Float[Tensor, "batch token 3 3"]
    origin: Float[Tensor, "batch token 3"]
    frame_mask: Bool[Tensor, "batch token"]
    cb: Float[Tensor, "batch token 3"]
    cb_mask: Bool[Tensor, "batch token"]
    ca: Float[Tensor, "batch token 3"]
    mask: Bool[Tensor, "batch token"]
    visibility: Int[Tensor, "batch token"]


def template_inputs(
    features: Features, residue_type: Int[Tensor, "batch token"], stands: Bool[Tensor, "batch token"]
) -> TemplateInputs:
    """The motif groups as one template; all 0 for a structure that has none, which Boltz-2 leaves out."""
    token, condition = features.token, features.condition
    shape = (token.mask.shape[-1], features.num_slots)
    positions = condition.motif_positions.unflatten(1, shape)
    seen = condition.motif_mask.unflatten(1, shape)
    mask = stands & (condition.motif_group > 0)
    frame = token.frame.clamp(min=0)
    atoms = torch.take_along_dim(positions, frame[..., None], 2)
    frame_mask = mask & token.standard & (token.kind == ChainKind.PROTEIN)
    frame_mask = frame_mask & torch.take_along_dim(seen, frame, 2).all(-1)
    cb, ca = (atom_of_token(positions, slot) * mask[..., None] for slot in (token.representative, token.centre))
    return TemplateInputs(
        type=residue_type * mask,
        rotation=torch.where(
            frame_mask[..., None, None], _rotations(atoms), torch.eye(3).to(atoms) * mask[..., None, None]
        ),
        origin=atoms[..., 1, :] * frame_mask[..., None],
        frame_mask=frame_mask,
        cb=cb,
        cb_mask=mask & torch.take_along_dim(seen, token.representative[..., None], 2)[..., 0],
        ca=ca,
        mask=mask,
        visibility=_visibility(features, mask),
    )


def _rotations(atoms: Float[Tensor, "batch token 3 3"]) -> Float[Tensor, "batch token 3 3"]:
    """Axes, as columns, of the frames of N, CA and C: the first points from CA to C, the second to the side of N."""
    n, ca, c = atoms.unbind(-2)
    first = torch.nn.functional.normalize(c - ca, dim=-1, eps=1e-10)
    second = n - ca
    second = second - first * (first * second).sum(-1, keepdim=True)
    second = torch.nn.functional.normalize(second, dim=-1, eps=1e-10)
    return torch.stack([first, second, torch.linalg.cross(first, second)], -1)


def _visibility(features: Features, mask: Bool[Tensor, "batch token"]) -> Int[Tensor, "batch token"]:
    """The group of each token; of those of none the least of their chain's, else a number below 0 for each chain."""
    group, asym = features.condition.motif_group.long(), features.token.asym_id
    large = torch.iinfo(torch.long).max
    least = torch.full_like(asym, large).scatter_reduce(1, asym, torch.where(mask, group, large), "amin")
    of_chain = least.gather(1, asym)
    of_chain = torch.where(of_chain == large, -1 - asym, of_chain)
    found = torch.where(mask, group, of_chain)
    return found * (mask.any(-1, keepdim=True) & features.token.mask)

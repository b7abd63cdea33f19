"""What a training step is to come to: where atoms are, as far as the experiment saw them or neighbours tell."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import pad

from structdiff.features.schema import Features, TokenFeatures
from structdiff.features.token_frames import atom_of_token
from structdiff.geometry.virtual_cb import trace_cb, virtual_cb
from structdiff.structure.tables import ChainKind
from structdiff.training import losses

_BONDED_CA = 4.2  # Å between the CA of bonded residues, at most


def representatives(batch: Features) -> tuple[Tensor, Tensor]:
    """Positions (Å) of the representative atoms of all tokens, and which of them are known.

    Where a residue's CB was not seen it is where the backbone has it, or else where three neighbouring CA have it: of
    many entries there is nothing but backbones or traces, whose glycines alone would else teach distances.
    """
    token, shape = batch.token, (batch.num_tokens, batch.num_slots)
    positions, resolved = batch.atom.positions.unflatten(1, shape), batch.atom.resolved.unflatten(1, shape)
    seen = torch.take_along_dim(resolved, token.representative[..., None], 2)[..., 0]
    amino_acid = token.standard & (token.kind == ChainKind.PROTEIN)
    slots = token.frame.clamp(min=0)
    n, ca, c = torch.take_along_dim(positions, slots[..., None], 2).unbind(2)
    backbone = (torch.take_along_dim(resolved, slots, 2) & (token.frame >= 0)).all(-1) & amino_acid
    here = torch.where(seen[..., None], atom_of_token(positions, token.representative), virtual_cb(n, ca, c))
    trace, known = _by_trace(batch, atom_of_token(positions, token.centre), amino_acid & ~seen & ~backbone)
    return torch.where(known[..., None], trace, here), seen | backbone | known


def _by_trace(batch: Features, ca: Tensor, wanted: Tensor) -> tuple[Tensor, Tensor]:
    """CB (Å) of the wanted residues by their CA and their neighbours', and of which these were seen and are bonded."""
    shape = (batch.num_tokens, batch.num_slots)
    there = torch.take_along_dim(batch.atom.resolved.unflatten(1, shape), batch.token.centre[..., None], 2)[..., 0]
    near = torch.linalg.vector_norm(ca[:, 1:] - ca[:, :-1], dim=-1) < _BONDED_CA
    linked = near & there[:, 1:] & there[:, :-1] & follows(batch.token)
    cb = torch.zeros_like(ca)
    cb[:, 1:-1] = trace_cb(ca[:, :-2], ca[:, 1:-1], ca[:, 2:])
    return cb, wanted & pad(linked, (1, 0)) & pad(linked, (0, 1))


def follows(token: TokenFeatures) -> Tensor:
    """Of each residue but the first: whether it is the next one of the same protein chain."""
    follows = (token.residue_index[:, 1:] - token.residue_index[:, :-1] == 1) & token.standard[:, 1:]
    return follows & (token.asym_id[:, 1:] == token.asym_id[:, :-1]) & (token.kind[:, 1:] == ChainKind.PROTEIN)


def denoising_targets(batch: Features) -> tuple[Tensor, Tensor, Tensor]:
    """Positions centred on the resolved atoms, weight of each atom's error, and which atoms count."""
    resolved = batch.atom.resolved & batch.atom.mask
    counts = resolved[..., None].to(batch.atom.positions)
    middle = (batch.atom.positions * counts).sum(1, keepdim=True) / counts.sum(1, keepdim=True).clamp(min=1)
    target = (batch.atom.positions - middle) * counts
    # By comparison: a table would be copied to a GPU each time, for which the host waits.
    weight = torch.stack([(batch.token.kind == kind) * value for kind, value in enumerate(losses.ATOM_WEIGHT)]).sum(0)
    return target, weight.repeat_interleave(batch.num_slots, 1) * resolved, resolved

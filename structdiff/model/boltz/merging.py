"""Which tokens are one in Boltz-2: all of a modified residue, which structdiff splits into atoms."""

from __future__ import annotations

import torch
from torch import Tensor

from structdiff.features.schema import TokenFeatures
from structdiff.structure.tables import ChainKind
from structdiff.typing import Bool, Float, Int


def host_tokens(token: TokenFeatures) -> Int[Tensor, "batch token"]:
    """The token that stands for each one in Boltz-2's network: the first of a modified residue, else itself.

    What the network says of a token it says of all whose host that is; those that are not their own host are masked.
    """
    own = torch.arange(token.mask.shape[-1], device=token.mask.device).expand(token.mask.shape)
    split = token.mask & ~token.standard & (token.kind < ChainKind.LIGAND)
    same = split[:, 1:] & split[:, :-1]
    same &= (token.asym_id[:, 1:] == token.asym_id[:, :-1]) & (
        token.residue_index[:, 1:] == token.residue_index[:, :-1]
    )
    starts = torch.nn.functional.pad(~same, (1, 0), value=True)
    return torch.where(starts, own, 0).cummax(-1).values


def is_host(host: Int[Tensor, "batch token"]) -> Bool[Tensor, "batch token"]:
    """Which tokens stand for themselves."""
    return host == torch.arange(host.shape[-1], device=host.device)


def merged_pairs(
    values: Float[Tensor, "batch token token"], host: Int[Tensor, "batch token"]
) -> Float[Tensor, "batch token token"]:
    """Values of pairs (0 or above) of hosts: the largest of what they stand for; 0 for other tokens."""
    if bool(is_host(host).all()):
        return values
    nothing = torch.zeros_like(values)
    rows = nothing.scatter_reduce(1, host[:, :, None].expand_as(values), values, "amax")
    return nothing.scatter_reduce(2, host[:, None].expand_as(values), rows, "amax")

"""Where two tokens stand to each other in sequence, chain and copy."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from structdiff.features.schema import TokenFeatures
from structdiff.typing import Bool, Float, Int


class RelativePosition(nn.Module):
    """Embeds how far apart two tokens are in their chain, and whether they share chain and entity.

    AlphaFold 3, Algorithm 3 (r_max 32, s_max 2); in a cyclic chain the shorter way round counts.
    """

    def __init__(self, c_z: int, *, r_max: int = 32, s_max: int = 2) -> None:
        super().__init__()
        self.r_max, self.s_max = r_max, s_max
        self.residue_offset = nn.Embedding(2 * r_max + 2, c_z)
        self.token_offset = nn.Embedding(2 * r_max + 2, c_z)
        self.chain_offset = nn.Embedding(2 * s_max + 2, c_z)
        self.same_entity = nn.Embedding(2, c_z)
        for table in (self.residue_offset, self.token_offset, self.chain_offset, self.same_entity):
            nn.init.normal_(table.weight, std=0.1)

    def forward(self, token: TokenFeatures) -> Float[Tensor, "batch token token c_z"]:
        """The embedding of where each pair stands."""
        same_chain = _equal(token.asym_id)
        same_entity = _equal(token.entity_id)
        same_residue = same_chain & _equal(token.residue_index)
        residue = chain_offset(token)
        place = torch.arange(token.mask.shape[1], device=token.mask.device).expand_as(token.residue_index)
        return (
            self.residue_offset(_clip(residue, self.r_max, same_chain))
            + self.token_offset(_clip(_offset(place), self.r_max, same_residue))
            + self.chain_offset(_clip(_offset(token.sym_id), self.s_max, same_entity & ~same_chain))
            + self.same_entity(same_entity.long())
        )


def chain_offset(token: TokenFeatures) -> Int[Tensor, "batch token token"]:
    """Residue index of token i minus that of token j, the shorter way round in cyclic chains; also between chains."""
    return _wrap(_offset(token.residue_index), token.cyclic_period[:, :, None])


def chain_neighbours(
    token: TokenFeatures, offsets: Sequence[int]
) -> tuple[Int[Tensor, "batch token offset"], Bool[Tensor, "batch token offset"]]:
    """For each token the tokens that stand so many residues further on in its chain, and whether there are any.

    Whole residues alone have neighbours; where there is none the index means nothing.
    """
    whole = token.mask & token.standard
    together = _equal(token.asym_id) & whole[:, :, None] & whole[:, None]
    further = -chain_offset(token)
    there = torch.stack([(further == offset) & together for offset in offsets], 2).to(torch.uint8)
    exists, neighbour = there.max(-1)
    return neighbour, exists.bool()


def _offset(index: Int[Tensor, "batch token"]) -> Int[Tensor, "batch token token"]:
    return index[:, :, None] - index[:, None, :]


def _equal(index: Int[Tensor, "batch token"]) -> Tensor:
    return index[:, :, None] == index[:, None, :]


def _clip(offset: Tensor, limit: int, counts: Tensor) -> Tensor:
    """Offsets as classes 0 ... 2 limit, and 2 limit + 1 where an offset has no meaning."""
    return torch.where(counts, offset.clamp(-limit, limit) + limit, 2 * limit + 1)


def _wrap(offset: Tensor, period: Tensor) -> Tensor:
    """The shorter way round a cyclic chain; linear chains (period 0) stay as they are."""
    safe = period.clamp(min=1)
    wrapped = torch.remainder(offset + safe // 2, safe) - safe // 2
    return torch.where(period > 0, wrapped, offset)

"""What the confidence head sees of a structure: how its tokens lie to each other, and what surrounds each."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from structdiff.features.schema import Features, TokenFeatures
from structdiff.features.token_frames import atom_of_token, token_frames
from structdiff.geometry.frames import positions_in_frames
from structdiff.model.relative_position import chain_offset
from structdiff.nn.binning import DistanceBasis
from structdiff.nn.initialisation import linear
from structdiff.typing import Bool, Float, Int

_NUM_CENTRES = 32
_FARTHEST = 60.0  # Å
_RADII = (8.0, 15.0)  # Å: contacts, and the surroundings that lDDT asks of
_SOFTNESS = 1.0  # Å
_NEIGHBOURS = 9  # places along the chain that are told apart


class PairGeometry(nn.Module):
    """How two tokens lie to each other, as a vector a pair; the same however the structure is turned or moved.

    Distances of representative atoms, of centre atoms, and from the last frame atom of one to the first of the other
    (C to N of residues: peptide bonds, and nearly hydrogen bonds); where the frame of token i sees token j, and how the
    axes of j's frame lie in it; how far apart they are in the chain. Nothing is said of frames that do not exist.
    One hidden layer, so that what is right at one separation is told from what is right at another.
    """

    def __init__(self, c_hidden: int) -> None:
        super().__init__()
        self.basis = DistanceBasis(_NUM_CENTRES, largest=_FARTHEST)
        self.representative, self.centre, self.bond = (linear(_NUM_CENTRES, c_hidden) for _ in range(3))
        self.frames = linear(3 + 9 + 1, c_hidden)
        self.place = nn.Embedding(2 * _NEIGHBOURS + 2, c_hidden)

    def forward(
        self, features: Features, positions: Float[Tensor, "batch token slot 3"]
    ) -> Float[Tensor, "batch token token c_hidden"]:
        """The vector of each pair, seen from its first token; positions in Å."""
        token = features.token
        atom_mask = features.atom.mask.unflatten(1, (features.num_tokens, features.num_slots))
        frames, valid = token_frames(positions, token.frame, atom_mask)
        both = (valid[:, :, None] & valid[:, None])[..., None]
        representative, centre = (atom_of_token(positions, slot) for slot in (token.representative, token.centre))
        first, last = (atom_of_token(positions, token.frame[..., place].clamp(min=0)) for place in (0, 2))
        seen = positions_in_frames(frames, centre)
        direction = seen / (1 + seen.square().sum(-1, keepdim=True)).sqrt()
        axes = frames.rotation[:, :, None].transpose(-1, -2) @ frames.rotation[:, None]
        placed = torch.cat([direction, axes.flatten(-2), torch.ones_like(direction[..., :1])], -1) * both
        hidden = self.frames(placed)
        hidden += self.place(_chain_places(token))  # in place: these tables are the largest that the head holds
        hidden += self.representative(self.basis(torch.cdist(representative, representative)))
        hidden += self.centre(self.basis(torch.cdist(centre, centre)))
        hidden += self.bond(self.basis(torch.cdist(last, first)) * both)
        return functional.silu(hidden)


def _chain_places(token: TokenFeatures) -> Int[Tensor, "batch token token"]:
    """How many places along the chain token i comes after token j, far ones alike; the last class is other chains."""
    same_chain = token.asym_id[:, :, None] == token.asym_id[:, None]
    offset = chain_offset(token).clamp(-_NEIGHBOURS, _NEIGHBOURS) + _NEIGHBOURS
    return torch.where(same_chain, offset, 2 * _NEIGHBOURS + 1)


def surrounding_windows(
    representative: Float[Tensor, "batch token 3"], pair_mask: Bool[Tensor, "batch token token"]
) -> Float[Tensor, "batch token token window"]:
    """How much token j belongs to the surroundings of token i: within 8 Å, within 15 Å, at all (0 to 1, soft edges)."""
    distance = torch.cdist(representative, representative)
    near = [torch.sigmoid((radius - distance) / _SOFTNESS) for radius in _RADII]
    return torch.stack([*near, torch.ones_like(distance)], -1) * pair_mask[..., None]


class Surroundings(nn.Module):
    """Lets each token read the pairs around it: their means over several windows, and how many there are."""

    def __init__(self, c_pair: int, c_s: int) -> None:
        super().__init__()
        width = (len(_RADII) + 1) * (c_pair + 1)
        self.norm = nn.LayerNorm(width)
        self.out = linear(width, c_s)

    def forward(
        self, pairs: Float[Tensor, "batch token token c_pair"], windows: Float[Tensor, "batch token token window"]
    ) -> Float[Tensor, "batch token c_s"]:
        """What each token reads, from the pairs that it is the first of."""
        number = windows.sum(2)
        means = (windows.transpose(-1, -2) @ pairs) / number.clamp(min=1)[..., None]
        return self.out(self.norm(torch.cat([means, number.log1p()[..., None]], -1).flatten(-2)))

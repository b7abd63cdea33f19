"""Known geometry inside each motif group, told to the pair table as distances and directions."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from structdiff.features.schema import Features
from structdiff.model.pairformer import PairConfig, PairStack
from structdiff.nn.binning import bin_index
from structdiff.nn.initialisation import linear
from structdiff.typing import Bool, Float, Int

_NUM_BINS = 39


class TemplateEmbedder(nn.Module):
    """Tells the pair table how the tokens of one motif group lie to each other; groups stay free of one another.

    Distances of representative atoms in 39 bins from 3.25 to 50.75 Å and unit vectors in residue frames, as
    AlphaFold 3's templates (Algorithm 16, section 2.8). Only what a rotation leaves alone enters, handedness included.
    """

    def __init__(self, config: PairConfig, *, c_z: int, blocks: int) -> None:
        super().__init__()
        self.distance = nn.Embedding(_NUM_BINS, config.c_z)
        self.direction = nn.Linear(5, config.c_z, bias=False)
        self.norm_z = nn.LayerNorm(c_z)
        self.project_z = linear(c_z, config.c_z)
        self.stack = PairStack(config, blocks=blocks)
        self.norm_out = nn.LayerNorm(config.c_z)
        self.project_out = linear(config.c_z, c_z)
        nn.init.normal_(self.distance.weight, std=0.1)

    def forward(
        self,
        features: Features,
        z: Float[Tensor, "batch token token c_z"],
        pair_mask: Bool[Tensor, "batch token token"],
    ) -> Float[Tensor, "batch token token c_z"]:
        """What the motifs add to z; pairs outside the groups get nothing but what the stack carries over to them."""
        same = same_group(features)
        representative, seen = slot_positions(features, features.token.representative)
        distance = torch.cdist(representative, representative)
        bins = bin_index(distance, first=3.25, last=50.75, count=_NUM_BINS)
        both = (same & seen[:, :, None] & seen[:, None])[..., None]
        direction = _directions(features, representative, same & seen[:, None])
        known = self.distance(bins) * both + self.direction(torch.cat([direction, both.to(direction)], -1))
        v = self.stack(self.project_z(self.norm_z(z)) + known, pair_mask)
        out = self.project_out(functional.relu(self.norm_out(v)))
        any_motif = (features.condition.motif_group > 0).any(-1)
        return out * any_motif[:, None, None, None]


def same_group(features: Features) -> Bool[Tensor, "batch token token"]:
    """Which pairs of tokens belong to the same motif group."""
    group = features.condition.motif_group
    return (group[:, :, None] == group[:, None]) & (group > 0)[:, None]


def slot_positions(
    features: Features, slot: Int[Tensor, "batch token"]
) -> tuple[Float[Tensor, "batch token 3"], Bool[Tensor, "batch token"]]:
    """Motif positions (Å) of one atom a token, and whether the motif holds it; slot -1 is never held."""
    shape = (features.num_tokens, features.num_slots)
    positions = features.condition.motif_positions.unflatten(1, shape)
    held = features.condition.motif_mask.unflatten(1, shape)
    index = slot.clamp(min=0)[..., None]
    picked = torch.take_along_dim(positions, index[..., None], 2)[:, :, 0]
    return picked, torch.take_along_dim(held, index, 2)[..., 0] & (slot >= 0)


def _directions(features: Features, points: Tensor, visible: Tensor) -> Float[Tensor, "batch token token 4"]:
    """Unit vectors from each token's frame to every point of its group, and whether they are known."""
    corners = [slot_positions(features, features.token.frame[..., i]) for i in range(3)]
    known = corners[0][1] & corners[1][1] & corners[2][1]
    (first, _), (origin, _), (last, _) = corners
    axis_1 = functional.normalize(last - origin, dim=-1)
    other = first - origin
    axis_2 = functional.normalize(other - (other * axis_1).sum(-1, keepdim=True) * axis_1, dim=-1)
    frame = torch.stack([axis_1, axis_2, torch.linalg.cross(axis_1, axis_2)], -1)
    arrow = points[:, None] - origin[:, :, None]
    local = functional.normalize(torch.einsum("bijx,bixk->bijk", arrow, frame), dim=-1)
    valid = (visible & known[:, :, None])[..., None].to(local)
    return torch.cat([local * valid, valid], -1)

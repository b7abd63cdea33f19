"""Heads: what else the network says of a structure beside where its atoms are."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from structdiff.features.schema import Features
from structdiff.model.pairformer import PairformerConfig, PairformerStack
from structdiff.model.trunk import TrunkConfig, TrunkOutput
from structdiff.nn.binning import DistanceBasis
from structdiff.nn.initialisation import linear
from structdiff.typing import Float

NUM_DISTOGRAM_BINS = 64
NUM_PLDDT_BINS = 50
NUM_ERROR_BINS = 64
LARGEST_ERROR = 32.0  # Å, upper edge of the bins of PAE and PDE
_NUM_CENTRES = 32


class DistogramHead(nn.Module):
    """How far apart the representative atoms of two tokens are: 64 bins (AlphaFold 2, section 1.9.8)."""

    def __init__(self, c_z: int) -> None:
        super().__init__()
        self.project = linear(c_z, NUM_DISTOGRAM_BINS, bias=True)

    def forward(self, z: Float[Tensor, "batch token token c_z"]) -> Float[Tensor, "batch token token bin"]:
        """Logits of the binned distance of each pair, the same in both directions."""
        logits = self.project(z)
        return logits + logits.transpose(1, 2)


@dataclass(frozen=True, kw_only=True)
class ConfidenceConfig:
    """Sizes of the confidence head; the defaults are AlphaFold 3's."""

    pairformer: PairformerConfig = field(default_factory=lambda: PairformerConfig(blocks=4))


@dataclass(frozen=True, kw_only=True)
class ConfidenceLogits:
    """Bins of pLDDT a token (50, 0 to 1), of aligned error and distance error a pair (64, 0 to 32 Å)."""

    plddt: Float[Tensor, "*batch token 50"]
    pae: Float[Tensor, "*batch token token 64"]
    pde: Float[Tensor, "*batch token token 64"]


class ConfidenceHead(nn.Module):
    """How sure the network is of a predicted structure, from the trunk and the structure's own distances.

    AlphaFold 3, Algorithm 31. Nothing is learned through it by the trunk: its inputs are detached.
    """

    def __init__(self, config: ConfidenceConfig, trunk: TrunkConfig) -> None:
        super().__init__()
        c_s, c_z = config.pairformer.c_s, config.pairformer.c_z
        c_inputs = trunk.inputs.c_s_inputs
        self.s_in = nn.Sequential(nn.LayerNorm(trunk.pairformer.c_s), linear(trunk.pairformer.c_s, c_s))
        self.z_in = nn.Sequential(nn.LayerNorm(trunk.pairformer.c_z), linear(trunk.pairformer.c_z, c_z))
        self.left, self.right = linear(c_inputs, c_z), linear(c_inputs, c_z)
        self.basis = DistanceBasis(_NUM_CENTRES, largest=60.0)
        self.distance = nn.Linear(_NUM_CENTRES, c_z, bias=False)
        self.near = nn.Linear(c_z, c_s, bias=False)
        self.pairformer = PairformerStack(config.pairformer)
        self.plddt = nn.Sequential(nn.LayerNorm(c_s), linear(c_s, NUM_PLDDT_BINS, bias=True))
        self.pae = nn.Sequential(nn.LayerNorm(c_z), linear(c_z, NUM_ERROR_BINS, bias=True))
        self.pde = nn.Sequential(nn.LayerNorm(c_z), linear(c_z, NUM_ERROR_BINS, bias=True))

    def forward(
        self, features: Features, trunk: TrunkOutput, representative: Float[Tensor, "batch token 3"]
    ) -> ConfidenceLogits:
        """Logits for one predicted structure each, given where its representative atoms are (Å)."""
        s_inputs, s_trunk, z_trunk = (x.detach() for x in (trunk.s_inputs, trunk.s_trunk, trunk.z_trunk))
        mask = features.token.mask
        pair_mask = mask[:, :, None] & mask[:, None]
        distance = self.distance(self.basis(torch.cdist(representative, representative).detach()))
        z = self.z_in(z_trunk) + self.left(s_inputs)[:, :, None] + self.right(s_inputs)[:, None] + distance
        surroundings = (distance * pair_mask[..., None]).sum(2) / mask.sum(1).clamp(min=1)[:, None, None]
        s, z = self.pairformer(self.s_in(s_trunk) + self.near(surroundings), z, mask, pair_mask)
        return ConfidenceLogits(plddt=self.plddt(s), pae=self.pae(z), pde=self.pde(z + z.transpose(1, 2)))

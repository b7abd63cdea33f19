"""Heads: what else the network says of a structure beside where its atoms are."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from structdiff.features.schema import Features
from structdiff.features.token_frames import atom_of_token
from structdiff.model.confidence_geometry import PairGeometry, Surroundings, surrounding_windows
from structdiff.model.pairformer import PairformerConfig, PairformerStack
from structdiff.model.trunk import TrunkConfig, TrunkOutput
from structdiff.nn.initialisation import linear
from structdiff.nn.transition import Transition
from structdiff.typing import Float

NUM_DISTOGRAM_BINS = 64
LOCAL_OFFSETS = range(2, 9)  # residues further on in a chain: what secondary structure shows in
NUM_PLDDT_BINS = 50
NUM_ERROR_BINS = 64
LARGEST_ERROR = 32.0  # Å, upper edge of the bins of PAE and PDE


class DistogramHead(nn.Module):
    """How far apart the representative atoms of two tokens are: 64 bins (AlphaFold 2, section 1.9.8)."""

    def __init__(self, c_z: int) -> None:
        super().__init__()
        self.project = linear(c_z, NUM_DISTOGRAM_BINS, bias=True)

    def forward(self, z: Float[Tensor, "batch token token c_z"]) -> Float[Tensor, "batch token token bin"]:
        """Logits of the binned distance of each pair, the same in both directions."""
        logits = self.project(z)
        return logits + logits.transpose(1, 2)


class LocalDistogramHead(nn.Module):
    """How far a residue's representative atom is from those two to eight residues further on in its chain.

    Of what the sequence encoder says, in the bins of :class:`DistogramHead`.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.project = linear(channels, len(LOCAL_OFFSETS) * NUM_DISTOGRAM_BINS, bias=True)

    def forward(self, s: Float[Tensor, "batch token channels"]) -> Float[Tensor, "batch token offset bin"]:
        """Logits of the binned distance to each of the residues further on."""
        return self.project(s).unflatten(-1, (len(LOCAL_OFFSETS), NUM_DISTOGRAM_BINS))


@dataclass(frozen=True, kw_only=True)
class ConfidenceConfig:
    """Sizes of the confidence head; those of the Pairformer are AlphaFold 3's by default.

    c_geometry: channels in which the geometry of a pair is first described.
    """

    c_geometry: int = 64
    pairformer: PairformerConfig = field(default_factory=lambda: PairformerConfig(blocks=4))


@dataclass(frozen=True, kw_only=True)
class ConfidenceLogits:
    """Bins of pLDDT a token (50, 0 to 1), of aligned error and distance error a pair (64, 0 to 32 Å)."""

    plddt: Float[Tensor, "*batch token 50"]
    pae: Float[Tensor, "*batch token token 64"]
    pde: Float[Tensor, "*batch token token 64"]


class ConfidenceHead(nn.Module):
    """How sure the network is of a predicted structure, from the trunk and the structure's own geometry.

    After AlphaFold 3, Algorithm 31, with two changes for a head of one small block. A pair sees, beside the distance of
    its representative atoms, how its two residues lie to each other. And each token reads the pairs around it, before
    and after the Pairformer, in which pairs reach tokens through the bias of attention alone: one block hardly learned
    to look at the structure that way (docs/log.md). The trunk learns nothing through the head: its inputs are detached.
    """

    def __init__(self, config: ConfidenceConfig, trunk: TrunkConfig) -> None:
        super().__init__()
        c_s, c_z, c_geometry = config.pairformer.c_s, config.pairformer.c_z, config.c_geometry
        c_told = trunk.inputs.c_s_inputs + trunk.pairformer.c_s
        self.s_in = nn.Sequential(nn.LayerNorm(c_told), linear(c_told, c_s))
        self.z_in = nn.Sequential(nn.LayerNorm(trunk.pairformer.c_z), linear(trunk.pairformer.c_z, c_z))
        self.geometry = PairGeometry(c_geometry)
        self.geometry_out = linear(c_geometry, c_z)
        self.near = Surroundings(c_geometry, c_s)
        self.pairformer = PairformerStack(config.pairformer)
        self.pair_hidden = nn.Sequential(nn.LayerNorm(c_z), linear(c_z, 2 * c_z, bias=True), nn.SiLU())
        self.around = Surroundings(2 * c_z, c_s)
        self.transition = Transition(c_s, factor=2)
        self.plddt = nn.Sequential(nn.LayerNorm(c_s), linear(c_s, NUM_PLDDT_BINS, bias=True))
        self.pae = nn.Sequential(nn.LayerNorm(c_z), linear(c_z, NUM_ERROR_BINS, bias=True))
        self.pde = nn.Sequential(nn.LayerNorm(c_z), linear(c_z, NUM_ERROR_BINS, bias=True))

    def forward(
        self, features: Features, trunk: TrunkOutput, positions: Float[Tensor, "batch token slot 3"]
    ) -> ConfidenceLogits:
        """Logits for one predicted structure each, given where its atoms are (Å)."""
        s_inputs, s_trunk, z_trunk = (x.detach() for x in (trunk.s_inputs, trunk.s_trunk, trunk.z_trunk))
        positions = positions.detach()
        mask = features.token.mask
        pair_mask = mask[:, :, None] & mask[:, None]
        windows = surrounding_windows(atom_of_token(positions, features.token.representative), pair_mask)
        geometry = self.geometry(features, positions)
        s = self.s_in(torch.cat([s_inputs, s_trunk], -1)) + self.near(geometry, windows)
        z = self.z_in(z_trunk) + self.geometry_out(geometry)
        del geometry  # a large table that nothing asks for any more
        s, z = self.pairformer(s, z, mask, pair_mask)
        both = z + z.transpose(1, 2)
        s = s + self.around(self.pair_hidden(both), windows)
        s = s + self.transition(s)
        return ConfidenceLogits(plddt=self.plddt(s), pae=self.pae(z), pde=self.pde(both))

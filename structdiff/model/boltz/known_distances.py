"""What the pair table learns of a design's known parts: how far apart their residues are, and four atoms of each."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from structdiff.model.boltz.config import BoltzConfig, KnownDistanceConfig
from structdiff.model.boltz.design_inputs import NUM_FRAME_ATOMS, DesignInputs
from structdiff.model.boltz.pair_reader import PairReader
from structdiff.nn.initialisation import linear
from structdiff.nn.rowwise import in_pieces
from structdiff.typing import Bool, Float

_WIDEST_BELL = 2.0  # Å, the middle of the last


class FrameDistances(nn.Module):
    """Reads the distance of the same atom of two residues (N and N, CA and CA, C and C, O and O), knowing their places.

    Layer norm, then SwiGLU of as many hidden channels as a pair has.
    """

    def __init__(self, c_z: int, bells: int) -> None:
        super().__init__()
        self.bells = bells
        self.norm = nn.LayerNorm(bells + 1 + c_z)
        self.project_gate = linear(bells + 1 + c_z, c_z)
        self.project_up = linear(bells + 1 + c_z, c_z)
        self.project_out = linear(c_z, c_z, start="zero")

    def forward(self, apart: Float[Tensor, " pair"], relative: Float[Tensor, "pair c_z"]) -> Float[Tensor, "pair c_z"]:
        """apart: distances (Å) of some pairs of tokens; relative: how they stand in their chains."""
        return in_pieces(self._read, torch.cat([apart[:, None], relative], -1))

    def _read(self, rows: Float[Tensor, "pair c_in"]) -> Float[Tensor, "pair c_z"]:
        middles = torch.linspace(0.0, _WIDEST_BELL, self.bells, device=rows.device)
        bells = torch.exp(-0.5 * ((rows[:, :1] - middles) / (middles[1] - middles[0])).square())
        told = self.norm(torch.cat([bells, rows], -1))
        return self.project_out(functional.silu(self.project_gate(told)) * self.project_up(told))


class KnownDistances(PairReader):
    """Reads the distances of what a design is given: of its target, its motif, its ligands (BoltzGen).

    Stark, Faltings, Choi et al. 2025, BoltzGen. Tokens of one group see their distances, those of several do not.
    """

    def __init__(self, config: BoltzConfig, sizes: KnownDistanceConfig) -> None:
        super().__init__(config, sizes, sizes.c_distance, sizes.bins + NUM_FRAME_ATOMS * config.c_z)
        self.sizes = sizes
        self.frames = FrameDistances(config.c_z, sizes.bells)

    def told(
        self, design: DesignInputs, relative: Float[Tensor, "batch token token c_z"]
    ) -> Float[Tensor, "batch token token c_distance"]:
        """What is known of each pair, 0 where nothing is; the same in every pass of the trunk."""
        known = (design.group[:, :, None] == design.group[:, None]) & (design.group > 0)[:, :, None]
        item, first, second = known.nonzero(as_tuple=True)
        table = relative.new_zeros(*known.shape, self.sizes.c_distance)
        table[known] = self._of_pairs(
            design.centre[item, first] - design.centre[item, second],
            design.frame_atoms[item, first] - design.frame_atoms[item, second],
            relative[known],
        )
        return table

    def forward(
        self,
        told: Float[Tensor, "batch token token c_distance"],
        z: Float[Tensor, "batch token token c_z"],
        pair_mask: Bool[Tensor, "batch token token"],
    ) -> Float[Tensor, "batch token token c_z"]:
        """The update of the pair table (without the residual); told: of `told`."""
        return self.update(self.read(self.entered(z) + told, pair_mask))

    def _of_pairs(
        self,
        centre: Float[Tensor, "pair 3"],
        frame: Float[Tensor, "pair 4 3"],
        relative: Float[Tensor, "pair c_z"],
    ) -> Float[Tensor, "pair c_distance"]:
        """Bins of the distance of the centres, and what is read of each of the four atoms."""
        bins, rest = self.features.weight.t().split((self.sizes.bins, NUM_FRAME_ATOMS * relative.shape[-1]))
        told = self.binned(centre.norm(dim=-1), bins)
        # Channels of the four atoms alternate.
        by_atom = rest.unflatten(0, (relative.shape[-1], NUM_FRAME_ATOMS))
        for atom in range(NUM_FRAME_ATOMS):
            told = told + self.frames(frame[:, atom].norm(dim=-1), relative) @ by_atom[:, atom]
        return told

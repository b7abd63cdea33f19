"""How sure Boltz-2 is of a structure."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from structdiff.features.schema import Features
from structdiff.model.boltz.config import BoltzConfig, ConfidenceSizes
from structdiff.model.boltz.distances import DistanceBins
from structdiff.model.boltz.embedding import PairInputs
from structdiff.model.boltz.inputs import BoltzInputs, boltz_inputs
from structdiff.model.boltz.merging import host_tokens
from structdiff.model.heads import NUM_ERROR_BINS, NUM_PLDDT_BINS, ConfidenceLogits
from structdiff.model.pairformer import PairformerStack
from structdiff.model.trunk import TrunkOutput
from structdiff.nn.initialisation import linear
from structdiff.typing import Bool, Float


class PairHead(nn.Module):
    """Logits of an error of each pair, by layers of their own within and between chains where Boltz has two."""

    def __init__(self, c_z: int, *, apart: bool) -> None:
        super().__init__()
        self.within = linear(c_z, NUM_ERROR_BINS)
        self.between = linear(c_z, NUM_ERROR_BINS) if apart else None

    def forward(
        self, z: Float[Tensor, "batch token token c_z"], same_chain: Bool[Tensor, "batch token token"]
    ) -> Float[Tensor, "batch token token bin"]:
        """The logits of each pair."""
        within = self.within(z)
        return within if self.between is None else torch.where(same_chain[..., None], within, self.between(z))


class BoltzConfidence(nn.Module):
    """pLDDT, PAE and PDE of a structure, from the trunk and its distances (AlphaFold 3, Algorithm 31)."""

    def __init__(self, config: BoltzConfig, sizes: ConfidenceSizes) -> None:
        super().__init__()
        c_s, c_z = config.c_s, config.c_z
        self.norm_inputs, self.norm_s, self.norm_z = nn.LayerNorm(c_s), nn.LayerNorm(c_s), nn.LayerNorm(c_z)
        self.inputs_to_s = linear(c_s, c_s, start="zero") if sizes.single_inputs else None
        self.pair_inputs = PairInputs(c_z, config.pairs) if sizes.pair_inputs else None
        self.row, self.column = linear(c_s, c_z, start="zero"), linear(c_s, c_z, start="zero")
        self.product_row = self.product_column = self.product_out = None
        if sizes.product:
            self.product_row, self.product_column = linear(c_s, c_z), linear(c_s, c_z)
            self.product_out = linear(c_z, c_z, start="zero")
        self.distance = DistanceBins(sizes.distance_bins, c_z, furthest=sizes.furthest)
        self.pairformer = PairformerStack(config.confidence_stack(sizes))
        self.plddt = linear(c_s, NUM_PLDDT_BINS)
        self.pae = PairHead(c_z, apart=sizes.heads_between_chains)
        self.pde = PairHead(c_z, apart=sizes.heads_between_chains)

    def forward(
        self, features: Features, trunk: TrunkOutput, positions: Float[Tensor, "batch token slot 3"]
    ) -> ConfidenceLogits:
        """Logits for one structure each, given where its atoms are (Å); one after another, to spare memory.

        Tokens that are one in Boltz-2 have all what is said of the one.
        """
        inputs, host = boltz_inputs(features), host_tokens(features.token)
        packed = positions.flatten(1, 2).gather(1, inputs.atom_slot[..., None].expand(-1, -1, 3))
        judged = [
            self.judged(
                one_of(inputs, row), trunk.s_inputs[row : row + 1], trunk.s_trunk[row : row + 1],
                trunk.z_trunk[row : row + 1], packed[row : row + 1],
            )
            for row in range(len(positions))
        ]  # fmt: skip
        whole = (torch.cat([getattr(each, name) for each in judged]) for name in ("plddt", "pae", "pde"))
        plddt, pae, pde = whole
        rows = torch.arange(len(host), device=host.device)[:, None]
        pairs = (rows[..., None], host[:, :, None], host[:, None])
        return ConfidenceLogits(plddt=plddt[rows, host], pae=pae[pairs], pde=pde[pairs])

    def judged(
        self,
        inputs: BoltzInputs,
        s_inputs: Float[Tensor, "batch token c_s"],
        s: Float[Tensor, "batch token c_s"],
        z: Float[Tensor, "batch token token c_z"],
        packed: Float[Tensor, "batch atom 3"],
    ) -> ConfidenceLogits:
        """Logits of structures whose packed atoms are at given places (Å), one for each entry of the inputs."""
        mask = inputs.token_mask
        s, z = self._understood(inputs, s_inputs, s, z)
        z = z + self.distance.of(inputs, packed)
        s, z = self.pairformer(s, z, mask, mask[:, :, None] & mask[:, None])
        same_chain = inputs.asym_id[:, :, None] == inputs.asym_id[:, None]
        both = z + z.transpose(1, 2)
        return ConfidenceLogits(plddt=self.plddt(s), pae=self.pae(z, same_chain), pde=self.pde(both, same_chain))

    def _understood(
        self,
        inputs: BoltzInputs,
        s_inputs: Float[Tensor, "batch token c_s"],
        s: Float[Tensor, "batch token c_s"],
        z: Float[Tensor, "batch token token c_z"],
    ) -> tuple[Float[Tensor, "batch token c_s"], Float[Tensor, "batch token token c_z"]]:
        """Tokens and pairs as they are before the structure is looked at."""
        s_inputs, s, z = self.norm_inputs(s_inputs), self.norm_s(s), self.norm_z(z)
        s = s if self.inputs_to_s is None else s + self.inputs_to_s(s_inputs)
        z = z if self.pair_inputs is None else z + self.pair_inputs(inputs)
        z = z + self.row(s_inputs)[:, :, None] + self.column(s_inputs)[:, None]
        if self.product_row is None or self.product_column is None or self.product_out is None:
            return s, z
        return s, z + self.product_out(self.product_row(s_inputs)[:, :, None] * self.product_column(s_inputs)[:, None])


def one_of(inputs: BoltzInputs, row: int) -> BoltzInputs:
    """One entry of a batch, as a batch of one."""
    return BoltzInputs(**{name: values[row : row + 1] for name, values in vars(inputs).items() if name != "design"})

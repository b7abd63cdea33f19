"""The trunk of Boltz-2: input embedder, templates, MSA module and Pairformer, recycled."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from structdiff.features.schema import Features
from structdiff.model.boltz.config import MOST_ROWS, NUM_RESIDUE_TYPES, BoltzConfig
from structdiff.model.boltz.embedding import PairInputs
from structdiff.model.boltz.input_embedder import BoltzInputEmbedder
from structdiff.model.boltz.inputs import BoltzInputs, boltz_inputs
from structdiff.model.boltz.known_distances import KnownDistances
from structdiff.model.boltz.templates import BoltzTemplates
from structdiff.model.msa_module import MSAModule
from structdiff.model.pairformer import PairformerStack
from structdiff.model.trunk import TrunkOutput
from structdiff.nn.initialisation import linear
from structdiff.typing import Bool, Float


@dataclass(frozen=True, kw_only=True)
class BoltzTrunkOutput(TrunkOutput):
    """What the trunk hands on; relative: how pairs of tokens stand in chains, which the denoiser is told again."""

    relative: Float[Tensor, "batch token token c_z"]


class BoltzTrunk(nn.Module):
    """Encodes sequences, alignments, templates and what is asked of pairs (AlphaFold 3, Algorithm 1, lines 1 to 14)."""

    def __init__(self, config: BoltzConfig) -> None:
        super().__init__()
        c_s, c_z = config.c_s, config.c_z
        self.input_embedder = BoltzInputEmbedder(config)
        self.s_init = linear(c_s, c_s)
        self.z_init_row, self.z_init_column = linear(c_s, c_z), linear(c_s, c_z)
        self.pair_inputs = PairInputs(c_z, config.pairs)
        self.s_recycle = nn.Sequential(nn.LayerNorm(c_s), linear(c_s, c_s, start="zero"))
        self.z_recycle = nn.Sequential(nn.LayerNorm(c_z), linear(c_z, c_z, start="zero"))
        self.templates = None if config.template is None else BoltzTemplates(config, config.template)
        distances = config.known_distances
        self.known_distances = None if distances is None else KnownDistances(config, distances)
        self.msa_module = MSAModule(config.msa, c_msa=NUM_RESIDUE_TYPES + 3, c_s_inputs=c_s)
        self.pairformer = PairformerStack(config.pairformer)

    def forward(self, features: Features, *, recycles: int = 0) -> BoltzTrunkOutput:
        """Runs the trunk ``recycles + 1`` times; raises InputError for open residues where the network designs none."""
        designs = self.known_distances is not None
        return self.understood(boltz_inputs(features, designs=designs), recycles=recycles)

    def understood(self, inputs: BoltzInputs, *, recycles: int = 0) -> BoltzTrunkOutput:
        """The same of what Boltz-2 reads."""
        mask = inputs.token_mask
        pair_mask = mask[:, :, None] & mask[:, None]
        s_inputs = self.input_embedder(inputs)
        s_init, z_init = self.s_init(s_inputs), self._pairs(inputs, s_inputs)
        s, z = torch.zeros_like(s_init), torch.zeros_like(z_init)
        relative = self.pair_inputs.relative_position(inputs)
        known = self._known(inputs, relative)
        for cycle in range(recycles + 1):
            s, z = s_init + self.s_recycle(s), z_init + self.z_recycle(z)
            if self.known_distances is not None and known is not None:
                z = z + self.known_distances(known, z, pair_mask)
            if self.templates is not None:
                told = self.templates(inputs, z, pair_mask)
                z = z if told is None else z + told
            z = self._with_alignment(inputs, s_inputs, z, pair_mask, cycle)
            s, z = self.pairformer(s, z, mask, pair_mask)
        return BoltzTrunkOutput(s_inputs=s_inputs, s_trunk=s, z_trunk=z, relative=relative)

    def _known(
        self, inputs: BoltzInputs, relative: Float[Tensor, "batch token token c_z"]
    ) -> Float[Tensor, "batch token token c_distance"] | None:
        """What is known of the distances of a design's given parts."""
        if self.known_distances is None or inputs.design is None:
            return None
        return self.known_distances.told(inputs.design, relative)

    def _pairs(
        self, inputs: BoltzInputs, s_inputs: Float[Tensor, "batch token c_s"]
    ) -> Float[Tensor, "batch token token c_z"]:
        rows, columns = self.z_init_row(s_inputs), self.z_init_column(s_inputs)
        return rows[:, :, None] + columns[:, None] + self.pair_inputs(inputs)

    def _with_alignment(
        self,
        inputs: BoltzInputs,
        s_inputs: Float[Tensor, "batch token c_s"],
        z: Float[Tensor, "batch token token c_z"],
        pair_mask: Bool[Tensor, "batch token token"],
        cycle: int,
    ) -> Float[Tensor, "batch token token c_z"]:
        """The pair table and, added to it as Boltz does, what the MSA module makes of it."""
        rows = chosen_rows(inputs.msa.shape[1], cycle)
        flags = (inputs.has_deletion, inputs.deletion_value, inputs.msa_paired)
        letters = functional.one_hot(inputs.msa[:, rows], NUM_RESIDUE_TYPES).to(z.dtype)
        msa = torch.cat([letters, torch.stack([each[:, rows] for each in flags], -1)], -1)
        return z + self.msa_module(z, s_inputs, msa, inputs.msa_mask[:, rows].bool(), pair_mask)


def chosen_rows(count: int, cycle: int) -> Tensor:
    """Rows of an alignment that a pass of the trunk reads: all, or some drawn at random, the same ones in every run."""
    if count <= MOST_ROWS:
        return torch.arange(count)
    return torch.randperm(count, generator=torch.Generator().manual_seed(cycle))[:MOST_ROWS]

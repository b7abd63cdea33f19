"""The trunk: encodes sequences and conditions into single and pair representations."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn import functional

from structdiff.chemistry.residues import NUM_RESTYPES
from structdiff.features.schema import Features
from structdiff.model.input_embedder import NUM_TOKEN_CHANNELS, InputConfig, InputEmbedder, PairEmbedder, token_channels
from structdiff.model.msa_module import MSAConfig, MSAModule
from structdiff.model.pairformer import PairConfig, PairformerConfig, PairformerStack
from structdiff.model.sequence_encoder import SequenceConfig, SequenceEncoder
from structdiff.model.template_embedder import TemplateEmbedder
from structdiff.nn.initialisation import linear
from structdiff.typing import Float


@dataclass(frozen=True, kw_only=True)
class TrunkConfig:
    """Sizes of the trunk; the defaults are AlphaFold 3's. ``msa`` None builds a trunk for single sequences.

    ``sequence`` adds convolutions along the chains, for such trunks.
    """

    inputs: InputConfig = field(default_factory=InputConfig)
    pairformer: PairformerConfig = field(default_factory=PairformerConfig)
    template: PairConfig = field(default_factory=lambda: PairConfig(c_z=64, triangle_head_dim=16, c_hidden_mul=64))
    template_blocks: int = 2
    msa: MSAConfig | None = field(default_factory=MSAConfig)
    sequence: SequenceConfig | None = None


@dataclass(frozen=True, kw_only=True)
class TrunkOutput:
    """What the trunk hands on: s_inputs and s_trunk [batch, token, c], z_trunk [batch, token, token, c].

    s_sequence is what the sequence encoder found, in training.
    """

    s_inputs: Float[Tensor, "batch token c_s_inputs"]
    s_trunk: Float[Tensor, "batch token c_s"]
    z_trunk: Float[Tensor, "batch token token c_z"]
    s_sequence: Float[Tensor, "batch token channels"] | None = None


class Trunk(nn.Module):
    """Input embedder, templates, MSA module and Pairformer, recycled (AlphaFold 3, Algorithm 1, lines 1 to 14)."""

    def __init__(self, config: TrunkConfig) -> None:
        super().__init__()
        c_inputs, c_s, c_z = config.inputs.c_s_inputs, config.pairformer.c_s, config.pairformer.c_z
        self.input_embedder = InputEmbedder(config.inputs)
        self.sequence_encoder = (
            None
            if config.sequence is None
            else SequenceEncoder(config.sequence, c_in=NUM_TOKEN_CHANNELS, c_s_inputs=c_inputs)
        )
        self.pair_embedder = PairEmbedder(config.inputs, c_z=c_z)
        self.s_init = linear(c_inputs, c_s)
        self.s_recycle = nn.Sequential(nn.LayerNorm(c_s), linear(c_s, c_s, start="zero"))
        self.z_recycle = nn.Sequential(nn.LayerNorm(c_z), linear(c_z, c_z, start="zero"))
        self.template_embedder = TemplateEmbedder(config.template, c_z=c_z, blocks=config.template_blocks)
        self.msa_module = (
            None if config.msa is None else MSAModule(config.msa, c_msa=NUM_RESTYPES + 2, c_s_inputs=c_inputs)
        )
        self.pairformer = PairformerStack(config.pairformer)

    def forward(self, features: Features, *, recycles: int = 0) -> TrunkOutput:
        """Runs the trunk ``recycles + 1`` times; gradients flow through the last pass only."""
        mask = features.token.mask
        pair_mask = mask[:, :, None] & mask[:, None]
        s_inputs, s_sequence = self.read_sequences(features)
        s_init, z_init = self.s_init(s_inputs), self.pair_embedder(features, s_inputs)
        s, z = torch.zeros_like(s_init), torch.zeros_like(z_init)
        for cycle in range(recycles + 1):
            with torch.set_grad_enabled(torch.is_grad_enabled() and cycle == recycles):
                s = s_init + self.s_recycle(s) if cycle else s_init
                z = z_init + self.z_recycle(z) if cycle else z_init
                z = z + self.template_embedder(features, z, pair_mask)
                if self.msa_module is not None:
                    z = self.msa_module(z, s_inputs, _msa_channels(features), features.msa.mask, pair_mask)
                s, z = self.pairformer(s, z, mask, pair_mask)
        return TrunkOutput(s_inputs=s_inputs, s_trunk=s, z_trunk=z, s_sequence=s_sequence)

    def read_sequences(
        self, features: Features
    ) -> tuple[Float[Tensor, "batch token c_s_inputs"], Float[Tensor, "batch token channels"] | None]:
        """What is known of each token before the tokens meet, and what the sequence encoder found, if there is one."""
        s_inputs = self.input_embedder(features)
        if self.sequence_encoder is None:
            return s_inputs, None
        s_sequence = self.sequence_encoder(features.token, token_channels(features))
        return s_inputs + self.sequence_encoder.leave(s_sequence), s_sequence


def _msa_channels(features: Features) -> Float[Tensor, "batch row token channel"]:
    msa = features.msa
    letters = functional.one_hot(msa.restype, NUM_RESTYPES).to(msa.has_deletion.dtype)
    return torch.cat([letters, msa.has_deletion[..., None], msa.deletion_value[..., None]], -1)

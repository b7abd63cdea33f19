"""What the denoiser is told at every noise level: computed once a trunk, and shared by all samples."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from structdiff.model.boltz.atom_encoder import AtomEncoder
from structdiff.model.boltz.atom_transformer import AtomCondition, AtomTransformer
from structdiff.model.boltz.config import BoltzConfig
from structdiff.model.boltz.inputs import BoltzInputs
from structdiff.model.boltz.transformer import PairBiases
from structdiff.model.boltz.trunk import BoltzTrunkOutput
from structdiff.nn.initialisation import linear
from structdiff.nn.transition import Transition
from structdiff.typing import Float


@dataclass(frozen=True, kw_only=True)
class Told:
    """Tokens before they know of the noise, atoms as they begin, and what steers the transformers."""

    single: Float[Tensor, "batch token c_token"]
    q: Float[Tensor, "batch atom c_atom"]
    encoder: AtomCondition
    decoder: AtomCondition
    token_biases: tuple[Float[Tensor, "batch heads token token"], ...]


class Conditioning(nn.Module):
    """Single and pair conditioning (AlphaFold 3, Algorithm 21) but for the noise, and the biases of all layers."""

    def __init__(self, config: BoltzConfig) -> None:
        super().__init__()
        sizes, c_s, c_z = config.denoiser, config.c_s, config.c_z
        self.single = nn.Sequential(nn.LayerNorm(2 * c_s), linear(2 * c_s, 2 * c_s, bias=True))
        self.pair = nn.Sequential(nn.LayerNorm(2 * c_z), linear(2 * c_z, c_z))
        count = sizes.conditioning_transitions
        self.transitions = nn.ModuleList(Transition(c_z, factor=2) for _ in range(count))
        self.atoms = AtomEncoder(config.atom, told=(c_s, c_z))
        c_pair = config.atom.c_pair
        self.encoder_biases = PairBiases(c_pair, heads=sizes.encoder_heads, layers=sizes.encoder_depth)
        self.decoder_biases = PairBiases(c_pair, heads=sizes.decoder_heads, layers=sizes.decoder_depth)
        self.token_biases = PairBiases(c_z, heads=sizes.token_heads, layers=sizes.token_depth)

    def forward(
        self, inputs: BoltzInputs, trunk: BoltzTrunkOutput, encoder: AtomTransformer, decoder: AtomTransformer
    ) -> Told:
        """What is told; encoder, decoder: the transformers of atoms that it steers."""
        z = self.pair(torch.cat([trunk.z_trunk, trunk.relative], -1))
        for transition in self.transitions:
            z = z + transition(z)
        atoms = self.atoms(inputs, trunk.s_trunk, z)
        steered = [
            transformer.condition(atoms.c, biases(atoms.p), inputs.atom_mask)
            for transformer, biases in ((encoder, self.encoder_biases), (decoder, self.decoder_biases))
        ]
        return Told(
            single=self.single(torch.cat([trunk.s_trunk, trunk.s_inputs], -1)),
            q=atoms.q,
            encoder=steered[0],
            decoder=steered[1],
            token_biases=tuple(self.token_biases(z)),
        )

"""What is known of each token before the tokens meet: its atoms, its letter, its column of the alignment."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from structdiff.model.boltz.atom_encoder import AtomEncoder
from structdiff.model.boltz.atom_transformer import AtomTransformer, layer_biases
from structdiff.model.boltz.config import (
    NUM_BINDING_TYPES,
    NUM_METHODS,
    NUM_MOLECULE_TYPES,
    NUM_RESIDUE_TYPES,
    NUM_SECONDARY_STRUCTURES,
    BoltzConfig,
)
from structdiff.model.boltz.inputs import BoltzInputs
from structdiff.model.boltz.transformer import PairBiases
from structdiff.model.boltz.windows import per_token_mean
from structdiff.nn.initialisation import linear
from structdiff.typing import Float


class BoltzInputEmbedder(nn.Module):
    """Embeds tokens by their reference conformers, residue types, alignment and flags (AlphaFold 3, Algorithm 2)."""

    def __init__(self, config: BoltzConfig) -> None:
        super().__init__()
        c_s, sizes = config.c_s, config.embedder
        self.atoms = AtomEncoder(config.atom)
        self.depth = sizes.depth
        self.biases = PairBiases(config.atom.c_pair, heads=sizes.depth * sizes.heads, layers=1)
        self.transformer = AtomTransformer(config.atom.c_atom, heads=sizes.heads, depth=sizes.depth)
        self.to_token = linear(config.atom.c_atom, c_s)
        self.residue_type = linear(NUM_RESIDUE_TYPES, c_s)
        self.profile = linear(NUM_RESIDUE_TYPES + 1, c_s)
        self.method = nn.Embedding(NUM_METHODS, c_s) if sizes.method else None
        self.modified = nn.Embedding(2, c_s) if sizes.modified else None
        self.cyclic = linear(1, c_s, start="zero") if sizes.cyclic else None
        self.molecule_type = nn.Embedding(NUM_MOLECULE_TYPES, c_s) if sizes.molecule_type else None
        self.designed = nn.Embedding(2, c_s) if sizes.designed else None
        self.binding = nn.Embedding(NUM_BINDING_TYPES, c_s) if sizes.binding else None
        self.secondary_structure = nn.Embedding(NUM_SECONDARY_STRUCTURES, c_s) if sizes.secondary_structure else None

    def forward(self, inputs: BoltzInputs) -> Float[Tensor, "batch token c_s"]:
        """The embedding of each token (s_inputs)."""
        s = self._of_atoms(inputs)
        s = s + functional.embedding(inputs.residue_type, self.residue_type.weight.t())
        s = s + self.profile(torch.cat([inputs.profile, inputs.deletion_mean[..., None]], -1))
        told = [
            (self.method, inputs.method), (self.modified, inputs.modified), (self.molecule_type, inputs.molecule_type),
        ]  # fmt: skip
        if inputs.design is not None:
            told += [
                (self.designed, inputs.design.open.long()), (self.binding, inputs.design.binding),
                (self.secondary_structure, inputs.design.secondary_structure),
            ]  # fmt: skip
        for layer, classes in told:
            s = s if layer is None else s + layer(classes)
        return s if self.cyclic is None else s + self.cyclic(inputs.cyclic_period.clamp(max=1)[..., None])

    def _of_atoms(self, inputs: BoltzInputs) -> Float[Tensor, "batch token c_s"]:
        encoded = self.atoms(inputs)
        biases = layer_biases(self.biases(encoded.p), self.depth)
        condition = self.transformer.condition(encoded.c, biases, inputs.atom_mask)
        q = functional.relu(self.to_token(self.transformer(encoded.q, condition)))
        return per_token_mean(q, inputs.atom_token, inputs.atom_mask, inputs.token_mask.shape[1])

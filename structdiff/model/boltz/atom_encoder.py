"""What atoms are, by themselves and in pairs within a window (AlphaFold 3, Algorithm 5, lines 1 to 14)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from structdiff.model.boltz.config import (
    NUM_BACKBONE_CLASSES,
    NUM_ELEMENTS,
    NUM_MOLECULE_TYPES,
    NUM_NAME_CHARACTERS,
    NUM_RESIDUE_TYPES,
    AtomConfig,
)
from structdiff.model.boltz.inputs import BoltzInputs
from structdiff.model.boltz.windows import keys_of, of_token, queries_of
from structdiff.nn.initialisation import linear
from structdiff.typing import Float


@dataclass(frozen=True, kw_only=True)
class EncodedAtoms:
    """Atoms as they begin (q), as they steer what follows (c), and their pairs in windows (p)."""

    q: Float[Tensor, "batch atom c_atom"]
    c: Float[Tensor, "batch atom c_atom"]
    p: Float[Tensor, "batch window query key c_pair"]


class AtomFeatureEmbedding(nn.Linear):
    """One linear layer over an atom's features, of which classes are looked up rather than multiplied."""

    def __init__(self, config: AtomConfig) -> None:
        super().__init__(config.channels, config.c_atom)
        self.config = config

    def forward(self, inputs: BoltzInputs) -> Float[Tensor, "batch atom c_atom"]:
        """The embedding of each atom."""
        columns = self.weight.t()
        numbers = torch.cat([inputs.reference_positions, inputs.reference_charge[..., None]], -1)
        c, start = functional.linear(numbers, self.weight[:, :4], self.bias), 4
        for classes, count in self._classes(inputs):
            c = c + functional.embedding(classes, columns[start : start + count])
            start += count
        return c + of_token(_residues(inputs, columns[start:]), inputs.atom_token) if self.config.residues else c

    def _classes(self, inputs: BoltzInputs) -> list[tuple[Tensor, int]]:
        """The classes of each atom, and how many there are of each kind, in the order of the layer's columns."""
        found = [(inputs.reference_element, NUM_ELEMENTS)]
        if self.config.names:
            found += [(character, NUM_NAME_CHARACTERS) for character in inputs.reference_name.unbind(-1)]
        if self.config.backbone:
            found.append((inputs.backbone, NUM_BACKBONE_CLASSES))
        return found


def _residues(inputs: BoltzInputs, columns: Float[Tensor, "feature c_atom"]) -> Float[Tensor, "batch token c_atom"]:
    """What each token's residue adds to its atoms: its type, whether it is modified, its kind of molecule."""
    kind, modified, molecule = columns.split((NUM_RESIDUE_TYPES, 1, NUM_MOLECULE_TYPES))
    told = functional.embedding(inputs.residue_type, kind) + functional.embedding(inputs.molecule_type, molecule)
    return told + inputs.modified[..., None] * modified[0]


class AtomEncoder(nn.Module):
    """Encodes reference conformers; in the denoiser (``told``) also what the trunk says of tokens and their pairs."""

    def __init__(self, config: AtomConfig, *, told: tuple[int, int] | None = None) -> None:
        super().__init__()
        c_atom, c_pair = config.c_atom, config.c_pair
        self.embed = AtomFeatureEmbedding(config)
        self.offset = linear(3, c_pair)
        self.distance = linear(1, c_pair)
        self.same_conformer = linear(1, c_pair)
        self.from_token = self.from_pair = None
        if told is not None:
            c_s, c_z = told
            self.from_token = nn.Sequential(nn.LayerNorm(c_s), linear(c_s, c_atom, start="zero"))
            self.from_pair = nn.Sequential(nn.LayerNorm(c_z), linear(c_z, c_pair, start="zero"))
        self.query = linear(c_atom, c_pair, start="zero")
        self.key = linear(c_atom, c_pair, start="zero")
        self.hidden = nn.ModuleList(linear(c_pair, c_pair, start=start) for start in ("lecun", "lecun", "zero"))

    def forward(
        self,
        inputs: BoltzInputs,
        s_trunk: Float[Tensor, "batch token c_s"] | None = None,
        z: Float[Tensor, "batch token token c_z"] | None = None,
    ) -> EncodedAtoms:
        """The encoded atoms; with ``told``, trunk and pair table have to be given."""
        q = self.embed(inputs)
        c, p = q, self._conformer(inputs)
        if self.from_token is not None and self.from_pair is not None:
            assert s_trunk is not None
            assert z is not None
            c = c + of_token(self.from_token(s_trunk), inputs.atom_token)
            p = p + _of_pair(self.from_pair(z), inputs.atom_token)
        active = functional.relu(c)
        p = p + queries_of(self.query(active))[:, :, :, None] + keys_of(self.key(active))[:, :, None]
        x = p
        for layer in self.hidden:
            x = layer(functional.relu(x))
        return EncodedAtoms(q=q, c=c, p=p + x)

    def _conformer(self, inputs: BoltzInputs) -> Float[Tensor, "batch window query key c_pair"]:
        """How two atoms of one reference conformer lie to each other; 0 for others."""
        positions, space = inputs.reference_positions, inputs.reference_space
        d = keys_of(positions)[:, :, None] - queries_of(positions)[:, :, :, None]
        near = 1 / (1 + d.square().sum(-1, keepdim=True))
        exists = keys_of(inputs.atom_mask.to(d.dtype)).bool()[:, :, None] & queries_of(inputs.atom_mask)[..., None]
        together = exists & (keys_of(space)[:, :, None] == queries_of(space)[..., None])
        return (self.offset(d) + self.distance(near) + self.same_conformer.weight[:, 0]) * together[..., None]


def _of_pair(
    z: Float[Tensor, "batch token token c_pair"], atom_token: Tensor
) -> Float[Tensor, "batch window query key c_pair"]:
    """For each pair of atoms in a window what is said of the pair of their tokens."""
    row, column = queries_of(atom_token)[..., None], keys_of(atom_token)[:, :, None]
    batch = torch.arange(len(z), device=z.device)[:, None, None, None]
    return z[batch, row, column]

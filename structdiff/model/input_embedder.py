"""Tokens and pairs as the trunk first sees them: molecules and conditions, before any attention."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from structdiff.chemistry.residues import NUM_RESTYPES
from structdiff.features.schema import AtomFeatures, Features
from structdiff.model.relative_position import RelativePosition
from structdiff.nn.binning import DistanceBasis
from structdiff.nn.initialisation import linear
from structdiff.typing import Float

_NUM_ELEMENTS = 128
_NUM_NAME_CODES = 64
#: Sizes of the categorical channels of a token, unknown included: hotspot, keep away, secondary structure, burial.
_CATEGORIES = {"hotspot": 3, "keep_away": 3, "secondary_structure": 4, "burial": 4}
_NUM_KINDS = 5
_LARGEST_CONTACT = 30.0
NUM_TOKEN_CHANNELS = 2 * NUM_RESTYPES + 1 + _NUM_KINDS + sum(_CATEGORIES.values()) + 5


@dataclass(frozen=True, kw_only=True)
class InputConfig:
    """Sizes of the input embedder."""

    c_atom: int = 128
    c_s_inputs: int = 384


class AtomEmbedder(nn.Module):
    """Describes each atom by element, charge and name (AlphaFold 3, Algorithm 5, line 1, without the conformer)."""

    def __init__(self, c_atom: int) -> None:
        super().__init__()
        self.element = nn.Embedding(_NUM_ELEMENTS, c_atom)
        self.name = nn.Embedding(4 * _NUM_NAME_CODES, c_atom)
        self.charge = nn.Linear(1, c_atom, bias=False)
        for table in (self.element, self.name):
            nn.init.normal_(table.weight, std=0.5)

    def forward(self, atom: AtomFeatures) -> Float[Tensor, "batch atom c_atom"]:
        """What each atom is: element, charge, and its name letter by letter; 0 where there is none."""
        place = torch.arange(4, device=atom.name.device) * _NUM_NAME_CODES
        names = self.name(atom.name + place).sum(-2)
        embedded = self.element(atom.element) + names + self.charge(atom.charge[..., None])
        return embedded * atom.mask[..., None]


class InputEmbedder(nn.Module):
    """One vector a token: its type, its atoms, its alignment profile and everything asked of it.

    AlphaFold 3, Algorithm 2; the atoms of a token are pooled, conditions are added.
    """

    def __init__(self, config: InputConfig) -> None:
        super().__init__()
        self.atoms = AtomEmbedder(config.c_atom)
        self.atom_hidden = nn.Linear(config.c_atom, config.c_atom)
        self.atom_out = linear(config.c_atom, config.c_s_inputs)
        self.token_out = linear(NUM_TOKEN_CHANNELS, config.c_s_inputs, bias=True)

    def forward(self, features: Features) -> Float[Tensor, "batch token c_s_inputs"]:
        """Each token as its atoms, its residue type and what is told of it."""
        hidden = functional.silu(self.atom_hidden(self.atoms(features.atom))) * features.atom.mask[..., None]
        pooled = hidden.unflatten(1, (features.num_tokens, features.num_slots)).sum(2)
        return self.atom_out(pooled) + self.token_out(token_channels(features))


def token_channels(features: Features) -> Float[Tensor, "batch token channel"]:
    """What each token is and is told, one channel a possibility: residue type, alignment profile, kind, conditions."""
    token, condition, msa = features.token, features.condition, features.msa
    rows = msa.mask[..., None].to(msa.deletion_value.dtype)
    profile = (functional.one_hot(msa.restype, NUM_RESTYPES) * rows).sum(1) / rows.sum(1).clamp(min=1)
    deletions = (msa.deletion_value * msa.mask).sum(1) / msa.mask.sum(1).clamp(min=1)
    flags = (
        condition.sequence_known,
        condition.structure_fixed,
        condition.motif_group > 0,
        token.standard,
        token.cyclic_period > 0,
    )
    return torch.cat(
        [
            functional.one_hot(token.restype, NUM_RESTYPES),
            profile,
            deletions[..., None],
            functional.one_hot(token.kind, _NUM_KINDS),
            *(functional.one_hot(getattr(condition, name), size) for name, size in _CATEGORIES.items()),
            torch.stack(flags, -1),
        ],
        -1,
    ).to(msa.deletion_value.dtype)


class PairEmbedder(nn.Module):
    """One vector a pair of tokens: both inputs, relative position, bonds, conformer distances and what is asked.

    AlphaFold 3, Algorithm 1, lines 2 to 5, with contact and fold conditions added.
    """

    def __init__(self, config: InputConfig, *, c_z: int) -> None:
        super().__init__()
        self.left = linear(config.c_s_inputs, c_z)
        self.right = linear(config.c_s_inputs, c_z)
        self.relative_position = RelativePosition(c_z)
        self.bonds = nn.Embedding(5, c_z)
        self.adjacency = nn.Embedding(3, c_z)
        self.contact = nn.Linear(2, c_z, bias=False)
        self.reference_basis = DistanceBasis(16, largest=20.0)
        self.reference = nn.Linear(16, c_z, bias=False)
        for table in (self.bonds, self.adjacency):
            nn.init.normal_(table.weight, std=0.1)

    def forward(
        self, features: Features, s_inputs: Float[Tensor, "batch token c_s_inputs"]
    ) -> Float[Tensor, "batch token token c_z"]:
        """Each pair of tokens as its two tokens, where they stand to each other, and what is told of the pair."""
        pair = features.pair
        asked = (pair.contact_bound > 0).to(s_inputs.dtype)
        contact = torch.stack([asked, pair.contact_bound.clamp(max=_LARGEST_CONTACT) / _LARGEST_CONTACT], -1)
        inside = (pair.ref_distance > 0)[..., None]
        return (
            self.left(s_inputs)[:, :, None]
            + self.right(s_inputs)[:, None]
            + self.relative_position(features.token)
            + self.bonds(pair.token_bonds)
            + self.adjacency(pair.fold_adjacency)
            + self.contact(contact)
            + self.reference(self.reference_basis(pair.ref_distance) * inside)
        )

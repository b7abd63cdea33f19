"""How pairs of tokens are described before the network looks at them: places in chains, bonds, contacts asked for."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from structdiff.model.boltz.config import NUM_BOND_TYPES, PairInputConfig
from structdiff.model.boltz.inputs import BoltzInputs
from structdiff.nn.embedding import FourierEmbedding
from structdiff.nn.initialisation import linear
from structdiff.typing import Float

R_MAX, S_MAX = 32, 2
_CONTACTS = 2  # classes from here on ask for something: pocket to binder, back, contact
_NUM_CONTACTS = 3


class RelativePosition(nn.Module):
    """Where two tokens stand to each other in chain, residue and copy: AlphaFold 3, Algorithm 3.

    One linear layer over one-hot classes, looked up rather than multiplied.
    """

    def __init__(self, c_z: int, config: PairInputConfig) -> None:
        super().__init__()
        self.config = config
        self.sizes = (2 * R_MAX + 2, 2 * R_MAX + 2, 1, 2 * S_MAX + 2)
        self.project = linear(sum(self.sizes), c_z)

    def forward(self, inputs: BoltzInputs) -> Float[Tensor, "batch token token c_z"]:
        """The embedding of where each pair stands."""
        same_chain, same_entity = _equal(inputs.asym_id), _equal(inputs.entity_id)
        same_residue = same_chain & _equal(inputs.residue_index)
        counts = same_entity if self.config.sym_between_chains else ~same_chain
        residue, token, entity, chain = self.project.weight.t().split(self.sizes)
        z = functional.embedding(_clip(self._residue_offset(inputs), R_MAX, same_chain), residue)
        z = z + functional.embedding(_clip(_offset(inputs.token_index), R_MAX, same_residue), token)
        z = z + same_entity[..., None] * entity[0]
        return z + functional.embedding(_clip(_offset(inputs.sym_id), S_MAX, counts), chain)

    def _residue_offset(self, inputs: BoltzInputs) -> Tensor:
        """Residues from j to i; round a cyclic chain the shorter way, half of it as Boltz rounds it."""
        offset = _offset(inputs.residue_index)
        if not self.config.cyclic:
            return offset
        period = inputs.cyclic_period[:, None]
        wrapped = offset - period * torch.round(offset / period.clamp(min=1))
        return torch.where(period > 0, wrapped.long(), offset)


class ContactConditioning(nn.Module):
    """Tells which pairs of tokens are to be near each other, and how near; most pairs are not asked about."""

    def __init__(self, c_z: int, config: PairInputConfig) -> None:
        super().__init__()
        self.nearest, self.furthest = config.nearest_contact, config.furthest_contact
        self.fourier = FourierEmbedding(c_z)
        self.encode = linear(_NUM_CONTACTS + 1 + c_z, c_z, bias=True)
        self.unspecified = nn.Parameter(torch.zeros(c_z))
        self.unselected = nn.Parameter(torch.zeros(c_z))

    def forward(self, inputs: BoltzInputs) -> Float[Tensor, "batch token token c_z"]:
        """The embedding of what is asked of each pair."""
        kind = inputs.contact_type
        plain = torch.stack([self.unspecified, self.unselected])
        z = functional.embedding(kind.clamp(max=_CONTACTS - 1), plain)
        asked = kind >= _CONTACTS
        threshold = (inputs.contact_threshold[asked] - self.nearest) / (self.furthest - self.nearest)
        one_hot = functional.one_hot(kind[asked] - _CONTACTS, _NUM_CONTACTS).to(threshold.dtype)
        told = torch.cat([one_hot, threshold[:, None], self.fourier(threshold)], -1)
        z[asked] = self.encode(told).to(z)  # which autocast may have rounded
        return z


class PairInputs(nn.Module):
    """All that is known of pairs of tokens at the start; trunk and confidence module have one each."""

    def __init__(self, c_z: int, config: PairInputConfig) -> None:
        super().__init__()
        self.relative_position = RelativePosition(c_z, config)
        self.bonds = linear(1, c_z)
        self.bond_types = nn.Embedding(NUM_BOND_TYPES, c_z) if config.bond_types else None
        self.contacts = ContactConditioning(c_z, config)

    def forward(self, inputs: BoltzInputs) -> Float[Tensor, "batch token token c_z"]:
        """The embedding of each pair."""
        z = self.relative_position(inputs)
        z = z + self.bonds(inputs.token_bonds[..., None])
        if self.bond_types is not None:
            z = z + self.bond_types(inputs.bond_type)
        return z + self.contacts(inputs)


def _offset(index: Tensor) -> Tensor:
    return index[:, :, None] - index[:, None]


def _equal(index: Tensor) -> Tensor:
    return index[:, :, None] == index[:, None]


def _clip(offset: Tensor, limit: int, counts: Tensor) -> Tensor:
    """Offsets as classes 0 ... 2 limit, and 2 limit + 1 where an offset has no meaning."""
    return torch.where(counts, offset.clamp(-limit, limit) + limit, 2 * limit + 1)

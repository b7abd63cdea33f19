"""What the network sees, as types: groups of tensors for one structure, or a batch of them with a leading axis.

The atom axis is token-major: atom ``token * num_slots + slot``; slots that hold no atom are masked. So a reshape turns
atoms into (token, slot) and no gather is needed anywhere in the network.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class TokenFeatures:
    """Per token [..., token]: identity and place in its chain."""

    mask: Tensor  # bool
    restype: Tensor  # int, see chemistry.residues.RESTYPES; UNK, N or DN where the sequence is not known
    true_restype: Tensor  # int, the same with nothing hidden: what training asks for
    residue_index: Tensor  # int, place in the full sequence
    asym_id: Tensor  # int
    entity_id: Tensor  # int
    sym_id: Tensor  # int
    kind: Tensor  # int, ChainKind
    cyclic_period: Tensor  # int, residues of a cyclic chain, 0 when linear
    standard: Tensor  # bool, a token for a whole residue
    centre: Tensor  # int, slot of the centre atom
    representative: Tensor  # int, slot of the representative atom
    frame: Tensor  # int [..., token, 3], slots of the frame atoms, -1 for none


@dataclass(frozen=True, kw_only=True)
class AtomFeatures:
    """Per atom [..., token * slot]: what it is, and where it was seen (training and motifs only)."""

    mask: Tensor  # bool
    element: Tensor  # int, atomic number
    charge: Tensor  # float, e
    name: Tensor  # int [..., atom, 4], characters of the name minus 32, 0 padded
    positions: Tensor  # float [..., atom, 3], Å, 0 where not resolved
    resolved: Tensor  # bool
    ref_positions: Tensor  # float [..., atom, 3], Å: ideal conformer of its residue or ligand, 0 where there is none


@dataclass(frozen=True, kw_only=True)
class PairFeatures:
    """Per pair of tokens [..., token, token]."""

    token_bonds: Tensor  # int: 0 none, 1 single, 2 double, 3 triple, 4 aromatic; ligands and unusual links
    ref_distance: Tensor  # float, Å: distance in the reference conformer inside one component, 0 elsewhere
    contact_bound: Tensor  # float, Å, 0 is unknown
    pocket_bound: Tensor  # float, Å, 0 is none: row is of a pocket, column of what should bind there
    fold_adjacency: Tensor  # int, 0 is unknown


@dataclass(frozen=True, kw_only=True)
class MSAFeatures:
    """Aligned sequences [..., row, token]; the query is row 0."""

    restype: Tensor  # int
    has_deletion: Tensor  # float
    deletion_value: Tensor  # float
    paired: Tensor  # bool, the row's letters of several chains are of one organism
    mask: Tensor  # bool


@dataclass(frozen=True, kw_only=True)
class ConditionFeatures:
    """Per token [..., token] unless said otherwise; 0 is unknown in every categorical channel."""

    sequence_known: Tensor  # bool
    motif_group: Tensor  # int
    structure_fixed: Tensor  # bool
    hotspot: Tensor  # int
    keep_away: Tensor  # int
    secondary_structure: Tensor  # int
    burial: Tensor  # int
    motif_positions: Tensor  # float [..., atom, 3], Å
    motif_mask: Tensor  # bool [..., atom]


@dataclass(frozen=True, kw_only=True)
class Features:
    """One structure without a leading axis, or a batch with one."""

    token: TokenFeatures
    atom: AtomFeatures
    pair: PairFeatures
    msa: MSAFeatures
    condition: ConditionFeatures

    @property
    def num_tokens(self) -> int:
        """Length of the token axis, padding included."""
        return self.token.mask.shape[-1]

    @property
    def num_slots(self) -> int:
        """Atoms a token may hold."""
        return self.atom.mask.shape[-1] // self.token.mask.shape[-1]

    def map(self, function: Callable[[Tensor], Tensor]) -> Features:
        """The same features with a function applied to every tensor."""
        groups: dict[str, Any] = {each.name: _map_group(getattr(self, each.name), function) for each in _groups(self)}
        return Features(**groups)

    def to(self, device: torch.device | str) -> Features:
        """The same features on another device."""
        return self.map(lambda tensor: tensor.to(device, non_blocking=True))

    def pin_memory(self) -> Features:
        """The same features in memory that a GPU can fetch by itself; data loaders call it."""
        return self.map(lambda tensor: tensor.pin_memory())


def _groups(item: object) -> tuple[dataclasses.Field, ...]:
    return dataclasses.fields(item)  # type: ignore[arg-type]


def _map_group(group: object, function: Callable[[Tensor], Tensor]) -> object:
    return type(group)(**{field.name: function(getattr(group, field.name)) for field in _groups(group)})

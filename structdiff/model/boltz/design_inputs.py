"""What BoltzGen's networks read of a design beside what Boltz-2 reads: what is open, what is known, what is asked.

An open residue has fourteen atoms whatever it becomes: its backbone, and ten that lie where side chain atoms go or,
those too many, on N or O of the backbone: how many lie where says which amino acid it is (`letters`).
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import torch
from torch import Tensor

from structdiff.features import condition
from structdiff.features.schema import ConditionFeatures, Features
from structdiff.model.boltz.atom_layout import codes_of, name_codes
from structdiff.structure.tables import ChainKind
from structdiff.typing import Bool, Float, Int

NUM_FRAME_ATOMS = 4
#: Atoms of an open residue, and how many of them are its backbone.
NUM_OPEN_ATOMS, NUM_BACKBONE = 14, 4
#: Flerovium stands for an element that is not known.
MASKED_ELEMENT = 114
_MASKED_NAME = "FL"
_PROTEIN_FRAME = ("N", "CA", "C", "O")
_NUCLEIC_FRAME = ("C1'", "C3'", "C4'", "P")
UNSPECIFIED, BINDING, NOT_BINDING = 0, 1, 2
_LOOP, _HELIX, _STRAND = 1, 2, 3


@dataclass(frozen=True, kw_only=True)
class DesignInputs:
    """A batch of designs as BoltzGen reads them, beside `BoltzInputs`."""

    open: Bool[Tensor, "batch token"]  # residues whose amino acid is to be found
    binding: Int[Tensor, "batch token"]  # 0 not said, 1 to be bound, 2 not to be
    secondary_structure: Int[Tensor, "batch token"]  # 0 not said, 1 loop, 2 helix, 3 strand; of open residues
    group: Int[Tensor, "batch token"]  # tokens of one, from 1, know their distances
    centre: Float[Tensor, "batch token 3"]  # Å, where known
    frame_atoms: Float[Tensor, "batch token 4 3"]  # Å: N, CA, C, O; C1', C3', C4', P; the atom itself of a ligand


def open_residues(features: Features) -> Bool[Tensor, "*batch token"]:
    """Residues of proteins whose amino acid is to be found."""
    token = features.token
    return token.mask & token.standard & ~features.condition.sequence_known & (token.kind == ChainKind.PROTEIN)


def with_open_atoms(features: Features) -> Features:
    """The features of one design, with fourteen atoms for each open residue; no slot changes its number."""
    slots = max(features.num_slots, NUM_OPEN_ATOMS)

    def wider(values: Tensor) -> Tensor:
        by_slot = values.unflatten(0, (features.num_tokens, features.num_slots))
        more = values.new_zeros(features.num_tokens, slots - features.num_slots, *values.shape[1:])
        return torch.cat([by_slot, more], 1).flatten(0, 1)

    atom = type(features.atom)(**{
        field.name: wider(getattr(features.atom, field.name)) for field in dataclasses.fields(features.atom)
    })  # fmt: skip
    there = open_residues(features)[:, None] & (torch.arange(slots) < NUM_OPEN_ATOMS)
    asked = features.condition
    return dataclasses.replace(
        features,
        atom=dataclasses.replace(atom, mask=atom.mask | there.flatten()),
        condition=dataclasses.replace(
            asked, motif_positions=wider(asked.motif_positions), motif_mask=wider(asked.motif_mask)
        ),
    )


def design_inputs(features: Features, stands: Bool[Tensor, "batch token"]) -> DesignInputs:
    """What a batch of designs says; stands: tokens that are one for Boltz's networks.

    What is asked of a pair of tokens (contacts, blocks side by side) is not told: BoltzGen has not learnt it.
    """
    open_ = open_residues(features)
    places, seen = _frame_atoms(features)
    centre_seen = _of_slot(features.atom.resolved[..., None], features, features.token.centre)[..., 0]
    centre = _of_slot(features.atom.positions, features, features.token.centre)
    # BoltzGen leaves atoms that were not seen at the file's origin; beside the centre they mislead less.
    places = torch.where(seen[..., None], places, centre[:, :, None])
    known = stands & ~open_ & centre_seen
    return DesignInputs(
        open=open_,
        binding=_binding(features.condition) * (stands & ~open_),
        secondary_structure=_secondary_structure(features.condition.secondary_structure) * open_,
        group=features.condition.motif_group * known,
        centre=centre,
        frame_atoms=places,
    )


def masked_names(slots: Int[Tensor, "batch atom"], device: torch.device) -> Int[Tensor, "batch atom 4"]:
    """Names of side chain atoms of open residues by their numbers, from 0: FL4 to FL13."""
    names = [_MASKED_NAME + str(slot) for slot in range(NUM_OPEN_ATOMS)]
    table = torch.tensor([[ord(letter) - 32 for letter in name] + [0] * (4 - len(name)) for name in names])
    return table.to(device)[slots.clamp(max=NUM_OPEN_ATOMS - 1)]


def _binding(asked: ConditionFeatures) -> Int[Tensor, "batch token"]:
    away = torch.where(asked.keep_away == condition.KEEP_AWAY, NOT_BINDING, UNSPECIFIED)
    return torch.where(asked.hotspot == condition.HOTSPOT, BINDING, away)


def _secondary_structure(asked: Int[Tensor, "batch token"]) -> Int[Tensor, "batch token"]:
    kinds = {condition.HELIX: _HELIX, condition.STRAND: _STRAND, condition.LOOP: _LOOP}
    found = torch.zeros_like(asked)
    for ours, theirs in kinds.items():
        found = torch.where(asked == ours, theirs, found)
    return found


def _frame_atoms(features: Features) -> tuple[Float[Tensor, "batch token 4 3"], Bool[Tensor, "batch token 4"]]:
    """Where the four atoms of each token are (Å), and which of them were seen."""
    shape, token = (features.num_tokens, features.num_slots), features.token
    codes = name_codes(features.atom.name).unflatten(1, shape)
    seen = features.atom.resolved.unflatten(1, shape)
    by_slot = features.atom.positions.unflatten(1, shape)
    nucleic = (token.kind == ChainKind.DNA) | (token.kind == ChainKind.RNA)
    protein, other = (codes_of(names, codes.device) for names in (_PROTEIN_FRAME, _NUCLEIC_FRAME))
    wanted = torch.where(nucleic[..., None], other, protein)
    found = (codes[:, :, None] == wanted[..., None]) & seen[:, :, None]
    places = torch.take_along_dim(by_slot, found.long().argmax(-1)[..., None], 2)
    return places, found.any(-1)


def _of_slot(values: Tensor, features: Features, slot: Int[Tensor, "batch token"]) -> Tensor:
    """Values (batch, token * slot, channel) of one slot of each token."""
    by_slot = values.unflatten(1, (features.num_tokens, features.num_slots))
    index = slot[..., None, None].expand(-1, -1, 1, values.shape[-1])
    return torch.take_along_dim(by_slot, index, 2)[:, :, 0]

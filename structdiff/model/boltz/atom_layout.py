"""Atoms as Boltz-2 has them: close together, with their names, and what their names make them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from structdiff.features.schema import Features
from structdiff.structure.tables import ChainKind
from structdiff.typing import Bool, Int

WINDOW = 32  # atoms; their number is a multiple of it
_NAME_LENGTH = 4
_PROTEIN_BACKBONE = ("N", "CA", "C", "O")
_NUCLEIC_BACKBONE = ("P", "OP1", "OP2", "O5'", "C5'", "C4'", "O4'", "C3'", "O3'", "C2'", "O2'", "C1'")


@dataclass(frozen=True, kw_only=True)
class AtomLayout:
    """Where the packed atoms (batch, atom) stand among structdiff's (token * slot), and their tokens in Boltz-2.

    first: the number of the first atom of each token, and where that has none of the next that there is.
    """

    mask: Bool[Tensor, "batch atom"]
    slot: Int[Tensor, "batch atom"]
    token: Int[Tensor, "batch atom"]
    first: Int[Tensor, "batch token"]

    def take(self, values: Tensor) -> Tensor:
        """Values (batch, token * slot, ...) of the packed atoms, 0 where there is none."""
        index = self.slot.reshape(*self.slot.shape, *[1] * (values.ndim - 2))
        found = torch.take_along_dim(values, index, 1)
        return found * self.mask.reshape(index.shape)


def atom_layout(features: Features, host: Int[Tensor, "batch token"]) -> AtomLayout:
    """The layout of a batch; the atoms of a residue keep their order, which is that of Boltz-2's own tables."""
    exists, slots = features.atom.mask, features.num_slots
    count = int(exists.sum(-1).max())
    width = max(1, -(-count // WINDOW)) * WINDOW
    number = exists.cumsum(-1) - 1
    rows, places = exists.nonzero(as_tuple=True)
    slot = torch.zeros(len(exists), width, dtype=torch.long, device=exists.device)
    mask = torch.zeros_like(slot, dtype=torch.bool)
    slot[rows, number[rows, places]] = places
    mask[rows, number[rows, places]] = True
    before = number[:, ::slots] + 1 - exists[:, ::slots].long()
    return AtomLayout(
        mask=mask, slot=slot, token=torch.take_along_dim(host, slot // slots, 1) * mask,
        first=before.clamp(max=width - 1),
    )  # fmt: skip


def name_codes(names: Int[Tensor, "*any 4"]) -> Int[Tensor, "*any"]:
    """One number for each name of four characters (less 32, each below 64)."""
    return (names * 64 ** torch.arange(_NAME_LENGTH, device=names.device)).sum(-1)


def codes_of(names: tuple[str, ...], device: torch.device) -> Int[Tensor, " name"]:
    """The same of names as they are written."""
    padded = [[ord(letter) - 32 for letter in name] + [0] * (_NAME_LENGTH - len(name)) for name in names]
    return name_codes(torch.tensor(padded, device=device))


def backbone_classes(names: Int[Tensor, "batch atom 4"], kind: Int[Tensor, "batch atom"]) -> Int[Tensor, "batch atom"]:
    """Boltz-2's 17 classes of atoms: 1-4 of a protein's main chain, 5-16 of a nucleotide's, 0 for any other."""
    codes = name_codes(names)
    protein, nucleic = (codes_of(each, names.device) for each in (_PROTEIN_BACKBONE, _NUCLEIC_BACKBONE))
    in_protein, in_nucleic = codes[..., None] == protein, codes[..., None] == nucleic
    place = torch.where(
        (kind == ChainKind.PROTEIN)[..., None],
        torch.nn.functional.pad(in_protein, (1, len(nucleic))),
        torch.nn.functional.pad(in_nucleic, (1 + len(protein), 0)),
    )
    return torch.where(kind < ChainKind.LIGAND, place.long().argmax(-1), 0)

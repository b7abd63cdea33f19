"""Residues as Boltz-2 names them: classes, which are modified, and selenomethionine, which it takes for methionine."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from structdiff.chemistry.residues import RESIDUE_ATOMS, RESTYPE_INDEX, UNK_DNA, UNK_PROTEIN, UNK_RNA
from structdiff.features.schema import Features
from structdiff.model.boltz.atom_layout import AtomLayout, codes_of, name_codes
from structdiff.structure.tables import ChainKind
from structdiff.typing import Bool, Int

_MSE_ATOMS = ("N", "CA", "C", "O", "CB", "CG", "SE", "CE")
_SULPHUR, _SE = 16, _MSE_ATOMS.index("SE")
_MET_CB = RESIDUE_ATOMS["MET"].index("CB")


@dataclass(frozen=True, kw_only=True)
class ResidueClasses:
    """What the tokens are (batch, token), and of the atoms what selenium's change into sulphur leaves."""

    residue_type: Int[Tensor, "batch token"]
    modified: Bool[Tensor, "batch token"]
    methionine: Bool[Tensor, "batch token"]  # in place of selenomethionine
    representative: Int[Tensor, "batch token"]  # number of the packed atom
    names: Int[Tensor, "batch atom 4"]
    elements: Int[Tensor, "batch atom"]


def residue_classes(features: Features, layout: AtomLayout, stands: Bool[Tensor, "batch token"]) -> ResidueClasses:
    """The classes of the tokens that stand for residues or atoms; 0 for all others.

    A modified residue has the class of an unknown one of its kind of chain, and its first atom represents it.
    """
    token = features.token
    names, elements = layout.take(features.atom.name), layout.take(features.atom.element)
    split = stands & ~token.standard & (token.kind < ChainKind.LIGAND)
    methionine = split & (token.kind == ChainKind.PROTEIN) & _is_selenomethionine(names, layout)
    unknown = torch.tensor([UNK_PROTEIN, UNK_DNA, UNK_RNA, UNK_PROTEIN, UNK_PROTEIN], device=token.mask.device)
    residue_type = torch.where(split, unknown[token.kind], token.restype)
    residue_type = torch.where(methionine, RESTYPE_INDEX["MET"], residue_type)
    selenium = methionine.gather(1, layout.token) & layout.mask & (names_in(names, "SE"))
    sulphur = torch.tensor([ord("S") - 32, ord("D") - 32, 0, 0], device=names.device)
    return ResidueClasses(
        residue_type=residue_type * stands,
        modified=split & ~methionine,
        methionine=methionine,
        representative=_representative(features, layout, methionine) * stands,
        names=torch.where(selenium[..., None], sulphur, names),
        elements=torch.where(selenium, _SULPHUR, elements),
    )


def names_in(names: Int[Tensor, "batch atom 4"], *wanted: str) -> Bool[Tensor, "batch atom"]:
    """Which names are among some that are written out."""
    return torch.isin(name_codes(names), codes_of(wanted, names.device))


def _is_selenomethionine(names: Tensor, layout: AtomLayout) -> Bool[Tensor, "batch token"]:
    codes, wanted = name_codes(names), codes_of(_MSE_ATOMS, names.device)
    sizes = torch.zeros_like(layout.first).scatter_add(1, layout.token, layout.mask.long())
    rows = (layout.first[..., None] + torch.arange(len(wanted), device=names.device)).clamp(max=codes.shape[1] - 1)
    found = torch.take_along_dim(codes, rows.flatten(1), 1).view(rows.shape)
    return (sizes == len(wanted)) & (found == wanted).all(-1)


def _representative(features: Features, layout: AtomLayout, methionine: Tensor) -> Int[Tensor, "batch token"]:
    """The packed number of each token's representative: there may be slots before it that hold no atom."""
    slots, own = features.num_slots, features.token.representative
    exists = features.atom.mask.unflatten(-1, (-1, slots))
    before = (exists & (torch.arange(slots, device=own.device) < own[..., None])).sum(-1)
    return (layout.first + torch.where(methionine, _MET_CB, before)).clamp(max=layout.mask.shape[1] - 1)

"""Which amino acid an open residue has become: BoltzGen says it by where the atoms lie that a side chain has not."""

from __future__ import annotations

import torch
from torch import Tensor

from structdiff.chemistry.residues import NUM_RESTYPES, RESTYPE_INDEX
from structdiff.model.boltz.design_inputs import NUM_BACKBONE, NUM_OPEN_ATOMS
from structdiff.typing import Bool, Float, Int

#: Å from an atom of the backbone within which an atom counts as lying on it.
ON_THE_BACKBONE = 0.5
#: How many of the ten lie on N and on O of the backbone: Stark, Faltings, Choi et al. 2025 (BoltzGen 0.3.2).
_ON_N_AND_O = {
    "GLY": (0, 10), "ALA": (0, 9), "CYS": (0, 8), "SER": (8, 0), "PRO": (0, 7), "THR": (3, 4), "VAL": (7, 0),
    "ILE": (0, 6), "ASN": (1, 5), "ASP": (2, 4), "LEU": (4, 2), "MET": (6, 0), "GLN": (0, 5), "GLU": (2, 3),
    "LYS": (5, 0), "HIS": (0, 4), "PHE": (0, 3), "ARG": (3, 0), "TYR": (0, 2), "TRP": (0, 0),
}  # fmt: skip
_N, _O = 0, 3  # slots
#: Logit that each atom that lies elsewhere costs an amino acid, and that of one that is none of them.
_MISPLACED, _NEVER = 10.0, -1e3


def letter_logits(
    positions: Float[Tensor, "sample token slot 3"], open_: Bool[Tensor, "sample token"]
) -> Float[Tensor, "sample token restype"]:
    """Logits of the amino acids of open residues, nearly sure where the atoms spell one; 0 for other tokens.

    Atoms that spell none (BoltzGen calls such a residue unknown) count for those that they spell nearly.
    """
    counts = _on_backbone(positions)
    codes = torch.zeros(NUM_RESTYPES, NUM_BACKBONE, dtype=torch.long, device=positions.device)
    for name, (on_n, on_o) in _ON_N_AND_O.items():
        codes[RESTYPE_INDEX[name], _N], codes[RESTYPE_INDEX[name], _O] = on_n, on_o
    misplaced = (counts[:, :, None] - codes).abs().sum(-1)
    known = torch.zeros(NUM_RESTYPES, dtype=torch.bool, device=positions.device)
    known[[RESTYPE_INDEX[name] for name in _ON_N_AND_O]] = True
    logits = torch.where(known, -_MISPLACED * misplaced, _NEVER).to(positions.dtype)
    return logits * open_[..., None]


def _on_backbone(positions: Float[Tensor, "sample token slot 3"]) -> Int[Tensor, "sample token 4"]:
    """How many of the ten atoms lie on each atom of the backbone."""
    backbone, others = positions[:, :, :NUM_BACKBONE], positions[:, :, NUM_BACKBONE:NUM_OPEN_ATOMS]
    apart = (others[:, :, :, None] - backbone[:, :, None]).norm(dim=-1)
    near, which = apart.min(-1)
    on = which[..., None] == torch.arange(NUM_BACKBONE, device=positions.device)
    return (on & (near <= ON_THE_BACKBONE)[..., None]).sum(2)

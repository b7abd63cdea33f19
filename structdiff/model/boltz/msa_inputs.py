"""The alignment as Boltz-2 reads it, and what it makes of the whole of it."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from structdiff.chemistry.residues import NUM_RESTYPES
from structdiff.features.schema import MSAFeatures
from structdiff.typing import Bool, Float, Int


@dataclass(frozen=True, kw_only=True)
class AlignmentInputs:
    """Letters and the flags of each row, and the share of each class in a column."""

    msa: Int[Tensor, "batch row token"]
    paired: Float[Tensor, "batch row token"]
    mask: Float[Tensor, "batch row token"]
    profile: Float[Tensor, "batch token classes"]


def alignment_inputs(
    msa: MSAFeatures, query: Int[Tensor, "batch token"], stands: Bool[Tensor, "batch token"]
) -> AlignmentInputs:
    """The rows that are there, gaps included, at the tokens that stand for something.

    query: classes of the first row at tokens of modified residues that are read as others, -1 for all else.
    """
    there = msa.mask.any(-1)[..., None] & stands[:, None]
    letters = msa.restype.clone()
    letters[:, 0] = torch.where(query >= 0, query, letters[:, 0])
    letters = letters * there
    rows = msa.mask.any(-1).sum(-1).clamp(min=1)[:, None]
    counts = [(there & (letters == each)).sum(1) for each in range(NUM_RESTYPES)]
    return AlignmentInputs(
        msa=letters,
        paired=(msa.paired & there).float(),
        mask=there.float(),
        profile=torch.stack([each / rows for each in counts], -1),
    )

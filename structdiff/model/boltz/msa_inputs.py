"""The alignment as Boltz-2 reads it, and what it makes of the whole of it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from structdiff.chemistry.residues import NUM_RESTYPES
from structdiff.features.schema import MSAFeatures
from structdiff.typing import Bool, Float, Int

#: Boltz-2 has pi / 2 where AlphaFold 3 has 2 / pi: deletions of d letters before a column are pi / 2 * atan(d / 3).
DELETION_SCALE = (math.pi / 2) ** 2


@dataclass(frozen=True, kw_only=True)
class AlignmentInputs:
    """Letters and flags of each row, and what the whole alignment has at each column: shares of classes, deletions."""

    msa: Int[Tensor, "batch row token"]
    has_deletion: Float[Tensor, "batch row token"]
    deletion_value: Float[Tensor, "batch row token"]
    paired: Float[Tensor, "batch row token"]
    mask: Float[Tensor, "batch row token"]
    profile: Float[Tensor, "batch token classes"]
    deletion_mean: Float[Tensor, "batch token"]


def alignment_inputs(
    msa: MSAFeatures, query: Int[Tensor, "batch token"], stands: Bool[Tensor, "batch token"]
) -> AlignmentInputs:
    """The rows that are there, gaps included, at the tokens that stand for something.

    query: classes of the first row at tokens of modified residues that are read as others, -1 for all else. Deletions
    count as in Boltz up to 2.1 and as at its training; version 2.2 loses them all on the way.
    """
    there = msa.mask.any(-1)[..., None] & stands[:, None]
    letters = msa.restype.clone()
    letters[:, 0] = torch.where(query >= 0, query, letters[:, 0])
    letters = letters * there
    rows = msa.mask.any(-1).sum(-1).clamp(min=1)[:, None]
    counts = [(there & (letters == each)).sum(1) for each in range(NUM_RESTYPES)]
    deletions = msa.deletion_value * DELETION_SCALE * there
    return AlignmentInputs(
        msa=letters,
        has_deletion=msa.has_deletion * there,
        deletion_value=deletions,
        paired=(msa.paired & there).float(),
        mask=there.float(),
        profile=torch.stack([each / rows for each in counts], -1),
        deletion_mean=deletions.sum(1) / rows,
    )

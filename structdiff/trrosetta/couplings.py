"""What an alignment tells trRosetta: how often each letter stands in each column, and how columns vary together.

Yang et al., PNAS 117, 1496 (2020), methods: sequences weighted by how many are alike, frequencies, and the inverse of
the shrunk covariance matrix with the average product corrected.
"""

from __future__ import annotations

import torch
from torch import Tensor

from structdiff.trrosetta.alignment import GAP, Alignment
from structdiff.typing import Float

LETTERS = GAP + 1  # letters and gap
#: Channels of a pair of columns: the couplings of all letters, and their strength.
COUPLINGS = LETTERS * LETTERS + 1
_ALIKE = 0.8  # share of columns from which on two sequences count as one
_SHRINK = 4.5
_CHUNK = 1024  # rows that are compared at a time
_FLOOR = 1e-9


def alignment_channels(
    alignment: Alignment,
) -> tuple[Float[Tensor, "residue channel"], Float[Tensor, "i j channel"] | None]:
    """Of each residue its type, the frequencies in its column and their entropy; of each pair its couplings.

    A sequence alone has no couplings: None.
    """
    letters = torch.from_numpy(alignment.letters).long()
    rows = torch.zeros(*letters.shape, LETTERS).scatter_(2, letters[..., None], 1.0)
    weights = sequence_weights(rows)
    profile = torch.einsum("s,src->rc", weights, rows) / weights.sum() + _FLOOR
    entropy = -(profile * profile.log()).sum(-1, keepdim=True)
    single = torch.cat([rows[0, :, :GAP], profile, entropy], -1)
    return single, column_couplings(rows, weights) if len(alignment) > 1 else None


def sequence_weights(rows: Float[Tensor, "sequence residue class"]) -> Float[Tensor, " sequence"]:
    """One over the number of sequences, itself among them, that are alike in more than 80 % of the columns."""
    flat = rows.flatten(1)
    least = _ALIKE * rows.shape[1]
    counts = [((part @ flat.T) > least).sum(-1) for part in flat.split(_CHUNK)]
    return 1.0 / torch.cat(counts).float()


def column_couplings(rows: Float[Tensor, "sequence residue class"], weights: Tensor) -> Float[Tensor, "i j channel"]:
    """The inverse covariance of all letters of all columns, and its strength a pair, averages taken away."""
    columns = rows.shape[1]
    flat = rows.flatten(1)
    count = weights.sum() - weights.mean().sqrt()
    mean = (flat * weights[:, None]).sum(0, keepdim=True) / count
    scaled = (flat - mean).mul_(weights[:, None].sqrt())
    covariance = scaled.T @ scaled / count
    covariance.diagonal().add_(_SHRINK / weights.sum().sqrt())
    inverse = torch.linalg.inv(covariance).view(columns, LETTERS, columns, LETTERS)
    apart = 1.0 - torch.eye(columns)
    strength = inverse[:, :GAP, :, :GAP].square().sum((1, 3)).sqrt() * apart
    chance = strength.sum(0, keepdim=True) * strength.sum(1, keepdim=True) / strength.sum()
    pairs = inverse.transpose(1, 2).reshape(columns, columns, -1)
    return torch.cat([pairs, ((strength - chance) * apart)[..., None]], -1)

"""Reference conformers as Boltz-2 reads them: which atoms share one, and each with its middle at the origin."""

from __future__ import annotations

import torch
from torch import Tensor

from structdiff.features.schema import TokenFeatures
from structdiff.model.boltz.atom_layout import AtomLayout
from structdiff.typing import Bool, Float, Int


def reference_spaces(token: TokenFeatures, layout: AtomLayout) -> Int[Tensor, "batch atom"]:
    """The number, from 0, of the residue or component that each atom's conformer is of; 0 where there is no atom."""
    new = torch.ones_like(token.mask)
    new[:, 1:] = (token.asym_id[:, 1:] != token.asym_id[:, :-1]) | (
        token.residue_index[:, 1:] != token.residue_index[:, :-1]
    )
    number = new.cumsum(-1) - 1
    return torch.take_along_dim(number, layout.token, 1) * layout.mask


def centred_conformers(
    positions: Float[Tensor, "batch atom 3"], space: Int[Tensor, "batch atom"], mask: Bool[Tensor, "batch atom"]
) -> Float[Tensor, "batch atom 3"]:
    """Conformers (Å), each with the mean of its atoms at the origin.

    Boltz turns and moves each at random besides, the last one excepted, which it leaves as it is.
    """
    weight = mask.to(positions.dtype)[..., None]
    index = space[..., None]
    size = int(space.max()) + 1
    total = positions.new_zeros(len(positions), size, 3).scatter_add(1, index.expand_as(positions), positions * weight)
    count = positions.new_zeros(len(positions), size, 1).scatter_add(1, index, weight)
    mean = total / count.clamp(min=1)
    return (positions - torch.take_along_dim(mean, index, 1)) * weight

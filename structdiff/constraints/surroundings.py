"""Moving a part of a structure without tearing it off: what stands nearby goes along."""

from __future__ import annotations

import torch
from torch import Tensor

from structdiff.typing import Bool, Float

REACH = 5.0  # Å, how far a correction carries its surroundings along
_INERTIA = 0.5  # weight of staying, beside that of going along


def carried_along(
    centre: Float[Tensor, "sample residue 3"],
    shift: Float[Tensor, "sample residue 3"],
    moved: Bool[Tensor, "sample residue"] | Float[Tensor, "sample residue"],
) -> Float[Tensor, "sample residue 3"]:
    """How far (Å) each residue goes along with the moved ones around it, less and less over some 5 Å."""
    weight = torch.exp(-0.5 * (torch.cdist(centre, centre) / REACH).square()) * moved[:, None]
    return (weight @ shift) / (weight.sum(-1, keepdim=True) + _INERTIA)

"""Where CB is, by the backbone alone."""

from __future__ import annotations

import torch
from torch import Tensor

from structdiff.typing import Float


def virtual_cb(
    n: Float[Tensor, "*batch 3"], ca: Float[Tensor, "*batch 3"], c: Float[Tensor, "*batch 3"]
) -> Float[Tensor, "*batch 3"]:
    """CB (Å) where an ideal L-alanine has it; the least-squares fit that ProteinMPNN and trRosetta use."""
    b, c = ca - n, c - ca
    return -0.58273431 * torch.linalg.cross(b, c) + 0.56802827 * b - 0.54067466 * c + ca

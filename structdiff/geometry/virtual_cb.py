"""Where CB is, by the backbone alone, or by no more than CA."""

from __future__ import annotations

import torch
from torch import Tensor

from structdiff.typing import Float

_BY_TRACE = (1.0073, -1.1020, 0.2101, 0.5634, 0.6802, -0.1859)


def virtual_cb(
    n: Float[Tensor, "*batch 3"], ca: Float[Tensor, "*batch 3"], c: Float[Tensor, "*batch 3"]
) -> Float[Tensor, "*batch 3"]:
    """CB (Å) where an ideal L-alanine has it; the least-squares fit that ProteinMPNN and trRosetta use."""
    b, c = ca - n, c - ca
    return -0.58273431 * torch.linalg.cross(b, c) + 0.56802827 * b - 0.54067466 * c + ca


def trace_cb(
    before: Float[Tensor, "*batch 3"], here: Float[Tensor, "*batch 3"], after: Float[Tensor, "*batch 3"]
) -> Float[Tensor, "*batch 3"]:
    """CB (Å) of an L-amino acid by its CA and those of its two neighbours in an unbroken chain.

    Fitted by ``benchmarks/trace_cb.py`` to natural chains: 0.24 Å off in the mean, where the backbone itself is 0.08.
    """
    return here + (trace_axes(before, here, after) * here.new_tensor(_BY_TRACE)).sum(-1)


def trace_axes(
    before: Float[Tensor, "*batch 3"], here: Float[Tensor, "*batch 3"], after: Float[Tensor, "*batch 3"]
) -> Float[Tensor, "*batch 3 6"]:
    """What CB is a sum of: the bisector of two CA steps, their normal and their direction, of length 1; the same times
    the cosine of the angle between the steps."""
    b, c = here - before, after - here
    axes = torch.stack([b - c, torch.linalg.cross(b, c), b + c], -1)
    axes = axes / torch.linalg.vector_norm(axes, dim=-2, keepdim=True).clamp(min=1e-6)
    cosine = torch.nn.functional.cosine_similarity(b, c, dim=-1)[..., None, None]
    return torch.cat([axes, cosine * axes], -1)

"""In what types attention computes."""

from __future__ import annotations

import torch
from torch import Tensor


def as_computed(q: Tensor, k: Tensor, v: Tensor, bias: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """q, k and v of one type, and the bias of that or float32.

    Under autocast on a GPU all are of autocast's, as PyTorch's own attention has them: autocast does not look into our
    operators. CPUs compute in float32 in any case.
    """
    if q.is_cuda and torch.is_autocast_enabled("cuda") and q.dtype != torch.float64:
        q = q.to(torch.get_autocast_dtype("cuda"))
        bias = bias.to(q.dtype)
    dtype = q.dtype
    if k.dtype != dtype:
        k = k.to(dtype)
    if v.dtype != dtype:
        v = v.to(dtype)
    if bias.dtype not in (dtype, torch.float32):
        bias = bias.to(dtype)
    return q, k, v, bias

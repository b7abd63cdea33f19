"""Triangle attention: every edge (i, j) of the pair table looks at the edges (i, k) that start at the same token i."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from structdiff.typing import Bool, Float


def triangle_attention(
    q: Float[Tensor, "batch i j heads channels"],
    k: Float[Tensor, "batch i k heads channels"],
    v: Float[Tensor, "batch i k heads channels"],
    bias: Float[Tensor, "batch heads j k"],
    mask: Bool[Tensor, "batch i k"],
    scale: float | None = None,
) -> Float[Tensor, "batch i j heads channels"]:
    """Lets the edges (i, j) of one token i attend to its edges (i, k), biased by the third side (j, k) of the triangle.

    ``out[i, j] = sum_k softmax_k(scale * q[i, j] . k[i, k] + bias[j, k]) v[i, k]`` for each head, over the keys with
    ``mask[i, k]``. A row i whose keys are all masked gives the plain mean of its v. Inputs may have any strides; the
    output is contiguous. ``scale`` is 1 / sqrt(channels) unless given. AlphaFold 3, Algorithm 14, lines 5 and 6.
    """
    scale = 1 / math.sqrt(q.shape[-1]) if scale is None else scale
    penalty = torch.where(mask, 0.0, torch.finfo(q.dtype).min / 2).to(q.dtype)
    logits_bias = (bias[:, None].to(q.dtype) + penalty[:, :, None, None, :]).flatten(0, 1)
    queries, keys, values = (x.flatten(0, 1).transpose(1, 2) for x in (q, k, v))
    out = functional.scaled_dot_product_attention(queries, keys, values, attn_mask=logits_bias, scale=scale)
    return out.transpose(1, 2).unflatten(0, q.shape[:2]).contiguous()

"""Triangle attention: every edge (i, j) of the pair table looks at the edges (i, k) that start at the same token i."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

from structdiff.typing import Bool, Float

# Attention scores held at once on a CPU: 4 MiB of float32, so that they never leave the cache between two passes.
_SCORES_IN_CACHE = 1 << 20


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
    output is contiguous and of q's dtype. ``scale`` is 1 / sqrt(channels) unless given. AlphaFold 3, Algorithm 14,
    lines 5 and 6.
    """
    scale = 1 / math.sqrt(q.shape[-1]) if scale is None else scale
    if q.device.type != "cpu":
        return _fused(q, k, v, bias, mask, scale)
    # Half precision has no quick matrix product on most CPUs.
    dtype = torch.promote_types(q.dtype, torch.float32)
    inputs = (x.to(dtype) for x in (q, k, v, bias))
    return _CacheBlocked.apply(*inputs, mask, scale).to(q.dtype)


def key_penalty(mask: Tensor, dtype: torch.dtype) -> Tensor:
    """What to add to the logits of each key: nothing, or so much that all else is rounded away beside it.

    A row of masked keys only then has equal logits, so its softmax is a plain mean.
    """
    return torch.zeros(mask.shape, dtype=dtype, device=mask.device).masked_fill(~mask, torch.finfo(dtype).min / 2)


def _fused(q: Tensor, k: Tensor, v: Tensor, bias: Tensor, mask: Tensor, scale: float) -> Tensor:
    """On a GPU: torch's fused attention, with bias and mask laid out as one table a row."""
    logits_bias = (bias[:, None].to(q.dtype) + key_penalty(mask, q.dtype)[:, :, None, None]).flatten(0, 1)
    queries, keys, values = (x.flatten(0, 1).transpose(1, 2) for x in (q, k, v))
    out = functional.scaled_dot_product_attention(queries, keys, values, attn_mask=logits_bias, scale=scale)
    return out.transpose(1, 2).unflatten(0, q.shape[:2]).contiguous()


class _CacheBlocked(torch.autograd.Function):
    """On a CPU: a few rows at a time, all heads, so that the scores stay in the cache; they are recomputed backward.

    Four times as fast as torch's fused attention, which on a CPU cannot differentiate the bias and then writes every
    score to memory several times.
    """

    @staticmethod
    def forward(ctx: Any, q: Tensor, k: Tensor, v: Tensor, bias: Tensor, mask: Tensor, scale: float) -> Tensor:
        out = torch.empty(q.shape, dtype=q.dtype)
        for b, rows, weights in _attention_weights(q, k, bias, mask, scale):
            for h in range(q.shape[3]):
                out[b, rows, :, h] = torch.bmm(weights[h], v[b, rows, :, h])
        ctx.save_for_backward(q, k, v, bias, mask, out)
        ctx.scale = scale
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        q, k, v, bias, mask, out = ctx.saved_tensors
        grad_q, grad_k, grad_v = (torch.empty(x.shape, dtype=x.dtype) for x in (q, k, v))
        grad_bias = torch.zeros(bias.shape, dtype=bias.dtype)
        # softmax's gradient is P * (dP - sum(P * dP)); the sum over keys equals that of grad * out over channels.
        expected = (grad * out).sum(-1)
        # Where all keys are masked the output does not depend on the logits.
        alive = mask.any(-1)
        some_dead = not alive.all()
        for b, rows, weights in _attention_weights(q, k, bias, mask, ctx.scale):
            for h in range(q.shape[3]):
                slope = torch.bmm(grad[b, rows, :, h], v[b, rows, :, h].mT)
                slope.sub_(expected[b, rows, :, h, None]).mul_(weights[h])
                if some_dead:
                    slope.mul_(alive[b, rows, None, None])
                grad_v[b, rows, :, h] = torch.bmm(weights[h].mT, grad[b, rows, :, h])
                grad_bias[b, h] += slope.sum(0)
                grad_q[b, rows, :, h] = torch.bmm(slope, k[b, rows, :, h]).mul_(ctx.scale)
                grad_k[b, rows, :, h] = torch.bmm(slope.mT, q[b, rows, :, h]).mul_(ctx.scale)
        return grad_q, grad_k, grad_v, grad_bias, None, None


def _attention_weights(
    q: Tensor, k: Tensor, bias: Tensor, mask: Tensor, scale: float
) -> Iterator[tuple[int, slice, Tensor]]:
    """Yields (batch entry, a few rows i, their weights [heads, i, j, k]); the weights' buffer is used again."""
    batch, rows, queries, heads, _ = q.shape
    keys = k.shape[2]
    step = max(1, min(rows, _SCORES_IN_CACHE // max(1, heads * queries * keys)))
    logits = torch.empty(heads, step, queries, keys, dtype=q.dtype)
    weights = torch.empty_like(logits)
    penalty = None if mask.all() else key_penalty(mask, q.dtype)
    for b in range(batch):
        for start in range(0, rows, step):
            part = slice(start, min(start + step, rows))
            size = part.stop - start
            for h in range(heads):
                third_side = bias[b, h].expand(size, queries, keys)
                out = logits[h, :size]
                torch.baddbmm(third_side, q[b, part, :, h], k[b, part, :, h].mT, alpha=scale, out=out)
            if penalty is not None:
                logits[:, :size].add_(penalty[b, part, None])
            yield b, part, torch.softmax(logits[:, :size], -1, out=weights[:, :size])

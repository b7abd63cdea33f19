"""Attention with a bias that rows share, in PyTorch: what runs where there is no native kernel, and what those are
measured against.

Forward gives the logarithm of each softmax's denominator along with the result, backward recomputes the weights from
it, as the native kernels do (csrc/triangle_attention/contract.h). A few rows at a time, so that the scores stay in the
cache of a CPU: four times as fast as torch's fused attention, which there cannot differentiate the bias.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

# Attention scores held at once: 4 MiB of float32, so that they never leave a CPU's cache between two passes.
_SCORES_IN_CACHE = 1 << 20
_SCORES_ON_ACCELERATOR = 1 << 26


def empty_gradients(
    new_empty: Callable[..., Tensor], q: Tensor, k: Tensor, v: Tensor, bias: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Where the gradients go, made by ``new_empty``; that of the bias is at least float32, as the sums are."""
    sums = torch.promote_types(bias.dtype, torch.float32)
    grad_bias = _laid_out_as(bias, new_empty(bias, bias.shape, dtype=sums))
    return new_empty(q, q.shape), new_empty(k, k.shape), new_empty(v, v.shape), grad_bias


def _laid_out_as(bias: Tensor, fresh: Tensor) -> Tensor:
    """Turns the axes of a new tensor into the bias's order, heads last most often: a gradient that lies otherwise is
    copied by whoever gets it. The kernels for GPUs write it axis after axis.
    """
    if not bias.is_cpu or bias.is_contiguous():
        return fresh
    return fresh.as_strided_(bias.shape, torch.empty_like(bias, device="meta").stride())


def key_penalty(mask: Tensor, dtype: torch.dtype) -> Tensor:
    """What to add to the logits of each key: nothing, or so much that all else is rounded away beside it.

    A row of masked keys only then has equal logits, so its softmax is a plain mean.
    """
    return torch.zeros(mask.shape, dtype=dtype, device=mask.device).masked_fill(~mask, torch.finfo(dtype).min / 2)


def forward(q: Tensor, k: Tensor, v: Tensor, bias: Tensor, mask: Tensor | None, scale: float) -> tuple[Tensor, Tensor]:
    """The output [batch, i, j, heads, channels] and the logarithm of the denominators [batch, i, heads, j].

    The latter is infinite where all keys of a row are masked.
    """
    out_dtype = q.dtype
    # Half precision has no quick matrix product on most CPUs.
    q, k, v, bias = (x.to(torch.promote_types(x.dtype, torch.float32)) for x in (q, k, v, bias))
    out = torch.empty(q.shape, dtype=q.dtype, device=q.device)
    lse = torch.empty((*q.shape[:2], q.shape[3], q.shape[2]), dtype=q.dtype, device=q.device)
    for b, rows, logits in _logits(q, k, bias, mask, scale):
        lse[b, rows] = torch.logsumexp(logits, -1).transpose(0, 1)
        weights = torch.softmax(logits, -1)
        for h in range(q.shape[3]):
            out[b, rows, :, h] = torch.bmm(weights[h], v[b, rows, :, h])
    if mask is not None:
        lse = lse.masked_fill(~mask.any(-1)[:, :, None, None], torch.inf)
    return out.to(out_dtype), lse


def backward(
    grad: Tensor, q: Tensor, k: Tensor, v: Tensor, bias: Tensor, mask: Tensor | None, out: Tensor, lse: Tensor,
    scale: float,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:  # fmt: skip
    """The gradients of q, k, v, and of the bias (float32 at least, summed over the batch where the batch shares it)."""
    dtypes = q.dtype, k.dtype, v.dtype
    grad, q, k, v, bias, out = (x.to(torch.promote_types(x.dtype, torch.float32)) for x in (grad, q, k, v, bias, out))
    grads = [torch.empty(x.shape, dtype=x.dtype, device=x.device) for x in (q, k, v)]
    grad_q, grad_k, grad_v = grads
    grad_bias = _laid_out_as(bias, torch.zeros(bias.shape, dtype=bias.dtype, device=bias.device))
    # softmax's gradient is P * (dP - sum(P * dP)); the sum over keys equals that of grad * out over channels.
    expected = (grad * out).sum(-1)
    alive = torch.isfinite(lse[:, :, :1, :1])
    for b, rows, logits in _logits(q, k, bias, mask, scale):
        weights = torch.softmax(logits, -1)
        for h in range(q.shape[3]):
            slope = torch.bmm(grad[b, rows, :, h], v[b, rows, :, h].mT)
            # Where all keys are masked the output does not depend on the logits.
            slope.sub_(expected[b, rows, :, h, None]).mul_(weights[h]).mul_(alive[b, rows])
            grad_v[b, rows, :, h] = torch.bmm(weights[h].mT, grad[b, rows, :, h])
            grad_bias[0 if len(bias) == 1 else b, h] += slope.sum(0)
            grad_q[b, rows, :, h] = torch.bmm(slope, k[b, rows, :, h]).mul_(scale)
            grad_k[b, rows, :, h] = torch.bmm(slope.mT, q[b, rows, :, h]).mul_(scale)
    grad_q, grad_k, grad_v = (x.to(dtype) for x, dtype in zip(grads, dtypes, strict=True))
    return grad_q, grad_k, grad_v, grad_bias


def _logits(
    q: Tensor, k: Tensor, bias: Tensor, mask: Tensor | None, scale: float
) -> Iterator[tuple[int, slice, Tensor]]:
    """Yields (batch entry, a few rows i, their logits [heads, i, j, k])."""
    batch, rows, queries, heads, _ = q.shape
    keys = k.shape[2]
    held = _SCORES_IN_CACHE if q.device.type == "cpu" else _SCORES_ON_ACCELERATOR
    step = max(1, min(rows, held // max(1, heads * queries * keys)))
    penalty = None if mask is None or mask.all() else key_penalty(mask, q.dtype)
    for b in range(batch):
        for start in range(0, rows, step):
            part = slice(start, min(start + step, rows))
            size = part.stop - start
            logits = q.new_empty((heads, size, queries, keys))
            for h in range(heads):
                third_side = bias[0 if len(bias) == 1 else b, h].expand(size, queries, keys)
                torch.baddbmm(third_side, q[b, part, :, h], k[b, part, :, h].mT, alpha=scale, out=logits[h])
            yield b, part, logits if penalty is None else logits.add_(penalty[b, part, None])

"""Triangle attention: every edge (i, j) of the pair table looks at the edges (i, k) that start at the same token i."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from structdiff.kernels import reference_attention as reference
from structdiff.kernels import result_memory
from structdiff.kernels.attention_inputs import as_computed
from structdiff.kernels.attention_operator import register_attention
from structdiff.kernels.attention_problem import attention_checks, hopper_check
from structdiff.kernels.native import Kernel, available
from structdiff.kernels.reference_attention import key_penalty
from structdiff.kernels.registration import unobserved
from structdiff.typing import Bool, Float

_CHECKS = attention_checks(rows=True)
_FORWARD = Kernel("triangle_attention_forward", "tttttdtt", workspace=(0, 1, 3), check=_CHECKS[0])
_HOPPER = Kernel(
    "triangle_attention_forward_hopper", "tttttdtt", workspace=(0, 1, 3), check=hopper_check(), capability=(9, 0)
)
_BACKWARD = Kernel("triangle_attention_backward", "ttttttttdtttt", workspace=(1, 2, 4), check=_CHECKS[1])


def triangle_attention(
    q: Float[Tensor, "batch i j heads channels"],
    k: Float[Tensor, "batch i k heads channels"],
    v: Float[Tensor, "batch i k heads channels"],
    bias: Float[Tensor, "batch heads j k"],
    mask: Bool[Tensor, "batch i k"] | None = None,
    scale: float | None = None,
) -> Float[Tensor, "batch i j heads channels"]:
    """Lets the edges (i, j) of one token i attend to its edges (i, k), biased by the third side (j, k) of the triangle.

    ``out[i, j] = sum_k softmax_k(scale * q[i, j] . k[i, k] + bias[j, k]) v[i, k]`` for each head, over the keys with
    ``mask[i, k]``. A row i whose keys are all masked gives the plain mean of its v. Inputs may have any strides; the
    output is contiguous and of q's dtype. ``scale`` is 1 / sqrt(channels) unless given. AlphaFold 3, Algorithm 14,
    lines 5 and 6.
    """
    scale = 1 / math.sqrt(q.shape[-1]) if scale is None else scale
    q, k, v, bias = as_computed(q, k, v, bias)
    if not q.is_cpu and not available(q.device.type):
        return _fused(q, k, v, bias, mask, scale)
    differentiated = torch.is_grad_enabled() and (
        q.requires_grad or k.requires_grad or v.requires_grad or bias.requires_grad
    )
    if not unobserved(q, k, v, bias, mask):
        return _operator(q, k, v, bias, mask, scale, differentiated)[0]
    if differentiated:
        return _differentiated(q, k, v, bias, mask, float(scale))
    return _compute(q, k, v, bias, mask, float(scale), False)[0]


def _fused(q: Tensor, k: Tensor, v: Tensor, bias: Tensor, mask: Tensor | None, scale: float) -> Tensor:
    """On an accelerator without native kernels: torch's attention, with bias and mask as one table a row."""
    logits_bias = bias[:, None].to(q.dtype).expand(-1, q.shape[1], -1, -1, -1)
    if mask is not None:
        logits_bias = logits_bias + key_penalty(mask, q.dtype)[:, :, None, None]
    queries, keys, values = (x.flatten(0, 1).transpose(1, 2) for x in (q, k, v))
    table = logits_bias.flatten(0, 1)
    out = functional.scaled_dot_product_attention(queries, keys, values, attn_mask=table, scale=scale)
    return out.transpose(1, 2).unflatten(0, q.shape[:2]).contiguous()


def _compute(
    q: Tensor, k: Tensor, v: Tensor, bias: Tensor, mask: Tensor | None, scale: float, keep_lse: bool
) -> tuple[Tensor, Tensor | None]:
    out = result_memory.new_empty(q, q.shape)
    lse = _empty_lse(result_memory.new_empty, q) if keep_lse else None
    given = (q, k, v, bias, mask, scale, out, lse)
    if out.numel() == 0 or _HOPPER(q.device, *given) or _FORWARD(q.device, *given):
        return out, lse
    out, lse = reference.forward(q, k, v, bias, mask, scale)
    return out, lse if keep_lse else None


def _forward(
    q: Tensor, k: Tensor, v: Tensor, bias: Tensor, mask: Tensor | None, scale: float, keep_lse: bool
) -> tuple[Tensor, Tensor]:
    out, lse = _compute(q, k, v, bias, mask, scale, keep_lse)
    return out, _no_lse(q) if lse is None else lse


def _fake_forward(
    q: Tensor, k: Tensor, v: Tensor, bias: Tensor, mask: Tensor | None, scale: float, keep_lse: bool
) -> tuple[Tensor, Tensor]:
    return q.new_empty(q.shape), _empty_lse(Tensor.new_empty, q) if keep_lse else _no_lse(q)


def _empty_lse(new_empty: Callable[..., Tensor], q: Tensor) -> Tensor:
    batch, rows, queries, heads, _ = q.shape
    return new_empty(q, (batch, rows, heads, queries), dtype=_lse_dtype(q))


def _no_lse(q: Tensor) -> Tensor:
    return q.new_empty(0, dtype=_lse_dtype(q))


def _lse_dtype(q: Tensor) -> torch.dtype:
    return torch.promote_types(q.dtype, torch.float32)


def _backward(
    grad: Tensor, q: Tensor, k: Tensor, v: Tensor, bias: Tensor, mask: Tensor | None, out: Tensor, lse: Tensor,
    scale: float,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:  # fmt: skip
    given = (grad, q, k, v, bias, mask, out, lse)
    grads = reference.empty_gradients(result_memory.new_empty, q, k, v, bias)
    if grads[1].numel() == 0 or grad.numel() == 0:
        return tuple(x.zero_() for x in grads)  # type: ignore[return-value]
    # A batch axis of stride 0 is one table to the kernels, but here each entry is to have its own gradient.
    each_its_own = bias.contiguous() if len(bias) > 1 and bias.stride(0) == 0 else bias
    if _BACKWARD(q.device, grad, q, k, v, each_its_own, mask, out, lse, scale, *grads):
        return grads
    return reference.backward(*given, scale)


def _fake_backward(
    grad: Tensor, q: Tensor, k: Tensor, v: Tensor, bias: Tensor, mask: Tensor | None, out: Tensor, lse: Tensor,
    scale: float,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:  # fmt: skip
    return reference.empty_gradients(Tensor.new_empty, q, k, v, bias)


_operator, _differentiated = register_attention(
    "triangle_attention", _compute, (_forward, _fake_forward), (_backward, _fake_backward)
)

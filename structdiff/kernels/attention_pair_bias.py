"""Attention of tokens over tokens with a bias from the pair table."""

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
from structdiff.kernels.attention_problem import attention_checks
from structdiff.kernels.native import Kernel, available
from structdiff.kernels.reference_attention import key_penalty
from structdiff.kernels.registration import unobserved
from structdiff.typing import Bool, Float

_CHECKS = attention_checks(rows=False)
_FORWARD = Kernel("attention_pair_bias_forward", "tttttdtt", workspace=(0, 1, 3), check=_CHECKS[0])
_BACKWARD = Kernel("attention_pair_bias_backward", "ttttttttdtttt", workspace=(1, 2, 4), check=_CHECKS[1])


def attention_pair_bias(
    q: Float[Tensor, "batch i heads channels"],
    k: Float[Tensor, "batch j heads channels"],
    v: Float[Tensor, "batch j heads channels"],
    bias: Float[Tensor, "#batch heads i j"],
    mask: Bool[Tensor, "batch j"] | None = None,
    scale: float | None = None,
) -> Float[Tensor, "batch i heads channels"]:
    """Lets every token attend to every token that exists, biased by what is known of the pair.

    ``out[i] = sum_j softmax_j(scale * q[i] . k[j] + bias[i, j]) v[j]`` for each head, over the keys with ``mask[j]``;
    with no key at all, the plain mean of v. A bias of batch size 1 is shared by the whole batch. Inputs may have any
    strides; the output is contiguous and of q's dtype. ``scale`` is 1 / sqrt(channels) unless given. AlphaFold 3,
    Algorithm 24, lines 6 and 7.
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
    """On an accelerator without native kernels: torch's attention."""
    table = bias.to(q.dtype)
    if mask is not None:
        table = table + key_penalty(mask, q.dtype)[:, None, None]
    queries, keys, values = (x.transpose(1, 2) for x in (q, k, v))
    out = functional.scaled_dot_product_attention(queries, keys, values, attn_mask=table, scale=scale)
    return out.transpose(1, 2).contiguous()


def _compute(
    q: Tensor, k: Tensor, v: Tensor, bias: Tensor, mask: Tensor | None, scale: float, keep_lse: bool
) -> tuple[Tensor, Tensor | None]:
    out = result_memory.new_empty(q, q.shape)
    lse = _empty_lse(result_memory.new_empty, q) if keep_lse else None
    table = bias if bias.shape[0] == q.shape[0] else bias.expand(q.shape[0], -1, -1, -1)
    if out.numel() == 0 or _FORWARD(q.device, q, k, v, table, mask, scale, out, lse):
        return out, lse
    q, k, v = _as_rows(q, k, v)
    out, lse = reference.forward(q, k, v, bias, _row_mask(mask), scale)
    return out.squeeze(1), lse.squeeze(1) if keep_lse else None


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
    batch, queries, heads, _ = q.shape
    return new_empty(q, (batch, heads, queries), dtype=_lse_dtype(q))


def _no_lse(q: Tensor) -> Tensor:
    return q.new_empty(0, dtype=_lse_dtype(q))


def _lse_dtype(q: Tensor) -> torch.dtype:
    return torch.promote_types(q.dtype, torch.float32)


def _backward(
    grad: Tensor, q: Tensor, k: Tensor, v: Tensor, bias: Tensor, mask: Tensor | None, out: Tensor, lse: Tensor,
    scale: float,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:  # fmt: skip
    grads = reference.empty_gradients(result_memory.new_empty, q, k, v, bias)
    if grads[1].numel() == 0 or grad.numel() == 0:
        return tuple(x.zero_() for x in grads)  # type: ignore[return-value]
    # A batch axis of stride 0 is one table to the kernels, but entries that were given apart have their own gradients.
    shared = len(bias) == 1
    table = bias.expand(len(q), -1, -1, -1) if shared else bias.contiguous() if bias.stride(0) == 0 else bias
    if _BACKWARD(q.device, grad, q, k, v, table, mask, out, lse, scale, *grads):
        return grads
    grad, q, k, v, out = _as_rows(grad, q, k, v, out)
    *grads, grad_bias = reference.backward(grad, q, k, v, bias, _row_mask(mask), out, lse[:, None], scale)
    grad_q, grad_k, grad_v = (x.squeeze(1) for x in grads)
    return grad_q, grad_k, grad_v, grad_bias


def _fake_backward(
    grad: Tensor, q: Tensor, k: Tensor, v: Tensor, bias: Tensor, mask: Tensor | None, out: Tensor, lse: Tensor,
    scale: float,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:  # fmt: skip
    return reference.empty_gradients(Tensor.new_empty, q, k, v, bias)


def _as_rows(*tensors: Tensor) -> list[Tensor]:
    """Each batch entry as a pair table of one row."""
    return [x[:, None] for x in tensors]


def _row_mask(mask: Tensor | None) -> Tensor | None:
    return None if mask is None else mask[:, None]


_operator, _differentiated = register_attention(
    "attention_pair_bias", _compute, (_forward, _fake_forward), (_backward, _fake_backward)
)

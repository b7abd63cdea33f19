"""An operator of attention and its gradient, as PyTorch knows them and beside its dispatcher."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from structdiff.kernels.registration import once, register_gradient, register_operator, unobserved

_TABLES = "Tensor q, Tensor k, Tensor v, Tensor bias, Tensor? mask"


def register_attention(
    name: str,
    compute: Callable[..., tuple[Tensor, Tensor | None]],
    forward: tuple[Callable[..., Any], Callable[..., Any]],
    backward: tuple[Callable[..., Any], Callable[..., Any]],
) -> tuple[Any, Callable[..., Tensor]]:
    """The registered operator, and a function of q, k, v, bias, mask and scale that is differentiable beside it.

    Args:
        compute: gives the output and, if the last argument says so, the logarithms of the denominators.
        forward, backward: each what computes it and what stands for it without computing (``register_operator``).
    """
    operator = register_operator(f"{name}({_TABLES}, float scale, bool keep_lse) -> (Tensor, Tensor)", *forward)
    operator_backward = register_operator(
        f"{name}_backward(Tensor grad, {_TABLES}, Tensor out, Tensor lse, float scale)"
        " -> (Tensor, Tensor, Tensor, Tensor)",
        *backward,
    )

    def gradients(ctx: Any, grad: Tensor, _: Tensor | None) -> tuple[Tensor | None, ...]:
        # Read once: under checkpointing saved tensors can be unpacked only one time.
        saved = ctx.saved_tensors
        by_whom = backward[0] if unobserved(grad) else operator_backward
        *grads, grad_bias = by_whom(grad, *saved, ctx.scale)
        return *grads, grad_bias.to(saved[3].dtype), None, None, None

    differentiate = once(name, gradients)

    class Differentiated(torch.autograd.Function):
        @staticmethod
        def forward(
            ctx: Any, q: Tensor, k: Tensor, v: Tensor, bias: Tensor, mask: Tensor | None, scale: float
        ) -> Tensor:
            out, lse = compute(q, k, v, bias, mask, scale, True)
            ctx.save_for_backward(q, k, v, bias, mask, out, lse)
            ctx.scale = scale
            return out

        @staticmethod
        def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
            return differentiate(ctx, grad, None)[:-1]

    register_gradient(name, differentiate, _keep)
    return operator, Differentiated.apply


def _keep(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
    q, k, v, bias, mask, scale, _ = inputs
    ctx.save_for_backward(q, k, v, bias, mask, *output)
    ctx.mark_non_differentiable(output[1])
    ctx.scale = scale

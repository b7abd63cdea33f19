"""Half of a residual block on a table of pairs: a dilated 3 x 3 convolution, instance norm, addition and ELU."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from structdiff.kernels.native import Kernel
from structdiff.kernels.registration import once, register_gradient, register_operator
from structdiff.kernels.result_memory import new_empty
from structdiff.typing import Float

_FORWARD = Kernel("pair_convolution_forward", "tttttidttt")
_BACKWARD = Kernel("pair_convolution_backward", "tttttttitt")
_CHANNEL_STEP = 16
EPSILON = 1e-6


def pair_convolution(
    x: Float[Tensor, "batch row column channel"],
    weight: Float[Tensor, "3 3 channel out"],
    gain: Float[Tensor, " out"],
    shift: Float[Tensor, " out"],
    residual: Float[Tensor, "batch row column out"] | None = None,
    *,
    dilation: int = 1,
) -> Float[Tensor, "batch row column out"]:
    """``elu(norm(convolution(x)) * gain + shift + residual)``; the norm is over all pairs, channel by channel.

    Beyond the table there is 0. A bias of the convolution would vanish in the norm. csrc/pair_convolution/contract.h
    has the formulas, of which the kernel computes the convolution by Winograd's algorithm (Lavin and Gray, CVPR 2016).
    Where weights ask for gradients, PyTorch runs it.
    """
    if torch.is_grad_enabled() and any(each.requires_grad for each in (weight, gain, shift)):
        return reference(x, weight, gain, shift, residual, dilation)[0]
    differentiable = torch.is_grad_enabled() and (x.requires_grad or (residual is not None and residual.requires_grad))
    return _operator(x, weight, gain, shift, residual, dilation, differentiable)[0]


def _is_native(x: Tensor, weight: Tensor) -> bool:
    """Whether there may be a kernel: others run in PyTorch without a word."""
    widths = weight.shape[2] % _CHANNEL_STEP == 0 and weight.shape[3] % _CHANNEL_STEP == 0
    return widths and x.device.type == "cpu" and x.dtype == torch.float32


def pair_norm(
    c: Float[Tensor, "batch row column channel"], gain: Float[Tensor, " channel"], shift: Float[Tensor, " channel"]
) -> tuple[Float[Tensor, "batch row column channel"], Float[Tensor, "batch 2 channel"]]:
    """Instance norm over all pairs, and its mean and scale, in PyTorch.

    Not ``functional.instance_norm``: its gradient is wrong where channels are last in what comes back (PyTorch 2.13).
    """
    variance, mean = torch.var_mean(c, (1, 2), correction=0)
    scale = (variance + EPSILON).rsqrt()
    return (c - mean[:, None, None]) * (scale * gain)[:, None, None] + shift, torch.stack([mean, scale], 1)


def reference(
    x: Tensor, weight: Tensor, gain: Tensor, shift: Tensor, residual: Tensor | None, dilation: int
) -> tuple[Tensor, Tensor, Tensor]:
    """The definition in PyTorch, which runs on every device and in every dtype; with c and its moments."""
    planes, taps = x.permute(0, 3, 1, 2), weight.permute(3, 2, 0, 1)
    c = functional.conv2d(planes, taps, padding=dilation, dilation=dilation).permute(0, 2, 3, 1)
    z, moments = pair_norm(c, gain, shift)
    return functional.elu(z if residual is None else z + residual), c, moments


def _compute(
    x: Tensor, weight: Tensor, gain: Tensor, shift: Tensor, residual: Tensor | None, dilation: int, keep: bool
) -> tuple[Tensor, Tensor, Tensor]:
    if _is_native(x, weight):
        tables = [x.contiguous(), weight.contiguous(), gain.contiguous(), shift.contiguous()]
        residual = None if residual is None else residual.contiguous()
        y, c, moments = _like(x, weight, gain, shift, residual, dilation, keep, new_empty)
        if _FORWARD(x.device, *tables, residual, dilation, EPSILON, y, c if keep else None, moments):
            return y, c, moments
    y, c, moments = reference(x, weight, gain, shift, residual, dilation)
    return y.contiguous(), c.contiguous() if keep else c.new_empty(0), moments


def _like(
    x: Tensor,
    weight: Tensor,
    gain: Tensor,
    shift: Tensor,
    residual: Tensor | None,
    dilation: int,
    keep: bool,
    empty: Callable[[Tensor, Sequence[int]], Tensor] = Tensor.new_empty,
) -> tuple[Tensor, Tensor, Tensor]:
    shape = (*x.shape[:3], weight.shape[3])
    return empty(x, shape), empty(x, shape if keep else (0,)), x.new_empty((len(x), 2, weight.shape[3]))


_operator = register_operator(
    "pair_convolution(Tensor x, Tensor weight, Tensor gain, Tensor shift, Tensor? residual, int dilation, bool keep) "
    "-> (Tensor, Tensor, Tensor)",
    _compute,
    _like,
)


def _compute_backward(
    grad: Tensor,
    y: Tensor | None,
    c: Tensor,
    moments: Tensor,
    weight: Tensor,
    gain: Tensor,
    shift: Tensor,
    dilation: int,
) -> tuple[Tensor, Tensor]:
    if _is_native(c, weight):
        tables = [each.contiguous() for each in (weight, gain, shift)]
        grad_x, grad_residual = _like_backward(grad, y, c, moments, weight, empty=new_empty)
        added = None if y is None else grad_residual
        if _BACKWARD(c.device, grad.contiguous(), y, c, moments, *tables, dilation, grad_x, added):
            return grad_x, grad_residual
    return _reference_backward(grad, y, c, moments, (weight, gain, shift), dilation)


def _like_backward(
    grad: Tensor,
    y: Tensor | None,
    c: Tensor,
    moments: Tensor,
    weight: Tensor,
    *rest: Any,
    empty: Callable[[Tensor, Sequence[int]], Tensor] = Tensor.new_empty,
) -> tuple[Tensor, Tensor]:
    return empty(c, (*c.shape[:3], weight.shape[2])), empty(c, (0,) if y is None else c.shape)


_backward_operator = register_operator(
    "pair_convolution_backward(Tensor grad, Tensor? y, Tensor c, Tensor moments, Tensor weight, Tensor gain, "
    "Tensor shift, int dilation) -> (Tensor, Tensor)",
    _compute_backward,
    _like_backward,
)


def _keep(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor, Tensor]) -> None:
    _, weight, gain, shift, residual, ctx.dilation, _ = inputs
    y, c, moments = output
    ctx.mark_non_differentiable(c, moments)
    ctx.set_materialize_grads(False)
    ctx.adds = residual is not None
    # Where nothing was added, y is computed again: half as much to keep.
    ctx.save_for_backward(y if ctx.adds else None, c, moments, weight, gain, shift)


def _gradients(ctx: Any, grad: Tensor | None, *rest: Tensor | None) -> tuple[Tensor | None, ...]:
    if grad is None:
        return (None,) * 7
    grad_x, grad_residual = _backward_operator(grad, *ctx.saved_tensors, ctx.dilation)
    return grad_x, None, None, None, grad_residual if ctx.adds else None, None, None


def _reference_backward(
    grad: Tensor, y: Tensor | None, c: Tensor, moments: Tensor, weights: tuple[Tensor, ...], dilation: int
) -> tuple[Tensor, Tensor]:
    """The same in PyTorch, from what the forward pass kept."""
    weight, gain, shift = weights
    mean, scale = (each[:, None, None] for each in moments.unbind(1))
    normed = (c - mean) * scale
    result = functional.elu(normed * gain + shift) if y is None else y
    grad_z = torch.where(result > 0, grad, grad * (result + 1))
    together = (grad_z * normed).mean((1, 2), keepdim=True)
    grad_c = (grad_z - grad_z.mean((1, 2), keepdim=True) - normed * together) * scale * gain
    taps = weight.permute(3, 2, 0, 1)
    grad_x = functional.conv_transpose2d(grad_c.permute(0, 3, 1, 2), taps, padding=dilation, dilation=dilation)
    return grad_x.permute(0, 2, 3, 1).contiguous(), c.new_empty(0) if y is None else grad_z


register_gradient("pair_convolution", once("pair_convolution", _gradients), _keep)

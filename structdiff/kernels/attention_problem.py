"""Small problems of attention with known answers, for the self check of its native kernels."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from structdiff.kernels import reference_attention as reference
from structdiff.kernels.self_check import Problem, SelfCheck

#: Rows, queries, keys, heads: more than one tile each way, and none that is full.
_SIZES = (3, 70, 133, 2)
#: The same for the kernel made for Hopper, whose pipeline is four tiles of 64 keys long: by whether a block has 64
#: queries, or 128.
_HOPPER_SIZES = {True: (4, 190, 330, 2), False: (4, 200, 330, 2)}
_DTYPES = (torch.float32, torch.float16, torch.bfloat16)
_KINDS = tuple(
    (dtype, bias, channels)
    for dtype in _DTYPES
    for bias in dict.fromkeys((dtype, torch.float32))
    for channels in (16, 32, 48, 64, 128)
)


_HOPPER_KINDS = tuple(
    (dtype, dtype, channels, narrow)
    for dtype in (torch.float16, torch.bfloat16)
    for channels in (16, 32, 48, 64)
    for narrow in (True, False)
)


def hopper_check() -> SelfCheck:
    """How the forward kernel of triangle attention made for Hopper is checked."""
    ordinary, _ = attention_checks(rows=True)

    def kind(arguments: tuple[Any, ...]) -> tuple[Any, ...]:
        # As csrc/triangle_attention/cuda_hopper.cu chooses between its two sizes of a block.
        return (*ordinary.kind(arguments), (arguments[0].shape[2] + 63) // 64 in (1, 3))

    return SelfCheck(kind=kind, problem=ordinary.problem, kinds=_HOPPER_KINDS)


def attention_checks(*, rows: bool) -> tuple[SelfCheck, SelfCheck]:
    """How the forward and the backward kernel are checked.

    Args:
        rows: whether tables have an axis of rows i behind the batch (triangle attention), or the batch entries are
            the rows that share a bias (attention with pair bias).
    """

    def forward(device: torch.device, kind: tuple[Any, ...]) -> Problem:
        *tables, mask, scale = given = _inputs(kind)
        q, k, v, bias = (x.double() for x in tables)
        expected = reference.forward(q, k, v, bias, mask, scale)
        q, k, v, bias, mask = _placed(given[:5], device, rows)
        out, lse = _empty(expected, (kind[0], torch.float32), device, rows)
        return Problem(
            arguments=(q, k, v, bias, mask, scale, out, lse),
            outputs=[out, lse],
            expected=_shaped(expected, rows),
        )

    def backward(device: torch.device, kind: tuple[Any, ...]) -> Problem:
        *tables, mask, scale = given = _inputs(kind)
        q, k, v, bias = (x.double() for x in tables)
        out, lse = reference.forward(q, k, v, bias, mask, scale)
        grad = _normal(torch.Generator("cpu").manual_seed(2), *out.shape).to(kind[0])
        expected = reference.backward(grad.double(), q, k, v, bias, mask, out, lse, scale)
        q, k, v, bias, mask = _placed(given[:5], device, rows)
        grad, out, lse = _placed((grad, out.to(kind[0]), lse.float()), device, rows)
        grads = _empty(expected[:3], (kind[0],) * 3, device, rows)
        grads.append(torch.empty(expected[3].shape, dtype=torch.float32, device=device))
        return Problem(
            arguments=(grad, q, k, v, bias, mask, out, lse, scale, *grads),
            outputs=grads,
            expected=[*_shaped(expected[:3], rows), expected[3]],
        )

    return (
        SelfCheck(kind=lambda x: (x[0].dtype, x[3].dtype, x[0].shape[-1]), problem=forward, kinds=_KINDS),
        SelfCheck(kind=lambda x: (x[1].dtype, x[4].dtype, x[1].shape[-1]), problem=backward, kinds=_KINDS),
    )


def _normal(generator: torch.Generator, *shape: int) -> Tensor:
    return torch.randn(shape, generator=generator, dtype=torch.float64, device="cpu")


def _inputs(kind: tuple[Any, ...]) -> tuple[Any, ...]:
    """q, k, v, bias, mask and scale on the CPU; in one row all keys are hidden."""
    dtype, bias_dtype, channels, *narrow = kind
    rows, queries, keys, heads = _HOPPER_SIZES[narrow[0]] if narrow else _SIZES
    generator = torch.Generator("cpu").manual_seed(1)
    q, k, v = (_normal(generator, 1, rows, n, heads, channels).to(dtype) for n in (queries, keys, keys))
    if narrow:  # keys as the ending node has them, values as the starting one: the copy engine takes each another way
        k = k.transpose(1, 2).contiguous().transpose(1, 2)
    bias = _normal(generator, 1, heads, queries, keys).to(bias_dtype)
    mask = torch.rand((1, rows, keys), generator=generator, device="cpu") >= 0.3
    mask[:, 1] = False
    return q, k, v, bias, mask, 1 / math.sqrt(channels)


def _placed(tensors: tuple[Any, ...], device: torch.device, rows: bool) -> list[Tensor]:
    """On the device; without rows the batch axis is dropped, and the bias stays one for all."""
    if rows:
        return [x.to(device) for x in tensors]
    placed = [x.squeeze(0).to(device) for x in tensors]
    if len(placed) == 5:
        placed[3] = placed[3].expand(_SIZES[0], -1, -1, -1)
    return placed


def _shaped(expected: tuple[Tensor, ...], rows: bool) -> list[Tensor]:
    return [x if rows else x.squeeze(0) for x in expected]


def _empty(
    expected: tuple[Tensor, ...], dtypes: tuple[torch.dtype, ...], device: torch.device, rows: bool
) -> list[Tensor]:
    return [
        torch.full(x.shape, torch.nan, dtype=dtype, device=device)
        for x, dtype in zip(_shaped(expected, rows), dtypes, strict=True)
    ]

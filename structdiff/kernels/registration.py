"""Operators made known to PyTorch, so that autograd, torch.compile and CUDA graphs treat them as its own.

One function computes an operator on every device: it asks its native kernel first and else runs the PyTorch reference.
The low-level ``torch.library.Library`` is used rather than ``custom_op``: half the cost of a call.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

LIBRARY = torch.library.Library("structdiff", "FRAGMENT")


def register_operator(schema: str, compute: Callable[..., Any], fake: Callable[..., Any]) -> Any:
    """Defines an operator that changes none of its arguments, and returns it ready to be called.

    Args:
        schema: in PyTorch's notation, ``name(Tensor x, float scale) -> Tensor`` say.
        compute: runs it, on any device and below autograd.
        fake: tensors of the shapes, strides and dtypes that ``compute`` will give, without computing.
    """
    name = LIBRARY.define(schema, tags=(torch.Tag.pt2_compliant_tag,)).split("(")[0]
    LIBRARY.impl(name, compute, "CompositeExplicitAutograd")
    torch.library.register_fake(f"structdiff::{name}", fake, lib=LIBRARY)
    return getattr(torch.ops.structdiff, name).default


def register_gradient(name: str, backward: Callable[..., Any], keep: Callable[..., Any]) -> None:
    """Gives an operator its gradient: ``keep(ctx, inputs, output)`` in the forward pass, ``backward(ctx, *grads)``."""
    torch.library.register_autograd(f"structdiff::{name}", backward, setup_context=keep, lib=LIBRARY)

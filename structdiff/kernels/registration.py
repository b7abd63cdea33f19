"""Operators made known to PyTorch, so that autograd, torch.compile and CUDA graphs treat them as its own.

One function computes an operator on every device: it asks its native kernel first and else runs the PyTorch reference.
The low-level ``torch.library.Library`` is used rather than ``custom_op``: half the cost of a call. Even so the
dispatcher takes as long as all else of a small call: where nobody looks at operators, they are called beside it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch._C._autograd import _profiler_enabled
from torch._C._functorch import peek_interpreter_stack

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


_PLAIN = {Tensor, torch.nn.Parameter, type(None)}


def unobserved(*tensors: Tensor | None) -> bool:
    """Whether an operator of these may be computed beside PyTorch's dispatcher: nobody traces, transforms or counts it.

    False while it is compiled, exported or profiled, for tensors that only stand for others, and within modes and
    transforms (fake tensors, FLOP counters, vmap).
    """
    return (
        not torch.compiler.is_compiling()
        and _PLAIN.issuperset([type(x) for x in tensors])
        and torch._C._len_torch_dispatch_stack() == 0
        and torch._C._len_torch_function_stack() == 0
        and peek_interpreter_stack() is None
        and torch._C._get_tracing_state() is None
        and not _profiler_enabled()
    )

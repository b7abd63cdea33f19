"""Operators made known to PyTorch, so that autograd, torch.compile and CUDA graphs treat them as its own.

One function computes an operator on every device: it asks its native kernel first and else runs the PyTorch reference.
The low-level ``torch.library.Library`` is used rather than ``custom_op``: half the cost of a call. Even so the
dispatcher takes as long as all else of a small call: where nobody looks at operators, they are called beside it.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch._C._autograd import _profiler_enabled
from torch._C._functorch import peek_interpreter_stack
from torch.utils._pytree import tree_flatten, tree_unflatten

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


def once(name: str, backward: Callable[..., Any]) -> Callable[..., Any]:
    """A gradient of which there is no gradient: to differentiate it again raises RuntimeError that names the operator.

    PyTorch's ``once_differentiable`` says nothing of whose it is, and lets a gradient pass for a constant where that of
    the output is one (a sum), so that second derivatives would be wrong without a word.
    """
    message = f"{name} of structdiff.kernels has no second derivatives: its gradient cannot be differentiated again"

    @functools.wraps(backward)
    def guarded(ctx: Any, *grads: Any) -> Any:
        if not torch.is_grad_enabled():  # nobody asked for a graph of it
            return backward(ctx, *grads)
        with torch.no_grad():
            found, layout = tree_flatten(backward(ctx, *grads))
        places = [place for place, each in enumerate(found) if isinstance(each, Tensor)]
        refuse = torch._C._functions.DelayedError(  # pyright: ignore[reportAttributeAccessIssue]
            message.encode(), len(places)
        )
        refused = refuse(*[found[place].detach().requires_grad_() for place in places])
        for place, each in zip(places, (refused,) if isinstance(refused, Tensor) else refused, strict=True):
            found[place] = each
        return tree_unflatten(found, layout)

    return guarded


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

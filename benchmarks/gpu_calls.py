"""What a call of triangle attention costs the processor, and which part of it how much; the GPU is left behind."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from unittest import mock

import torch
from gpu_agreement import Case, draw, has_special, mode
from torch import Tensor

from structdiff import kernels
from structdiff.kernels import native, tensor_views

_MODULE = sys.modules[kernels.triangle_attention.__module__]
#: So few that the GPU's queue of launches is not full, after which each launch would wait for one to end.
_CALLS, _ROUNDS = 200, 5


def costs(device: torch.device) -> dict[str, object]:
    """Microseconds of one call: the least of some rounds, each a mean."""
    inputs = draw(Case(rows=4, queries=16, keys=16, hidden=0), torch.bfloat16, device)
    given = [inputs[x] for x in ("q", "k", "v", "bias", "mask")]
    leaves = [x.detach().requires_grad_() for x in given[:4]]
    numbers = torch.zeros(64, device=device)

    def attend() -> object:
        return kernels.triangle_attention(*given)

    def both_directions() -> object:
        return torch.autograd.grad(kernels.triangle_attention(*leaves, given[4]), leaves, inputs["grad"])

    found: dict[str, object] = {}
    with mode("native"):
        with torch.no_grad():
            found["triangle attention, µs of the processor a call"] = _microseconds(attend, device)
            with mock.patch.object(_MODULE, "unobserved", lambda *_: False):  # noqa: PT008
                found["through PyTorch's dispatcher"] = _microseconds(attend, device)
            found |= _parts(given, device)
        found["forward and backward"] = _microseconds(both_directions, device)
    if device.type == "cuda":
        with torch.autocast("cuda", torch.bfloat16), torch.no_grad():
            exact = [x.float() if x.is_floating_point() else x for x in given]
            found["of float32 under autocast"] = _microseconds(lambda: kernels.triangle_attention(*exact), device)
    found["PyTorch: a multiplication of 64 numbers"] = _microseconds(lambda: numbers * 2, device)
    found["PyTorch: an empty tensor"] = _microseconds(lambda: torch.empty(64, device=device), device)
    found["Python: views of the tensors, made by Python"] = _microseconds(
        lambda: [tensor_views.view(x) for x in given], device
    )
    return found


def _parts(given: list[Tensor], device: torch.device) -> dict[str, object]:
    """From within outwards: the launches, the kernel's choice and arguments with them."""
    kernel = _MODULE._HOPPER if has_special(device) else _MODULE._FORWARD
    arguments = (*given, 0.1, torch.empty_like(given[0], memory_format=torch.contiguous_format), None)
    index = native._index(device)
    function = native._function(kernel, device.type)

    def launches(words: list) -> float:
        if device.type == "cpu" or function is None:
            return _microseconds(lambda: kernel._run(function, arguments, device), device)
        size = native._workspace_function(kernel)(*[words[each] for each in kernel.workspace], index)
        scratch = torch.empty(size + 1, dtype=torch.uint8, device=device)
        address, stream = scratch.data_ptr(), native._stream(index)
        return _microseconds(lambda: function(*words, address, size, index, stream), device)

    return {
        "the C function with its launches": tensor_views.with_words(arguments, index, launches),
        "the same with kernel and arguments": _microseconds(lambda: kernel(given[0].device, *arguments), device),
        "views of the tensors": _microseconds(lambda: tensor_views.with_words(arguments, index, len), device),
    }


def _microseconds(call: Callable[[], object], device: torch.device) -> float:
    least = float("inf")
    for _ in range(_ROUNDS):
        for _ in range(20):
            call()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        began = time.perf_counter()
        for _ in range(_CALLS):
            call()
        least = min(least, 1e6 * (time.perf_counter() - began) / _CALLS)
    return least

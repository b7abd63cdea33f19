"""What a CUDA call of triangle attention costs the processor up to the C function, on a machine without a GPU.

    python benchmarks/call_cost.py

Tensors lie on the CPU, the C functions do nothing, and CUDA's own calls (stream, scratch memory) are left out: what is
measured is the way through PyTorch, the choice of a kernel, its check looked up, and the arguments handed over.
benchmarks/gpu.py (section `calls`) measures all of it on a GPU.
"""

from __future__ import annotations

import ctypes
import functools
import statistics
import sys
import time
from collections.abc import Callable
from unittest import mock

import torch
from torch import Tensor

from structdiff import kernels
from structdiff.kernels import native, self_check, tensor_views

_ROUNDS, _CALLS = 9, 2000
_GPU = torch.device("cuda", 0)
_MODULE = sys.modules[kernels.triangle_attention.__module__]


def _does_nothing(kernel: native.Kernel, result: int) -> Callable[..., int]:
    """A function of a C library with the kernel's arguments, of which it reads none."""
    function = ctypes.CDLL("libm.so.6").fegetround if result == 0 else ctypes.CDLL(None).Py_IsInitialized
    function.argtypes = [native._ARGUMENTS[letter] for letter in kernel.arguments] + native._ENDINGS["cuda"]
    return function


def _as_on_a_gpu(refused: bool) -> list[mock._patch]:
    """What makes kernels believe that tensors on the CPU are on a GPU; refused: by the kernel for one GPU."""
    functions = {k: _does_nothing(k, int(refused and k is _MODULE._HOPPER)) for k in native._CHECKED_KERNELS}
    lookup = {kernel: functools.partial(kernel, _GPU) for kernel in functions}
    # Plain functions: a mock with `return_value` would take longer than what is measured.
    patches = [
        mock.patch.object(native, "_function", lambda kernel, _: functions[kernel]),
        mock.patch.object(native, "_workspace_function", lambda _: lambda *_: 0),  # noqa: PT008
        mock.patch.object(native, "_capability", lambda _: (9, 0)),  # noqa: PT008
        mock.patch.object(native, "_index", lambda _: -1),  # noqa: PT008
        mock.patch.object(native, "_stream", lambda _: 0),  # noqa: PT008
        mock.patch.object(self_check, "is_proven", lambda *_: True),  # noqa: PT008
    ]
    for name in ("_HOPPER", "_FORWARD", "_BACKWARD"):
        kernel = getattr(_MODULE, name)
        patches.append(mock.patch.object(_MODULE, name, lambda _, *rest, call=lookup[kernel]: call(*rest)))
    return patches


def microseconds(call: Callable[[], object]) -> list[float]:
    """Of one call, each round's mean."""
    found = []
    for _ in range(_ROUNDS):
        began = time.perf_counter()
        for _ in range(_CALLS):
            call()
        found.append(1e6 * (time.perf_counter() - began) / _CALLS)
    return found


def _both_directions(leaves: list[Tensor], mask: Tensor, grad: Tensor) -> object:
    return torch.autograd.grad(kernels.triangle_attention(*leaves, mask), leaves, grad)


def main() -> None:
    q, k, v = torch.zeros(3, 1, 16, 16, 4, 32, dtype=torch.bfloat16)
    bias, mask = torch.zeros(1, 4, 16, 16, dtype=torch.bfloat16), torch.ones(1, 16, 16, dtype=torch.bool)
    leaves = [x.detach().requires_grad_() for x in (q, k, v, bias)]
    out = torch.empty_like(q)
    handed_over = (q, k, v, bias, mask, 1.0, out, None)
    hopper = _MODULE._HOPPER
    calls: dict[str, Callable[[], object]] = {
        "views of its tensors": lambda: tensor_views.with_words(handed_over, -1, lambda _: 0),
        "the kernel": lambda: hopper(_GPU, *handed_over),
        "triangle_attention": lambda: kernels.triangle_attention(q, k, v, bias, mask),
        "forward and backward": lambda: _both_directions(leaves, mask, torch.zeros_like(out)),
    }
    for refused in (False, True):
        print("Hopper's kernel refuses, that for every GPU takes it:" if refused else "Hopper's kernel takes it:")
        patches = _as_on_a_gpu(refused)
        for patch in patches:
            patch.start()
        native.set_special(True)
        for name, call in calls.items():
            with torch.set_grad_enabled(name == "forward and backward"):
                found = microseconds(call)
                print(f"  {name}: {statistics.median(found):.1f} µs ({min(found):.1f} to {max(found):.1f})")
                if name in ("triangle_attention", "forward and backward"):
                    with mock.patch.object(_MODULE, "unobserved", lambda *_: False):  # noqa: PT008
                        found = microseconds(call)
                    print(f"    through PyTorch's dispatcher: {statistics.median(found):.1f} µs")
        for patch in patches:
            patch.stop()


if __name__ == "__main__":
    main()

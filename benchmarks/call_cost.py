"""What a CUDA call of triangle attention costs the processor up to the C function, on a machine without a GPU.

    python benchmarks/call_cost.py

Tensors lie on the CPU, the C functions do nothing, and CUDA's own calls (stream, scratch memory) are left out: what is
measured is the choice of a kernel, its check looked up, and the arguments packed. benchmarks/gpu.py (section `calls`)
measures all of it on a GPU.
"""

from __future__ import annotations

import ctypes
import statistics
import time
from types import SimpleNamespace
from unittest import mock

import torch

from structdiff.kernels import native, self_check
from structdiff.kernels.triangle_attention import _FORWARD, _HOPPER

_ROUNDS, _CALLS = 9, 2000


def _no_work(kernel: native.Kernel, result: int) -> object:
    arguments = [native._ARGUMENTS[letter] for letter in kernel.arguments] + native._ENDINGS["cuda"]
    return ctypes.CFUNCTYPE(ctypes.c_int32, *arguments)(lambda *_: result)


def microseconds(kernel: native.Kernel, arguments: tuple, result: int) -> list[float]:
    """Of one call, each round's mean; the C function called is a Python one, whose own cost is taken off."""
    device, function = torch.device("cuda", 0), _no_work(kernel, result)
    kind = kernel.check.kind(arguments) if kernel.check else ()
    self_check.VERDICTS.passed.add((kernel.name, device, kind))
    words = [x if x is None or isinstance(x, (int, float)) else native._packed(x, -1) for x in arguments]
    found = []
    stream = SimpleNamespace(cuda_stream=0)
    with (  # plain functions: a mock with `return_value` would take longer than what is measured
        mock.patch.object(native, "_function", lambda *_: function),  # noqa: PT008
        mock.patch.object(native, "_workspace_function", lambda _: lambda *_: 0),  # noqa: PT008
        mock.patch.object(native, "_capability", lambda _: (9, 0)),  # noqa: PT008
        mock.patch.object(native, "_index", lambda _: -1),  # noqa: PT008
        mock.patch.object(torch.cuda, "current_stream", lambda _: stream),  # noqa: PT008
    ):
        for _ in range(_ROUNDS):
            began = time.perf_counter()
            for _ in range(_CALLS):
                kernel(device, *arguments)
            between = time.perf_counter()
            for _ in range(_CALLS):
                function(*words, None, 0, 0, 0)  # type: ignore[operator]
            ended = time.perf_counter()
            found.append(1e6 * (2 * between - began - ended) / _CALLS)
    return found


def main() -> None:
    q, k, v = torch.zeros(3, 1, 16, 16, 4, 32, dtype=torch.bfloat16)
    bias, mask = torch.zeros(1, 4, 16, 16, dtype=torch.bfloat16), torch.ones(1, 16, 16, dtype=torch.bool)
    arguments = (q, k, v, bias, mask, 1.0, torch.empty_like(q), None)
    for name, kernel, result in (
        ("kernel for every GPU", _FORWARD, 0),
        ("Hopper's kernel", _HOPPER, 0),
        ("Hopper's kernel, which does not take the call", _HOPPER, 1),
    ):
        found = microseconds(kernel, arguments, result)
        print(f"{name}: {statistics.median(found):.1f} µs ({min(found):.1f} to {max(found):.1f})")


if __name__ == "__main__":
    main()

"""What the matrix products of a network's trunk are rounded to: the denoiser, which moves atoms, stays in float32."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from functools import lru_cache

import torch

from structdiff.errors import InputError

PRECISIONS = ("float32", "bfloat16")
_DEVICES = ("cpu", "cuda")  # on which autocast to bfloat16 is known to work
_SIZE, _ROUNDS = 512, 5  # of the products that are timed


class SlowPrecisionWarning(UserWarning):
    """The precision that was asked for takes longer here than float32."""


def check_precision(precision: str, device: torch.device) -> None:
    """Raises InputError where a device has no such precision; warns where a processor is slower with it."""
    if precision == "float32":
        return
    if device.type not in _DEVICES:
        raise InputError("this device has no such precision here", key="precision",
                         found=f"{precision} on {device.type}", allowed="float32")  # fmt: skip
    if device.type == "cpu" and _is_slower():
        warnings.warn("this processor multiplies bfloat16 more slowly than float32: --precision float32 is quicker",
                      SlowPrecisionWarning, stacklevel=2)  # fmt: skip


@contextmanager
def rounded(precision: str, device: torch.device) -> Iterator[None]:
    """Operands of matrix products rounded to that precision, by autocast; sums are in float32 either way."""
    with torch.autocast(device.type, torch.bfloat16) if precision == "bfloat16" else nullcontext():
        yield


@lru_cache(maxsize=1)
def _is_slower() -> bool:
    """Whether products of bfloat16 take longer than of float32, on the processor and its threads."""
    one = torch.ones(_SIZE, _SIZE)
    half = one.bfloat16()
    return _seconds(lambda: half @ half) > _seconds(lambda: one @ one)


def _seconds(run: Callable[[], object]) -> float:
    """The least seconds of a call, of several."""
    taken = []
    for _ in range(_ROUNDS):
        began = time.perf_counter()
        run()
        taken.append(time.perf_counter() - began)
    return min(taken)

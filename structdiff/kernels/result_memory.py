"""Memory of large results on the CPU, used again once nobody holds the result.

The system clears fresh memory before it hands it out, and takes it back when it is freed: of triangle attention at
256 tokens that was a sixth of the time. So memory that was a result is kept, up to 256 MiB, for the next result of its
size; all of it within `all_kept`, for what makes and frees the same results over and over.
"""

from __future__ import annotations

import math
import mmap
import sys
import weakref
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor

_LEAST = 2**20  # bytes; what is smaller comes from torch
_STEP = 2**21  # a large page
_KEPT_AT_MOST = 2**28

# By size. Results are freed at any moment, in any thread and within any statement: there is no lock that this could
# take, and appending to a deque and popping from it need none.
_FREE: dict[int, deque[mmap.mmap]] = {}
_keeping_all: list[None] = []  # as long as anyone is within `all_kept`


def new_empty(like: Tensor, shape: Sequence[int], dtype: torch.dtype | None = None) -> Tensor:
    """``like.new_empty(shape, dtype=dtype)``, contiguous, in memory that is likely to be there already."""
    if dtype is None and shape == like.shape and (like.nbytes < _LEAST or not like.is_cpu):
        return torch.empty_like(like, memory_format=torch.contiguous_format)  # half the time of torch.empty
    dtype = dtype or like.dtype
    numbers = math.prod(shape)
    size = numbers * dtype.itemsize
    if size < _LEAST or not like.is_cpu or sys.platform == "win32":
        return torch.empty(shape, dtype=dtype, device=like.device)
    block = _take(-(-size // _STEP) * _STEP)
    lent = memoryview(block)
    # Only the tensor's storage holds `lent`, for as long as there are views of it or tensors saved for a backward pass.
    weakref.finalize(lent, _give_back, block).atexit = False
    # Not a view of the first tensor, as reshaping would make it: autograd treats those apart.
    return torch.frombuffer(lent, dtype=dtype, count=numbers).resize_(tuple(shape))


def kept() -> int:
    """How many bytes are kept that no result is in."""
    return sum(size * len(blocks) for size, blocks in list(_FREE.items()))


@contextmanager
def all_kept() -> Iterator[None]:
    """Memory of results is kept whatever it comes to, which is what they need at once, and given back in the end."""
    _keeping_all.append(None)
    try:
        yield
    finally:
        _keeping_all.pop()
        if not _keeping_all:
            _give_up(0)


def _take(size: int) -> mmap.mmap:
    try:
        return _FREE[size].pop()
    except (KeyError, IndexError):
        return mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)


def _give_back(block: mmap.mmap) -> None:
    if not _keeping_all:
        if len(block) > _KEPT_AT_MOST:
            return
        _give_up(len(block))
    _FREE.setdefault(len(block), deque()).append(block)


def _give_up(wanted: int) -> None:
    """Leaves room for a block of so many bytes: other sizes go first, the one that came first before all."""
    for size in [size for size in list(_FREE) if size != wanted] + [wanted]:
        while kept() + wanted > _KEPT_AT_MOST and _FREE.get(size):
            _FREE[size].popleft()

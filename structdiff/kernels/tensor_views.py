"""Tensors as the native libraries take them: address, dtype, sizes and strides (csrc/common/abi.h).

Asking a tensor for these takes Python as long as all the rest of a call. So the library reads them itself, by
functions that PyTorch exports for compiled models; where those are missing or say something else, Python does it.
"""

from __future__ import annotations

import ctypes
import struct
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import torch
from torch import Tensor

from structdiff.kernels import libraries

_DTYPES = {torch.float32: 0, torch.float16: 1, torch.bfloat16: 2, torch.bool: 3}
_MAX_RANK = 5
_VIEW_BYTES = 8 * (3 + 2 * _MAX_RANK)
_PACK: list[Callable[..., bytes]] = [
    struct.Struct(f"qqq{rank}q{8 * (_MAX_RANK - rank)}x{rank}q{8 * (_MAX_RANK - rank)}x").pack
    for rank in range(_MAX_RANK + 1)
]
#: Tensors of one call, and room for their views.
_MOST = 32
_ADDRESSES: list[Callable[..., bytes]] = [struct.Struct(f"{count}Q").pack for count in range(_MOST + 1)]
# Room that no call is using. Popping and appending need no lock.
_ROOMS: list[ctypes.Array[ctypes.c_char]] = []


class ElsewhereError(Exception):
    """A tensor that is on another device than the first: its address means nothing there, or something else."""


def view(tensor: Tensor) -> bytes:
    """The tensor as csrc/common/abi.h has it. Raises KeyError for a dtype that no kernel knows."""
    rank = tensor.dim()
    return _PACK[rank](tensor.data_ptr(), _DTYPES[tensor.dtype], rank, *tensor.shape, *tensor.stride())


def views(x: Tensor | Sequence[Tensor], index: int) -> bytes:
    """Of one tensor, or of several one behind the other. Raises as ``view``, and ElsewhereError.

    Args:
        index: what ``Tensor.get_device`` must say of them.
    """
    if not isinstance(x, Tensor):
        return b"".join([views(each, index) for each in x])
    if x.get_device() != index:
        raise ElsewhereError(f"one of its tensors is on {x.device}")
    return view(x)


def with_words(arguments: Sequence[Any], index: int, call: Callable[[list[Any]], Any]) -> Any:
    """What ``call`` gives, with tensors and lists of them in ``arguments`` as addresses of their views, or as those.

    The addresses hold until it returns. Raises as ``views``.
    """
    read = _reader()
    if read is None:
        return call(_by_python(arguments, index))
    try:
        room = _ROOMS.pop()
    except IndexError:
        room = ctypes.create_string_buffer(_MOST * _VIEW_BYTES)
    try:
        address = first = ctypes.addressof(room)
        words, tensors = [], []
        for x in arguments:
            if isinstance(x, Tensor):
                words.append(address)
                tensors.append(x._cdata)
                address += _VIEW_BYTES
            elif isinstance(x, (list, tuple)):
                words.append(address)
                tensors.extend([each._cdata for each in x])
                address += _VIEW_BYTES * len(x)
            else:
                words.append(x)
        there = len(tensors) <= _MOST and read(tensors, index, first)
        return call(words if there else _by_python(arguments, index))
    finally:
        _ROOMS.append(room)


def _by_python(arguments: Sequence[Any], index: int) -> list[Any]:
    return [views(x, index) if isinstance(x, (Tensor, list, tuple)) else x for x in arguments]


class _Torch(ctypes.Structure):
    """csrc/common/torch_tensors.h."""

    NAMES = ("data_ptr", "dim", "sizes", "strides", "dtype", "device_type", "device_index")
    _fields_ = [*((name, ctypes.c_void_p) for name in NAMES), ("dtypes", ctypes.c_int32 * len(_DTYPES))]


@cache
def _reader() -> Callable[[list[int], int, int], bool] | None:
    """Writes views of tensors to an address; None where the library cannot."""
    library = libraries.load("cpu")
    function = getattr(library, "structdiff_torch_views", None)
    try:
        exported = _exported()
    except (OSError, AttributeError):
        return None
    if function is None:
        return None
    function.argtypes = [
        ctypes.POINTER(_Torch), ctypes.c_char_p, ctypes.c_int32, ctypes.c_int32, ctypes.c_int32, ctypes.c_void_p
    ]  # fmt: skip
    function.restype = ctypes.c_int32
    pointer = ctypes.pointer(exported)

    def read(tensors: list[int], index: int, address: int) -> bool:
        count = len(tensors)
        return function(pointer, _ADDRESSES[count](*tensors), count, 0 if index < 0 else 1, index, address) == 0

    return read if _agrees(read) else None


def _exported() -> _Torch:
    library = ctypes.CDLL(torch._C.__file__)  # and the libraries that it is linked against
    found = _Torch()
    for name in _Torch.NAMES:
        setattr(found, name, ctypes.cast(getattr(library, f"aoti_torch_get_{name}"), ctypes.c_void_p).value)
    for dtype, number in _DTYPES.items():
        found.dtypes[number] = getattr(library, f"aoti_torch_dtype_{str(dtype).removeprefix('torch.')}")()
    return found


def _agrees(read: Callable[[list[int], int, int], bool]) -> bool:
    """Whether tensors of all dtypes and ranks are read as Python reads them."""
    room = ctypes.create_string_buffer(_MOST * _VIEW_BYTES)
    tables = [torch.empty((2, 3, 4, 5, 6)[:rank], dtype=dtype) for dtype in _DTYPES for rank in range(_MAX_RANK + 1)]
    given = [x.transpose(0, -1) if x.dim() > 1 else x for x in tables]
    if not read([x._cdata for x in given], -1, ctypes.addressof(room)):
        return False
    return room.raw[: len(given) * _VIEW_BYTES] == b"".join([view(x) for x in given])

"""The compiled libraries of native kernels: which there are, which one this processor can use, and how they are opened.

They are made of csrc/ by ``csrc/build_kernels.py`` and lie beside this file; ``native`` says what they are asked.
"""

from __future__ import annotations

import ctypes
import logging
import os
import runpy
import sys
from functools import cache
from pathlib import Path

import torch

ABI_VERSION = 2
_LOG = logging.getLogger(__name__)

_FOLDER = Path(__file__).parent
_SOURCES = _FOLDER.parents[1] / "csrc"
_LEVELS = ("x86_64_v2", "x86_64_v3", "x86_64_v4")
# OpenMP's threads are not there in a child that was forked, and it waits for them for ever.
_IMPORTED_IN = os.getpid()


@cache
def load(device: str) -> ctypes.CDLL | None:
    """The library for that kind of device, or None where there is none."""
    return _open(device)[0]


def missing(device: str) -> str | None:
    """Why there are no native kernels for that kind of device; None where there are."""
    return _open(device)[1]


def cpu_level() -> str:
    """The instruction set that the CPU library was compiled for."""
    return _open("cpu")[2]


@cache
def _open(device: str) -> tuple[ctypes.CDLL | None, str | None, str]:
    if device == "cpu":
        return _open_cpu()
    if device == "cuda":
        path = _FOLDER / "libstructdiff_cuda.so"
        if not path.exists():
            return None, "the package was installed without nvcc", ""
        return *_opened(path), ""
    return None, f"there are none for {device}", ""


def _open_cpu() -> tuple[ctypes.CDLL | None, str | None, str]:
    built = [level for level in ("arm64", *_LEVELS) if cpu_library(level).exists()]
    if not built:
        return None, "the package was installed without a C++ compiler", ""
    lowest, problem = _opened(cpu_library(built[0]))
    if lowest is None:
        return None, problem, ""
    best = lowest.structdiff_cpu_level()
    usable = [level for level in built if level == "arm64" or int(level[-1]) <= best]
    if not usable:
        return None, "the processor is older than the kernels", ""
    library, problem = _opened(cpu_library(usable[-1]))
    if library is not None:
        share_threads(library, team())
    return library, problem, usable[-1]


def team() -> ctypes.c_void_p | None:
    """How PyTorch's threads are called together, where those are OpenMP's and this process has them."""
    if sys.platform == "win32" or not torch.backends.openmp.is_available() or os.getpid() != _IMPORTED_IN:
        return None
    function = getattr(ctypes.CDLL(None), "GOMP_parallel", None)
    return None if function is None else ctypes.cast(function, ctypes.c_void_p)


def share_threads(library: ctypes.CDLL, team: ctypes.c_void_p | None) -> None:
    """Lets kernels run on that team, or on threads of their own: see csrc/common/parallel.h."""
    share = library.structdiff_share_threads
    share.argtypes, share.restype = [ctypes.c_void_p], None
    share(team)


def cpu_library(level: str) -> Path:
    """Where the library for that instruction set lies, if it was built."""
    return _FOLDER / f"libstructdiff_cpu_{level}.so"


def _opened(path: Path) -> tuple[ctypes.CDLL | None, str | None]:
    try:
        library = ctypes.CDLL(str(path))
        library.structdiff_abi_version.restype = ctypes.c_int64
        version = library.structdiff_abi_version()
    except (OSError, AttributeError) as error:
        return None, _told(f"{path.name} cannot be loaded: {error}")
    if version != ABI_VERSION:
        return None, _told(f"{path.name} is of another version: install structdiff again")
    return library, None


def _told(problem: str) -> str:
    """What is wrong with a library that is there, said where all else goes on, more slowly, without it."""
    _LOG.warning("%s; PyTorch runs in place of native kernels", problem)
    return problem


def cuda_error() -> str:
    """What CUDA said last, in its own words."""
    library = load("cuda")
    if library is None:
        return "no CUDA library"
    library.structdiff_cuda_error.restype = ctypes.c_char_p
    return library.structdiff_cuda_error().decode()


@cache
def outdated(device: str) -> bool:
    """Whether csrc/, where it lies beside this package as in a checkout, is no longer what the library was made of."""
    library, script = load(device), _SOURCES / "source_hash.py"
    if library is None or not script.exists():
        return False
    library.structdiff_source_hash.restype = ctypes.c_char_p
    return library.structdiff_source_hash().decode() != runpy.run_path(str(script))["source_hash"](device)

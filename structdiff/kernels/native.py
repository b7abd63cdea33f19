"""The native kernels: finds their libraries, hands tensors over, and says what runs where.

The libraries are made of csrc/ by ``csrc/build_kernels.py`` and lie beside this file. They know nothing of PyTorch: a
tensor is handed over as address, dtype, sizes and strides (csrc/common/abi.h). Where there is no library, or it cannot
take an input, the operators run in PyTorch, with the same results up to rounding.
"""

from __future__ import annotations

import ctypes
import logging
import os
import struct
import sys
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

import torch
from torch import Tensor

from structdiff.errors import InputError, StructdiffError
from structdiff.kernels import self_check
from structdiff.kernels.self_check import SelfCheck

ABI_VERSION = 1
MODES = ("auto", "native", "reference")
MODE_VARIABLE = "STRUCTDIFF_KERNELS"
#: 0 leaves out the kernels made for one GPU: those for every GPU run in their place.
SPECIAL_VARIABLE = "STRUCTDIFF_CUDA_SPECIAL"
#: Kinds of device on which a kernel must have proved itself before it is used.
CHECKED_DEVICES = {"cuda"}

_LOG = logging.getLogger(__name__)
_FOLDER = Path(__file__).parent
_LEVELS = ("x86_64_v2", "x86_64_v3", "x86_64_v4")
_DTYPES = {torch.float32: 0, torch.float16: 1, torch.bfloat16: 2, torch.bool: 3}
_MAX_RANK = 5
_REASONS = {
    1: "it does not take this dtype, size or stride",
    2: "it says that the sizes do not fit together",
    3: "it found no memory",
    4: "CUDA refused",
}
_PACK: list[Callable[..., bytes]] = [
    struct.Struct(f"qqq{rank}q{8 * (_MAX_RANK - rank)}x{rank}q{8 * (_MAX_RANK - rank)}x").pack
    for rank in range(_MAX_RANK + 1)
]
_ARGUMENTS = {"t": ctypes.c_char_p, "d": ctypes.c_double, "i": ctypes.c_int32}
_ENDINGS = {
    "cpu": [ctypes.c_int32],
    "cuda": [ctypes.c_void_p, ctypes.c_int64, ctypes.c_int32, ctypes.c_void_p],
}


_CHECKED_KERNELS: list[Kernel] = []
# OpenMP's threads are not there in a child that was forked, and it waits for them for ever.
_IMPORTED_IN = os.getpid()


class KernelError(StructdiffError):
    """Native kernels were asked for by name, and one of them could not do the work."""


def view(tensor: Tensor) -> bytes:
    """The tensor as csrc/common/abi.h has it. Raises KeyError for a dtype that no kernel knows."""
    rank = tensor.dim()
    return _PACK[rank](tensor.data_ptr(), _DTYPES[tensor.dtype], rank, *tensor.shape, *tensor.stride())


class Kernel:
    """One function of the native libraries, on whichever device its tensors are.

    Args:
        name: as in the contract, without ``structdiff_`` before and the device after.
        arguments: one letter each, in the contract's order up to the device's own: t a tensor (or a sequence of them,
            one behind the other, or None), d a double, i an int32.
        workspace: which of the arguments the contract's ``workspace`` function for CUDA takes.
        check: how it proves itself on a GPU before it is used there.
        capability: the one CUDA compute capability that it was made for; a kernel for every GPU stands behind it, so
            that what it does not take is no more than passed on.
    """

    def __init__(
        self,
        name: str,
        arguments: str,
        *,
        workspace: Sequence[int] = (),
        check: SelfCheck | None = None,
        capability: tuple[int, int] | None = None,
    ) -> None:
        self.name, self.arguments, self.workspace, self.check = name, arguments, tuple(workspace), check
        self.capability = capability
        if check is not None:
            _CHECKED_KERNELS.append(self)

    def __call__(self, device: torch.device, *arguments: Tensor | Sequence[Tensor] | float | int | None) -> bool:
        """Does the work and returns True, or leaves everything as it is and returns False.

        Raises KernelError where the kernels are set to ``native`` and this one cannot.
        """
        if not self._made_for(device):
            return False
        function = _function(self, device.type)
        if function is None:
            if self.capability is None and mode() == "native":
                raise KernelError(f"{self.name}: {missing(device.type) or 'there is no native kernel'}")
            return False
        if self.check is not None and device.type in CHECKED_DEVICES:
            device = _with_index(device)
            reason = self._unproven(device, self.check.kind(arguments))
            if reason is not None:
                return self._cannot(device, reason)
        try:
            status = self._run(function, arguments, device)
        except KeyError as unknown:
            return self._cannot(device, f"it does not take {unknown}")
        except _ElsewhereError as elsewhere:  # PyTorch says what is wrong with that
            return self._cannot(device, str(elsewhere))
        if status == 1 and self.capability is not None:
            return False
        return status == 0 or self._cannot(device, _REASONS[status])

    def _made_for(self, device: torch.device) -> bool:
        if self.capability is None:
            return True
        return device.type == "cuda" and special() and _capability(_with_index(device).index) == self.capability

    def prove(self, device: torch.device) -> None:
        """Checks the kernel on all the kinds of calls that it is made for, as far as it was not.

        Raises KernelError where the kernels are set to ``native`` and it fails.
        """
        if self.check is None or not self._made_for(device) or _function(self, device.type) is None:
            return
        for kind in self.check.kinds:
            reason = self._unproven(_with_index(device), kind)
            if reason is not None:
                self._cannot(device, reason)

    def _unproven(self, device: torch.device, kind: tuple) -> str | None:
        """Why calls of that kind may not be made, or not yet."""
        function, check = _function(self, device.type), self.check
        if function is None or check is None or self_check.is_proven(self.name, device, kind):
            return None
        if self_check.capturing(device):
            return "a CUDA graph is being captured before its check: call structdiff.kernels.check(device) first"

        def run(arguments: tuple) -> bool:
            status = self._run(function, arguments, device)
            if status == 3:
                raise torch.OutOfMemoryError(f"{self.name}: {_REASONS[status]}")
            if status > 1:
                raise RuntimeError(cuda_error() if status == 4 else _REASONS[status])
            return status == 0

        why = self_check.failure(self.name, check, device, kind, run)
        return None if why is None else f"it failed its check ({why})"

    def _run(self, function: Callable[..., int], arguments: Sequence, device: torch.device) -> int:
        index = _index(device)
        words = [x if x is None or isinstance(x, (int, float)) else _packed(x, index) for x in arguments]
        if device.type == "cpu":
            return function(*words, torch.get_num_threads())
        return self._on_stream(function, words, device)

    def available(self, device: str) -> bool:
        """Whether this function is there for that kind of device, and wanted."""
        return _function(self, device) is not None

    def _on_stream(self, function: Callable[..., int], words: list, device: torch.device) -> int:
        index = _with_index(device).index
        size = 0
        if self.workspace:
            ask = _workspace_function(self)
            size = ask(*(words[each] for each in self.workspace), index)
        scratch = torch.empty(size, dtype=torch.uint8, device=device) if size else None
        address = None if scratch is None else scratch.data_ptr()
        return function(*words, address, size, index, torch.cuda.current_stream(index).cuda_stream)

    def _cannot(self, device: torch.device, reason: str) -> bool:
        reason = reason.removesuffix("CUDA refused") + cuda_error() if reason == _REASONS[4] else reason
        message = f"{self.name}: the native kernel for {device.type} was not used, since {reason}"
        if mode() == "native":
            raise KernelError(message)
        _say_once(f"{message}; {'PyTorch' if self.capability is None else 'the kernel for every GPU'} runs it")
        return False


def _with_index(device: torch.device) -> torch.device:
    if device.type != "cuda" or device.index is not None:
        return device
    return torch.device("cuda", torch.cuda.current_device())


@cache
def _capability(index: int) -> tuple[int, int]:
    return torch.cuda.get_device_capability(index)


def special() -> bool:
    """Whether kernels that were made for one GPU are used on it."""
    return _special_of_environment() if _special is None else _special


@cache
def _special_of_environment() -> bool:
    return os.environ.get(SPECIAL_VARIABLE, "1") != "0"


def set_special(wanted: bool | None) -> None:
    """Uses kernels made for one GPU, or those for every GPU only; None goes back to the environment."""
    global _special
    _special = wanted


_special: bool | None = None


def _index(device: torch.device) -> int:
    """What ``Tensor.get_device`` says of tensors on that device."""
    return -1 if device.type == "cpu" else _with_index(device).index


class _ElsewhereError(Exception):
    """A tensor that is on another device than the first: its address means nothing there, or something else."""


def _packed(x: Tensor | Sequence[Tensor], index: int) -> bytes:
    if not isinstance(x, Tensor):
        return b"".join([_packed(each, index) for each in x])
    if x.get_device() != index:
        raise _ElsewhereError(f"one of its tensors is on {x.device}")
    return view(x)


@cache
def _say_once(message: str) -> None:
    _LOG.warning(message)


def prove_all(device: torch.device) -> None:
    """Checks all kernels on a device, as far as they were not. Raises as ``Kernel.prove``."""
    for kernel in _CHECKED_KERNELS:
        kernel.prove(device)


def mode() -> str:
    """``auto``, ``native`` (an error where there is no kernel) or ``reference`` (PyTorch)."""
    return _mode or _mode_of_environment()


def set_mode(name: str | None) -> None:
    """Chooses between native kernels and PyTorch; None goes back to the environment. Raises InputError."""
    global _mode
    _mode = None if name is None else _checked(name, "kernels")
    _function.cache_clear()


_mode: str | None = None


@cache
def _mode_of_environment() -> str:
    return _checked(os.environ.get(MODE_VARIABLE, "auto"), MODE_VARIABLE)


def _checked(name: str, key: str) -> str:
    if name not in MODES:
        raise InputError("unknown way to run the operators", key=key, found=name, allowed=MODES, suggest_from=MODES)
    return name


@cache
def _function(kernel: Kernel, device: str) -> Callable[..., int] | None:
    """The library's function, or None where PyTorch does the work."""
    library = None if mode() == "reference" else load(device)
    function = None if library is None else getattr(library, f"structdiff_{kernel.name}_{device}", None)
    if function is not None:
        function.argtypes = [_ARGUMENTS[letter] for letter in kernel.arguments] + _ENDINGS[device]
        function.restype = ctypes.c_int32
    return function


@cache
def _workspace_function(kernel: Kernel) -> Callable[..., int]:
    function = getattr(load("cuda"), f"structdiff_{kernel.name}_workspace_cuda")
    function.argtypes = [_ARGUMENTS[kernel.arguments[each]] for each in kernel.workspace] + [ctypes.c_int32]
    function.restype = ctypes.c_int64
    return function


def available(device: str) -> bool:
    """Whether there are native kernels for that kind of device and they are wanted."""
    return mode() != "reference" and load(device) is not None


# What `torch.compiler.assume_constant_result` sets; calling it would import the compiler, half of a command's start.
available._dynamo_marked_constant = True  # type: ignore[attr-defined]


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
    # Libraries without it write the bias's gradient axis after axis, however it lies. CUDA's contract is as it was.
    if library is not None and not hasattr(library, "structdiff_share_threads"):
        return None, f"{cpu_library(usable[-1]).name} is of another version: install structdiff again", ""
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
        return None, f"{path.name} cannot be loaded: {error}"
    if version != ABI_VERSION:
        return None, f"{path.name} is of another version: install structdiff again"
    return library, None


def cuda_error() -> str:
    """What CUDA said last, in its own words."""
    library = load("cuda")
    if library is None:
        return "no CUDA library"
    library.structdiff_cuda_error.restype = ctypes.c_char_p
    return library.structdiff_cuda_error().decode()


def kind(device: str) -> str:
    """What decides the last digits on that kind of device: ``native (x86_64_v4)``, ``native`` or ``reference``."""
    if not available(device):
        return "reference"
    return f"native ({cpu_level()})" if device == "cpu" else "native"


def where(operator: str) -> str:
    """What runs an operator, for each kind of device that this machine has."""
    devices = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
    return "; ".join(f"{device}: {_runs(operator, device)}" for device in devices)


def _runs(operator: str, device: str) -> str:
    if mode() == "reference":
        return "reference (PyTorch), as asked for"
    library = load(device)
    if library is None:
        return f"reference (PyTorch), since {missing(device)}"
    if not hasattr(library, f"structdiff_{operator}_forward_{device}"):
        return "reference (PyTorch)"
    state = self_check.state(operator, device)
    if state is not None and state != "checked":
        return f"reference (PyTorch), since the native kernel {state}"
    level = [cpu_level()] if device == "cpu" else []
    known = [state or "to be checked at its first use"] if state or device in CHECKED_DEVICES else []
    notes = ", ".join(level + known)
    return f"native ({notes})" if notes else "native"

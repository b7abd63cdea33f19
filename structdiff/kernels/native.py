"""The native kernels: hands tensors over to their libraries, and says what runs where.

The libraries know nothing of PyTorch: a tensor is handed over as address, dtype, sizes and strides
(csrc/common/abi.h). Where there is no library, or it cannot take an input, the operators run in PyTorch, with the same
results up to rounding.
"""

from __future__ import annotations

import ctypes
import logging
import os
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import torch
from torch import Tensor

from structdiff.errors import InputError, StructdiffError
from structdiff.kernels import libraries, self_check
from structdiff.kernels.self_check import SelfCheck
from structdiff.kernels.tensor_views import ElsewhereError, with_words

MODES = ("auto", "native", "reference")
MODE_VARIABLE = "STRUCTDIFF_KERNELS"
#: 0 leaves out the kernels made for one GPU: those for every GPU run in their place.
SPECIAL_VARIABLE = "STRUCTDIFF_CUDA_SPECIAL"
#: Kinds of device on which a kernel must have proved itself before it is used.
CHECKED_DEVICES = {"cuda"}

Function = Callable[..., int]

_LOG = logging.getLogger(__name__)
_REASONS = {
    1: "it does not take this dtype, size or stride",
    2: "it says that the sizes do not fit together",
    3: "it found no memory",
    4: "CUDA refused",
}
_ARGUMENTS = {"t": ctypes.c_void_p, "d": ctypes.c_double, "i": ctypes.c_int32}
_ENDINGS = {
    "cpu": [ctypes.c_int32],
    "cuda": [ctypes.c_void_p, ctypes.c_int64, ctypes.c_int32, ctypes.c_void_p],
}

_KERNELS: list[Kernel] = []
_CHECKED_KERNELS: list[Kernel] = []
_UNKNOWN: Any = object()


class KernelError(StructdiffError):
    """Native kernels were asked for by name, and one of them could not do the work."""


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
        self._chosen: dict[tuple[torch.device, tuple], Function | None] = {}
        _KERNELS.append(self)
        if check is not None:
            _CHECKED_KERNELS.append(self)

    def __call__(self, device: torch.device, *arguments: Tensor | Sequence[Tensor] | float | int | None) -> bool:
        """Does the work and returns True, or leaves everything as it is and returns False.

        Raises KernelError where the kernels are set to ``native`` and this one cannot.
        """
        function = _UNKNOWN
        if self.check is not None and self._chosen:
            function = self._chosen.get((device, self.check.kind(arguments)), _UNKNOWN)
        if function is _UNKNOWN:
            function = self._choice(device, arguments)
        if function is None:
            return False
        try:
            status = self._run(function, arguments, device)
        except KeyError as unknown:
            return self._cannot(device, f"it does not take {unknown}")
        except ElsewhereError as elsewhere:  # PyTorch says what is wrong with that
            return self._cannot(device, str(elsewhere))
        if status == 1:
            return self._declined(device)
        return status == 0 or self._cannot(device, _REASONS[status])

    def _choice(self, device: torch.device, arguments: tuple) -> Function | None:
        """The function that such calls may be made of. On a GPU it is remembered by the device and the call's kind."""
        function = _function(self, device.type) if self._made_for(device) else None
        if function is None and self.capability is None and mode() == "native":
            raise KernelError(f"{self.name}: {libraries.missing(device.type) or 'there is no native kernel'}")
        if self.check is None or device.type not in CHECKED_DEVICES:
            return function
        device, kind = _with_index(device), self.check.kind(arguments)
        if function is not None:
            reason = self._unproven(device, kind)
            if reason is not None:
                self._cannot(device, reason)
                return None
            if self_check.is_declined(self.name, device, kind):
                self._declined(device)
                function = None
        if device.type == "cuda":
            self._chosen[device, kind] = function
        return function

    def _declined(self, device: torch.device) -> bool:
        return False if self.capability is not None else self._cannot(device, _REASONS[1])

    def forget(self) -> None:
        """To be called where another function, or none, may be the right one from now on."""
        self._chosen.clear()

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
                raise RuntimeError(libraries.cuda_error() if status == 4 else _REASONS[status])
            return status == 0

        why = self_check.failure(self.name, check, device, kind, run)
        return None if why is None else f"it failed its check ({why})"

    def _run(self, function: Function, arguments: Sequence, device: torch.device) -> int:
        index = _index(device)
        if device.type == "cpu":
            return with_words(arguments, index, lambda words: function(*words, torch.get_num_threads()))
        return with_words(arguments, index, lambda words: self._on_stream(function, words, device))

    def available(self, device: str) -> bool:
        """Whether this function is there for that kind of device, and wanted."""
        return _function(self, device) is not None

    def _on_stream(self, function: Function, words: list, device: torch.device) -> int:
        index = _with_index(device).index
        size = 0
        if self.workspace:
            ask = _workspace_function(self)
            size = ask(*[words[each] for each in self.workspace], index)
        scratch = torch.empty(size, dtype=torch.uint8, device=device) if size else None
        address = None if scratch is None else scratch.data_ptr()
        return function(*words, address, size, index, _stream(index))

    def _cannot(self, device: torch.device, reason: str) -> bool:
        reason = reason.removesuffix("CUDA refused") + libraries.cuda_error() if reason == _REASONS[4] else reason
        message = f"{self.name}: the native kernel for {device.type} was not used, since {reason}"
        if mode() == "native":
            raise KernelError(message)
        _say_once(f"{message}; {'PyTorch' if self.capability is None else 'the kernel for every GPU'} runs it")
        return False


def _with_index(device: torch.device) -> torch.device:
    if device.index is not None or device.type != "cuda":
        return device
    return torch.device("cuda", torch.cuda.current_device())


@cache
def _capability(index: int) -> tuple[int, int]:
    return torch.cuda.get_device_capability(index)


def _stream(index: int) -> int:
    """The current stream's address, without the object that ``torch.cuda.current_stream`` makes."""
    return torch._C._cuda_getCurrentRawStream(index)


def special() -> bool:
    """Whether kernels that were made for one GPU are used on it."""
    return os.environ.get(SPECIAL_VARIABLE, "1") != "0"


def set_special(wanted: bool | None) -> None:
    """Uses kernels made for one GPU, or those for every GPU only; None goes back to what the environment said.

    In the environment, since the library asks it too.
    """
    said = _SPECIAL_AT_FIRST if wanted is None else str(int(wanted))
    if said is None:
        os.environ.pop(SPECIAL_VARIABLE, None)
    else:
        os.environ[SPECIAL_VARIABLE] = said
    _forget_choices()


_SPECIAL_AT_FIRST = os.environ.get(SPECIAL_VARIABLE)


def _index(device: torch.device) -> int:
    """What ``Tensor.get_device`` says of tensors on that device."""
    return -1 if device.type == "cpu" else _with_index(device).index


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
    _forget_choices()


def _forget_choices() -> None:
    for kernel in _KERNELS:
        kernel.forget()


_mode: str | None = None


@cache
def _mode_of_environment() -> str:
    return _checked(os.environ.get(MODE_VARIABLE, "auto"), MODE_VARIABLE)


def _checked(name: str, key: str) -> str:
    if name not in MODES:
        raise InputError("unknown way to run the operators", key=key, found=name, allowed=MODES, suggest_from=MODES)
    return name


@cache
def _function(kernel: Kernel, device: str) -> Function | None:
    """The library's function, or None where PyTorch does the work."""
    library = None if mode() == "reference" else libraries.load(device)
    function = None if library is None else getattr(library, f"structdiff_{kernel.name}_{device}", None)
    if function is not None:
        function.argtypes = [_ARGUMENTS[letter] for letter in kernel.arguments] + _ENDINGS[device]
        function.restype = ctypes.c_int32
    return function


@cache
def _workspace_function(kernel: Kernel) -> Function:
    function = getattr(libraries.load("cuda"), f"structdiff_{kernel.name}_workspace_cuda")
    function.argtypes = [_ARGUMENTS[kernel.arguments[each]] for each in kernel.workspace] + [ctypes.c_int32]
    function.restype = ctypes.c_int64
    return function


def available(device: str) -> bool:
    """Whether there are native kernels for that kind of device and they are wanted."""
    return mode() != "reference" and libraries.load(device) is not None


# What `torch.compiler.assume_constant_result` sets; calling it would import the compiler, half of a command's start.
available._dynamo_marked_constant = True  # type: ignore[attr-defined]


def kind(device: str) -> str:
    """What decides the last digits on that kind of device: ``native (x86_64_v4)``, ``native`` or ``reference``."""
    if not available(device):
        return "reference"
    return f"native ({libraries.cpu_level()})" if device == "cpu" else "native"


#: What a library must have of operators that have no forward pass.
_ENTRIES = {"ligand_docking": "descent"}


def where(operator: str) -> str:
    """What runs an operator, for each kind of device that this machine has."""
    devices = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
    return "; ".join(f"{device}: {_runs(operator, device)}" for device in devices)


def _runs(operator: str, device: str) -> str:
    if mode() == "reference":
        return "reference (PyTorch), as asked for"
    library = libraries.load(device)
    if library is None:
        return f"reference (PyTorch), since {libraries.missing(device)}"
    if not hasattr(library, f"structdiff_{operator}_{_ENTRIES.get(operator, 'forward')}_{device}"):
        old = ", since the library is not of the present csrc/: install again" if libraries.outdated(device) else ""
        return f"reference (PyTorch){old}"
    state = self_check.state(operator, device)
    if state is not None and state != "checked":
        return f"reference (PyTorch), since the native kernel {state}"
    level = [libraries.cpu_level()] if device == "cpu" else []
    known = [state or "to be checked at its first use"] if state or device in CHECKED_DEVICES else []
    old = ["not of the present csrc/: install again"] if libraries.outdated(device) else []
    notes = ", ".join(level + known + old)
    return f"native ({notes})" if notes else "native"

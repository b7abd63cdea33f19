"""Native CUDA kernels prove themselves before they are used: each solves a small fixed problem, once a device.

What a kernel is given was drawn on the CPU and its answer is compared there with the PyTorch reference in float64, so
that nothing else that the GPU does has a part in the verdict. A kernel that fails is not used on that device again.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

#: Largest root mean square error, relative to that of the answer; no single number may be wrong by 16 times as much.
BOUNDS = {torch.float32: 2e-5, torch.float16: 4e-3, torch.bfloat16: 2e-2}
_ONE_NUMBER = 16
_DECLINED = "declined"

#: Runs the native function on a problem's arguments; False where it does not take them. Raises RuntimeError.
Run = Callable[[tuple[Any, ...]], bool]


@dataclass(frozen=True, kw_only=True)
class Problem:
    """A call with a known answer."""

    arguments: tuple[Any, ...]  # of the native function, on the device
    outputs: Sequence[Tensor]  # those of the arguments that it writes
    expected: Sequence[Tensor]  # what they must hold: float64, on the CPU


@dataclass(frozen=True, kw_only=True)
class SelfCheck:
    """How one kernel is checked.

    Args:
        kind: of a call's arguments, what decides which code runs: dtypes and channels. Its first entry is the dtype.
        problem: a small call of that kind, on a device.
        kinds: those that ``structdiff.kernels.check`` goes through.
    """

    kind: Callable[[tuple[Any, ...]], tuple[Any, ...]]
    problem: Callable[[torch.device, tuple[Any, ...]], Problem]
    kinds: tuple[tuple[Any, ...], ...]


@dataclass
class Verdicts:
    """What is known of each kernel on each device."""

    passed: set[tuple[str, torch.device, tuple]] = field(default_factory=set)  # (kernel, device, kind)
    failed: dict[tuple[str, torch.device], str] = field(default_factory=dict)  # (kernel, device): why
    #: As `passed`, of which they are part: what the kernel said that it does not take.
    declined: set[tuple[str, torch.device, tuple]] = field(default_factory=set)
    lock: Any = field(default_factory=threading.RLock)

    def clear(self) -> None:
        """Forgets all."""
        self.passed.clear()
        self.failed.clear()
        self.declined.clear()


VERDICTS = Verdicts()


def is_proven(name: str, device: torch.device, kind: tuple[Any, ...]) -> bool:
    """Whether the kernel called ``name`` was checked for calls of that kind and may be used."""
    return (name, device, kind) in VERDICTS.passed


def is_declined(name: str, device: torch.device, kind: tuple[Any, ...]) -> bool:
    """Whether the kernel did not take even its own problem of that kind, so that it need not be asked again."""
    return (name, device, kind) in VERDICTS.declined


def failure(name: str, check: SelfCheck, device: torch.device, kind: tuple[Any, ...], run: Run) -> str | None:
    """Why the kernel called ``name`` may not be used for calls of that kind; None where it may.

    The first time, ``run`` is given the problem and the device is waited for. Raises torch.OutOfMemoryError where the
    device has no memory left for it, which says nothing of the kernel.
    """
    key = (name, device, kind)
    with VERDICTS.lock:
        why = VERDICTS.failed.get(key[:2])
        if why is None and key not in VERDICTS.passed:
            why = _tried(check, device, kind, run)
            if why == _DECLINED:
                VERDICTS.declined.add(key)
                why = None
            if why is None:
                VERDICTS.passed.add(key)
            else:
                VERDICTS.failed[key[:2]] = why
        return why


def capturing(device: torch.device) -> bool:
    """Whether a CUDA graph is being captured: nothing may be waited for then."""
    return device.type == "cuda" and torch.cuda.is_current_stream_capturing()


def state(operator: str, device: str) -> str | None:
    """``checked``, ``failed its check (why)``, or None where nothing was checked yet.

    Args:
        operator: as the kernels' names begin.
        device: the kind, ``cuda`` say; all devices of that kind count.
    """
    failed = [
        f"{name}: {why}"
        for (name, where), why in VERDICTS.failed.items()
        if name.startswith(operator) and where.type == device
    ]
    if failed:
        return "failed its check (" + "; ".join(failed) + ")"
    checked = any(name.startswith(operator) and where.type == device for name, where, _ in VERDICTS.passed)
    return "checked" if checked else None


def _tried(check: SelfCheck, device: torch.device, kind: tuple[Any, ...], run: Run) -> str | None:
    try:
        # Below autograd and beside autocast; the problem draws from a generator of its own.
        with torch.no_grad(), torch.autocast(device.type, enabled=False), torch.autocast("cpu", enabled=False):
            problem = check.problem(device, kind)
            if not run(problem.arguments):
                return _DECLINED  # nor will it take the call: there is nothing to distrust
            found = [x.cpu() for x in problem.outputs]
    except KeyError:
        return _DECLINED  # a dtype that no kernel takes
    except torch.OutOfMemoryError:
        raise  # no fault of the kernel's: whoever called it has less to do, or gives up, and tries again
    except RuntimeError as error:
        return str(error).strip().split("\n")[0]
    bound = BOUNDS[kind[0]]
    for index, (x, expected) in enumerate(zip(found, problem.expected, strict=True)):
        what = mistake(x, expected, bound)
        if what is not None:
            return f"output {index}: {what}"
    return None


def mistake(found: Tensor, expected: Tensor, bound: float) -> str | None:
    """What is wrong with ``found``, on the CPU, where its error may be ``bound`` relative to ``expected``."""
    found = found.double()
    finite = expected.isfinite()
    if not torch.equal(found[~finite], expected[~finite]) or not found[finite].isfinite().all():
        return "not finite where it should be, or the other way round"
    difference, scale = (found - expected)[finite], expected[finite]
    if scale.numel() == 0:
        return None
    size = scale.square().mean().sqrt().item() or 1.0
    error = difference.square().mean().sqrt().item() / size
    largest = difference.abs().max().item() / max(size, scale.abs().max().item())
    if error > bound or largest > _ONE_NUMBER * bound:
        return f"relative error {error:.1e}, largest {largest:.1e}, where {bound:.0e} is allowed"
    return None

"""Ctrl-C, SIGTERM and a closed terminal (SIGHUP): a command stops as soon as it can, even where a library drops the
exception that they raise.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_SIGNALS = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
)  # Windows has no SIGHUP
_received: list[int] = []


@contextmanager
def heeded_signals() -> Iterator[None]:
    """While the block runs these signals raise KeyboardInterrupt, unless they were to be ignored (``nohup``)."""
    _received.clear()
    if threading.current_thread() is not threading.main_thread():  # where Python allows no handlers
        yield
        return
    before = {number: signal.getsignal(number) for number in _SIGNALS}
    for number, handler in before.items():
        if handler is not signal.SIG_IGN:
            signal.signal(number, _receive)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _receive(number: int, frame: FrameType | None) -> None:
    _received.append(number)
    raise KeyboardInterrupt


def stop_if_asked() -> None:
    """Raises KeyboardInterrupt where a signal came and nothing has stopped.

    Compiled code that looks for an error of its own may clear the exception that a signal raised meanwhile.
    """
    if _received:
        raise KeyboardInterrupt


def interrupted_code() -> int:
    """The exit code of a command that a signal ended: 130 for Ctrl-C, 143 for SIGTERM, 129 for SIGHUP."""
    return 128 + (_received[-1] if _received else signal.SIGINT)

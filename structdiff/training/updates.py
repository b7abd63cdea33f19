"""Updates of a network that no signal cuts in two: what is saved after an interruption is a whole number of steps."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Updates:
    """Ctrl-C and SIGTERM wait for the end of an update (parameters, moments, moving average), a matter of moments.

    under_way: whether an update has begun and not ended, so that the network is of no step.
    """

    def __init__(self) -> None:
        self.under_way = False
        self._waiting: list[int] = []
        self._heard: dict[int, Callable[[int, Any], Any]] = {}

    def begin(self) -> None:
        """An update begins."""
        self.under_way = True

    def end(self) -> None:
        """The update is done; a signal that came meanwhile is heard now, and raises what it would have raised."""
        self.under_way = False
        while self._waiting:
            number = self._waiting.pop()
            self._heard[number](number, None)

    @contextmanager
    def guarded(self) -> Iterator[None]:
        """While the block runs, signals that Python handles wait for updates."""
        if threading.current_thread() is not threading.main_thread():  # where Python allows no handlers
            yield
            return
        before = {int(number): signal.getsignal(number) for number in _SIGNALS}
        self._heard = {number: handler for number, handler in before.items() if callable(handler)}
        for number in self._heard:
            signal.signal(number, self._receive)
        try:
            yield
        finally:
            for number in self._heard:
                signal.signal(number, before[number])

    def _receive(self, number: int, frame: Any) -> None:
        if self.under_way:
            self._waiting.append(number)
        else:
            self._heard[number](number, frame)

"""Signs of life: which process has work of a campaign in hand, and whether it is still there."""

from __future__ import annotations

import os
import socket
import time

import psutil

#: Seconds without a sign of life after which work of another machine counts as abandoned.
SILENCE = 300.0


def worker_name() -> str:
    """Machine, process and when it began: a number that was given to a process again is another process."""
    return f"{socket.gethostname()}|{os.getpid()}|{psutil.Process().create_time():.2f}"


def is_alive(worker: str | None, beat: float) -> bool:
    """Whether the process of that name is there; of another machine its last sign (seconds, Unix time) tells."""
    if worker is None:
        return False
    host, pid, began = worker.split("|")
    if host != socket.gethostname():
        return abs(time.time() - beat) < SILENCE  # a sign of life from the future: a clock was set back
    try:
        return abs(psutil.Process(int(pid)).create_time() - float(began)) < 2.0  # the clock may have been set
    except psutil.Error:
        return False

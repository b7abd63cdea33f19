"""Commands of other programs: with a limit of time, and ended together with all that they started."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import IO

#: Bytes of what a command prints that are kept, from its end.
_KEPT_BYTES = 16384
#: Seconds that a command has to end when it is asked to, before it is killed.
_GRACE = 3.0
#: Commands that are running now.
_running: set[subprocess.Popen[bytes]] = set()


@dataclass(frozen=True, kw_only=True)
class EndedCommand:
    """How a command ended. code: as it returned it, None where its time was up. said: its last words, in one line."""

    code: int | None
    said: str


def run_command(words: Sequence[str], seconds: float | None) -> EndedCommand:
    """Runs a command without a shell, at most so many seconds; whatever ends it early ends all that it started.

    Raises OSError where there is no such program.
    """
    # Into files: a pipe would stay open, and be waited for, as long as anything that the command started lives.
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        # A group of its own, which can be ended as a whole. The terminal's Ctrl-C does not reach it: that is passed on.
        process = subprocess.Popen(
            words, stdin=subprocess.DEVNULL, stdout=output, stderr=errors, start_new_session=True
        )  # fmt: skip
        _running.add(process)
        code: int | None = None
        try:
            code = process.wait(seconds)
        except subprocess.TimeoutExpired:
            _end(process)
        except BaseException:
            _end(process)
            raise
        finally:
            _running.discard(process)
        return EndedCommand(code=code, said=_last_words(errors) or _last_words(output))


def kill_commands() -> None:
    """Kills all commands that are running now, for a process that is about to end at once."""
    for process in list(_running):
        _signal(process, kill=True)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Asks a command and all that it started to end, and kills what does not."""
    try:
        _signal(process)
        with suppress(subprocess.TimeoutExpired):
            process.wait(_GRACE)
    finally:
        _signal(process, kill=True)
        process.wait()


def _signal(process: subprocess.Popen[bytes], *, kill: bool = False) -> None:
    with suppress(OSError):  # nothing of it is left
        if hasattr(os, "killpg"):
            os.killpg(process.pid, signal.SIGKILL if kill else signal.SIGTERM)
        elif kill:
            process.kill()
        else:
            process.terminate()


def _last_words(stream: IO[bytes]) -> str:
    """The end of what was printed in one line; bytes that are no text must not end a run."""
    stream.seek(max(0, stream.seek(0, os.SEEK_END) - _KEPT_BYTES))
    return " ".join(stream.read().decode("utf-8", errors="replace").split())

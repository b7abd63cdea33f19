"""How far a run is: a bar with the time left in a terminal, a plain line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar

from structdiff.cli.interrupts import stop_if_asked

if TYPE_CHECKING:
    from structdiff.drawing import Progress

OnProgress = Callable[["Progress"], None]
#: Seconds between two plain lines.
_PLAIN_SECONDS = 10.0


@contextmanager
def shown_progress(text: str, *, quiet: bool, done: float = 0.0) -> Iterator[OnProgress]:
    """Shows on the error stream how far a run is, text being what is done; gives the function to call at each step.

    There a run also stops where it was asked to and has not yet. done: the share that was there before it began.
    """
    with _shown(text, quiet=quiet, done=done) as show:

        def report(progress: Progress) -> None:
            stop_if_asked()
            show(progress)

        yield report


@contextmanager
def _shown(text: str, *, quiet: bool, done: float) -> Iterator[OnProgress]:
    clock = Clock(done=done)
    if quiet:
        yield lambda progress: None
    elif sys.stderr.isatty():
        with _bar() as bar:
            task = bar.add_task(text, total=None, left="")

            def show(progress: Progress) -> None:
                clock.update(progress)
                bar.update(
                    task, total=progress.total, completed=clock.share * progress.total, left=f"{clock.left_text} left"
                )

            yield show
            bar.update(task, completed=bar.tasks[0].total, left="done")
    else:
        yield _PlainLines(text, clock)


@contextmanager
def counted_progress(text: str, total: int, *, quiet: bool) -> Iterator[Callable[[int], None]]:
    """The same for work on one thing after another; gives the function to call with the number that is done."""
    from structdiff.drawing import Progress

    with shown_progress(text, quiet=quiet) as report:
        yield lambda finished: report(Progress(finished=finished, total=total, step=0, steps=1))


class Clock:
    """The share of the work that is done, and how long the rest takes at the pace so far.

    done: the share that was there when the clock began, and took it no time.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic, *, done: float = 0.0) -> None:
        self.now = now
        self.began = now()
        self.share = self.before = done

    def update(self, progress: Progress) -> None:
        """Takes in one report of the pipeline."""
        self.share = progress.done

    @property
    def left(self) -> float | None:
        """Seconds left; None as long as nothing is known."""
        made = self.share - self.before
        return (self.now() - self.began) * (1 - self.share) / made if made > 0 else None

    @property
    def left_text(self) -> str:
        """The time left in words."""
        return "?" if self.left is None else duration(self.left)


class _PlainLines:
    """A line every few seconds, for log files."""

    def __init__(self, text: str, clock: Clock) -> None:
        self.text, self.clock = text, clock
        self.printed = clock.began

    def __call__(self, progress: Progress) -> None:
        self.clock.update(progress)
        if self.clock.now() - self.printed < _PLAIN_SECONDS:
            return
        self.printed = self.clock.now()
        print(f"{self.text}: {100 * self.clock.share:.0f} %, {self.clock.left_text} left", file=sys.stderr, flush=True)


def duration(seconds: float) -> str:
    """A time in words.

    >>> duration(7.2), duration(95), duration(7260)
    ('7 s', '1 min 35 s', '2 h 1 min')
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def _bar() -> Bar:
    return Bar(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[left]}"),
        console=Console(stderr=True),
        transient=True,
    )

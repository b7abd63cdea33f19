"""How far work of several stages is: a bar with the time left for each in a terminal, a plain line now and then
elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from structdiff.cli.progress import duration

OnStage = Callable[[str, int, int], None]
_PLAIN_SECONDS = 10.0


@contextmanager
def shown_stages(*, quiet: bool) -> Iterator[OnStage]:
    """Shows on the error stream how far each stage is; gives the function to tell: stage, done, total."""
    if quiet:
        yield lambda what, done, total: None
    elif sys.stderr.isatty():
        what = TextColumn("{task.description}", markup=False)
        columns = (what, BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("left"),
                   TimeRemainingColumn())  # fmt: skip
        with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
            tasks: dict[str, int] = {}

            def report(what: str, done: int, total: int) -> None:
                if what not in tasks:
                    tasks[what] = bar.add_task(what, total=total)
                bar.update(tasks[what], completed=done, total=total)  # pyright: ignore[reportArgumentType]

            yield report
    else:
        yield PlainStages()


class PlainStages:
    """A line every few seconds, for log files."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self.now = now
        self.printed = now()
        self.began: dict[str, float] = {}

    def __call__(self, what: str, done: int, total: int) -> None:
        """Takes in how far a stage is."""
        now = self.now()
        began = self.began.setdefault(what, now)
        if now - self.printed < _PLAIN_SECONDS or not done:
            return
        self.printed = now
        left = duration((now - began) * (total - done) / done)
        print(f"{what}: {100 * done / total:.0f} %, {left} left", file=sys.stderr, flush=True)

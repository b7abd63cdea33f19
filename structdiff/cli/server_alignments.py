"""Alignments of a server for the commands: what is sent where, how far it is, and how to go on when interrupted."""

from __future__ import annotations

import dataclasses
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import Progress as Bar
from rich.progress import SpinnerColumn, TextColumn, TimeElapsedColumn

from structdiff.cli.failures import Interrupted
from structdiff.cli.interrupts import stop_if_asked
from structdiff.cli.progress import duration

if TYPE_CHECKING:
    from structdiff.alignment_server import AlignmentServer
    from structdiff.spec.complex import ComplexSpec

#: Seconds after which a state that does not change is told again.
_PLAIN_SECONDS = 60.0


def aligned(
    spec: ComplexSpec,
    server: AlignmentServer,
    *,
    quiet: bool,
    check: Callable[[ComplexSpec], object] | None = None,
) -> ComplexSpec:
    """The complex with alignments of a server, which is told of before anything is sent.

    check: raises for what would be refused with alignments, before a server works for it. Raises Interrupted.
    """
    from structdiff.alignment_server.complexes import sequences_to_send, with_server_alignments

    sent = sequences_to_send(spec, server)
    if not sent:
        return with_server_alignments(spec, server=server)
    if check is not None:
        check(as_if_aligned(spec))
    if not quiet:
        lengths = ", ".join(str(len(each)) for each in sent)
        what = f"the sequence ({lengths} residues) is" if len(sent) == 1 else f"{len(sent)} sequences ({lengths}) are"
        print(f"note: {spec.name}: {what} sent to {server.url} for alignments", file=sys.stderr, flush=True)
    try:
        with shown_states(f"alignments of {spec.name}", quiet=quiet) as report:
            return with_server_alignments(spec, server=server, report=report)
    except KeyboardInterrupt:
        raise Interrupted(
            f"interrupted: the same command goes on with what {server.url} does for {spec.name}"
        ) from None


def as_if_aligned(spec: ComplexSpec) -> ComplexSpec:
    """The complex with an alignment, of the sequence alone, for each chain of which a server is asked."""
    from structdiff.alignment_server.complexes import is_asked
    from structdiff.spec.chain import SEQUENCE_ALONE

    chains = [dataclasses.replace(each, msa=(SEQUENCE_ALONE,)) if is_asked(each) else each for each in spec.chains]
    return dataclasses.replace(spec, chains=tuple(chains))


def sending_note(spec: ComplexSpec, server: AlignmentServer) -> str:
    """What a server would be asked for, in words; "" where it would be asked for nothing."""
    from structdiff.alignment_server.complexes import sequences_to_send

    sent = sequences_to_send(spec, server)
    chains = [name for chain in spec.chains if chain.sequence in sent for name in chain.ids]
    return f"alignments of {', '.join(chains)} would be asked for at {server.url} first" if sent else ""


@contextmanager
def shown_states(text: str, *, quiet: bool) -> Iterator[Callable[[str], None]]:
    """Shows on the error stream how something goes on elsewhere; gives the function to call with its state in words."""
    if quiet:
        yield lambda state: stop_if_asked()
    elif sys.stderr.isatty():
        columns = SpinnerColumn(), TextColumn("{task.description}", markup=False), TimeElapsedColumn()
        with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task(text, total=None)

            def show(state: str) -> None:
                stop_if_asked()
                bar.update(task, description=f"{text}: {state}")

            yield show
    else:
        yield _PlainStates(text)


class _PlainStates:
    """A line for each state that is another one, and now and then for one that stays, for log files."""

    def __init__(self, text: str, now: Callable[[], float] = time.monotonic) -> None:
        self.text, self.now = text, now
        self.began = self.told = now()
        self.state = ""

    def __call__(self, state: str) -> None:
        stop_if_asked()
        now = self.now()
        if state == self.state and now - self.told < _PLAIN_SECONDS:
            return
        self.state, self.told = state, now
        print(f"{self.text}: {state}, {duration(now - self.began)}", file=sys.stderr, flush=True)

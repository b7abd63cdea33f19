"""Signals end a command, also where a library has dropped the exception."""

from __future__ import annotations

import signal
import threading

import pytest

from structdiff.cli.interrupts import heeded_signals, interrupted_code, stop_if_asked
from structdiff.cli.progress import shown_progress
from structdiff.drawing import Progress


@pytest.fixture(autouse=True)
def as_started_by_a_shell():
    """Signals as a program has them that a user starts; what starts the tests may have told them to ignore some."""
    before = {
        number: signal.signal(number, signal.SIG_DFL) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    }
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def dropped(number: int) -> None:
    """A signal whose exception is lost."""
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(number)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("quiet", [True, False])
def test_a_run_stops_at_the_next_step(number, quiet):
    with heeded_signals(), shown_progress("working", quiet=quiet) as report:
        report(Progress(finished=0, total=2, step=1, steps=2))
        dropped(number)
        with pytest.raises(KeyboardInterrupt):
            report(Progress(finished=0, total=2, step=2, steps=2))
    assert interrupted_code() == 128 + number
    with heeded_signals():
        stop_if_asked()  # of the command before nothing is left


def test_handlers_are_put_back_and_what_is_ignored_stays_so():
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with heeded_signals():
        signal.raise_signal(signal.SIGINT)
        stop_if_asked()
        assert signal.getsignal(signal.SIGTERM) not in (signal.SIG_DFL, signal.SIG_IGN)
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_other_threads_run_commands_too():
    done = []

    def work() -> None:
        with heeded_signals():
            done.append(True)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert done

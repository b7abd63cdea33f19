"""Commands of other programs are ended with all that they started."""

from __future__ import annotations

import signal
import sys
import threading
import time

import pytest

from structdiff.commands import kill_commands, run_command


def python(text: str) -> list[str]:
    return [sys.executable, "-S", "-c", text]


def test_a_command_ends_by_itself_and_has_last_words():
    done = run_command(python("import sys; print('out'); sys.exit(3)"), 60)
    assert (done.code, done.said) == (3, "out")
    done = run_command(python("import sys; print('out'); print('bad  \\n worse', file=sys.stderr)"), None)
    assert (done.code, done.said) == (0, "bad worse")
    with pytest.raises(OSError, match="no-such-program"):
        run_command(["no-such-program"], None)


def test_what_a_command_leaves_behind_is_not_waited_for():
    began = time.monotonic()
    child = "import time; time.sleep(20)"
    done = run_command(python(f"import subprocess, sys; subprocess.Popen([sys.executable, '-S', '-c', {child!r}])"), 60)
    assert done.code == 0
    assert time.monotonic() - began < 10


def test_a_command_that_heeds_no_request_is_killed(monkeypatch):
    monkeypatch.setattr("structdiff.commands._GRACE", 0.2)
    deaf = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True)\ntime.sleep(60)"
    )
    began = time.monotonic()
    done = run_command(python(deaf), 1)
    assert (done.code, done.said) == (None, "deaf")
    assert time.monotonic() - began < 20


def test_an_interrupt_is_passed_on(tmp_path):
    ready, gone = tmp_path / "ready", tmp_path / "gone"
    text = (
        "import pathlib, signal, sys, time\n"
        f"signal.signal(signal.SIGTERM, lambda *_: (pathlib.Path({str(gone)!r}).touch(), sys.exit(1)))\n"
        f"pathlib.Path({str(ready)!r}).touch()\ntime.sleep(60)"
    )

    def interrupt() -> None:
        while not ready.exists():
            time.sleep(0.02)
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        threading.Thread(target=interrupt).start()
        with pytest.raises(KeyboardInterrupt):
            run_command(python(text), None)
    finally:
        signal.signal(signal.SIGINT, before)
    assert gone.exists()


def test_a_process_that_ends_at_once_takes_its_commands_with_it(tmp_path):
    ready = tmp_path / "ready"

    def end() -> None:
        while not ready.exists():
            time.sleep(0.02)
        kill_commands()

    threading.Thread(target=end).start()
    done = run_command(python(f"import time; open({str(ready)!r}, 'w').close(); time.sleep(60)"), None)
    assert done.code == -signal.SIGKILL

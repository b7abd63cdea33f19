"""How the commands of training that can be repeated end: one line of what came out, or of what went wrong."""

from __future__ import annotations

import sys
from collections.abc import Callable

from structdiff.errors import StructdiffError


def run_command(work: Callable[[], str], *, again: str = "the same command goes on") -> int:
    """Does the work and prints what it returns; the exit status: 2 after an error, 130 after an interruption."""
    try:
        said = work()
    except StructdiffError as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"interrupted: {again}", file=sys.stderr)
        return 130
    print(said)
    return 0

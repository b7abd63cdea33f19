"""What can end a run early, and how it is put into one line."""

from __future__ import annotations

import sys

from structdiff.errors import FaultElsewhere, ResourceError, StructdiffError, refusal_of_system

#: How libraries say that memory cannot be had: for a file of weights, for a compiled module.
_NO_MEMORY = ("Cannot allocate memory", "failed to map segment from shared object")


class Interrupted(Exception):
    """The person at the keyboard stopped the run; the message says what is finished and where it is."""


def described(error: BaseException, *, hint: bool = True) -> str:
    """An error in one line: as it is if it was meant for the user, else with its type and where to learn more."""
    if isinstance(error, StructdiffError):
        return str(error)
    refusal = refusal_of_system(error)
    if refusal is not None:
        return str(refusal)
    if isinstance(error, MemoryError) or any(words in str(error) for words in _NO_MEMORY):
        return "out of memory: give it more, lower --batch-size, or ask for something smaller"
    what = str(error) if isinstance(error, FaultElsewhere) else f"{type(error).__name__}: {error}"
    text = " ".join(f"unexpected {what}".split())
    return f"{text} (--debug shows where)" if hint else text


def warn_of_size(error: ResourceError) -> None:
    """Says in a dry run, which may be of a job for another machine, that the run would be refused on this one."""
    print(f"warning: this machine has too little memory for it: {error}", file=sys.stderr, flush=True)

"""Where tables are printed."""

from __future__ import annotations

from rich.console import Console

_WIDTH_OUTSIDE_TERMINALS = 120


def table_console() -> Console:
    """The terminal at its own width; a file or a pipe wide enough for a checksum and a path."""
    console = Console(highlight=False)
    return console if console.is_terminal else Console(width=_WIDTH_OUTSIDE_TERMINALS, highlight=False)

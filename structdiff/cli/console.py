"""Where tables are printed."""

from __future__ import annotations

from functools import partial

from rich.console import Console

_WIDTH_OUTSIDE_TERMINALS = 120


def table_console() -> Console:
    """The terminal at its own width; a file or a pipe wide enough for a checksum and a path.

    Texts are shown as they are: brackets and colons in names of files would be taken for markup and emoji.
    """
    plain = partial(Console, highlight=False, markup=False, emoji=False)
    return plain() if plain().is_terminal else plain(width=_WIDTH_OUTSIDE_TERMINALS)

"""A progress bar with the time left, for work that goes through a list."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeVar

_Item = TypeVar("_Item")


def shown(items: Iterable[_Item], total: int, text: str, progress: bool) -> Iterator[_Item]:
    """The items, with a bar on the error stream while they are taken, if progress is wanted."""
    if not progress:
        yield from items
        return
    from rich.console import Console
    from rich.progress import track

    yield from track(items, total=total, description=text, console=Console(stderr=True))

"""Names of requests, after which the files of a run are called."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from pathlib import Path

from structdiff.errors import InputError

#: Bytes; file systems hold 255, and numbers, endings and marks of unfinished files come to at most 50.
LONGEST_NAME = 200


def check_file_name(name: str) -> None:
    """Raises InputError for a name that files cannot be called after, or that is too long for it."""
    if not name.strip() or re.search(r"[/\\]", name) or name.startswith(".") or not name.isprintable():
        raise InputError("the name must do as the name of a file", key="name", found=name)
    length = len(name.encode("utf-8", errors="replace"))
    if length > LONGEST_NAME:
        message = f"the name is too long for the name of a file: {length} bytes"
        raise InputError(message, key="name", found=f"{name[:20]}...", allowed=f"at most {LONGEST_NAME} bytes")


def folded(name: str) -> str:
    """What disks that ignore case (macOS, Windows) compare: equal for names that are one file there.

    >>> folded("P53") == folded("p53")
    True
    """
    return unicodedata.normalize("NFD", unicodedata.normalize("NFD", name).casefold())


def check_spelling(name: str, others: Iterable[str], where: str | Path) -> None:
    """Raises InputError where one of the others is that name but for upper and lower case. where: they are."""
    other = next((each for each in others if each != name and folded(each) == folded(name)), None)
    if other is not None:
        raise InputError(f"{other} differs in upper and lower case only: both would be one file on disks that ignore "
                         "case; choose another name or folder", path=where, key="name", found=name)  # fmt: skip

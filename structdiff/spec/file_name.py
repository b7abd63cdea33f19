"""Names of requests, after which the files of a run are called."""

from __future__ import annotations

import re

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

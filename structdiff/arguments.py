"""Arguments of Python functions that are of another kind than asked, each with one clear line."""

from __future__ import annotations

import os
from numbers import Integral
from pathlib import Path
from types import UnionType

from structdiff.errors import InputError


def check_kind(value: object, kinds: type | UnionType | tuple[type, ...], key: str, allowed: str) -> None:
    """Raises InputError under the argument's name where a value is of none of these kinds."""
    if not isinstance(value, kinds):
        raise InputError("this cannot be", key=key, found=shown(value), allowed=allowed)


def check_whole_number(value: object, key: str, least: int) -> None:
    """Raises InputError under the argument's name for what is no whole number, or a smaller one."""
    if isinstance(value, bool) or not isinstance(value, Integral) or value < least:
        raise InputError("must be a whole number", key=key, found=shown(value), allowed=f"{least} or more")


def as_path(value: object, key: str, allowed: str = "the path of a file") -> Path:
    """The path that an argument is; raises InputError under its name for what is no text and no path."""
    if isinstance(value, str | os.PathLike):
        return Path(value)  # type: ignore[arg-type]
    raise InputError("this cannot be", key=key, found=shown(value), allowed=allowed)


def shown(value: object) -> object:
    """A number, a text or nothing as it is; of anything else its type."""
    return value if isinstance(value, int | float | str) else type(value).__name__

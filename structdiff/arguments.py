"""Arguments of Python functions that do not exist or are of another kind than asked, each with one clear line."""

from __future__ import annotations

import functools
import inspect
import os
from collections.abc import Callable
from numbers import Integral
from pathlib import Path
from types import UnionType
from typing import Any, TypeVar

from structdiff.errors import InputError

_Called = TypeVar("_Called", bound=Callable[..., Any])


def checked_names(called: _Called) -> _Called:
    """A function or class that raises InputError, with the nearest name, for keywords that it does not have."""
    names = list(inspect.signature(called).parameters)
    inner = {field.name for field in getattr(called, "__dataclass_fields__", {}).values() if not field.repr}
    allowed = [name for name in names if name not in inner]
    whole: Callable[..., Any] = called.__init__ if isinstance(called, type) else called

    @functools.wraps(whole)
    def checked(*args: Any, **keywords: Any) -> Any:
        for name in keywords:
            if name not in names:
                raise InputError(
                    "unknown argument", key=called.__name__, found=name, allowed=allowed, suggest_from=allowed
                )
        return whole(*args, **keywords)

    if isinstance(called, type):
        called.__init__ = checked
        return called  # type: ignore[return-value]
    return checked  # type: ignore[return-value]


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

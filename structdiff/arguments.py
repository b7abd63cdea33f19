"""Arguments of Python functions that do not exist or are of another kind than asked, each with one clear line."""

from __future__ import annotations

import functools
import inspect
import os
from collections.abc import Callable
from numbers import Integral, Real
from pathlib import Path
from types import UnionType
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

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


def check_called(**functions: object) -> None:
    """Raises InputError under the argument's name for what is to be called, is there, and cannot be called."""
    for key, function in functions.items():
        if function is not None and not callable(function):
            raise InputError("this cannot be called", key=key, found=shown(function), allowed="a function, or None")


def settle_fields(made: Any) -> None:
    """Brings the fields of a dataclass to the types that it declares, in its ``__post_init__``.

    One value stands for several, a list for a tuple, a path for its text. Raises InputError under the field's name for
    values of other kinds. Fields whose types are no classes are left alone.
    """
    for key, hint in _hints(type(made)).items():
        value, several = getattr(made, key), get_origin(hint) is tuple
        kinds = get_args(hint)[0] if several else hint
        if several:
            value = tuple(value) if isinstance(value, list | tuple) else (value,)
        if isinstance(kinds, type | UnionType):
            value = tuple(_settled(each, kinds, key) for each in (value if several else (value,)))
            object.__setattr__(made, key, value if several else value[0])


@functools.cache
def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind)


def _settled(value: object, kinds: type | UnionType, key: str) -> object:
    allowed: tuple[Any, ...] = get_args(kinds) or (kinds,)
    if isinstance(value, os.PathLike) and str in allowed:
        return os.fspath(value)
    if isinstance(value, Integral) and not isinstance(value, bool) and {int, float} & set(allowed):
        return int(value)
    if isinstance(value, Real) and not isinstance(value, bool) and float in allowed:
        return float(value)
    if type(value) in allowed or (isinstance(value, kinds) and not isinstance(value, bool)):
        return value
    names = [kind.__name__ for kind in allowed if kind is not type(None)]
    raise InputError("this cannot be", key=key, found=shown(value), allowed=" or ".join(names))


def check_whole_number(value: object, key: str, least: int) -> None:
    """Raises InputError under the argument's name for what is no whole number, or a smaller one."""
    if isinstance(value, bool) or not isinstance(value, Integral) or value < least:
        raise InputError("must be a whole number", key=key, found=shown(value), allowed=f"{least} or more")


def check_seed(value: object, key: str = "seed") -> None:
    """Raises InputError under the argument's name for what no random numbers can be drawn from."""
    if isinstance(value, bool) or not isinstance(value, Integral) or not 0 <= int(value) < 2**32:
        raise InputError("a seed is a whole number", key=key, found=shown(value), allowed="0 to 4294967295")


def as_path(value: object, key: str, allowed: str = "the path of a file") -> Path:
    """The path that an argument is; raises InputError under its name for what is no text and no path."""
    if isinstance(value, str | os.PathLike):
        return Path(value)  # type: ignore[arg-type]
    raise InputError("this cannot be", key=key, found=shown(value), allowed=allowed)


def shown(value: object) -> object:
    """A number, a text or nothing as it is; of anything else its type."""
    return value if isinstance(value, int | float | str) else type(value).__name__

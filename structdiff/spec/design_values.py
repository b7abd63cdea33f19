"""Values of a design as Python gives them: as they are kept, as texts, or as the plain data of a file."""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Integral, Real
from os import PathLike, fspath
from typing import Any

import numpy as np

from structdiff.arguments import shown
from structdiff.errors import InputError
from structdiff.spec.design_keys import FILES, KEYS, Key
from structdiff.spec.document import document_from_data

_ALLOWED = "a text, or what a design's file may say"


def as_value(key: str, value: Any) -> Any:
    """What `DesignSpec` keeps under a key: of texts and lists what they say on the command line and in a file.

    Raises InputError for what can be neither.

    >>> as_value("length", 45), [str(each) for each in as_value("hotspots", ["A5", "A7-8"])]
    ((45, 45), ['A5', 'A7', 'A8'])
    """
    reader, value = KEYS[key], _plain(value)
    if key in FILES and isinstance(value, PathLike):
        value = fspath(value)
    elif key in FILES and callable(keep := getattr(value, "kept_file", None)):  # a Structure in memory
        value = keep()
    if isinstance(value, str):
        return reader.text(value)
    if reader.many and value is None:
        return ()
    if reader.many:
        return _values(key, reader, value)
    return value if reader.holds(value) else _as_in_a_file(key, value)


def _values(key: str, reader: Key, value: Any) -> tuple:
    """Many values: a single one, several of them, or of what stands for them."""
    if reader.holds(value):
        return (value,)
    if isinstance(value, tuple) and all(map(reader.holds, value)):
        return value
    if not isinstance(value, tuple) or not any(map(reader.holds, value)):
        return _as_in_a_file(key, value)
    return tuple(part for each in value for part in (as_value(key, each) if not reader.holds(each) else (each,)))


def _plain(value: Any) -> Any:
    """Lists as tuples, and numpy's numbers as Python's."""
    if isinstance(value, list | tuple):
        # A tuple that needs no change stays the same one, since requests are made anew many times.
        found = tuple(map(_plain, value))
        return value if isinstance(value, tuple) and all(map(_is, found, value)) else found
    if isinstance(value, bool | np.bool_):
        return bool(value)
    if isinstance(value, Integral):
        return int(value)
    return float(value) if isinstance(value, Real) else value


def _is(one: object, other: object) -> bool:
    return one is other


def _as_in_a_file(key: str, value: Any) -> Any:
    """The value that plain data has in a design's file. Raises InputError."""
    if value is None or not _is_data(value):
        allowed = "the path of a file, or a Structure (of a design: its .structure)" if key in FILES else _ALLOWED
        raise InputError("cannot be read", key=key, found=shown(value), allowed=allowed)
    return KEYS[key].read(document_from_data({key: value}).value[key])  # type: ignore[index,call-overload]


def _is_data(value: Any) -> bool:
    if isinstance(value, Mapping):
        return all(map(_is_data, value.values()))
    if isinstance(value, list | tuple):
        return all(map(_is_data, value))
    return value is None or isinstance(value, str | int | float | PathLike)

"""Settings as plain data: frozen dataclasses to dictionaries and back, with unknown keys as errors."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from structdiff.errors import InputError

Settings = TypeVar("Settings")


def to_dict(settings: object) -> dict[str, Any]:
    """A settings dataclass as nested plain data for JSON or YAML."""
    return {field.name: _plain(getattr(settings, field.name)) for field in dataclasses.fields(settings)}  # type: ignore[arg-type]


def _plain(value: object) -> object:
    if dataclasses.is_dataclass(value):
        return to_dict(value)
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, Path) else value


def from_dict(
    kind: type[Settings], data: object, *, path: str | Path | None = None, key: str | None = None
) -> Settings:
    """A settings dataclass from nested plain data.

    Raises InputError naming file and key for a key that does not exist or a value of the wrong type.
    """
    if not isinstance(data, Mapping):
        raise InputError("must be a table of settings", path=path, key=key, found=data)
    hints = typing.get_type_hints(kind)
    names = [field.name for field in dataclasses.fields(kind)]  # type: ignore[arg-type]
    for name in data:
        if name not in names:
            place = f"{key}.{name}" if key else str(name)
            raise InputError("unknown key", path=path, key=place, found=name, allowed=names, suggest_from=names)
    values = {name: _typed(hints[name], value, path, f"{key}.{name}" if key else name) for name, value in data.items()}
    try:
        return kind(**values)
    except InputError as error:  # of a check of its own, which knows no file, and its table seldom
        whole = key is None or error.key is None or error.key.startswith(f"{key}.")
        raise InputError(str(error) if whole else f"{key}.{error}", path=path) from None


def _typed(hint: Any, value: object, path: str | Path | None, key: str) -> object:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        if value is None and type(None) in arguments:
            return None
        return _typed(next(a for a in arguments if a is not type(None)), value, path, key)
    if dataclasses.is_dataclass(hint):
        return from_dict(typing.cast(type, hint), value, path=path, key=key)
    if isinstance(value, list | tuple) and arguments and dataclasses.is_dataclass(arguments[0]):
        return tuple(_typed(arguments[0], item, path, f"{key}.{number}") for number, item in enumerate(value, 1))
    scalar = {float: (int, float), int: (int,), bool: (bool,), str: (str,), Path: (str, Path)}.get(hint)
    if isinstance(value, list | tuple) and scalar is None and origin not in (dict, Mapping):
        return tuple(tuple(item) if isinstance(item, list) else item for item in value)
    if scalar is not None and (not isinstance(value, scalar) or (isinstance(value, bool) and hint is not bool)):
        raise InputError("value of the wrong type", path=path, key=key, found=value, allowed=hint.__name__)
    return Path(str(value)) if hint is Path else value

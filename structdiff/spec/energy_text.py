"""Energies as texts of the command line and plain data of files, read and written."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from structdiff.configuration import from_dict
from structdiff.errors import InputError
from structdiff.spec.energies import KINDS, Energy


def energy_from_dict(data: object) -> Energy:
    """An energy from plain data ``{kind: {field: value}}``; raises InputError with what is allowed."""
    if isinstance(data, str):
        return parse_energy(data)
    if not isinstance(data, Mapping) or len(data) != 1:
        raise InputError("expected one energy by its name", key="energies", found=data, allowed=list(KINDS))
    kind, fields = next(iter(data.items()))
    if kind not in KINDS:
        raise InputError("there is no such energy", key="energies", found=kind, allowed=list(KINDS), suggest_from=KINDS)
    if fields is not None and not isinstance(fields, Mapping):
        raise InputError("expected the settings of an energy", key=f"energies.{kind}", found=fields)
    fields = dict(fields or {})
    allowed = [field.name for field in dataclasses.fields(KINDS[kind]) if field.name != "function"]
    if "function" in fields:
        raise InputError("unknown key", key=f"energies.{kind}", found="function", allowed=allowed)
    hints = {field.name: str(field.type) for field in dataclasses.fields(KINDS[kind])}
    for name, value in fields.items():
        hint = hints.get(name, "")
        if "tuple" in hint and isinstance(value, str):
            fields[name] = tuple(value.replace(",", " ").split())
        elif hint.startswith("float") and isinstance(value, int) and not isinstance(value, bool):
            fields[name] = float(value)
    required = [field.name for field in dataclasses.fields(KINDS[kind])
                if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING]  # fmt: skip
    for name in required:
        if name not in fields:
            raise InputError(
                f"the key {name!r} is missing", key=f"energies.{kind}", found=list(fields), allowed=allowed
            )
    return from_dict(KINDS[kind], fields, key=f"energies.{kind}")


def energy_to_dict(energy: Energy) -> dict[str, Any]:
    """An energy as plain data, without what is as usual; a function given in Python is named only."""
    fields = {}
    for field in dataclasses.fields(energy):
        value = getattr(energy, field.name)
        if field.name == "function":
            if value is not None:
                fields["function"] = f"{value.__module__}.{value.__qualname__}"
        elif field.default is dataclasses.MISSING or value != field.default:
            fields[field.name] = list(value) if isinstance(value, tuple) else value
    return {energy.kind: fields}


def parse_energy(text: str) -> Energy:
    """An energy as the command line has it: its name, then name=value; raises InputError.

    >>> parse_energy("radius_of_gyration target=14 weight=2").target
    14.0
    """
    words = text.split()
    if not words:
        raise InputError("expected one energy by its name", key="energies", found=text, allowed=list(KINDS))
    fields: dict[str, Any] = {}
    for word in words[1:]:
        name, sign, value = word.partition("=")
        if not sign or not value:
            raise InputError("expected name=value", key=f"energies.{words[0]}", found=word)
        if name in fields:
            raise InputError("is given twice", key=f"energies.{words[0]}.{name}", found=value)
        fields[name] = scalar(value)
    return energy_from_dict({words[0]: fields})


def scalar(text: str) -> str | float | int:
    """A number where the text is one, else the text."""
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text

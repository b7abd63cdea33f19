"""Settings of a checkpoint of Boltz-2 or BoltzGen, as they are read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from structdiff.errors import InputError


class Settings:
    """Settings of a checkpoint, read by name; what is not there is as in Boltz's own code."""

    def __init__(self, values: Mapping[str, object], under: str = "") -> None:
        self.values, self.under = values, under

    def get(self, key: str, default: Any) -> Any:
        """The setting, of the kind that the default is of."""
        found = self.values.get(key, default)
        whole = isinstance(found, int) and not isinstance(found, bool)
        fits = {bool: isinstance(found, bool), int: whole, float: whole or isinstance(found, float)}
        if not fits[type(default)]:
            allowed = {bool: "true or false", int: "a whole number", float: "a number"}[type(default)]
            raise InputError("not a setting of this network", key=self.under + key, found=found, allowed=allowed)
        return type(default)(found)

    def part(self, key: str) -> Settings:
        """Settings of a part of the network."""
        found = self.values.get(key)
        if not isinstance(found, Mapping):
            raise InputError("settings of this part of the network are missing", key=self.under + key,
                             found=found, allowed="a table of settings")  # fmt: skip
        return Settings(found, f"{self.under}{key}.")

    def must(self, key: str, value: bool | int, default: bool | int) -> None:
        """Raises InputError where a setting is not the only one that this network is written for."""
        found = self.get(key, default)
        if found != value:
            raise InputError("this network is read with this setting alone", key=self.under + key, found=found,
                             allowed=[value])  # fmt: skip

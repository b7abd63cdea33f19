"""Input files as trees whose every value knows its file, line and key, so that an error can name the place.

YAML and JSON become the same tree. Scalars stay as they are written: a chain called ``NO`` or a component ``017`` is
never turned into a truth value or an octal number, as YAML's own rules would do.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from structdiff.errors import InputError
from structdiff.spec.input_files import file_sha256, missing_file, relocated

_TRUTH = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}
_NULLS = ("", "~", "null", "Null", "NULL")


@dataclass(frozen=True, kw_only=True)
class Node:
    """One value of an input file, together with the place where it stands.

    ``value`` is the text of a scalar, a list of nodes, or a mapping of nodes; ``quoted`` tells ``"5"`` from ``5``.
    """

    value: str | list[Node] | dict[str, Node]
    quoted: bool = False
    path: Path | None = None
    line: int | None = None
    key: str = ""
    key_lines: dict[str, int] = field(default_factory=dict)

    def fail(self, message: str, **details: Any) -> NoReturn:
        """Refuses this value with one line that names file, line and key; raises InputError."""
        raise InputError(message, path=self.path, line=self.line, key=self.key or None, **details)

    @property
    def is_null(self) -> bool:
        """Whether nothing is written here."""
        return isinstance(self.value, str) and not self.quoted and self.value in _NULLS

    @property
    def is_list(self) -> bool:
        """Whether this is a list."""
        return isinstance(self.value, list)

    def _described(self) -> str:
        if isinstance(self.value, str):
            return "nothing" if self.is_null else self.value
        return "a list" if isinstance(self.value, list) else "a mapping"

    def fields(
        self, allowed: Sequence[str], required: Sequence[str] = (), unlisted: Sequence[str] = ()
    ) -> dict[str, Node]:
        """The values of a mapping by key, without empty ones; unknown and missing keys raise InputError.

        unlisted: keys that may be there too, but are not for people to write, so that no error offers them.
        """
        if not isinstance(self.value, dict):
            self.fail("expected keys with values", found=self._described(), allowed=allowed)
        for name in self.value:
            if name not in allowed and name not in unlisted:
                self._refuse_key(name, allowed)
        present = {name: node for name, node in self.value.items() if not node.is_null}
        for name in required:
            if name not in present:
                self.fail(f"the key {name!r} is missing", allowed=allowed)
        return present

    def only_field(self, allowed: Sequence[str]) -> tuple[str, Node]:
        """The single key of a mapping such as ``- protein: ...`` and its value; else raises InputError."""
        if not isinstance(self.value, dict) or len(self.value) != 1:
            found = list(self.value) if isinstance(self.value, dict) else self._described()
            self.fail("expected exactly one key", found=found, allowed=allowed)
        name = next(iter(self.value))
        if name not in allowed:
            self._refuse_key(name, allowed)
        return name, self.value[name]

    def _refuse_key(self, name: str, allowed: Sequence[str]) -> NoReturn:
        raise InputError(
            "unknown key", path=self.path, line=self.key_lines.get(name, self.line), key=self.key or None,
            found=name, allowed=allowed, suggest_from=allowed,
        )  # fmt: skip

    def check_file(self, path: str, sha256: Callable[[str], str] | None = None) -> None:
        """Raises InputError where a file is there and not, byte for byte, the one whose SHA-256 stands here."""
        if (sha256 or file_sha256)(path) not in ("", self.text()):
            self.fail("the file has changed since its SHA-256 was recorded; without this key it is taken", found=path)

    def check_files(self, sha256: Callable[[str], str] | None = None) -> None:
        """The same of all files of a mapping from path to SHA-256."""
        if not isinstance(self.value, dict):
            self.fail("expected paths with their SHA-256", found=self._described())
        for path, digest in self.value.items():
            digest.check_file(path, sha256)

    def items(self) -> list[Node]:
        """The values of a list; anything else raises InputError."""
        if not isinstance(self.value, list):
            self.fail("expected a list", found=self._described())
        return self.value

    def one_or_more(self) -> list[Node]:
        """The values of a list, or a single value as a list of one."""
        return self.value if isinstance(self.value, list) else [self]

    def text(self) -> str:
        """A word or a text, as it is written; a list, a mapping or nothing raises InputError."""
        if not isinstance(self.value, str) or self.is_null:
            self.fail("expected a text", found=self._described())
        return self.value

    def integer(self) -> int:
        """A whole number; anything else raises InputError."""
        if not isinstance(self.value, str) or not re.fullmatch(r"[+-]?\d+", self.value):
            self.fail("expected a whole number", found=self._described())
        return int(self.value)

    def number(self) -> float:
        """A number; anything else raises InputError."""
        try:
            return float(self.text())
        except ValueError:
            self.fail("expected a number", found=self._described())

    def boolean(self) -> bool:
        """True or false; anything else raises InputError."""
        if not isinstance(self.value, str) or self.quoted or self.value.lower() not in _TRUTH:
            self.fail("expected true or false", found=self._described(), allowed=("true", "false"))
        return _TRUTH[self.value.lower()]

    def file(self) -> str:
        """The path of another file, which is written relative to this one; raises InputError where there is none."""
        text = self.text()
        if not text.strip():
            self.fail("expected the path of a file", found=text)
        if self.path is None:
            return text
        resolved = relocated(text, self.path.parent)
        if not Path(resolved).is_file():
            is_folder = Path(resolved).is_dir()
            self.fail("this is a folder, not a file" if is_folder else missing_file(text, self.path.parent),
                      found=text)  # fmt: skip
        return resolved

    @contextmanager
    def located(self, places: Mapping[str, Node] | None = None) -> Iterator[None]:
        """Gives errors raised inside the place of this node, or that of the part which the error names by its key."""
        try:
            yield
        except InputError as error:
            if error.path is not None or error.line is not None:
                raise
            place = (places or {}).get(error.key or "", self)
            raise InputError(str(error), path=place.path, line=place.line) from None


def joined_key(key: str, name: str) -> str:
    """The key of a value inside that of another, as errors name it: ``motif.chain``."""
    return f"{key}.{name}" if key else name


def document_from_data(data: Any, key: str = "") -> Node:
    """The tree of plain Python data (dicts, lists, texts, numbers), as a notebook or a web form would give it."""
    if isinstance(data, Mapping):
        return Node(value={str(k): document_from_data(v, joined_key(key, str(k))) for k, v in data.items()}, key=key)
    if isinstance(data, (list, tuple)):
        return Node(value=[document_from_data(v, f"{key}[{n}]") for n, v in enumerate(data, start=1)], key=key)
    if data is None or isinstance(data, bool):
        return Node(value={None: "null", True: "true", False: "false"}[data], key=key)
    if isinstance(data, (int, float)):
        return Node(value=repr(data), key=key)
    return Node(value=str(data), quoted=True, key=key)

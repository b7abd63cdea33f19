"""Input files as trees whose every value knows its file, line and key, so that an error can name the place.

YAML and JSON become the same tree. Scalars stay as they are written: a chain called ``NO`` or a component ``017`` is
never turned into a truth value or an octal number, as YAML's own rules would do.
"""

from __future__ import annotations

import hashlib
import json
import os.path
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import yaml

from structdiff.errors import InputError

_TRUTH = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}
_TOO_DEEP = "this is not an input: it is nested too deeply"
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
                raise InputError(
                    "unknown key", path=self.path, line=self.key_lines.get(name, self.line), key=self.key or None,
                    found=name, allowed=allowed, suggest_from=allowed,
                )  # fmt: skip
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
            raise InputError(
                "unknown key", path=self.path, line=self.key_lines.get(name, self.line), key=self.key or None,
                found=name, allowed=allowed, suggest_from=allowed,
            )  # fmt: skip
        return name, self.value[name]

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
            self.fail("this is a folder, not a file" if is_folder else missing_file(text), found=text)
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


def file_sha256(path: str) -> str:
    """The checksum of a file, "" where there is none."""
    return hashlib.sha256(Path(path).read_bytes()).hexdigest() if Path(path).is_file() else ""


def relocated(path: str, folder: Path) -> str:
    """A path written in a file of that folder, as seen from the working folder (``..`` and ``.`` resolved)."""
    return Path(os.path.normpath(folder / path)).as_posix()


def missing_file(path: str) -> str:
    """What is said of a path, as it is written in a file, that leads to nothing."""
    return "no such file" + ("" if Path(path).is_absolute() else "; paths are relative to the file they are written in")


def name_from(path: Path) -> str:
    """The name of what a file describes: the file's own, without its suffix."""
    return path.stem.lstrip(".") or "input"


def read_text(path: str | Path) -> str:
    """The text of a file; raises InputError when it is missing, a folder, not text or empty."""
    path = Path(path)
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        raise InputError("no such file", path=path) from None
    except IsADirectoryError:
        raise InputError("this is a folder, not a file", path=path) from None
    except UnicodeDecodeError:
        raise InputError("not a text file (UTF-8)", path=path) from None
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", path=path) from None
    if not text.strip():
        raise InputError("the file is empty", path=path)
    return text


def parse_yaml_document(text: str, path: Path | None = None) -> Node:
    """The tree of a YAML text; broken YAML, repeated keys, tags and aliases raise InputError with the line."""
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        if root is None:
            raise InputError("the file is empty", path=path)
        return _from_yaml(root, path, "", set())
    except RecursionError:
        raise InputError(_TOO_DEEP, path=path) from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark is not None else None
        raise InputError(f"this is not YAML: {error.problem or error.context}", path=path, line=line) from None
    except yaml.YAMLError as error:
        raise InputError(f"this is not YAML: {error}", path=path) from None


def _from_yaml(node: yaml.Node, path: Path | None, key: str, seen: set[int]) -> Node:
    line = node.start_mark.line + 1
    if id(node) in seen:
        raise InputError("aliases (*name) are not read; write the value out", path=path, line=line, key=key or None)
    seen.add(id(node))
    if not node.tag.startswith("tag:yaml.org,2002:") or "python" in node.tag:
        raise InputError("tags are not read", path=path, line=line, key=key or None, found=node.tag)
    if isinstance(node, yaml.ScalarNode):
        return Node(value=node.value, quoted=node.style is not None, path=path, line=line, key=key)
    if isinstance(node, yaml.SequenceNode):
        items = [_from_yaml(item, path, f"{key}[{place}]", seen) for place, item in enumerate(node.value, start=1)]
        return Node(value=items, path=path, line=line, key=key)
    members: dict[str, Node] = {}
    key_lines: dict[str, int] = {}
    for name_node, value_node in node.value:
        key_line = name_node.start_mark.line + 1
        if not isinstance(name_node, yaml.ScalarNode):
            raise InputError("a key must be a word", path=path, line=key_line)
        name = name_node.value
        if name in members:
            raise InputError("the key stands here twice", path=path, line=key_line, found=name)
        members[name] = _from_yaml(value_node, path, _joined(key, name), seen)
        key_lines[name] = key_line
    return Node(value=members, path=path, line=line, key=key, key_lines=key_lines)


def _joined(key: str, name: str) -> str:
    return f"{key}.{name}" if key else name


def parse_json_document(text: str, path: Path | None = None) -> Node:
    """The tree of a JSON text; broken JSON and repeated keys raise InputError with the line."""
    try:
        json.loads(text, parse_constant=_refuse_constant)
        return _JsonReader(text, path).read("")
    except json.JSONDecodeError as error:
        raise InputError(f"this is not JSON: {error.msg}", path=path, line=error.lineno) from None
    except ValueError as error:
        raise InputError(f"this is not JSON: {error}", path=path) from None
    except RecursionError:
        raise InputError(_TOO_DEEP, path=path) from None


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a number of JSON")


class _JsonReader:
    """Walks JSON that is known to be well formed and notes the lines."""

    def __init__(self, text: str, path: Path | None) -> None:
        self.text, self.path, self.place, self.line = text, path, 0, 1

    def _skip(self, marks: str = " \t\r\n") -> None:
        while self.place < len(self.text) and self.text[self.place] in marks:
            self.line += self.text[self.place] == "\n"
            self.place += 1

    def _string(self) -> str:
        value, self.place = json.decoder.scanstring(self.text, self.place + 1)  # type: ignore[attr-defined]
        return value

    def read(self, key: str) -> Node:
        self._skip()
        line, first = self.line, self.text[self.place]
        if first == '"':
            return Node(value=self._string(), quoted=True, path=self.path, line=line, key=key)
        if first == "[":
            return Node(value=self._list(key), path=self.path, line=line, key=key)
        if first == "{":
            members, key_lines = self._mapping(key)
            return Node(value=members, path=self.path, line=line, key=key, key_lines=key_lines)
        start = self.place
        while self.place < len(self.text) and self.text[self.place] not in ",]} \t\r\n":
            self.place += 1
        return Node(value=self.text[start : self.place], path=self.path, line=line, key=key)

    def _list(self, key: str) -> list[Node]:
        self.place += 1
        items: list[Node] = []
        self._skip()
        while self.text[self.place] != "]":
            items.append(self.read(f"{key}[{len(items) + 1}]"))
            self._skip(" \t\r\n,")
        self.place += 1
        return items

    def _mapping(self, key: str) -> tuple[dict[str, Node], dict[str, int]]:
        self.place += 1
        members: dict[str, Node] = {}
        key_lines: dict[str, int] = {}
        self._skip()
        while self.text[self.place] != "}":
            line, name = self.line, self._string()
            if name in members:
                raise InputError("the key stands here twice", path=self.path, line=line, found=name)
            self._skip(" \t\r\n:")
            members[name], key_lines[name] = self.read(_joined(key, name)), line
            self._skip(" \t\r\n,")
        self.place += 1
        return members, key_lines


def document_from_data(data: Any, key: str = "") -> Node:
    """The tree of plain Python data (dicts, lists, texts, numbers), as a notebook or a web form would give it."""
    if isinstance(data, Mapping):
        return Node(value={str(k): document_from_data(v, _joined(key, str(k))) for k, v in data.items()}, key=key)
    if isinstance(data, (list, tuple)):
        return Node(value=[document_from_data(v, f"{key}[{n}]") for n, v in enumerate(data, start=1)], key=key)
    if data is None or isinstance(data, bool):
        return Node(value={None: "null", True: "true", False: "false"}[data], key=key)
    if isinstance(data, (int, float)):
        return Node(value=repr(data), key=key)
    return Node(value=str(data), quoted=True, key=key)

"""YAML and JSON texts made into trees that know the line of every value."""

from __future__ import annotations

import json
from pathlib import Path
from typing import NoReturn

import yaml

from structdiff.errors import InputError
from structdiff.spec.document import Node, joined_key

_TOO_DEEP = "this is not an input: it is nested too deeply"


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
        members[name] = _from_yaml(value_node, path, joined_key(key, name), seen)
        key_lines[name] = key_line
    return Node(value=members, path=path, line=line, key=key, key_lines=key_lines)


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
            members[name], key_lines[name] = self.read(joined_key(key, name)), line
            self._skip(" \t\r\n,")
        self.place += 1
        return members, key_lines

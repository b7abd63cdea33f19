"""Components that come with an input: mmCIF texts, in files or inside JSON, that define them by code."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from structdiff.chemistry.component_files import parse_components
from structdiff.chemistry.components import Component
from structdiff.errors import InputError
from structdiff.packed_files import unpacked
from structdiff.spec.document import Node
from structdiff.spec.text_source import file_source, is_json, source_parts, text_in_json, text_source

#: The keys of AlphaFold 3's JSON: the text itself, or its file.
AF3_TEXT, AF3_PATH = "userCCD", "userCCDPath"


def read_components(sources: Sequence[str]) -> dict[str, Component]:
    """The components of some sources (`structdiff.spec.text_source`) by code; files may be packed (.gz, .xz).

    Raises InputError, with file and line, for what cannot be read, and for a code that two sources define.
    """
    found: dict[str, Component] = {}
    for source in sources:
        own = _components_of(source)
        if twice := next((code for code in own if code in found), None):
            raise InputError("another file defines this component too", path=source, key="components", found=twice)
        found.update(own)
    return found


def named_components(fields: Mapping[str, Node], key: str = "components") -> tuple[str, ...]:
    """The sources under a key of an input, one or a list; raises InputError where there is no such file."""
    return tuple(file_source(each) for each in fields[key].one_or_more()) if key in fields else ()


def af3_components(fields: Mapping[str, Node]) -> tuple[str, ...]:
    """The source of the components in AlphaFold 3's JSON, none where its text is empty. Raises InputError."""
    given = [key for key in (AF3_TEXT, AF3_PATH) if key in fields and fields[key].text().strip()]
    if len(given) > 1:
        fields[AF3_PATH].fail(f"there is either {AF3_TEXT!r} or {AF3_PATH!r}", found="both")
    if not given:
        return ()
    node = fields[given[0]]
    return (text_source(node) if given[0] == AF3_TEXT else file_source(node),)


def _components_of(source: str) -> Mapping[str, Component]:
    file, part = source_parts(source)
    path = Path(file)
    if is_json(path):
        node = text_in_json(path, part, ending=AF3_TEXT, what="component")
        try:
            return parse_components(node.text())
        except InputError as error:
            raise InputError(f"this component: {error}", path=node.path, line=node.line, key=part) from None
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"these components cannot be read: {error.strerror}", path=path) from None
    try:
        text = unpacked(data, path).decode("utf-8-sig")
    except UnicodeDecodeError:
        raise InputError("components are mmCIF text (UTF-8), and this is none", path=path) from None
    try:
        return parse_components(text)
    except InputError as error:
        message = str(error).removeprefix(f"line {error.line}: ")
        raise InputError(message, path=path, line=error.line) from None

"""Texts that stand in a file of their own, or inside a JSON file: alignments, and the structures of templates.

A source is a text: ``a.a3m``, or ``job.json#sequences[1].protein.unpairedMsa`` (the text under that key, as errors name
keys). What else may follow the ``#`` is up to who reads the text.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

from structdiff.errors import InputError
from structdiff.spec.document import Node
from structdiff.spec.document_text import parse_json_document


def source_sha256(source: str) -> str:
    """The checksum of the file, or of the text inside a JSON file; "" where there is none. Raises InputError."""
    file, part = source_parts(source)
    path = Path(file)
    if not path.is_file():
        return ""
    own = (
        text_in_json(path, part).text().encode("utf-8", "surrogatepass")
        if part and is_json(path)
        else path.read_bytes()
    )
    return hashlib.sha256(own).hexdigest()


def file_source(node: Node) -> str:
    """A source whose file is written relative to the input; raises InputError where there is no such file."""
    if node.path is None:
        return node.file()
    file, part = source_parts(node.text(), node.path.parent)
    resolved = dataclasses.replace(node, value=file).file()
    return f"{resolved}#{part}" if part else resolved


def text_source(node: Node) -> str:
    """The source of a text that stands in a JSON file itself; raises InputError where it came from no file."""
    if not node.quoted:
        node.fail("expected a text", found=node.text())
    if node.path is None:
        node.fail("texts inside JSON are read of files; save this one as a file and name that")
    return f"{node.path}#{node.key}"


def source_parts(source: str, folder: Path = Path()) -> tuple[str, str]:
    """File, and which part of it, "" for all. A file whose own name has a # is all of it."""
    file, _, part = source.rpartition("#")
    return (file, part) if file and part and not (folder / source).is_file() else (source, "")


def is_json(path: Path) -> bool:
    """Whether texts stand in this file under keys: by its name, or by its first sign."""
    if path.suffix.lower() == ".json" or not path.is_file():
        return path.suffix.lower() == ".json"
    with path.open("rb") as stream:
        return stream.read(64).removeprefix(b"\xef\xbb\xbf").lstrip()[:1] in (b"{", b"[")


def text_in_json(path: Path, key: str, *, ending: str = "Msa", what: str = "alignment") -> Node:
    """The text under a key of a JSON file; raises InputError where there is none, which names the others of its kind.

    ending, what: how keys of that kind end, and what is meant.
    """
    try:
        texts = {node.key: node for node in _texts(_document(path.read_bytes(), path))}
    except OSError as error:
        raise InputError(f"this {what} cannot be read: {error.strerror}", path=path) from None
    if key in texts:
        return texts[key]
    others = [f"{path}#{name}" for name, node in texts.items() if name.endswith(ending) and node.text()]
    raise InputError("there is no such text in this file" if key else "which text of this file? Add '#' and its key",
                     path=path, found=key or None, allowed=others or f"none: it has no {what}",
                     suggest_from=texts)  # fmt: skip


@lru_cache(maxsize=2)
def _document(data: bytes, path: Path) -> Node:
    """The tree of a JSON file, kept since all texts of a complex stand in one, which may be large."""
    try:
        return parse_json_document(data.decode("utf-8-sig"), path)
    except UnicodeDecodeError:
        raise InputError("not a text file (UTF-8)", path=path) from None


def _texts(node: Node) -> Iterator[Node]:
    """All texts of a document."""
    if isinstance(node.value, str):
        if node.quoted:
            yield node
        return
    for each in node.value.values() if isinstance(node.value, dict) else node.value:
        yield from _texts(each)

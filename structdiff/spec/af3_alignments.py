"""How JSON of AlphaFold 3 and of Protenix names the alignments of a chain: texts, files, or a folder of two files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from structdiff.spec.chain import NO_ALIGNMENT
from structdiff.spec.document import Node
from structdiff.spec.input_files import missing_file, relocated
from structdiff.spec.text_source import file_source, text_source

UNPAIRED_KEYS = ("unpairedMsa", "unpairedMsaPath")
PAIRED_KEYS = ("pairedMsa", "pairedMsaPath")
#: Of Protenix: a folder, and the database that its pairs come from.
FOLDER_KEY, _FOLDER_KEYS = "msa", ("precomputed_msa_dir", "pairing_db")
_FOLDER_FILES = ("pairing.a3m", "non_pairing.a3m")


def chain_alignments(kind: str, fields: Mapping[str, Node]) -> tuple[str, ...]:
    """The sources of a chain's alignment: paired rows before the others, as AlphaFold 3 takes them.

    One word where all that is said is an empty text; none where nothing is said. Raises InputError.
    """
    if FOLDER_KEY in fields:
        given = [key for key in (*PAIRED_KEYS, *UNPAIRED_KEYS) if key in fields]
        if given:
            fields[FOLDER_KEY].fail(f"only one of {FOLDER_KEY!r} and {given[0]!r} may be given")
        return _folder_alignments(fields[FOLDER_KEY])
    found = (*_source(fields, *PAIRED_KEYS), *_source(fields, *UNPAIRED_KEYS))
    if found and kind == "rna":
        key = next(key for key in UNPAIRED_KEYS if key in fields)
        fields[key].fail("alignments of RNA are not read: " + ("set it to an empty text" if key == UNPAIRED_KEYS[0]
                         else "leave the key out"))  # fmt: skip
    return found or ((NO_ALIGNMENT,) if UNPAIRED_KEYS[0] in fields else ())


def paired_alignments(fields: Mapping[str, Node]) -> tuple[str, ...]:
    """Those of a chain's sources whose rows belong to those of other chains. Raises InputError."""
    if FOLDER_KEY in fields:
        return tuple(each for each in _folder_alignments(fields[FOLDER_KEY]) if Path(each).name == _FOLDER_FILES[0])
    return _source(fields, *PAIRED_KEYS)


def _source(fields: Mapping[str, Node], inside: str, path: str) -> tuple[str, ...]:
    if inside in fields and path in fields:
        fields[path].fail(f"only one of {inside!r} and {path!r} may be given")
    if path in fields:
        return (file_source(fields[path]),)
    return (text_source(fields[inside]),) if inside in fields and fields[inside].text() else ()


def _folder_alignments(node: Node) -> tuple[str, ...]:
    fields = node.fields(_FOLDER_KEYS, required=_FOLDER_KEYS[:1])
    where = fields[_FOLDER_KEYS[0]]
    folder = where.text() if where.path is None else relocated(where.text(), where.path.parent)
    if not Path(folder).is_dir():
        told = missing_file(where.text(), Path() if where.path is None else where.path.parent)
        where.fail(told.replace("no such file", "no such folder", 1), found=where.text())
    found = tuple(f"{folder}/{name}" for name in _FOLDER_FILES if Path(folder, name).is_file())
    if not found:
        where.fail("there is no alignment in this folder", found=where.text(), allowed=_FOLDER_FILES)
    return found

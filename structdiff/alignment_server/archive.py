"""What a server sends: a packed archive of A3M files, each with the rows of all queries one after another."""

from __future__ import annotations

import gzip
import io
import re
import tarfile
import zlib
from collections.abc import Sequence
from typing import TypeAlias

from structdiff.spec.alignment_source import without_insertions

#: Queries are called by numbers from here.
FIRST_QUERY = 101
#: The files of a search: in UniRef, and in metagenomes; and of rows that belong together.
UNIREF, ENVIRONMENT, PAIRS = "uniref.a3m", "bfd.mgnify30.metaeuk30.smag30.a3m", "pair.a3m"
_UNPACKED_BYTES = 2 << 30
#: Header and letters of a row.
Row: TypeAlias = tuple[str, str]
_LETTERS = re.compile(r"[A-Za-z.*-]+")
_PLAIN = str.maketrans("UO", "CK")


class WrongArchive(Exception):
    """An archive that is damaged, or lacks what was asked for; the message says what is wrong."""


def read_archive(data: bytes, names: Sequence[str], sequences: Sequence[str]) -> dict[str, list[list[Row]]]:
    """The rows of each file and query, the query itself first, of files of these names and no others.

    The first file has rows of each query; of which another says nothing, that has no rows there. Raises WrongArchive
    where the archive is damaged, a file is not there, or rows are none of an alignment of the sequence.
    """
    texts = _members(data, names)
    found = {name: _queries(text, name, sequences) for name, text in texts.items()}
    for place, rows in enumerate(found[names[0]]):
        if not rows:
            raise WrongArchive(f"{names[0]} has nothing of query {FIRST_QUERY + place}")
    return found


def _members(data: bytes, names: Sequence[str]) -> dict[str, str]:
    """The texts of the files of these names, nothing of which comes onto the disk."""
    found: dict[str, str] = {}
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(data)) as stream:
            unpacked = stream.read(_UNPACKED_BYTES + 1)
        if len(unpacked) > _UNPACKED_BYTES:
            raise WrongArchive(f"it holds more than {_UNPACKED_BYTES >> 30} GiB")
        with tarfile.open(fileobj=io.BytesIO(unpacked), mode="r:") as archive:
            for member in archive:
                name = member.name.removeprefix("./")
                file = archive.extractfile(member) if name in names and member.isreg() else None
                if file is not None:
                    found[name] = file.read().decode("utf-8")
    except (OSError, EOFError, zlib.error, tarfile.TarError, UnicodeDecodeError) as error:
        raise WrongArchive(f"it is damaged ({error})") from None
    if missing := next((name for name in names if name not in found), None):
        raise WrongArchive(f"there is no {missing} in it")
    return found


def _queries(text: str, name: str, sequences: Sequence[str]) -> list[list[Row]]:
    found: list[list[Row]] = [[] for _ in sequences]
    for part in text.split("\0"):
        rows = _rows(part, name)
        if not rows:
            continue
        number = rows[0][0].partition(" ")[0]
        place = int(number) - FIRST_QUERY if number.isdecimal() else -1
        if not 0 <= place < len(sequences):
            raise WrongArchive(f"{name} has a query that was not asked for: {number[:30]!r}")
        _check(rows, name, number, sequences[place])
        found[place] = rows
    return found


def _rows(text: str, name: str) -> list[Row]:
    found: list[tuple[str, list[str]]] = []
    for line in text.split("\n"):
        if line.startswith(">"):
            found.append((" ".join(line[1:].split()), []))  # of one line, whatever counts as the end of one
        elif line.strip() and not line.startswith("#"):
            if not found:
                raise WrongArchive(f"{name} is no A3M: it begins with {line[:30]!r}")
            found[-1][1].append(line.strip())
    return [(header, "".join(parts)) for header, parts in found]


def _check(rows: Sequence[Row], name: str, number: str, sequence: str) -> None:
    """Raises WrongArchive unless the first row is the sequence and the others stand in its columns."""
    for header, letters in rows:
        if not _LETTERS.fullmatch(letters) or len(without_insertions(letters)) != len(sequence):
            raise WrongArchive(f"{name}: row {header[:30]!r} of query {number} is not as long as the query")
    own, asked = (letters.upper().translate(_PLAIN) for letters in (rows[0][1], sequence))
    if len(own) != len(asked) or any(a != b and "X" not in (a, b) for a, b in zip(own, asked, strict=True)):
        raise WrongArchive(f"{name}: the first row of query {number} is not its sequence")

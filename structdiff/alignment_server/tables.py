"""Rows of alignments as A3M, and as Boltz's CSV files, whose keys say which rows of several chains belong together."""

from __future__ import annotations

from collections.abc import Sequence

from structdiff.alignment_server.archive import Row

#: The key of a row that belongs to none of another chain.
NO_KEY = -1


def joined_rows(files: Sequence[Sequence[Row]]) -> list[Row]:
    """The rows of several files of one query, which is the first row of each and stands there once."""
    return [row for number, rows in enumerate(files) for row in (rows if number == 0 else rows[1:])]


def a3m_text(rows: Sequence[Row]) -> str:
    """The rows as A3M."""
    return "".join(f">{header}\n{letters}\n" for header, letters in rows)


def parse_a3m(text: str) -> list[Row]:
    """The rows of what `a3m_text` wrote."""
    lines = text.split("\n")[:-1]
    return [(header[1:], letters) for header, letters in zip(lines[::2], lines[1::2], strict=True)]


def pair_rows(rows: Sequence[Row]) -> list[tuple[int, str]]:
    """The keys and letters of rows that belong to the same rows of other chains; those of gaps alone are left out."""
    return [(key, letters) for key, (_, letters) in enumerate(rows) if letters.strip("-")]


def table_text(pairs: Sequence[tuple[int, str]], alone: Sequence[Row]) -> str:
    """The paired rows, of which the first is the chain, and below them the chain's own, as Boltz's CSV."""
    rows = [*pairs, *((NO_KEY, letters) for _, letters in alone[1:])]
    return "".join(("key,sequence\n", *(f"{key},{letters}\n" for key, letters in rows)))

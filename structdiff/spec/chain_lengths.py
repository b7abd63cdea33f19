"""The first line of ColabFold's alignments: how long the chains are of which each row is made, and how many of each."""

from __future__ import annotations

import re
from dataclasses import dataclass

from structdiff.errors import InputError

_LINE = re.compile(r"#(?P<lengths>\d+(?:,\d+)*)\s+(?P<copies>\d+(?:,\d+)*)")
_ALMOST = re.compile(r"#\s*\d[\d,\s]*|#\d+,.*")
_MOST_COPIES = 100


@dataclass(frozen=True, kw_only=True)
class ChainLengths:
    """Residues of each different chain, in the order in which a row holds them, and how many copies there are of it."""

    lengths: tuple[int, ...]
    copies: tuple[int, ...]

    def columns(self, number: int) -> slice:
        """Where in a row, insertions left out, the chain of that number (from 1) stands."""
        start = sum(self.lengths[: number - 1])
        return slice(start, start + self.lengths[number - 1])


def chain_lengths(text: str) -> ChainLengths | None:
    """What the first line of an alignment says of its chains; None where it says nothing.

    Raises InputError, without file and line, for a line that begins so and cannot be understood.
    """
    line = text[: text.find("\n")].strip() if "\n" in text else text.strip()
    if not _ALMOST.fullmatch(line):
        return None
    said = _LINE.fullmatch(line)
    if said is None:
        raise InputError("the first line of ColabFold's alignments is '#', lengths, a tab, and copies",
                         found=line, allowed="such as '#59,78<tab>1,1'")  # fmt: skip
    lengths, copies = (tuple(map(int, said[name].split(","))) for name in ("lengths", "copies"))
    if len(lengths) != len(copies):
        raise InputError("the first line has not as many numbers of copies as lengths", found=line)
    if not min(lengths):
        raise InputError("a chain has no residues", found=line)
    if not min(copies) or sum(copies) > _MOST_COPIES:
        raise InputError("so many copies cannot be", found=line,
                         allowed=f"1 or more of each chain, {_MOST_COPIES} of all")  # fmt: skip
    return ChainLengths(lengths=lengths, copies=copies)

"""The rows of alignments as they are written: A3M, aligned FASTA, Stockholm and Boltz's CSV files.

Rows keep their insertions, their whole header and Boltz's key: what is made of them is up to who reads them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from structdiff.spec.alignment_source import ALIGNMENT_FORMATS, AlignmentText, without_insertions
from structdiff.spec.chain import UNKNOWN_LETTER

_STOCKHOLM, _CSV = "# STOCKHOLM", "key,sequence"
#: Selenocysteine and pyrrolysine may be written as what they come from, and RNA as DNA.
_PLAIN = {"protein": str.maketrans("UO", "CK"), "rna": str.maketrans("T", "U")}
_DESCRIPTION = re.compile(r"#=GS\s+(\S+)\s+DE\s+(.*)")


@dataclass(frozen=True, kw_only=True)
class AlignmentRow:
    """One sequence of an alignment.

    name: how errors call it. line: where it stands in the text, from 1. text: what is written, insertions (lower-case
    letters) included. header: all that is said of it. key: of Boltz's CSV, else "". joint: it holds residues of other
    chains too, whose columns have been cut off.
    """

    name: str
    line: int
    text: str
    header: str = ""
    key: str = ""
    joint: bool = False

    @property
    def letters(self) -> str:
        """The letters and gaps that stand in columns."""
        return without_insertions(self.text)


def chain_rows(source: AlignmentText, sequence: str, kind: str = "protein") -> tuple[list[AlignmentRow], list[int]]:
    """The rows of a chain (protein or rna) of that sequence, and the columns of it: where the first row has a letter.

    The first row is the chain itself. Of a row of several chains it is the part that is the chain's, insertions before
    its columns included, and rows that hold nothing of the chain are left out. Raises InputError, which names the
    line, for rows of different lengths, and where the first is not the chain.
    """
    rows = _rows(source)
    if not rows:
        source.fail("this alignment holds no sequence", allowed=ALIGNMENT_FORMATS)
    length = len(rows[0].letters)
    for row in rows:
        if (own := len(row.letters)) != length:
            source.fail("this row is not as long as the first, insertions left out", line=row.line, key=row.name,
                        found=own, allowed=str(length))  # fmt: skip
    if source.columns is not None:
        rows = [part for row in rows if (part := _part(row, source.columns)).letters.strip("-")]
        if not rows:
            source.fail("no row holds anything of this chain", line=1)
    first = rows[0].letters  # of one chain of several: wherever it stands
    kept = [place for place, letter in enumerate(first) if letter != "-"]
    query = "".join(first[place] for place in kept)
    _check_query(query, sequence, source, rows[0].line, kind)
    return rows, kept


def _part(row: AlignmentRow, columns: slice) -> AlignmentRow:
    """The part of a row that stands in some columns, with the insertions before each of them."""
    text = row.text.rstrip("*")
    ends = [place + 1 for place, letter in enumerate(text) if not letter.islower() and letter != "."]
    start, stop = (ends[count - 1] if count else 0 for count in (columns.start, columns.stop))
    others = without_insertions(text[:start] + text[stop:])
    return AlignmentRow(name=row.name, line=row.line, text=text[start:stop], header=row.header, key=row.key,
                        joint=bool(others.strip("-")))  # fmt: skip


def _rows(source: AlignmentText) -> list[AlignmentRow]:
    lines = source.text.splitlines()
    first = lines[0].strip() if lines else ""
    if first.startswith(_STOCKHOLM):
        return _stockholm_rows(lines, source)
    return _csv_rows(lines, source) if first == _CSV else _fasta_rows(lines, source)


def _fasta_rows(lines: list[str], source: AlignmentText) -> list[AlignmentRow]:
    found: list[tuple[str, int, list[str]]] = []
    for number, line in enumerate(lines, start=1):
        text = line.strip()
        if text.startswith(">"):
            found.append((text[1:], number, []))
        elif text and not text.startswith("#"):
            if not found:
                source.fail("an alignment begins with a line '>NAME'", line=number, found=text[:20],
                            allowed=ALIGNMENT_FORMATS)  # fmt: skip
            found[-1][2].append(text)
    return [
        AlignmentRow(name=header.partition(" ")[0] or f"sequence {place}", line=line, text=text, header=header)
        for place, (header, line, parts) in enumerate(found, start=1)
        for text in ["".join(parts)]
    ]


def _csv_rows(lines: list[str], source: AlignmentText) -> list[AlignmentRow]:
    """Rows of a key, by which Boltz pairs chains, and a sequence as in A3M."""
    found = []
    for number, line in enumerate(lines[1:], start=2):
        if line.strip():
            key, comma, letters = line.strip().replace('"', "").partition(",")
            if not comma:
                source.fail("a line of this alignment is a key, a comma and a sequence", line=number, found=line[:20])
            found.append(AlignmentRow(name=key or f"line {number}", line=number, text=letters, key=key.strip()))
    return found


def _stockholm_rows(lines: list[str], source: AlignmentText) -> list[AlignmentRow]:
    """Those of a Stockholm file, whose sequences may come in several blocks."""
    found: dict[str, tuple[int, list[str]]] = {}
    told: dict[str, str] = {}
    for number, line in enumerate(lines, start=1):
        if said := _DESCRIPTION.match(line):
            told[said[1]] = said[2]
        if line.startswith(("#", "//")) or not line.strip():
            continue
        name, *rest = line.split(None, 1)
        letters = "".join(rest)
        if not letters.strip():
            source.fail("a line of a Stockholm file is a name and letters", line=number, found=line[:20])
        found.setdefault(name, (number, []))[1].append(letters.strip().upper().replace(".", "-"))
    return [
        AlignmentRow(name=name, line=number, text="".join(parts), header=f"{name} {told.get(name, '')}".strip())
        for name, (number, parts) in found.items()
    ]


def _check_query(first: str, sequence: str, source: AlignmentText, line: int, kind: str) -> None:
    """The first row is the chain, letter by letter, but for an unknown letter, and those that may stand for another."""
    unknown = UNKNOWN_LETTER[kind]
    first, sequence = (letters.translate(_PLAIN[kind]) for letters in (first, sequence))
    if len(first) != len(sequence):
        source.fail("the first sequence of this alignment has not the length of the chain", line=line, key="msa",
                    found=f"{len(first)} residues", allowed=f"{len(sequence)} residues")  # fmt: skip
    for place, (own, asked) in enumerate(zip(first, sequence, strict=True), start=1):
        if own != asked and unknown not in (own, asked):
            source.fail("the first sequence of this alignment is not the chain's", line=line, key="msa",
                        found=f"{own} at residue {place}", allowed=asked)  # fmt: skip

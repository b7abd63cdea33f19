"""Multiple sequence alignments in the columns of their first sequence: A3M, FASTA, Stockholm and Boltz's CSV files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from structdiff.spec.alignment_source import ALIGNMENT_FORMATS, AlignmentText, read_source, without_insertions
from structdiff.typing import UInt8

#: The amino acids in the order of the published networks; what is none of them counts as a gap, the class after them.
ALPHABET = "ARNDCQEGHILKMFPSTWYV"
GAP = len(ALPHABET)
#: Rows that are read; where there are more, the first ones.
MOST_ROWS = 8192
_CODES = np.full(256, 255, np.uint8)
_CODES[[ord(letter) for letter in ALPHABET]] = np.arange(GAP)
_CODES[[ord(letter) for letter in "BJOUXZ-"]] = GAP
_PLAIN = str.maketrans("UO", "CK")
_STOCKHOLM, _CSV = "# STOCKHOLM", "key,sequence"


@dataclass(frozen=True, kw_only=True, eq=False)
class Alignment:
    """Sequences aligned with the first. letters: ALPHABET's numbers, GAP for gaps. rows: how many there are to read."""

    letters: UInt8[np.ndarray, "sequence residue"]
    rows: int

    def __len__(self) -> int:
        return len(self.letters)

    @property
    def coverage(self) -> float:
        """Mean share of the first sequence that the others cover; 0 where there are none."""
        return float((self.letters[1:] != GAP).mean()) if len(self) > 1 else 0.0


def read_alignment(sources: str | Path | Sequence[str | Path], sequence: str) -> Alignment:
    """The alignment of a chain of that sequence, with which each source has to begin.

    sources: files, or what `structdiff.spec.alignment_source` reads. Lower-case letters of A3M are insertions and are
    left out, as are columns in which the first sequence has a gap. Of several sources, and of one chain of a file of
    several, rows that come again and rows of gaps are left out too. Raises InputError, which names the line, for
    anything that is no alignment of this sequence.
    """
    given = (sources,) if isinstance(sources, str | Path) else tuple(sources)
    texts = [read_source(str(each)) for each in given]
    if len(texts) == 1 and texts[0].columns is None:
        return _alignment(texts[0], sequence)
    found = _distinct(np.concatenate([_alignment(text, sequence, most=None).letters for text in texts]))
    return Alignment(letters=found[:MOST_ROWS], rows=len(found))


def _alignment(source: AlignmentText, sequence: str, most: int | None = MOST_ROWS) -> Alignment:
    """The first rows of a source, as many as are wanted."""
    named = _chain_rows(source)
    first = named[0][2]
    kept = [place for place, letter in enumerate(first) if letter != "-"]
    _check_query("".join(first[place] for place in kept), sequence, source, named[0][1])
    found = np.full((len(named[:most]), len(kept)), GAP, np.uint8)
    for row, (name, line, letters) in enumerate(named[:most]):
        codes = _CODES[np.frombuffer(letters.encode("latin-1", "replace"), np.uint8)]
        if (codes > GAP).any():
            wrong = letters[int(np.argmax(codes > GAP))]
            source.fail("this is no letter of a protein", line=line, key=name, found=wrong)
        found[row] = codes[kept]
    return Alignment(letters=found, rows=len(named))


def _chain_rows(source: AlignmentText) -> list[tuple[str, int, str]]:
    """Name, line and letters of each sequence, insertions left out: the part that is the chain's."""
    named = _rows(source)
    if not named:
        source.fail("this alignment holds no sequence", allowed=ALIGNMENT_FORMATS)
    first = named[0][2]
    for name, line, letters in named:
        if len(letters) != len(first):
            source.fail("this row is not as long as the first, insertions left out", line=line, key=name,
                        found=len(letters), allowed=str(len(first)))  # fmt: skip
    if source.columns is None:
        return named
    own = [(name, line, letters[source.columns]) for name, line, letters in named]
    found = [row for row in own if row[2].strip("-")]  # the first of them is the chain, wherever it stands
    if not found:
        source.fail("no row holds anything of this chain", line=1)
    return found


def _distinct(letters: UInt8[np.ndarray, "sequence residue"]) -> UInt8[np.ndarray, "sequence residue"]:
    """The first row, and of the others those that are neither gaps alone nor the same as one before."""
    seen: dict[bytes, int] = {letters[0].tobytes(): 0, np.full(letters.shape[1], GAP, np.uint8).tobytes(): 0}
    for row, own in enumerate(letters):
        seen.setdefault(own.tobytes(), row)
    return letters[sorted(set(seen.values()))]


def alone(sequence: str) -> Alignment:
    """The alignment that is the sequence and nothing else."""
    letters = _CODES[np.frombuffer(sequence.encode("ascii"), np.uint8)]
    return Alignment(letters=letters[None], rows=1)


def _rows(source: AlignmentText) -> list[tuple[str, int, str]]:
    """Name, line and aligned letters of each sequence, insertions left out."""
    lines = source.text.splitlines()
    first = lines[0].strip() if lines else ""
    if first.startswith(_STOCKHOLM):
        return _stockholm_rows(lines, source)
    return _csv_rows(lines, source) if first == _CSV else _fasta_rows(lines, source)


def _fasta_rows(lines: list[str], source: AlignmentText) -> list[tuple[str, int, str]]:
    found: list[tuple[str, int, list[str]]] = []
    for number, line in enumerate(lines, start=1):
        text = line.strip()
        if text.startswith(">"):
            found.append((text[1:].partition(" ")[0] or f"sequence {len(found) + 1}", number, []))
        elif text and not text.startswith("#"):
            if not found:
                source.fail("an alignment begins with a line '>NAME'", line=number, found=text[:20],
                            allowed=ALIGNMENT_FORMATS)  # fmt: skip
            found[-1][2].append(text)
    return [(name, line, without_insertions("".join(parts))) for name, line, parts in found]


def _csv_rows(lines: list[str], source: AlignmentText) -> list[tuple[str, int, str]]:
    """Rows of a key, by which Boltz pairs chains, and a sequence as in A3M."""
    found = []
    for number, line in enumerate(lines[1:], start=2):
        if line.strip():
            key, comma, letters = line.strip().replace('"', "").partition(",")
            if not comma:
                source.fail("a line of this alignment is a key, a comma and a sequence", line=number, found=line[:20])
            found.append((key or f"line {number}", number, without_insertions(letters)))
    return found


def _stockholm_rows(lines: list[str], source: AlignmentText) -> list[tuple[str, int, str]]:
    """Those of a Stockholm file, whose sequences may come in several blocks."""
    found: dict[str, tuple[int, list[str]]] = {}
    for number, line in enumerate(lines, start=1):
        if line.startswith(("#", "//")) or not line.strip():
            continue
        name, *rest = line.split(None, 1)
        letters = "".join(rest)
        if not letters.strip():
            source.fail("a line of a Stockholm file is a name and letters", line=number, found=line[:20])
        found.setdefault(name, (number, []))[1].append(letters.strip().upper().replace(".", "-"))
    return [(name, number, "".join(parts)) for name, (number, parts) in found.items()]


def _check_query(first: str, sequence: str, source: AlignmentText, line: int) -> None:
    """The first row is the chain, letter by letter; an X stands for anything, and U and O may be C and K."""
    first, sequence = (letters.translate(_PLAIN) for letters in (first, sequence))
    if len(first) != len(sequence):
        source.fail("the first sequence of this alignment has not the length of the chain", line=line, key="msa",
                    found=f"{len(first)} residues", allowed=f"{len(sequence)} residues")  # fmt: skip
    for place, (own, asked) in enumerate(zip(first, sequence, strict=True), start=1):
        if own != asked and "X" not in (own, asked):
            source.fail("the first sequence of this alignment is not the chain's", line=line, key="msa",
                        found=f"{own} at residue {place}", allowed=asked)  # fmt: skip

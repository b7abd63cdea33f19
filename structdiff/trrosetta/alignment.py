"""Multiple sequence alignments in the columns of their first sequence: A3M, FASTA, Stockholm and Boltz's CSV files."""

from __future__ import annotations

import gzip
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from structdiff.errors import InputError
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
_FORMATS = "A3M, FASTA, Stockholm, or Boltz's CSV"


@dataclass(frozen=True, kw_only=True, eq=False)
class Alignment:
    """Sequences aligned with the first. letters: ALPHABET's numbers, GAP for gaps. rows: how many the file has."""

    letters: UInt8[np.ndarray, "sequence residue"]
    rows: int

    def __len__(self) -> int:
        return len(self.letters)

    @property
    def coverage(self) -> float:
        """Mean share of the first sequence that the others cover; 0 where there are none."""
        return float((self.letters[1:] != GAP).mean()) if len(self) > 1 else 0.0


def read_alignment(path: str | Path, sequence: str) -> Alignment:
    """The alignment of a chain of that sequence, with which the file has to begin.

    Lower-case letters of A3M are insertions and are left out, as are columns in which the first sequence has a gap.
    A file whose name ends in .gz is unpacked. Raises InputError, which names the line, for anything that is no
    alignment of this sequence.
    """
    path = Path(path)
    lines = _text(path).splitlines()
    named = _rows(lines, path)
    if not named:
        raise InputError("this alignment holds no sequence", path=path, allowed=_FORMATS)
    first = named[0][2]
    kept = [place for place, letter in enumerate(first) if letter != "-"]
    _check_query("".join(first[place] for place in kept), sequence, path, named[0][1])
    found = np.full((min(len(named), MOST_ROWS), len(kept)), GAP, np.uint8)
    for row, (name, line, letters) in enumerate(named[:MOST_ROWS]):
        if len(letters) != len(first):
            raise InputError("this row is not as long as the first, insertions left out",
                             path=path, line=line, key=name, found=len(letters), allowed=str(len(first)))  # fmt: skip
        codes = _CODES[np.frombuffer(letters.encode("latin-1", "replace"), np.uint8)]
        if (codes > GAP).any():
            wrong = letters[int(np.argmax(codes > GAP))]
            raise InputError("this is no letter of a protein", path=path, line=line, key=name, found=wrong)
        found[row] = codes[kept]
    return Alignment(letters=found, rows=len(named))


def alone(sequence: str) -> Alignment:
    """The alignment that is the sequence and nothing else."""
    letters = _CODES[np.frombuffer(sequence.encode("ascii"), np.uint8)]
    return Alignment(letters=letters[None], rows=1)


def _rows(lines: list[str], path: Path) -> list[tuple[str, int, str]]:
    """Name, line and aligned letters of each sequence, insertions left out."""
    first = lines[0].strip() if lines else ""
    if first.startswith(_STOCKHOLM):
        return _stockholm_rows(lines, path)
    return _csv_rows(lines, path) if first == _CSV else _fasta_rows(lines, path)


def _text(path: Path) -> str:
    try:
        data = path.read_bytes()
        # Entries of MMseqs2's databases end with a zero.
        return (gzip.decompress(data) if path.suffix == ".gz" else data).decode("utf-8-sig").rstrip("\0")
    except (OSError, EOFError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(f"this alignment cannot be read: {reason}", path=path) from None
    except UnicodeDecodeError:
        raise InputError("this alignment is no text", path=path, allowed=_FORMATS) from None


def _fasta_rows(lines: list[str], path: Path) -> list[tuple[str, int, str]]:
    found: list[tuple[str, int, list[str]]] = []
    for number, line in enumerate(lines, start=1):
        text = line.strip()
        if text.startswith(">"):
            found.append((text[1:].partition(" ")[0] or f"sequence {len(found) + 1}", number, []))
        elif text and not text.startswith("#"):
            if not found:
                raise InputError("an alignment begins with a line '>NAME'", path=path, line=number, found=text[:20],
                                 allowed=_FORMATS)  # fmt: skip
            found[-1][2].append(text)
    return [(name, line, _without_insertions("".join(parts))) for name, line, parts in found]


def _csv_rows(lines: list[str], path: Path) -> list[tuple[str, int, str]]:
    """Rows of a key, by which Boltz pairs chains, and a sequence as in A3M."""
    found = []
    for number, line in enumerate(lines[1:], start=2):
        if line.strip():
            key, comma, letters = line.strip().replace('"', "").partition(",")
            if not comma:
                raise InputError("a line of this alignment is a key, a comma and a sequence", path=path, line=number,
                                 found=line[:20])  # fmt: skip
            found.append((key or f"line {number}", number, _without_insertions(letters)))
    return found


def _without_insertions(letters: str) -> str:
    return "".join(letter for letter in letters.rstrip("*") if not letter.islower() and letter != ".")


def _stockholm_rows(lines: list[str], path: Path) -> list[tuple[str, int, str]]:
    """Those of a Stockholm file, whose sequences may come in several blocks."""
    found: dict[str, tuple[int, list[str]]] = {}
    for number, line in enumerate(lines, start=1):
        if line.startswith(("#", "//")) or not line.strip():
            continue
        name, *rest = line.split(None, 1)
        letters = "".join(rest)
        if not letters.strip():
            raise InputError(
                "a line of a Stockholm file is a name and letters", path=path, line=number, found=line[:20]
            )
        found.setdefault(name, (number, []))[1].append(letters.strip().upper().replace(".", "-"))
    return [(name, number, "".join(parts)) for name, (number, parts) in found.items()]


def _check_query(first: str, sequence: str, path: Path, line: int) -> None:
    """The first row is the chain, letter by letter; an X stands for anything, and U and O may be C and K."""
    first, sequence = (letters.translate(_PLAIN) for letters in (first, sequence))
    if len(first) != len(sequence):
        raise InputError("the first sequence of this alignment has not the length of the chain", path=path, line=line,
                         key="msa", found=f"{len(first)} residues", allowed=f"{len(sequence)} residues")  # fmt: skip
    for place, (own, asked) in enumerate(zip(first, sequence, strict=True), start=1):
        if own != asked and "X" not in (own, asked):
            raise InputError("the first sequence of this alignment is not the chain's", path=path, line=line, key="msa",
                             found=f"{own} at residue {place}", allowed=asked)  # fmt: skip

"""Multiple sequence alignments in the columns of their first sequence: A3M, FASTA, Stockholm and Boltz's CSV files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from structdiff.spec.alignment_rows import chain_rows
from structdiff.spec.alignment_source import AlignmentText, read_source
from structdiff.typing import UInt8

#: The amino acids in the order of the published networks; what is none of them counts as a gap, the class after them.
ALPHABET = "ARNDCQEGHILKMFPSTWYV"
GAP = len(ALPHABET)
#: Rows that are read; where there are more, the first ones.
MOST_ROWS = 8192
_CODES = np.full(256, 255, np.uint8)
_CODES[[ord(letter) for letter in ALPHABET]] = np.arange(GAP)
_CODES[[ord(letter) for letter in "BJOUXZ-"]] = GAP


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
    rows, kept = chain_rows(source, sequence)
    found = np.full((len(rows[:most]), len(kept)), GAP, np.uint8)
    for place, row in enumerate(rows[:most]):
        letters = row.letters
        codes = _CODES[np.frombuffer(letters.encode("latin-1", "replace"), np.uint8)]
        if (codes > GAP).any():
            wrong = letters[int(np.argmax(codes > GAP))]
            source.fail("this is no letter of a protein", line=row.line, key=row.name, found=wrong)
        found[place] = codes[kept]
    return Alignment(letters=found, rows=len(rows))


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

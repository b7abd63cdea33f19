"""The alignment of one chain as networks read it: letters, how many residues are left out before each, and its keys."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from dataclasses import dataclass

import numpy as np

from structdiff.chemistry.residues import GAP, PROTEIN_ONE_TO_THREE, RESTYPE_INDEX, RNA_NAMES, UNK_PROTEIN, UNK_RNA
from structdiff.features.row_pairing import RowsToPair
from structdiff.spec.alignment_rows import AlignmentRow, chain_rows
from structdiff.spec.alignment_source import AlignmentText, read_source
from structdiff.spec.chain import ChainSpec
from structdiff.spec.organisms import organism
from structdiff.typing import Int, UInt8

_NO_LETTER = 255
_NAMES = {"protein": "a protein", "rna": "RNA"}
_MOST_DELETIONS = np.iinfo(np.int16).max
#: Keys of Boltz's CSV files that are of no organism.
_NO_KEY = ("", "-1", "nan")
_IS_COLUMN = np.ones(256, bool)
_IS_COLUMN[[ord("."), *range(ord("a"), ord("z") + 1)]] = False


def _codes(known: dict[str, str], ambiguous: str, unknown: int) -> UInt8[np.ndarray, " character"]:
    """Restype by character; those that may be one of several residues are unknown."""
    found = np.full(256, _NO_LETTER, np.uint8)
    found[[ord(letter) for letter in ambiguous]] = unknown
    found[[ord(letter) for letter in known]] = [RESTYPE_INDEX[name] for name in known.values()]
    found[ord("-")] = GAP
    return found


# Selenocysteine and pyrrolysine are unknown to Boltz's networks too.
_CODES = {
    "protein": _codes(PROTEIN_ONE_TO_THREE, "BJOUXZ", UNK_PROTEIN),
    "rna": _codes({**{name: name for name in RNA_NAMES}, "T": "U"}, "NXRYSWKMBDHV", UNK_RNA),
}


@dataclass(frozen=True, kw_only=True, eq=False)
class _Placed:
    """A row, the columns of its alignment that are the chain's residues, and what it came from."""

    row: AlignmentRow
    kept: Int[np.ndarray, " residue"]
    source: AlignmentText


@dataclass(frozen=True, kw_only=True, eq=False)
class AlignedChain:
    """The rows of a chain's alignment, the chain itself first. pairing: which belong to rows of other chains."""

    kind: str
    rows: tuple[_Placed, ...]
    pairing: RowsToPair

    def __len__(self) -> int:
        return len(self.rows)

    def letters_and_deletions(
        self, wanted: Int[np.ndarray, " row"]
    ) -> tuple[UInt8[np.ndarray, "row residue"], Int[np.ndarray, "row residue"]]:
        """Restypes of some rows, and of how many residues before each nothing stands in the chain (int16).

        Raises InputError for a letter that is none of the chain's kind.
        """
        residues = len(self.rows[0].kept)
        letters, deletions = np.empty((len(wanted), residues), np.uint8), np.empty((len(wanted), residues), np.int16)
        for place, number in enumerate(wanted.tolist()):
            letters[place], deletions[place] = _read(self.rows[number], self.kind)
        return letters, deletions


def read_aligned_chain(chain: ChainSpec, *, by_organism: bool) -> AlignedChain:
    """The alignment of a chain that has files of one (protein or RNA).

    Rows of a joint file belong to the same rows of other chains, those of Boltz's CSV files to those of the same key,
    those of paired files to those of the same organism, or of the same place where no header tells one. by_organism:
    so do rows of all other files whose headers tell one. A row that comes again, without another key, is left out.
    Raises InputError as `structdiff.spec.alignment_rows.chain_rows` does.
    """
    kept: list[_Placed] = []
    keys: list[Hashable | None] = []
    numbers: dict[str, int] = {"": -1}
    seen = set()
    for name in chain.msa:
        source = read_source(name)
        rows, columns = chain_rows(source, chain.sequence, chain.kind)
        columns = np.array(columns)
        for place, (row, key) in enumerate(zip(rows, _keys(rows, source, name, chain, by_organism), strict=True)):
            number = numbers.setdefault(_residues(row), len(numbers))
            again = (number, key) in seen or (key is None and number < len(numbers) - 1) or (place == 0 and kept)
            if number >= 0 and not again:
                kept.append(_Placed(row=row, kept=columns, source=source))
                keys.append(key)
                seen.add((number, key))
    sequences = tuple(numbers[_residues(each.row)] for each in kept)
    return AlignedChain(kind=chain.kind, rows=tuple(kept), pairing=RowsToPair(keys=tuple(keys), sequences=sequences))


def _keys(
    rows: list[AlignmentRow], source: AlignmentText, name: str, chain: ChainSpec, by_organism: bool
) -> Iterator[Hashable | None]:
    """Of each row what it has in common with rows of other chains."""
    if any(row.key for row in rows):
        return (("key", row.key) if row.key not in _NO_KEY else None for row in rows)
    if source.columns is not None:
        return (("joint", str(source.path), row.line) if row.joint else None for row in rows)
    told = [organism(row.header) for row in rows]
    if name in chain.paired_msa and not any(told):
        number = chain.paired_msa.index(name)
        return (("row", number, place) for place in range(len(rows)))
    if name in chain.paired_msa or by_organism:
        return (("organism", each) if each else None for each in told)
    return (None for _ in rows)


def _residues(row: AlignmentRow) -> str:
    return row.text.rstrip("*").replace("-", "").replace(".", "").upper()


def _read(placed: _Placed, kind: str) -> tuple[UInt8[np.ndarray, " residue"], Int[np.ndarray, " residue"]]:
    """Restypes of a row in the chain's residues, and how many of its own are left out before each."""
    text = np.frombuffer(placed.row.text.rstrip("*").encode("ascii", "replace"), np.uint8)
    columns = np.flatnonzero(_IS_COLUMN[text])
    codes = _CODES[kind][text[columns]]
    if (codes == _NO_LETTER).any():
        wrong = placed.row.letters[int(np.argmax(codes == _NO_LETTER))]
        placed.source.fail(f"this is no letter of {_NAMES[kind]}", line=placed.row.line, key=placed.row.name,
                           found=wrong)  # fmt: skip
    residues = columns[placed.kept]
    # Letters in columns where the chain has a gap are insertions too.
    left_out = (text != ord(".")) & (text != ord("-"))
    left_out[residues] = False
    deletions = np.diff(np.cumsum(left_out)[residues], prepend=0)
    return codes[placed.kept], np.minimum(deletions, _MOST_DELETIONS).astype(np.int16)

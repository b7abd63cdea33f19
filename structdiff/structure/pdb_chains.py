"""Chains of PDB files whose chain ids do not tell them apart: without ids, or with one id for several chains."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from structdiff.structure.build import POLYMER_LINK, chain_letters
from structdiff.structure.pdb_lines import ATOM_RECORDS

_END_OXYGENS = ({"O", "OXT"}, {"O1", "O2"}, {"OC1", "OC2"}, {"OT1", "OT2"})
_LONGEST_LINK = 3.0  # Å; as where chains are broken
#: Where other records hold chain ids, by their name.
_ID_COLUMNS = {"SEQRES": (11,), "SSBOND": (15, 29), "LINK  ": (21, 51), "CISPEP": (15, 29), "MODRES": (16,)}


@dataclass
class _Residue:
    """Consecutive lines of one residue: rows, chain id, segment, number with insertion code; is it of a polymer.

    alternate: all its atoms have alternate locations, so that it may be another conformation of one that was before.
    is_end: it has the second oxygen of the end of a protein's chain. ends: positions (Å) of its atoms C, O3', N and P.
    """

    rows: list[int]
    chain_id: str
    segment: str
    place: str
    polymer: bool
    hetero: bool
    alternate: bool
    is_end: bool
    ends: dict[str, tuple[float, ...]]


@dataclass
class _Part:
    """What was seen of the present chain of an id: its number among those of that id, its polymer's residues."""

    number: int = 0
    places: set[str] = field(default_factory=set)
    last: _Residue | None = None
    ter: int | None = None


def with_own_chain_ids(lines: list[str]) -> str:
    """The text of a PDB file, from lines in columns; each chain of amino acids or nucleotides has its own chain id.

    Chains of one id are told apart by residue numbers that come again, or go back after TER, and by segment names where
    the two residues are not bonded; those without an id by TER too, and by an oxygen that only the end of a chain has.
    The second and later ones get ids that are free; ligands and waters stay with the chain before them. Lines are
    changed in place.
    """
    end = next((row for row, line in enumerate(lines) if line.rstrip() == "END"), len(lines))
    taken = {_chain_id(line) for line in lines if line.startswith(ATOM_RECORDS)}
    letters = (letter for letter in map(chain_letters, range(len(lines))) if letter not in taken)
    names = {(chain_id, 0): chain_id for chain_id in taken if chain_id}
    parts: dict[str, _Part] = {}
    present = ""
    for each in _residues_and_marks(lines[:end]):
        if isinstance(each, int):
            if lines[each].startswith("TER"):
                _end(parts.get(present), each)
            else:
                parts.clear()
            continue
        present = each.chain_id
        part = parts.setdefault(present, _Part())
        if each.polymer and not (part.ter is not None and each.hetero):
            part = parts[present] = _joined(part, each, lines)
        key = (present, part.number)
        if key not in names:
            names[key] = next(letters)
        if names[key] != present:
            for row in each.rows:
                lines[row] = f"{lines[row][:20]}{names[key]:>2}{lines[row][22:]}"
    base = names.get(("", 0))
    return "\n".join(lines if base is None else [_with_base(line, base) for line in lines]) + "\n"


def _end(part: _Part | None, row: int) -> None:
    if part is not None and part.last is not None and part.ter is None:
        part.ter = row


def _joined(part: _Part, residue: _Residue, lines: list[str]) -> _Part:
    """The chain that a residue of a polymer belongs to: the present one or the next of its id."""
    last, unnamed = part.last, residue.chain_id == ""
    if last is None:
        another = False
    else:
        ended = part.ter is not None
        segments = {residue.segment, last.segment} - {""}
        another = (
            (residue.place in part.places and residue.place != last.place and not residue.alternate)
            or (ended and (unnamed or _number(residue) < _number(last)))
            or ((len(segments) == 2 or (unnamed and last.is_end)) and not _are_bonded(last, residue))
        )
    if another:
        return _Part(part.number + 1, {residue.place}, residue)
    if part.ter is not None:
        lines[part.ter] = "REMARK"  # a gap in a chain, not its end
    part.places.add(residue.place)
    part.last, part.ter = residue, None
    return part


def _number(residue: _Residue) -> int:
    """Residue numbers in base 36 (beyond 9999) are larger than all others, and grow too."""
    text = residue.place[:4].strip()
    try:
        return int(text)
    except ValueError:
        return int(text, 36) if text.isalnum() and text.isascii() else 0


def _residues_and_marks(lines: Sequence[str]) -> Iterator[_Residue | int]:
    """Residues in order, and the rows of TER and of the ends of models between them."""
    rows: list[int] = []
    key = ""
    for row, line in enumerate(lines):
        if line.startswith(ATOM_RECORDS):
            own = line[17:27] + line[72:76]
            if rows and own != key:
                yield _residue([lines[at] for at in rows], rows)
                rows = []
            key = own
            rows.append(row)
        elif line.startswith(("TER", "MODEL ", "ENDMDL")):
            if rows:
                yield _residue([lines[at] for at in rows], rows)
                rows = []
            yield row
    if rows:
        yield _residue([lines[at] for at in rows], rows)


def _residue(own: list[str], rows: list[int]) -> _Residue:
    first = own[0]
    names = {line[12:16].strip() for line in own}
    hetero = first.startswith("HETATM")
    alpha = "CA" in names and first[17:20].strip() != "CA"
    polymer = {"N", "CA"} <= names if hetero else alpha or bool({"C4'", "C4*"} & names) or names == {"P"}
    segment = first[72:76].strip()
    alternate = all(line[16:17].strip() for line in own)
    is_end = any(pair <= names for pair in _END_OXYGENS)
    ends = {
        line[12:16].strip(): tuple(float(line[start : start + 8]) for start in (30, 38, 46))
        for line in own
        if line[12:16].strip() in {name for link in POLYMER_LINK.values() for name in link}
    }
    return _Residue(rows, _chain_id(first), segment, first[22:27], polymer, hetero, alternate, is_end, ends)


def _are_bonded(residue: _Residue, following: _Residue) -> bool:
    return any(
        leave in residue.ends
        and enter in following.ends
        and math.dist(residue.ends[leave], following.ends[enter]) < _LONGEST_LINK
        for leave, enter in POLYMER_LINK.values()
    )


def _chain_id(line: str) -> str:
    return line[20:22].strip()


def _with_base(line: str, name: str) -> str:
    """A line with the chain id of the first chain that has none, where it should have one."""
    for column in _ID_COLUMNS.get(line[:6], ()):
        if len(line) > column and line[column] == " " and len(name) == 1:
            line = f"{line[:column]}{name}{line[column + 1 :]}"
    return line

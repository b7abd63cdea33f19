"""Contig strings and lists of residues as text, read into `structdiff.spec.contigs`.

The grammar is RFdiffusion's: ``10-40/A163-181/10-40 B1-100`` means 10 to 40 new residues, residues 163 to 181 of chain
A, 10 to 40 new residues; then, as a second chain, residues 1 to 100 of chain B. ``/0`` before a blank may mark the
chain break. A chain whose name is more than letters ends in a colon: ``1:5-20``, ``A-2:``. One suffix is added:
``A163-181@2`` puts a stretch into motif group 2, and the pose of each group relative to the others is free.
"""

from __future__ import annotations

import re
from typing import NoReturn

from structdiff.arguments import check_kind, checked_names
from structdiff.errors import InputError
from structdiff.spec.contigs import Contigs
from structdiff.spec.segments import (
    CHAIN_NAME,
    EVERY_CHAIN,
    FixedSegment,
    FreeSegment,
    ResidueId,
    Segment,
    chain_prefix,
)

_FREE = re.compile(r"(\d+)(?:-(\d+))?")
_NUMBER = r"(-?\d+)([A-Za-z]?)"
_CHAIN = rf"(?:([A-Za-z]+)|({CHAIN_NAME}):)"
_RANGE = re.compile(rf"{_CHAIN}{_NUMBER}-{_CHAIN}?{_NUMBER}")
_SINGLE = re.compile(rf"{_CHAIN}{_NUMBER}")
_WHOLE = re.compile(rf"([A-Za-z]+)|({CHAIN_NAME}):")
_LONGEST = 100_000


@checked_names
def parse_contigs(text: str) -> Contigs:
    """Reads a contig string such as ``10-40/A163-181/10-40 B1-100``; raises InputError that names the wrong piece.

    >>> contigs = parse_contigs("[10-40/A163-181/10-40/0 B1-100]")
    >>> contigs.chain_ids, str(contigs)
    (('A', 'B'), '10-40/A163-181/10-40 B1-100')
    """
    check_kind(text, str, "contigs", "a text, such as 10-40/A163-181")
    start, stop = _unwrapped(text)
    if "," in text[start:stop]:
        _refuse(text, text.index(",", start), ",", "stretches are separated by '/', chains by a blank")
    chains: list[tuple[Segment, ...]] = []
    for match in re.finditer(r"\S+", text[start:stop]):
        if match.group() == "/0" and chains:
            continue  # a chain break with a blank before it too
        row = _parse_chain(text, start + match.start(), match.group(), is_last=match.end() == stop - start)
        chains.append(row)
    if not chains:
        raise InputError("the contig string is empty", key="contigs", found=text, allowed="10-40/A163-181, say")
    contigs = Contigs(chains=tuple(chains))
    contigs.refuse_overlaps(text)
    for row in contigs.chains:
        if all(isinstance(segment, FreeSegment) and segment.minimum == 0 for segment in row):
            raise InputError("a chain could be left without residues", key="contigs", found="/".join(map(str, row)))
    return contigs


def _unwrapped(text: str) -> tuple[int, int]:
    start, stop = 0, len(text)
    pairs = {"[": "]", "'": "'", '"': '"'}
    while True:
        while start < stop and text[start].isspace():
            start += 1
        while start < stop and text[stop - 1].isspace():
            stop -= 1
        if stop - start >= 2 and pairs.get(text[start]) == text[stop - 1]:
            start, stop = start + 1, stop - 1
        else:
            return start, stop


def _parse_chain(text: str, offset: int, word: str, *, is_last: bool) -> tuple[Segment, ...]:
    row: list[Segment] = []
    pieces = word.split("/")
    place = offset
    for number, piece in enumerate(pieces, start=1):
        at_end = number == len(pieces)
        if piece == "0" and at_end and row:
            break
        if piece == "0":
            _refuse(text, place, piece, "a chain break is '/0' followed by a blank; leave out stretches of no residues")
        if not piece and at_end and row and not is_last:
            _refuse(text, place - 1, "/", "a chain break is '/0' and a blank, or a blank alone")
        row.append(_parse_segment(text, place, piece))
        place += len(piece) + 1
    return tuple(row)


def _parse_segment(text: str, place: int, piece: str) -> Segment:
    if not piece:
        _refuse(text, min(place, max(len(text) - 1, 0)), "", "a stretch is missing beside '/'")
    body, mark, suffix = piece.partition("@")
    if mark and (not suffix.isdigit() or int(suffix) < 1):
        _refuse(text, place, piece, "a motif group is a number from 1, as in A163-181@2")
    if match := _FREE.fullmatch(body):
        if mark:
            _refuse(text, place, piece, "only stretches of the motif belong to a motif group")
        return _free_segment(text, place, piece, int(match[1]), int(match[2] or match[1]))
    group = int(suffix) if mark else 1
    if body == EVERY_CHAIN and piece == text.strip():
        return FixedSegment(chain=EVERY_CHAIN)
    if match := _WHOLE.fullmatch(body):
        return FixedSegment(chain=match[1] or match[2], group=group)
    ends = _ends(text, place, piece, body)
    if ends is not None:
        return _fixed_segment(text, place, piece, *ends, group)
    _refuse(text, place, piece, "this is no stretch: write 10-40 or 15 (new residues), A163-181, A5 or B (motif), "
            "A-2:1-9 or A-2: where the chain's name is more than letters")  # fmt: skip


def _ends(text: str, place: int, piece: str, body: str) -> tuple[str, tuple[int, str], tuple[int, str]] | None:
    """Chain, first and last residue (number, insertion code) of a stretch or of a single residue."""
    single = _SINGLE.fullmatch(body)
    if match := _RANGE.fullmatch(body):
        letters, named, start, start_code, letters_again, named_again, stop, stop_code = match.groups()
        chain, again = letters or named, letters_again or named_again
        if again in (None, chain):
            return chain, (int(start), start_code), (int(stop), stop_code)
        if single is None:  # A-2-5:3 is residue 3 of a chain A-2-5
            _refuse(text, place, piece, f"a stretch lies within one chain, not {chain} and {again}")
    if single is None:
        return None
    letters, named, start, start_code = single.groups()
    return letters or named, (int(start), start_code), (int(start), start_code)


def _free_segment(text: str, place: int, piece: str, minimum: int, maximum: int) -> FreeSegment:
    if minimum > maximum:
        _refuse(text, place, piece, f"the range is reversed: write {maximum}-{minimum}")
    if maximum == 0:
        _refuse(text, place, piece, "leave out stretches of no residues")
    if maximum > _LONGEST:
        _refuse(text, place, piece, f"more than {_LONGEST} residues")
    return FreeSegment(minimum=minimum, maximum=maximum)


def _fixed_segment(
    text: str, place: int, piece: str, chain: str, start: tuple[int, str], stop: tuple[int, str], group: int
) -> FixedSegment:
    start, stop = (start[0], start[1].upper()), (stop[0], stop[1].upper())
    if start > stop:
        _refuse(text, place, piece, f"the range is reversed: write {chain_prefix(chain)}{stop[0]}{stop[1]}-"
                f"{start[0]}{start[1]}")  # fmt: skip
    if stop[0] - start[0] >= _LONGEST:
        _refuse(text, place, piece, f"more than {_LONGEST} residues")
    residues: tuple[ResidueId, ...] = ()
    if start == stop:
        residues = (ResidueId(chain=chain, number=start[0], insertion_code=start[1]),)
    elif not start[1] and not stop[1]:
        inner = [ResidueId(chain=chain, number=n, with_insertions=True) for n in range(start[0], stop[0])]
        residues = (*inner, ResidueId(chain=chain, number=stop[0]))
    elif start[0] == stop[0] and start[1]:
        codes = map(chr, range(ord(start[1]), ord(stop[1]) + 1))
        residues = tuple(ResidueId(chain=chain, number=start[0], insertion_code=code) for code in codes)
    return FixedSegment(
        chain=chain, start=start[0], stop=stop[0], start_insertion_code=start[1], stop_insertion_code=stop[1],
        group=group, residues=residues,
    )  # fmt: skip


def _refuse(text: str, place: int, piece: str, message: str) -> NoReturn:
    marked = f"{text[:place]}>>>{piece}<<<{text[place + len(piece) :]}"
    raise InputError(f"{message}, at character {place + 1} of {marked}", key="contigs", found=piece)


def parse_residues(text: str, key: str) -> tuple[ResidueId, ...]:
    """Reads a list of residues such as ``A45,A67-70``; raises InputError under the name ``key``.

    >>> [str(residue) for residue in parse_residues("A45, A67-68", "hotspots")]
    ['A45', 'A67', 'A68']
    """
    found: dict[ResidueId, None] = {}
    for word in re.split(r"\s*,\s*|\s+", text.strip("[] '\"\t\n")):
        try:
            segment = _parse_segment(word, 0, word) if word else None
        except InputError:
            segment = None
        if not isinstance(segment, FixedSegment) or not segment.residues or "@" in word:
            raise InputError("this names no residue", key=key, found=word, allowed="such as A45,A67-70")
        for residue in segment.residues:
            if residue in found:
                raise InputError("the residue is named twice", key=key, found=str(residue))
            found[residue] = None
    return tuple(found)


def parse_stretches(text: str, key: str) -> tuple[FixedSegment, ...]:
    """Reads stretches of a structure such as ``A45/A60-62/B7@2``; raises InputError under the name ``key``.

    >>> [str(stretch) for stretch in parse_stretches("A45, A60-62", "unindexed")]
    ['A45', 'A60-62']
    """
    found: list[FixedSegment] = []
    for word in re.split(r"\s*[,/]\s*|\s+", text.strip("[] '\"\t\n")):
        try:
            segment = _parse_segment(word, 0, word) if word else None
        except InputError:
            segment = None
        if not isinstance(segment, FixedSegment) or segment.start is None:
            raise InputError("this is no stretch of a structure", key=key, found=word, allowed="such as A45/A60-62")
        found.append(segment)
    Contigs(chains=(tuple(found),)).refuse_overlaps(text)
    return tuple(found)

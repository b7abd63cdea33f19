"""Contig strings: which stretches of a design come from a known structure and how many new residues lie between.

The grammar is RFdiffusion's: ``10-40/A163-181/10-40 B1-100`` means 10 to 40 new residues, residues 163 to 181 of chain
A, 10 to 40 new residues; then, as a second chain, residues 1 to 100 of chain B. ``/0`` before a blank may mark the
chain break. One suffix is added: ``A163-181@2`` puts a stretch into motif group 2, and the pose of each group relative
to the others is free.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import NoReturn

import numpy as np

from structdiff.errors import InputError
from structdiff.spec.complex import chain_letters
from structdiff.spec.lengths import LengthRange, format_length, sample_rows

_FREE = re.compile(r"(\d+)(?:-(\d+))?")
_NUMBER = r"(-?\d+)([A-Za-z]?)"
_CHAIN = r"(?:([A-Za-z]+)|(\w+):)"
_RANGE = re.compile(rf"{_CHAIN}{_NUMBER}-(?:([A-Za-z]+):?)?{_NUMBER}")
_SINGLE = re.compile(rf"{_CHAIN}{_NUMBER}")
_WHOLE = re.compile(r"([A-Za-z]+)|(\w+):")
_LONGEST = 100_000
#: Stands, as the only stretch of a chain, for all chains of a structure, each as a chain of the design.
EVERY_CHAIN = "*"


@dataclass(frozen=True, kw_only=True, order=True)
class ResidueId:
    """A residue of a file as its author numbered it: chain, number, insertion code."""

    chain: str
    number: int
    insertion_code: str = ""

    def __str__(self) -> str:
        mark = "" if self.chain.isalpha() else ":"
        return f"{self.chain}{mark}{self.number}{self.insertion_code}"


@dataclass(frozen=True, kw_only=True)
class FreeSegment:
    """New residues to design: at least ``minimum`` and at most ``maximum`` of them.

    ``instead_of`` are the residues of a known structure whose place they take, where they take any.
    """

    minimum: int
    maximum: int
    instead_of: tuple[ResidueId, ...] = ()

    def __str__(self) -> str:
        return str(self.minimum) if self.minimum == self.maximum else f"{self.minimum}-{self.maximum}"


@dataclass(frozen=True, kw_only=True)
class FixedSegment:
    """A stretch of a known structure, both ends included; without ends it is the whole chain.

    ``residues`` are the residues that the stretch stands for: empty until `Contigs.resolve` has seen the structure
    where only that can tell (whole chains, insertion codes). ``group`` is the motif group, counted from 1.
    """

    chain: str
    start: int | None = None
    stop: int | None = None
    start_insertion_code: str = ""
    stop_insertion_code: str = ""
    group: int = 1
    residues: tuple[ResidueId, ...] = ()

    @property
    def name(self) -> str:
        """The stretch as it is written in a contig string, without its group."""
        mark = "" if self.chain.isalpha() else ":"
        if self.start is None:
            return f"{self.chain}{mark}" if self.chain != EVERY_CHAIN else EVERY_CHAIN
        first = f"{self.chain}{mark}{self.start}{self.start_insertion_code}"
        last = f"{self.stop}{self.stop_insertion_code}"
        return first if (self.start, self.start_insertion_code) == (self.stop, self.stop_insertion_code) else (
            f"{first}-{last}"
        )  # fmt: skip

    def __str__(self) -> str:
        return self.name if self.group == 1 else f"{self.name}@{self.group}"


Segment = FreeSegment | FixedSegment


@dataclass(frozen=True, kw_only=True)
class Contigs:
    """The chains of a design, each a row of fixed and free stretches. `str()` gives the contig string back.

    ``asked`` is that string where stretches were exchanged for new residues since. ``reserved``: names that no new
    chain may have.
    """

    chains: tuple[tuple[Segment, ...], ...]
    asked: str | None = field(default=None, compare=False)
    reserved: tuple[str, ...] = field(default=(), compare=False)

    def __str__(self) -> str:
        if self.asked is not None:
            return self.asked
        return " ".join("/".join(map(str, chain)) for chain in self.chains)

    @property
    def segments(self) -> tuple[Segment, ...]:
        """All stretches of all chains in order."""
        return tuple(segment for chain in self.chains for segment in chain)

    @property
    def fixed(self) -> tuple[FixedSegment, ...]:
        """The stretches that come from a known structure."""
        return tuple(segment for segment in self.segments if isinstance(segment, FixedSegment))

    @property
    def is_resolved(self) -> bool:
        """Whether every fixed stretch knows its residues."""
        return all(segment.residues for segment in self.fixed)

    @property
    def chain_ids(self) -> tuple[str, ...]:
        """The names of the design's chains.

        A chain made wholly of one source chain, in rising order, keeps that chain's name; the others are called
        A, B, ... in order, leaving out the names that are kept or reserved.
        """
        kept: dict[int, str] = {}
        for place, chain in enumerate(self.chains):
            source = kept_chain(chain)
            if source is not None and source not in kept.values():
                kept[place] = source
        free = (name for name in chain_letters() if name not in (*kept.values(), *self.reserved))
        return tuple(kept[place] if place in kept else next(free) for place in range(len(self.chains)))

    @property
    def designed_chain_ids(self) -> tuple[str, ...]:
        """The names of the chains that hold new residues."""
        return tuple(name for name, chain in zip(self.chain_ids, self.chains, strict=True) if not is_fixed(chain))

    def length_range(self) -> LengthRange:
        """The least and greatest total length of the chains that hold new residues.

        Chains that are wholly fixed, such as the target of a binder, are not counted, as in RFdiffusion.
        """
        low = high = 0
        for segment in (segment for chain in self.chains if not is_fixed(chain) for segment in chain):
            if isinstance(segment, FreeSegment):
                low, high = low + segment.minimum, high + segment.maximum
            else:
                low, high = low + _known_length(segment), high + _known_length(segment)
        return low, high

    def resolve(self, residues: Iterable[ResidueId]) -> Contigs:
        """Looks up every fixed stretch in the residues of a structure, given in the structure's order.

        Raises InputError when a chain or residue is not there or a stretch has gaps (the gaps are named), and when two
        stretches share a residue.
        """
        by_chain: dict[str, list[ResidueId]] = {}
        for residue in residues:
            by_chain.setdefault(residue.chain, []).append(residue)
        rows = [each for row in self.chains for each in _expanded(row, by_chain)]
        resolved = Contigs(
            chains=tuple(
                tuple(_resolved(segment, by_chain) if isinstance(segment, FixedSegment) else segment for segment in row)
                for row in rows
            ),
            asked=self.asked if rows == list(self.chains) else str(self),
        )
        resolved._refuse_overlaps(str(resolved))
        return resolved

    def expanded(self, residues: Iterable[ResidueId]) -> Contigs:
        """The same contigs with a chain for each chain of the structure where they stand for all of them."""
        chains = dict.fromkeys(residue.chain for residue in residues)
        rows = tuple(each for row in self.chains for each in _expanded(row, chains))
        return Contigs(chains=rows, asked=str(self))

    def sample_lengths(self, rng: np.random.Generator, length: LengthRange | None = None) -> tuple[int, ...]:
        """Draws the length of each free stretch, all combinations with an allowed total being equally likely.

        ``length`` bounds the total of the designed chains. Raises InputError with the possible range when no
        combination fits.
        """
        low, high = self.length_range()
        wanted_low, wanted_high = length if length is not None else (low, high)
        if max(low, wanted_low) > min(high, wanted_high):
            raise InputError(
                "the contigs cannot reach this length", key="length", found=format_length((wanted_low, wanted_high)),
                allowed=f"{format_length((low, high))} residues in the designed chains",
            )  # fmt: skip
        free = [segment for segment in self.segments if isinstance(segment, FreeSegment)]
        spans = [segment.maximum - segment.minimum for segment in free]
        extra = sample_rows(spans, max(0, wanted_low - low), min(high, wanted_high) - low, rng)
        return tuple(segment.minimum + more for segment, more in zip(free, extra, strict=True))

    def _refuse_overlaps(self, text: str) -> None:
        seen: dict[ResidueId, FixedSegment] = {}
        whole: dict[str, FixedSegment] = {}
        for segment in self.fixed:
            clash = whole.get(segment.chain)
            if segment.start is None and not segment.residues:
                clash = clash or next((other for other in seen.values() if other.chain == segment.chain), None)
                whole[segment.chain] = segment
            clash = next((seen[residue] for residue in segment.residues if residue in seen), clash)
            if clash is not None:
                raise InputError(f"{clash.name} and {segment.name} share residues", key="contigs", found=text,
                                 allowed="each residue of the motif once")  # fmt: skip
            seen.update(dict.fromkeys(segment.residues, segment))


def every_chain() -> Contigs:
    """Contigs that stand for all chains of a structure."""
    return Contigs(chains=((FixedSegment(chain=EVERY_CHAIN),),))


def is_fixed(chain: Sequence[Segment]) -> bool:
    """Whether a chain of the contigs holds no new residues."""
    return all(isinstance(segment, FixedSegment) for segment in chain)


def kept_chain(chain: Sequence[Segment]) -> str | None:
    """The source chain whose name and numbering a chain of the contigs keeps, or None."""
    sources, starts = set(), []
    for segment in chain:
        if isinstance(segment, FixedSegment):
            sources.add(segment.chain)
            starts += [] if segment.start is None else [segment.start]
        elif len(segment.instead_of) == segment.minimum == segment.maximum:
            sources.add(segment.instead_of[0].chain)
            starts.append(segment.instead_of[0].number)
        else:
            return None
    rising = all(before < after for before, after in pairwise(starts))
    return sources.pop() if rising and len(sources) == 1 else None


def _expanded(row: tuple[Segment, ...], by_chain: Iterable[str]) -> list[tuple[Segment, ...]]:
    """Chains for a row that stands for every chain of the structure, else the row itself."""
    if not any(isinstance(segment, FixedSegment) and segment.chain == EVERY_CHAIN for segment in row):
        return [row]
    return [(replace(segment, chain=chain),) for chain in by_chain for segment in row]  # type: ignore[arg-type]


def _known_length(segment: FixedSegment) -> int:
    if not segment.residues:
        raise InputError(f"the length of {segment.name} is known only once the motif is read", key="contigs")
    return len(segment.residues)


def _resolved(segment: FixedSegment, by_chain: Mapping[str, list[ResidueId]]) -> FixedSegment:
    present = by_chain.get(segment.chain)
    if not present:
        raise InputError(f"the motif has no chain {segment.chain!r} for {segment.name}", key="contigs",
                         found=segment.chain, allowed=list(by_chain), suggest_from=by_chain)  # fmt: skip
    if segment.start is None or segment.stop is None:
        return replace(segment, residues=tuple(present))
    first = ResidueId(chain=segment.chain, number=segment.start, insertion_code=segment.start_insertion_code)
    last = ResidueId(chain=segment.chain, number=segment.stop, insertion_code=segment.stop_insertion_code)
    for end in (first, last):
        if end not in present:
            numbers = [residue.number for residue in present]
            raise InputError(
                f"the motif has no residue {end} for {segment.name}", key="contigs", found=str(end),
                allowed=f"residues of chain {segment.chain} from {min(numbers)} to {max(numbers)} that are in the file",
            )  # fmt: skip
    start, stop = present.index(first), present.index(last)
    taken = tuple(present[start : stop + 1])
    numbers = {residue.number for residue in taken}
    gaps = _ranges(sorted(set(range(segment.start, segment.stop + 1)) - numbers))
    if gaps:
        raise InputError(
            f"residues are missing from the motif inside {segment.name}; split it there and bridge the gap with new "
            "residues", key="contigs", found=f"no {segment.chain}{f', {segment.chain}'.join(gaps)}",
        )  # fmt: skip
    return replace(segment, residues=taken)


def _ranges(numbers: Sequence[int]) -> list[str]:
    ranges: list[str] = []
    start = 0
    for place in range(1, len(numbers) + 1):
        if place == len(numbers) or numbers[place] != numbers[place - 1] + 1:
            first, last = numbers[start], numbers[place - 1]
            ranges.append(str(first) if first == last else f"{first}-{last}")
            start = place
    return ranges


def parse_contigs(text: str) -> Contigs:
    """Reads a contig string such as ``10-40/A163-181/10-40 B1-100``; raises InputError that names the wrong piece.

    >>> contigs = parse_contigs("[10-40/A163-181/10-40/0 B1-100]")
    >>> contigs.chain_ids, str(contigs)
    (('A', 'B'), '10-40/A163-181/10-40 B1-100')
    """
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
    contigs._refuse_overlaps(text)
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
    if match := _RANGE.fullmatch(body):
        letters, named, start, start_code, again, stop, stop_code = match.groups()
        chain = letters or named
        if again and again != chain:
            _refuse(text, place, piece, f"a stretch lies within one chain, not {chain} and {again}")
        return _fixed_segment(text, place, piece, chain, (int(start), start_code), (int(stop), stop_code), group)
    if match := _SINGLE.fullmatch(body):
        letters, named, start, start_code = match.groups()
        end = (int(start), start_code)
        return _fixed_segment(text, place, piece, letters or named, end, end, group)
    _refuse(text, place, piece, "this is no stretch: write 10-40 or 15 (new residues), A163-181, A5 or B (motif)")


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
        _refuse(text, place, piece, f"the range is reversed: write {chain}{stop[0]}{stop[1]}-{start[0]}{start[1]}")
    if stop[0] - start[0] >= _LONGEST:
        _refuse(text, place, piece, f"more than {_LONGEST} residues")
    residues: tuple[ResidueId, ...] = ()
    if start == stop:
        residues = (ResidueId(chain=chain, number=start[0], insertion_code=start[1]),)
    elif not start[1] and not stop[1]:
        residues = tuple(ResidueId(chain=chain, number=number) for number in range(start[0], stop[0] + 1))
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
    Contigs(chains=(tuple(found),))._refuse_overlaps(text)
    return tuple(found)

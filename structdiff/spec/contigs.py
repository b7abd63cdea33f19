"""Contigs: which stretches of a design come from a known structure and how many new residues lie between."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

import numpy as np

from structdiff.errors import InputError
from structdiff.spec.chain import chain_letters
from structdiff.spec.lengths import LengthRange, format_length, sample_rows

#: What a chain may be called where a colon ends its name, as a pattern: all but the marks of the grammar itself.
CHAIN_NAME = r"[^\s/,:@=*\[\]'\"]+"
#: Stands, as the only stretch of a chain, for all chains of a structure, each as a chain of the design.
EVERY_CHAIN = "*"


def chain_prefix(chain: str) -> str:
    """A chain's name as it stands before a number: with a colon, unless it is of letters alone.

    >>> chain_prefix("B"), chain_prefix("A-2")
    ('B', 'A-2:')
    """
    return chain if chain.isascii() and chain.isalpha() else f"{chain}:"


@dataclass(frozen=True, kw_only=True, order=True)
class ResidueId:
    """A residue of a file as its author numbered it: chain, number, insertion code.

    ``with_insertions``: it stands for those of its number with insertion codes too, being inside a stretch.
    """

    chain: str
    number: int
    insertion_code: str = ""
    with_insertions: bool = field(default=False, compare=False, repr=False)

    def __str__(self) -> str:
        return f"{chain_prefix(self.chain)}{self.number}{self.insertion_code}"


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
    where only that can tell (whole chains, insertion codes); ``is_read`` says that they are the structure's, which may
    have residues with insertion codes between those that are numbered. ``group`` is the motif group, counted from 1.
    """

    chain: str
    start: int | None = None
    stop: int | None = None
    start_insertion_code: str = ""
    stop_insertion_code: str = ""
    group: int = 1
    residues: tuple[ResidueId, ...] = ()
    is_read: bool = field(default=False, compare=False, repr=False)

    @property
    def name(self) -> str:
        """The stretch as it is written in a contig string, without its group."""
        if self.start is None:
            return chain_prefix(self.chain) if self.chain != EVERY_CHAIN else EVERY_CHAIN
        first = f"{chain_prefix(self.chain)}{self.start}{self.start_insertion_code}"
        last = f"{self.stop}{self.stop_insertion_code}"
        return first if self.is_single else f"{first}-{last}"

    @property
    def is_single(self) -> bool:
        """Whether it names one residue."""
        return self.start is not None and (self.start, self.start_insertion_code) == (
            self.stop, self.stop_insertion_code
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
        ranges = self.chain_length_ranges().values()
        return sum(low for low, _ in ranges), sum(high for _, high in ranges)

    def chain_length_ranges(self, length: LengthRange | None = None) -> dict[str, LengthRange]:
        """The least and greatest length of each chain that holds new residues. ``length`` bounds their total."""
        found = {}
        for name, chain in zip(self.chain_ids, self.chains, strict=True):
            if not is_fixed(chain):
                low = high = 0
                for segment in chain:
                    if isinstance(segment, FreeSegment):
                        low, high = low + segment.minimum, high + segment.maximum
                    else:
                        low, high = low + _known_length(segment), high + _known_length(segment)
                found[name] = (low, high)
        if length is None:
            return found
        least, most = sum(low for low, _ in found.values()), sum(high for _, high in found.values())
        return {
            name: (max(low, length[0] - (most - high)), min(high, length[1] - (least - low)))
            for name, (low, high) in found.items()
        }

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
        resolved.refuse_overlaps(str(resolved))
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

    def refuse_overlaps(self, text: str) -> None:
        """Raises InputError where a residue of the structure is named twice; text: what was read.

        Whether a single residue of a chain that is named whole exists is left to `resolve`: it may be the name of
        another chain, A-2 of an assembly.
        """
        seen: dict[ResidueId, FixedSegment] = {}
        whole: dict[str, FixedSegment] = {}
        for segment in self.fixed:
            clash = whole.get(segment.chain)
            if segment.start is None and not segment.residues:
                others = (other for other in seen.values() if other.chain == segment.chain)
                clash = clash or next((other for other in others if other.is_read or not other.is_single), None)
                whole[segment.chain] = segment
            elif segment.is_single and not segment.is_read:
                clash = None
            clash = next((seen[residue] for residue in segment.residues if residue in seen), clash)
            if clash is not None:
                raise InputError(f"{clash.name} and {segment.name} share residues", key="contigs", found=text,
                                 allowed="each residue of the motif once")  # fmt: skip
            seen.update(dict.fromkeys(segment.residues, segment))


def every_chain() -> Contigs:
    """Contigs that stand for all chains of a structure."""
    return Contigs(chains=((FixedSegment(chain=EVERY_CHAIN),),))


def one_chain(length: LengthRange) -> Contigs:
    """Contigs of one new chain of so many residues."""
    return Contigs(chains=((FreeSegment(minimum=length[0], maximum=length[1]),),))


def is_fixed(chain: Sequence[Segment]) -> bool:
    """Whether a chain of the contigs holds no new residues."""
    return all(isinstance(segment, FixedSegment) for segment in chain)


def kept_chain(chain: Sequence[Segment]) -> str | None:
    """The source chain whose name and numbering a chain of the contigs keeps, or None."""
    sources, starts = set(), []
    for segment in chain:
        if isinstance(segment, FixedSegment):
            sources.add(segment.chain)
            starts += [] if segment.start is None else [(segment.start, segment.start_insertion_code)]
        elif len(segment.instead_of) == segment.minimum == segment.maximum:
            first = segment.instead_of[0]
            sources.add(first.chain)
            starts.append((first.number, first.insertion_code))
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
                         found=segment.chain, allowed=list(by_chain) + _meant_chain(segment, by_chain),
                         suggest_from=by_chain)  # fmt: skip
    if segment.start is None or segment.stop is None:
        return replace(segment, residues=tuple(present), is_read=True)
    first = ResidueId(chain=segment.chain, number=segment.start, insertion_code=segment.start_insertion_code)
    last = ResidueId(chain=segment.chain, number=segment.stop, insertion_code=segment.stop_insertion_code)
    for end in (first, last):
        if end not in present:
            numbers = [residue.number for residue in present]
            there = f"residues of chain {segment.chain} from {min(numbers)} to {max(numbers)} that are in the file"
            raise InputError(
                f"the motif has no residue {end} for {segment.name}", key="contigs", found=str(end),
                allowed=[there, *_meant_chain(segment, by_chain)],
            )  # fmt: skip
    start, stop = present.index(first), present.index(last)
    if start > stop:
        raise InputError(f"the structure has these residues the other way round, {last} before {first}", key="contigs",
                         found=segment.name, allowed="/".join(map(str, present[stop : start + 1])))  # fmt: skip
    taken = tuple(present[start : stop + 1])
    numbers = {residue.number for residue in taken}
    gaps = _ranges(sorted(set(range(segment.start, segment.stop + 1)) - numbers))
    if gaps:
        raise InputError(
            f"residues are missing from the motif inside {segment.name}; split it there and bridge the gap with new "
            "residues", key="contigs", found=f"no {', '.join(chain_prefix(segment.chain) + gap for gap in gaps)}",
        )  # fmt: skip
    return replace(segment, residues=taken, is_read=True)


def _meant_chain(segment: FixedSegment, by_chain: Iterable[str]) -> list[str]:
    """How to write the chain that has the very name of what was read as a residue."""
    return [f"{segment.name}: for the chain {segment.name}"] if segment.name in by_chain else []


def with_insertions(chosen: Sequence[ResidueId], present: Sequence[ResidueId]) -> tuple[ResidueId, ...]:
    """The residues with those of the structure that stand inside the same stretches under insertion codes."""
    found: dict[ResidueId, None] = {}
    for residue in chosen:
        alike = [each for each in present if (each.chain, each.number) == (residue.chain, residue.number)]
        found |= dict.fromkeys(alike if residue.with_insertions and alike else [residue])
    return tuple(found)


def _ranges(numbers: Sequence[int]) -> list[str]:
    ranges: list[str] = []
    start = 0
    for place in range(1, len(numbers) + 1):
        if place == len(numbers) or numbers[place] != numbers[place - 1] + 1:
            first, last = numbers[start], numbers[place - 1]
            ranges.append(str(first) if first == last else f"{first}-{last}")
            start = place
    return ranges

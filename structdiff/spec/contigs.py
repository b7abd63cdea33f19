"""Contigs: which stretches of a design come from a known structure and how many new residues lie between."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from structdiff.errors import InputError
from structdiff.spec.chain import chain_letters
from structdiff.spec.lengths import LengthRange, format_length, sample_rows
from structdiff.spec.segment_residues import expanded_row, resolved_segment
from structdiff.spec.segments import EVERY_CHAIN, FixedSegment, FreeSegment, ResidueId, Segment


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
        rows = [each for row in self.chains for each in expanded_row(row, by_chain)]
        resolved = Contigs(
            chains=tuple(
                tuple(
                    resolved_segment(segment, by_chain) if isinstance(segment, FixedSegment) else segment
                    for segment in row
                )
                for row in rows
            ),
            asked=self.asked if rows == list(self.chains) else str(self),
        )
        resolved.refuse_overlaps(str(resolved))
        return resolved

    def expanded(self, residues: Iterable[ResidueId]) -> Contigs:
        """The same contigs with a chain for each chain of the structure where they stand for all of them."""
        chains = dict.fromkeys(residue.chain for residue in residues)
        rows = tuple(each for row in self.chains for each in expanded_row(row, chains))
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


def _known_length(segment: FixedSegment) -> int:
    if not segment.residues:
        raise InputError(f"the length of {segment.name} is known only once the motif is read", key="contigs")
    return len(segment.residues)

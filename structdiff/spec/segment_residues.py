"""Which residues of a structure the stretches of contigs stand for, and what is said where it has not got them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise

from structdiff.errors import InputError
from structdiff.spec.segments import EVERY_CHAIN, FixedSegment, ResidueId, Segment, chain_prefix


def expanded_row(row: tuple[Segment, ...], by_chain: Iterable[str]) -> list[tuple[Segment, ...]]:
    """Chains for a row that stands for every chain of the structure, else the row itself."""
    if not any(isinstance(segment, FixedSegment) and segment.chain == EVERY_CHAIN for segment in row):
        return [row]
    return [(replace(segment, chain=chain),) for chain in by_chain for segment in row]  # type: ignore[arg-type]


def resolved_segment(segment: FixedSegment, by_chain: Mapping[str, list[ResidueId]]) -> FixedSegment:
    """The stretch with the residues that it stands for; raises InputError where the structure has not got them all."""
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
    gaps = _ranges(sorted(skipped_numbers(taken, bonded=False) - {residue.number for residue in taken}))
    if gaps:
        raise InputError(
            f"residues are missing from the motif inside {segment.name}; split it there and bridge the gap with new "
            "residues", key="contigs", found=f"no {', '.join(chain_prefix(segment.chain) + gap for gap in gaps)}",
        )  # fmt: skip
    return replace(segment, residues=taken, is_read=True)


def _meant_chain(segment: FixedSegment, by_chain: Iterable[str]) -> list[str]:
    """How to write the chain that has the very name of what was read as a residue."""
    return [f"{segment.name}: for the chain {segment.name}"] if segment.name in by_chain else []


def skipped_numbers(residues: Sequence[ResidueId], *, bonded: bool) -> set[int]:
    """The numbers left out between neighbours of a chain that are bonded to each other, or that are not."""
    pairs = [(before, after) for before, after in pairwise(residues) if after.bonded == bonded]
    return {number for before, after in pairs for number in range(before.number + 1, after.number)}


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

"""Parts of a known structure built anew: loops to be inpainted, and what partial diffusion begins with."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from structdiff.errors import InputError
from structdiff.spec.contig_grammar import parse_contigs
from structdiff.spec.contigs import Contigs, is_fixed
from structdiff.spec.lengths import LengthRange, format_length, parse_length
from structdiff.spec.segment_residues import skipped_numbers
from structdiff.spec.segments import FixedSegment, FreeSegment, ResidueId, Segment

#: The word that stands for every stretch of numbers that a chain leaves out.
GAPS = "gaps"
#: The word that stands for every residue.
ALL = "all"


@dataclass(frozen=True, kw_only=True)
class Loop:
    """A stretch of a structure that is built anew, both ends included; ``length`` None: as long as its numbers say."""

    stretch: FixedSegment
    length: LengthRange | None = None

    def __str__(self) -> str:
        if self.length is not None:
            return f"{self.stretch.name}:{format_length(self.length)}"
        # A colon after the chain could be read as that before a length.
        return f"{self.stretch.name}:" if ":" in self.stretch.name else self.stretch.name


@dataclass(frozen=True, kw_only=True)
class Noise:
    """How far partial diffusion goes back: to a noise level (``sigma`` in Å), or by a ``share`` of the steps."""

    sigma: float | None = None
    share: float | None = None

    def __str__(self) -> str:
        return f"{100 * self.share:g}%" if self.share is not None else f"{self.sigma:g}"


def parse_noise(text: str) -> Noise:
    """Reads ``8`` (Å) or ``40%`` (of the steps); raises InputError.

    >>> parse_noise("40%"), str(parse_noise("8.0"))
    (Noise(sigma=None, share=0.4), '8')
    """
    word = text.strip()
    number = word[:-1] if word.endswith("%") else word
    try:
        value = float(number)
    except ValueError:
        value = math.nan
    largest = 100.0 if word.endswith("%") else 1000.0
    if not 0 < value <= largest:
        raise InputError("how much noise to add", key="noise", found=text, allowed="8 (Å) or 40% (of the steps), say")
    return Noise(share=value / 100) if word.endswith("%") else Noise(sigma=value)


def parse_loops(text: str) -> tuple[Loop | str, ...]:
    """Reads ``A20-30, B5-9:8-14, gaps``; raises InputError.

    >>> [str(each) for each in parse_loops("A20-30, B5:8-14")]
    ['A20-30', 'B5:8-14']
    """
    found: list[Loop | str] = []
    for word in re.split(r"\s*,\s*|\s+", text.strip("[] '\"\t\n")):
        if word.lower() == GAPS:
            found.append(GAPS)
            continue
        name, length = _stretch_and_length(word)
        stretches = _stretches(name, "inpaint", word)
        if len(stretches) != 1 or stretches[0].start is None or stretches[0].group != 1:
            raise InputError("this is no stretch of a structure", key="inpaint", found=word,
                             allowed="A20-30, A20-30:8-14 for another length, or gaps")  # fmt: skip
        found.append(Loop(stretch=stretches[0], length=parse_length(length) if length else None))
    return tuple(found)


def _stretch_and_length(word: str) -> tuple[str, str]:
    """``A20-30:8-14`` in its parts. A chain may end in a colon too: ``1:20-30``, ``A-2:20-30:8-14``, ``A-2:20-30:``."""
    name, mark, length = word.rpartition(":")
    if not mark:
        return word, ""
    if not length or ":" in name or any(each.start is not None for each in _stretches_or_none(name)):
        return name, length
    return word, ""


def parse_part(text: str, key: str) -> tuple[FixedSegment, ...] | str:
    """Reads stretches and whole chains, ``A20-30, B``, or the word ``all``; raises InputError under ``key``."""
    return ALL if text.strip().lower() == ALL else parse_kept(text, key)


def parse_kept(text: str, key: str) -> tuple[FixedSegment, ...]:
    """Reads stretches and whole chains, ``A20-30, B``; raises InputError under ``key``."""
    words = re.split(r"\s*,\s*|\s+", text.strip("[] '\"\t\n"))
    return tuple(each for word in words for each in _stretches(word, key))


def _stretches(word: str, key: str, shown: str | None = None) -> tuple[FixedSegment, ...]:
    found = _stretches_or_none(word)
    if not found:
        raise InputError("this names no part of a structure", key=key, found=shown or word, allowed="A20-30, B, say")
    return found


def _stretches_or_none(word: str) -> tuple[FixedSegment, ...]:
    """Stretches and whole chains, none where the text is something else."""
    try:
        segments = parse_contigs(word).segments if word else ()
    except InputError:
        return ()
    found = tuple(segment for segment in segments if isinstance(segment, FixedSegment))
    return found if len(found) == len(segments) else ()


def inside(residue: ResidueId, part: Sequence[FixedSegment] | str) -> bool:
    """Whether a residue belongs to one of some stretches, or to ``all``."""
    if isinstance(part, str):
        return True
    return any(each.chain == residue.chain and (each.start is None or _within(residue, each)) for each in part)


def without_loops(contigs: Contigs, loops: Sequence[Loop | str], present: Sequence[ResidueId]) -> Contigs:
    """Contigs in which new residues stand in place of each loop; ``present`` are the residues of the structure.

    Raises InputError for a loop that the contigs do not keep, and for gaps that are left in a chain built anew.
    """
    named = [each for each in loops if isinstance(each, Loop)]
    chains = [[_known(segment, present) for segment in row] for row in contigs.chains]
    for loop in named:
        chains, done = _cut(chains, loop)
        if not done:
            name = loop.stretch.name
            meant = [f"{loop}: for the chain {name}"] if any(each.chain == name for each in present) else []
            kept = _spans(each for row in chains for each in row if isinstance(each, FixedSegment))
            raise InputError("the loop is not part of what is kept", key="inpaint", found=str(loop),
                             allowed=[*kept, *meant])  # fmt: skip
    closed = [_closed(row, fill=GAPS in loops) for row in chains]
    changed = Contigs(chains=tuple(tuple(row) for row in closed), asked=str(contigs))
    if all(is_fixed(row) for row in changed.chains):
        raise InputError("the structure has no gaps", key="inpaint", found=GAPS)
    return changed


def _spans(stretches: Iterable[FixedSegment]) -> list[str]:
    """From which residue of the structure to which each stretch reaches."""
    return [f"{each.residues[0]} to {each.residues[-1]}" for each in stretches]


def begun(contigs: Contigs, hold: Sequence[FixedSegment]) -> Contigs:
    """Contigs in which what is not held is new, and begins where the structure has it.

    Raises InputError where nothing is left to change, and for a stretch to be held that the contigs do not keep.
    """
    kept = [residue for segment in contigs.fixed for residue in segment.residues]
    for each in hold:
        if not any(inside(residue, (each,)) for residue in kept):
            raise InputError("what is to be held is not part of the contigs", key="hold", found=str(each),
                             allowed=_spans(contigs.fixed))  # fmt: skip
        _check_ends(each, kept, "hold")
    if all(inside(residue, hold) for residue in kept) and all(is_fixed(row) for row in contigs.chains):
        raise InputError(
            "all is held: nothing is left to change",
            key="hold",
            found=", ".join(map(str, hold)),
        )
    chains = tuple(tuple(each for segment in row for each in _begun(segment, hold)) for row in contigs.chains)
    return Contigs(chains=chains, asked=str(contigs))


def check_kept(contigs: Contigs, keep_sequence: Sequence[FixedSegment] | str) -> None:
    """Raises InputError for a stretch whose types are to be kept, and of which nothing begins where it was."""
    begun = [
        residue for segment in contigs.segments if not isinstance(segment, FixedSegment)
        for residue in segment.instead_of
    ]  # fmt: skip
    held = [residue for segment in contigs.fixed for residue in segment.residues]
    for each in () if isinstance(keep_sequence, str) else keep_sequence:
        if not any(inside(residue, (each,)) for residue in begun):
            raise InputError("none of it is in the contigs and free to change", key="keep_sequence", found=str(each),
                             allowed="residues that are not held")  # fmt: skip
        _check_ends(each, [*begun, *held], "keep_sequence")


def _check_ends(stretch: FixedSegment, there: Sequence[ResidueId], key: str) -> None:
    """Raises InputError for a stretch that begins or ends at no residue of the structure."""
    if stretch.start is None or stretch.stop is None:
        return
    for number, code in (
        (stretch.start, stretch.start_insertion_code), (stretch.stop, stretch.stop_insertion_code)
    ):  # fmt: skip
        end = ResidueId(chain=stretch.chain, number=number, insertion_code=code)
        if end not in there:
            own = [residue for residue in there if residue.chain == end.chain]
            raise InputError(f"the contigs have no residue {end} for {stretch}", key=key, found=str(stretch),
                             allowed=f"residues from {own[0]} to {own[-1]} that are in the file")  # fmt: skip


def _begun(segment: Segment, hold: Sequence[FixedSegment]) -> list[Segment]:
    if not isinstance(segment, FixedSegment):
        return [segment]
    found: list[Segment] = []
    run: list[ResidueId] = []
    for place, residue in enumerate(segment.residues):
        run.append(residue)
        held = inside(residue, hold)
        last = place + 1 == len(segment.residues)
        if last or inside(segment.residues[place + 1], hold) != held:
            found.append(_fixed(segment, run) if held else _new(run))
            run = []
    return found


def _known(segment: Segment, present: Sequence[ResidueId]) -> Segment:
    """The stretch with those of its residues that are there; gaps may be what is asked to be filled."""
    if not isinstance(segment, FixedSegment):
        return segment
    there = tuple(residue for residue in present if inside(residue, (segment,)))
    if not there:
        raise InputError(f"the structure has no residues for {segment.name}", key="contigs", found=segment.name)
    return replace(segment, residues=there)


def _cut(chains: list[list[Segment]], loop: Loop) -> tuple[list[list[Segment]], bool]:
    done = False
    result: list[list[Segment]] = []
    for row in chains:
        pieces: list[Segment] = []
        for segment in row:
            if isinstance(segment, FixedSegment) and not done and _holds(segment, loop.stretch):
                pieces += _split(segment, loop)
                done = True
            else:
                pieces.append(segment)
        result.append(pieces)
    return result, done


def _holds(segment: FixedSegment, stretch: FixedSegment) -> bool:
    if segment.chain != stretch.chain:
        return False
    if any(_within(residue, stretch) for residue in segment.residues):
        return True
    # A loop that was not seen at all stands at the stretch that ends where it begins.
    start, stop = stretch.start or 0, stretch.stop or 0
    numbers = [residue.number for residue in segment.residues]
    return start - 1 in numbers or (segment.start is None and numbers[0] < start and stop < numbers[-1])


def _split(segment: FixedSegment, loop: Loop) -> list[Segment]:
    stretch = loop.stretch
    before = [each for each in segment.residues if _order(each) < (stretch.start or 0, stretch.start_insertion_code)]
    after = [each for each in segment.residues if _order(each) > (stretch.stop or 0, stretch.stop_insertion_code)]
    instead = tuple(each for each in segment.residues if each not in before and each not in after)
    numbers = set(range(stretch.start or 0, (stretch.stop or 0) + 1))
    numbers -= skipped_numbers(segment.residues, bonded=True)
    if not numbers and not loop.length:
        raise InputError("no residue is missing there, the chain goes on: say how many are to come between",
                         key="inpaint", found=str(loop), allowed=f"{loop.stretch.name}:3-5, say")  # fmt: skip
    least, most = loop.length or ((max(len(numbers), len(instead)),) * 2)
    new = FreeSegment(minimum=least, maximum=most, instead_of=instead)
    return [*([_fixed(segment, before)] if before else []), new, *([_fixed(segment, after)] if after else [])]


def _closed(row: Sequence[Segment], *, fill: bool) -> list[Segment]:
    """A chain whose gaps are filled; one that nothing else is done to may keep them, as a binder's target does."""
    found: list[Segment] = []
    for segment in row:
        if not isinstance(segment, FixedSegment):
            found.append(segment)
            continue
        run: list[ResidueId] = []
        for residue in segment.residues:
            missing = residue.number - run[-1].number - 1 if run and not residue.bonded else 0
            if missing > 0 and fill:
                found += [_fixed(segment, run), FreeSegment(minimum=missing, maximum=missing)]
                run = []
            elif missing > 0 and not is_fixed(row):
                raise InputError(f"residues are missing between {run[-1]} and {residue}", key="inpaint",
                                 allowed="gaps among the loops fills them all")  # fmt: skip
            run.append(residue)
        found.append(_fixed(segment, run))
    return found


def _fixed(segment: FixedSegment, run: Sequence[ResidueId]) -> FixedSegment:
    return replace(
        segment, start=run[0].number, stop=run[-1].number, start_insertion_code=run[0].insertion_code,
        stop_insertion_code=run[-1].insertion_code, residues=tuple(run),
    )  # fmt: skip


def _new(run: Sequence[ResidueId]) -> FreeSegment:
    return FreeSegment(minimum=len(run), maximum=len(run), instead_of=tuple(run))


def _within(residue: ResidueId, stretch: FixedSegment) -> bool:
    low = (stretch.start or 0, stretch.start_insertion_code)
    return low <= _order(residue) <= (stretch.stop or 0, stretch.stop_insertion_code)


def _order(residue: ResidueId) -> tuple[int, str]:
    return residue.number, residue.insertion_code

"""The layout of one design: which of its residues are new and which come from where."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby, pairwise
from typing import Any

import numpy as np

from structdiff.errors import InputError
from structdiff.spec.chain import chain_letters
from structdiff.spec.contig_grammar import parse_residues
from structdiff.spec.contigs import Contigs, is_fixed, kept_chain
from structdiff.spec.lengths import LengthRange
from structdiff.spec.segments import FixedSegment, FreeSegment, ResidueId, Segment

_NEW, _MOTIF, _TARGET = "░", "█", "▓"


@dataclass(frozen=True, kw_only=True)
class LayoutResidue:
    """One residue of a design: its chain and number there, where it comes from (None: new), its motif group (0: none).

    ``chain_is_fixed`` says that the whole chain is taken over, as a binder's target is. ``instead_of``: the residue of
    the structure whose place a new one takes; ``keeps_type``: and whose type it keeps.
    """

    chain: str
    number: int
    insertion_code: str = ""
    origin: ResidueId | None = None
    group: int = 0
    chain_is_fixed: bool = False
    instead_of: ResidueId | None = None
    keeps_type: bool = False

    @property
    def id(self) -> ResidueId:
        """Chain, number and insertion code in the design."""
        return ResidueId(chain=self.chain, number=self.number, insertion_code=self.insertion_code)


@dataclass(frozen=True, kw_only=True, repr=False)
class Layout:
    """The residues of one design in order, chain after chain."""

    residues: tuple[LayoutResidue, ...]

    def __len__(self) -> int:
        return len(self.residues)

    def __repr__(self) -> str:
        several = len({residue.group for residue in self.residues if residue.group}) > 1
        chains = (f"{name} {' · '.join(_stretches(row, several))}" for name, row in self.chains.items())
        return f"<Layout: {', '.join(chains)}>"

    def __str__(self) -> str:
        """The picture of 80 columns; raises InputError as `draw` does."""
        return self.draw()

    @property
    def chains(self) -> dict[str, tuple[LayoutResidue, ...]]:
        """The residues of each chain."""
        return {name: tuple(row) for name, row in groupby(self.residues, key=lambda residue: residue.chain)}

    @property
    def designed_length(self) -> int:
        """The number of residues in chains that hold new ones; the contigs' total length counts these."""
        return sum(not residue.chain_is_fixed for residue in self.residues)

    def indices(self, residues: Iterable[ResidueId], key: str) -> tuple[int, ...]:
        """The places in the design (from 0) of residues named as in the motif; raises InputError under ``key``."""
        places = {residue.origin: place for place, residue in enumerate(self.residues) if residue.origin is not None}
        for residue in residues:
            if residue not in places:
                raise InputError("the residue is not part of the contigs", key=key, found=str(residue),
                                 allowed="residues of the motif that the contigs keep")  # fmt: skip
        return tuple(places[residue] for residue in residues)

    def keeping_types(self, chosen: Callable[[ResidueId], bool]) -> Layout:
        """The same layout in which new residues that take the place of chosen ones keep their types."""
        return Layout(
            residues=tuple(
                replace(each, keeps_type=True) if each.instead_of is not None and chosen(each.instead_of) else each
                for each in self.residues
            )
        )

    def with_whole_target(self, contigs: Contigs) -> Layout:
        """The same layout with chains that are taken over as contigs have them, which were not cropped."""
        drawn, found = self.chains, []
        for name, chain in zip(contigs.chain_ids, contigs.chains, strict=True):
            found += _placed(name, chain, iter(())) if is_fixed(chain) else drawn[name]
        more = [residue for name, chain in drawn.items() if name not in contigs.chain_ids for residue in chain]
        return Layout(residues=(*found, *more))

    def residue_map(self, not_drawn: Collection[ResidueId] = ()) -> dict[str, Any]:
        """The map between design and motif, ready for JSON: each residue from the motif with both its names.

        not_drawn: residues of the design, by their own names, that the network did not see.
        """
        rows = [
            {"design": _named(residue.id), "motif": _named(residue.origin), "group": residue.group}
            | ({"drawn": False} if residue.id in not_drawn else {})
            for residue in self.residues
            if residue.origin is not None
        ]
        chains = [
            {
                "chain": name,
                "length": len(row),
                "new": sum(residue.origin is None for residue in row),
                "kept": row[0].chain_is_fixed,
            }
            for name, row in self.chains.items()
        ]
        return {"chains": chains, "residues": rows}

    def draw(self, width: int = 80) -> str:
        """A picture of the layout for a terminal: a bar for each chain, its stretches below, a legend last.

        ``width`` is the number of columns; raises InputError for fewer than 40.
        """
        if width < 40:
            raise InputError("a layout needs at least 40 columns", key="width", found=width)
        rows = list(self.chains.items())
        longest = max(len(row) for _, row in rows)
        label = max(len(name) for name, _ in rows)
        room = width - label - len(f"  {longest} residues") - 2
        groups = self._groups()
        several = len({residue.group for residue in self.residues if residue.group}) > 1
        lines: list[str] = []
        for name, row in rows:
            lines.append(f"{name:<{label}}  {_bar(row, room, longest, groups)}  {_counted(len(row))}")
            below = _wrapped(_stretches(row, several), width - label - 2, gap=" · ")
            lines.extend(" " * (label + 2) + line for line in below)
        lines.extend(_wrapped(self._legend(), width, gap="   "))
        return "\n".join(lines)

    def _groups(self) -> list[int]:
        return sorted({residue.group for residue in self.residues if residue.group and not residue.chain_is_fixed})

    def _legend(self) -> list[str]:
        parts = [f"{_NEW} new"]
        groups = self._groups()
        if groups:
            parts.append(f"{_MOTIF} motif" if len(groups) == 1 else f"{_named_groups(groups)} motif groups")
        if any(residue.chain_is_fixed for residue in self.residues):
            parts.append(f"{_TARGET} chain kept whole")
        all_groups = {residue.group for residue in self.residues if residue.group}
        if len(all_groups) > 1:
            parts.append(f"the {len(all_groups)} groups move freely")
        return parts


def sample_layout(
    contigs: Contigs,
    rng: np.random.Generator,
    length: LengthRange | None = None,
    chain_lengths: Sequence[int] | None = None,
) -> Layout:
    """Draws one layout: the lengths of the free stretches, and from them every residue's place and origin.

    ``length`` bounds the total of the designed chains (least, most); ``chain_lengths`` instead gives the length of
    each designed chain in order. Raises InputError when it cannot be reached, with
    the possible range, and when a stretch is known only once the structure has been read (`Contigs.resolve`).
    """
    for segment in contigs.fixed:
        if not segment.residues:
            raise InputError(f"what {segment.name} holds is known only once the motif is read", key="contigs")
    lengths = iter(
        contigs.sample_lengths(rng, length) if chain_lengths is None else _fill_chains(contigs, rng, chain_lengths)
    )
    residues: list[LayoutResidue] = []
    for name, chain in zip(contigs.chain_ids, contigs.chains, strict=True):
        residues += _placed(name, chain, lengths)
    if not residues:
        raise InputError("the design has no residues", key="contigs", found=str(contigs))
    return Layout(residues=tuple(residues))


def _placed(name: str, chain: Sequence[Segment], lengths: Iterator[int]) -> list[LayoutResidue]:
    """The residues of one chain. lengths: those of its free stretches, which are taken from it."""
    origins: list[tuple[ResidueId | None, int, ResidueId | None]] = []
    for segment in chain:
        if isinstance(segment, FreeSegment):
            count = next(lengths)
            instead = segment.instead_of if len(segment.instead_of) == count else (None,) * count
            origins.extend((None, 0, each) for each in instead)
        elif isinstance(segment, FixedSegment):
            origins.extend((residue, segment.group, None) for residue in segment.residues)
    keeps_numbers, whole, found = kept_chain(chain) == name, is_fixed(chain), []
    for place, (origin, group, instead_of) in enumerate(origins, start=1):
        kept = origin or instead_of if keeps_numbers else None
        found.append(
            LayoutResidue(
                chain=name, number=kept.number if kept else place, origin=origin, group=group,
                insertion_code=kept.insertion_code if kept else "", chain_is_fixed=whole, instead_of=instead_of,
            )
        )  # fmt: skip
    return found


def with_ligands(layout: Layout, ligands: Sequence[str], taken: Iterable[str] = ()) -> Layout:
    """The same layout with ligands of the motif, each a chain of its own, held with motif group 1.

    taken: names that none of them may have.

    Raises InputError for names that stand for a component: which residues these are is known once the motif is read.
    """
    taken = {*layout.chains, *taken}
    free = (name for name in chain_letters() if name not in taken)
    added = [
        LayoutResidue(chain=next(free), number=residue.number, insertion_code=residue.insertion_code, origin=residue,
                      group=1, chain_is_fixed=True)
        for residue in parse_residues(",".join(ligands), "ligands")
    ]  # fmt: skip
    return Layout(residues=(*layout.residues, *added))


def _fill_chains(contigs: Contigs, rng: np.random.Generator, chain_lengths: Sequence[int]) -> list[int]:
    designed = [chain for chain in contigs.chains if not is_fixed(chain)]
    if len(designed) != len(chain_lengths):
        raise InputError("a length is needed for each designed chain", key="length", found=list(chain_lengths),
                         allowed=f"{len(designed)} lengths")  # fmt: skip
    return [
        free
        for chain, total in zip(designed, chain_lengths, strict=True)
        for free in Contigs(chains=(chain,)).sample_lengths(rng, (total, total))
    ]


def _named(residue: ResidueId) -> dict[str, Any]:
    return {"chain": residue.chain, "number": residue.number, "insertion_code": residue.insertion_code}


def _counted(number: int) -> str:
    return "1 residue" if number == 1 else f"{number} residues"


def _named_groups(groups: Sequence[int]) -> str:
    return " ".join(dict.fromkeys(str(group % 10) for group in groups))


def _mark(residue: LayoutResidue, several_groups: bool) -> str:
    if residue.origin is None:
        return _NEW
    if residue.chain_is_fixed:
        return _TARGET
    return str(residue.group % 10) if several_groups else _MOTIF


def _bar(row: tuple[LayoutResidue, ...], room: int, longest: int, groups: list[int]) -> str:
    marks = [_mark(residue, len(groups) > 1) for residue in row]
    if longest <= room:
        return "".join(marks).ljust(longest)
    columns = max(1, round(len(row) * room / longest))
    edges = np.linspace(0, len(row), columns + 1).round().astype(int)
    cells = [marks[low : max(high, low + 1)] for low, high in pairwise(edges)]
    # A motif of one residue must not vanish between its neighbours, so anything known wins over new.
    drawn = [max(cell, key=lambda mark, cell=cell: (mark != _NEW, cell.count(mark))) for cell in cells]
    return "".join(drawn).ljust(room)


def _stretches(row: tuple[LayoutResidue, ...], several_groups: bool) -> list[str]:
    """Runs of new residues and of neighbours in the source, each as 'where = from'."""
    runs: list[list[LayoutResidue]] = []
    for residue in row:
        before = runs[-1][-1] if runs else None
        if before is not None and _continues(before, residue):
            runs[-1].append(residue)
        else:
            runs.append([residue])
    return [_stretch(run) + (f"@{run[0].group}" if several_groups and run[0].group else "") for run in runs]


def _continues(before: LayoutResidue, after: LayoutResidue) -> bool:
    if before.origin is None or after.origin is None:
        return before.origin is after.origin
    same = before.origin.chain == after.origin.chain and before.group == after.group
    return same and 0 <= after.origin.number - before.origin.number <= 1


def _stretch(run: list[LayoutResidue]) -> str:
    here = _range(run[0].id, run[-1].id, named=False)
    first, last = run[0].origin, run[-1].origin
    if first is None or last is None:
        return f"{here} new"
    return f"{here} = {_range(first, last, named=True)}"


def _range(first: ResidueId, last: ResidueId, *, named: bool) -> str:
    start = str(first) if named else f"{first.number}{first.insertion_code}"
    return start if first == last else f"{start}-{last.number}{last.insertion_code}"


def _wrapped(parts: list[str], width: int, gap: str) -> list[str]:
    lines: list[str] = []
    for part in parts:
        if lines and len(lines[-1]) + len(gap) + len(part) <= width:
            lines[-1] += f"{gap}{part}"
        else:
            lines.append(part)
    return lines

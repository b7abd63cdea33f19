"""Motifs without a place in the chain: where among the new residues each stretch goes, drawn anew for each design."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

import numpy as np

from structdiff.errors import InputError
from structdiff.spec.layout import Layout
from structdiff.spec.segments import FixedSegment, ResidueId

_TRIES = 2000

Gaps = Mapping[tuple[ResidueId, ResidueId], int]


def place_unindexed(layout: Layout, stretches: Sequence[FixedSegment], gaps: Gaps, rng: np.random.Generator) -> Layout:
    """The same layout in which stretches of the motif take the place of new residues, in any order.

    gaps: the fewest residues from the last residue of each stretch to the first of each other, since a chain must be
    able to reach from one to the next; none are known without the structure. Raises InputError when they do not fit.
    """
    runs = _new_runs(layout)
    for _ in range(_TRIES):
        places = _try(runs, stretches, gaps, rng)
        if places is not None:
            return _filled(layout, stretches, places)
    residues = sum(len(each.residues) for each in stretches)
    raise InputError(
        f"its {len(stretches)} stretches do not fit among the new residues, with what it takes to reach from one to "
        "the next", key="unindexed", found=f"{residues} residues in {sum(len(run.places) for run in runs)}",
        allowed="longer contigs",
    )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class _Run:
    """Neighbouring new residues, and what of the motif they lie between."""

    places: range
    before: ResidueId | None
    after: ResidueId | None


def _new_runs(layout: Layout) -> list[_Run]:
    runs, place = [], 0
    for (chain, new), row in groupby(layout.residues, key=lambda each: (each.chain, each.origin is None)):
        places = range(place, place + len(list(row)))
        if new:
            before, after = (_origin(layout, chain, each) for each in (places.start - 1, places.stop))
            runs.append(_Run(places=places, before=before, after=after))
        place = places.stop
    return runs


def _origin(layout: Layout, chain: str, place: int) -> ResidueId | None:
    inside = 0 <= place < len(layout) and layout.residues[place].chain == chain
    return layout.residues[place].origin if inside else None


def _try(
    runs: Sequence[_Run], stretches: Sequence[FixedSegment], gaps: Gaps, rng: np.random.Generator
) -> list[int] | None:
    """The first residue of each stretch, if the order and the runs that were drawn leave room for all."""
    sizes = np.array([len(run.places) for run in runs], float)
    home = rng.choice(len(runs), len(stretches), p=sizes / sizes.sum())
    starts = [0] * len(stretches)
    for number, run in enumerate(runs):
        order = [int(each) for each in rng.permutation(np.flatnonzero(home == number))]
        if not order:
            continue
        ends = [run.before, *(stretches[each].residues[-1] for each in order)]
        begins = [*(stretches[each].residues[0] for each in order), run.after]
        between = [gaps.get((end, begin), 0) if end and begin else 0 for end, begin in zip(ends, begins, strict=True)]
        spare = len(run.places) - sum(len(stretches[each].residues) for each in order) - sum(between)
        if spare < 0:
            return None
        # Cuts of the spare residues into one part before each stretch and one after the last, all equally likely.
        cuts = np.sort(rng.choice(spare + len(order), len(order), replace=False)) - np.arange(len(order))
        place, before = run.places.start, 0
        for rank, each in enumerate(order):
            place += int(cuts[rank]) - before + between[rank]
            before = int(cuts[rank])
            starts[each] = place
            place += len(stretches[each].residues)
    return starts


def _filled(layout: Layout, stretches: Sequence[FixedSegment], places: Sequence[int]) -> Layout:
    residues = list(layout.residues)
    for stretch, start in zip(stretches, places, strict=True):
        for offset, origin in enumerate(stretch.residues):
            residues[start + offset] = replace(residues[start + offset], origin=origin, group=stretch.group)
    return Layout(residues=tuple(residues))

"""Motifs without a place in the chain: where among the new residues each stretch goes, drawn anew for each design."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby, pairwise

import numpy as np

from structdiff.errors import InputError
from structdiff.spec.contigs import FixedSegment
from structdiff.spec.layout import Layout

_TRIES = 2000


def place_unindexed(
    layout: Layout, stretches: Sequence[FixedSegment], gaps: Sequence[Sequence[int]], rng: np.random.Generator
) -> Layout:
    """The same layout in which stretches of the motif take the place of new residues, in any order.

    gaps: the fewest residues between the end of each stretch and the start of each other, since a chain must be able to
    reach from one to the next; none are known without the structure. Raises InputError when they do not fit.
    """
    runs = _new_runs(layout)
    if not gaps:
        gaps = [[0] * len(stretches)] * len(stretches)
    for _ in range(_TRIES):
        places = _try(runs, stretches, gaps, rng)
        if places is not None:
            return _filled(layout, stretches, places)
    residues = sum(len(each.residues) for each in stretches)
    raise InputError(
        f"its {len(stretches)} stretches do not fit among the new residues, with what it takes to reach from one to "
        "the next", key="unindexed", found=f"{residues} residues in {sum(len(run) for run in runs)}",
        allowed="longer contigs",
    )  # fmt: skip


def _new_runs(layout: Layout) -> list[range]:
    runs, place = [], 0
    for (_, new), row in groupby(layout.residues, key=lambda each: (each.chain, each.origin is None)):
        length = len(list(row))
        if new:
            runs.append(range(place, place + length))
        place += length
    return runs


def _try(
    runs: Sequence[range], stretches: Sequence[FixedSegment], gaps: Sequence[Sequence[int]], rng: np.random.Generator
) -> list[int] | None:
    """The first residue of each stretch, if the order and the runs that were drawn leave room for all."""
    sizes = np.array([len(run) for run in runs], float)
    home = rng.choice(len(runs), len(stretches), p=sizes / sizes.sum())
    starts = [0] * len(stretches)
    for number, run in enumerate(runs):
        order = [int(each) for each in rng.permutation(np.flatnonzero(home == number))]
        between = [gaps[before][after] for before, after in pairwise(order)]
        spare = len(run) - sum(len(stretches[each].residues) for each in order) - sum(between)
        if spare < 0:
            return None
        # Cuts of the spare residues into one part before each stretch and one after the last, all equally likely.
        cuts = np.sort(rng.choice(spare + len(order), len(order), replace=False)) - np.arange(len(order))
        place, before = run.start, 0
        for rank, each in enumerate(order):
            place += int(cuts[rank]) - before + (between[rank - 1] if rank else 0)
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

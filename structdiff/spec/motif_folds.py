"""Folds around a motif: ideal folds of which an element lies where the motif has its own, or that hold it in a loop."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from structdiff.spec.anchor import Anchor
from structdiff.spec.anchored_fold import AnchoredFold
from structdiff.spec.ideal_folds import KINDS, draw_ideal_folds, draw_kind
from structdiff.spec.motif_insertions import insertions
from structdiff.spec.motif_overlays import overlays
from structdiff.spec.placed_fold import PlacedFold

#: Rounds of so many ideal folds of each sort that are tried; how many that go with the motif are enough, and of how
#: many of these, the best, one is taken.
_ROUNDS, _FOLDS, _ENOUGH, _AMONG = 8, 10, 48, 4


def draw_anchored_fold(length: int, anchor: Anchor, rng: np.random.Generator) -> AnchoredFold | None:
    """A chain of that many residues with an ideal fold that takes up the motif.

    Of some dozens that go with the motif, all of one kind, one of the most compact, with least loops. None where none
    does.
    """
    anchor = anchor.without_stubs(length)
    fitting = _fitting_kinds({block.letter for block in anchor.blocks(length)})
    first = draw_kind(rng)
    while first not in fitting:
        first = draw_kind(rng)
    for kind in (first, *(kind for kind in KINDS if kind != first)):
        found = _one_of_kind(kind, length, anchor, rng)
        if found is not None:
            return found
    return None


def _fitting_kinds(letters: set[str]) -> set[str]:
    """The kinds of folds in which a motif's helices and strands, by their letters, have their like beside them."""
    return {kind for kind, lacking in (("sheet", ""), ("bundle", "E"), ("sandwich", "H")) if lacking not in letters}


def _one_of_kind(kind: str, length: int, anchor: Anchor, rng: np.random.Generator) -> AnchoredFold | None:
    """One of the best folds of a kind, at random, so that many together are varied; None where there is none."""
    found: list[tuple[float, AnchoredFold]] = []
    for _ in range(_ROUNDS):
        for placed in _candidates(kind, length, anchor, rng):
            fold = placed.anchored(anchor)
            if fold is not None:
                found.append((placed.worth(fold, anchor), fold))
        if len(found) >= _ENOUGH:
            break
    best = sorted(found, key=lambda each: -each[0])[:_AMONG]
    return best[rng.integers(len(best))][1] if best else None


def _candidates(kind: str, length: int, anchor: Anchor, rng: np.random.Generator) -> Iterator[PlacedFold]:
    if anchor.blocks(length):
        for fold in draw_ideal_folds(length, rng, _FOLDS, kind):
            yield from overlays(fold, anchor, length, rng)
    if anchor.is_one_stretch:
        for fold in draw_ideal_folds(length - len(anchor.places), rng, _FOLDS, kind):
            yield from insertions(fold, anchor, length, rng)

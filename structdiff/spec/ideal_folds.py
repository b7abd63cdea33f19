"""Ideal folds: helix bundles, sheets with helices, and sandwiches, drawn by the rules that small proteins follow."""

from __future__ import annotations

import numpy as np

from structdiff.spec.fold_elements import IdealFold
from structdiff.spec.ideal_bundles import bundle
from structdiff.spec.ideal_sandwiches import sandwich
from structdiff.spec.ideal_sheets import sheet_with_helices

#: Kinds of folds and their shares.
KINDS = {"sheet": sheet_with_helices, "bundle": bundle, "sandwich": sandwich}
_SHARES = (0.74, 0.12, 0.14)
_TRIES, _LONGEST = 400, 200  # of each kind; residues, beyond which hardly any is found
#: Shares of helix and strand below which a chain is all strand, or all helix.
_HELICAL, _STRANDED = 0.10, 0.08


def draw_kind(rng: np.random.Generator) -> str:
    """A kind of fold: three in four are one sheet with helices on it, the others bundles of helices, and two sheets."""
    return str(rng.choice(list(KINDS), p=_SHARES))


def kind_of(letters: str) -> str:
    """The kind that a chain with these letters H, E and L belongs to.

    >>> kind_of("LHHHHLLEEELEEEL"), kind_of("LHHHHLLHHHHL"), kind_of("LEEEELLEEEEL")
    ('sheet', 'bundle', 'sandwich')
    """
    if letters.count("E") < _STRANDED * len(letters):
        return "bundle"
    return "sandwich" if letters.count("H") < _HELICAL * len(letters) else "sheet"


def draw_ideal_fold(length: int, rng: np.random.Generator, kind: str | None = None) -> IdealFold | None:
    """An ideal fold of that many residues, drawn at random; None where the rules know none (short and long chains)."""
    found = draw_ideal_folds(length, rng, 1, kind)
    return found[0] if found else None


def draw_ideal_folds(length: int, rng: np.random.Generator, count: int, kind: str | None = None) -> list[IdealFold]:
    """So many ideal folds of that many residues, or fewer, drawn at random.

    Strands and helices on sheets run up and down by turns. A strand, a helix and a strand make a right-handed crossover
    (Richardson 1976), sheets twist as in nature (Chothia 1973), loops are short (Koga et al. 2012). Where there is none
    of the kind that is wanted (default: any), they are of another.
    """
    first = draw_kind(rng) if kind is None else kind
    found: list[IdealFold] = []
    if length > _LONGEST:
        return found
    for name in (first, *(name for name in KINDS if name != first)):
        for _ in range(_TRIES):
            fold = KINDS[name](length, rng)
            found += [] if fold is None else [fold]
            if len(found) == count:
                return found
        if found:
            return found
    return found

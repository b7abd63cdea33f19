"""Ideal folds of strands alone: two sheets face to face, as in immunoglobulins (Chothia & Janin 1981)."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np

from structdiff.spec.fold_elements import (
    STRAND_SPACING,
    Element,
    IdealFold,
    element,
    hairpin_loop,
    joined_fold,
    strand_normal,
    turned,
)

#: Å between the sheets (1 more than in nature, by which they come nearer while they are drawn), and how the upper is
#: turned against the lower (aligned packing).
_APART = 11.0
_TURN = math.radians(-30.0)
#: A strand is turned by so much against the one before it: more, and the corners of wide sheets meet.
_TWIST = math.radians(-20.0)
#: Residues of strands, of loops from one sheet to the other, and at the ends.
_STRAND, _ARCH, _ENDS = (4, 7), (3, 8), (1, 7)
#: Residues of a chain to a strand, on average; strands of a sheet.
_ROOM, _SMALLEST = 13.5, 2
_MOST_HAIRPINS, _WALKS = 3, 10  # in a row; orders of strands tried

Place = tuple[int, int]  # sheet (0 or 1), and place along it


def sandwich(length: int, rng: np.random.Generator) -> IdealFold | None:
    """Two sheets of antiparallel strands, of that many residues; None where what was drawn does not come together."""
    count = max(2 * _SMALLEST, round(length / _ROOM + rng.normal(0.0, 0.8)))
    places = next((found for _ in range(_WALKS) if (found := _places(count, rng))), None)
    if places is None:
        return None
    strand, pleated = int(rng.integers(_STRAND[0], _STRAND[1] + 1)), rng.choice([-1.0, 1.0])
    twist, turn = _TWIST + math.radians(rng.normal(0.0, 4.0)), _TURN + math.radians(rng.normal(0.0, 6.0))
    middles = [np.mean([lane for sheet, lane in places if sheet == number]) for number in (0, 1)]
    cosine, sine = math.cos(turn), math.sin(turn)
    about_y = np.array([[cosine, 0.0, sine], [0.0, 1.0, 0.0], [-sine, 0.0, cosine]])
    found = []
    for number, (sheet, lane) in enumerate(places):
        up = number % 2 == 0
        across = lane - middles[sheet]
        direction, normal = turned(across * twist)
        centre = np.array([across * STRAND_SPACING, 0.0, 0.0])
        if sheet == 1:
            direction, normal, centre = (about_y @ each for each in (direction, normal, centre))
            centre = centre + np.array([0.0, _APART, 0.0])
        pleat = strand_normal(strand, up, pleated * normal)
        found.append(element("E", strand, centre, direction if up else -direction, pleat))
    loops = _loops(places, found, length - strand * len(places), rng)
    return None if loops is None else joined_fold(found, loops)


def _places(count: int, rng: np.random.Generator) -> list[Place] | None:
    """Sheet and place of each strand, one after the other; None for what is no sandwich."""
    arch = rng.uniform(0.25, 0.6)
    places: list[Place] = [(0, 0)]
    hairpins = 0
    for _ in range(count - 1):
        sheet, lane = places[-1]
        over = rng.random() < arch or hairpins == _MOST_HAIRPINS
        options = [(1 - sheet, lane + step) for step in (-1, 0, 1)] if over else [(sheet, lane - 1), (sheet, lane + 1)]
        free = [each for each in options if each not in places]
        if not free:
            return None
        places.append(free[rng.integers(len(free))])
        hairpins = 0 if over else hairpins + 1
    return places if _is_sandwich(places) else None


def _is_sandwich(places: list[Place]) -> bool:
    """Two whole sheets of about the same size over each other, in which neighbours run against each other."""
    lanes = [{lane: number for number, (own, lane) in enumerate(places) if own == sheet} for sheet in (0, 1)]
    if min(map(len, lanes)) < _SMALLEST or abs(len(lanes[0]) - len(lanes[1])) > 1 + (len(places) > 7):
        return False
    for each in lanes:
        if max(each) - min(each) != len(each) - 1:
            return False
        if any(lane + 1 in each and (each[lane + 1] - number) % 2 == 0 for lane, number in each.items()):
            return False
    return abs(np.mean(list(lanes[0])) - np.mean(list(lanes[1]))) <= 1.0


def _loops(places: list[Place], strands: list[Element], total: int, rng: np.random.Generator) -> tuple[int, ...] | None:
    """Residues of loops and ends that add up to a total; None where none do."""
    limits = [_ENDS, *([_ARCH] * (len(places) - 1)), _ENDS]
    for number, ((sheet, _), (next_sheet, _)) in enumerate(pairwise(places)):
        if sheet == next_sheet:
            size = hairpin_loop(strands[number], strands[number + 1], rng)
            limits[number + 1] = (size, size)
    sizes = np.array([low for low, _ in limits])
    most = np.array([high for _, high in limits])
    while sizes.sum() < total:
        able = np.flatnonzero(sizes < most)
        if not len(able):
            return None
        sizes[able[rng.integers(len(able))]] += 1
    return tuple(sizes.tolist()) if sizes.sum() == total else None

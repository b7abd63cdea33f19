"""Ideal folds of one sheet with helices on it: strands in an order that nature allows, crossovers right-handed."""

from __future__ import annotations

import math
from functools import cache
from itertools import pairwise

import numpy as np

from structdiff.spec.fold_elements import (
    HAIRPIN_LOOPS,
    STRAND_SPACING,
    Element,
    IdealFold,
    across,
    element,
    hairpin_loop,
    joined_fold,
    strand_normal,
    turned,
)

#: Å from a sheet to the helices on it: as in nature, and by how much they come nearer while they are drawn.
_SHEET_TO_HELIX = 11.8
#: A strand is turned by so much against the one before it (left-handed, seen across the strands): by 6° more than in
#: nature, since hydrogen bonds and relaxation take some of it back.
_TWIST = math.radians(-28.0)
#: Residues of helices, of strands, of the loops before and after helices, and at the ends; loops may be longer by 3.
_HELIX, _STRAND = (8, 18), (5, 9)
_LOOP = (2, 5)
_LONGER, _ENDS = 3, (1, 6)
#: How often a strand is followed by another, where it may be.
_HAIRPINS = (0.4, 0.85)
#: Residues of a chain to an element, on average.
_ROOM = 12.5
_NODES = 200
_LANE_ROOM = 1.9  # strands between two helices on one side
#: How often a helix between strands is followed by another, so that the strands run opposite ways; how far from its
#: strand each then lies, and how far from each other, in strands.
_SECOND_HELIX = 0.45
_BESIDE_STRAND, _APART = (-1.0, -0.5, 0.0, 0.5, 1.0), (_LANE_ROOM, 2.6)
_SIDES = np.array([-1.0, 1.0])
#: How far from a strand, in strands, the next may lie after a hairpin, and after a helix.
_BESIDE, _NEAR = np.array([-1, 1]), np.array([-1, 1, -2, 2, -3, 3, -4, 4])

Lanes = dict[int, tuple[float, float]]  # of each helix its place along the sheet, in strands, and its side, 1 or -1


def sheet_with_helices(length: int, rng: np.random.Generator) -> IdealFold | None:
    """One sheet with helices on it, of that many residues; None where what was drawn does not come together."""
    string = _string(length, rng)
    strand = int(rng.integers(_STRAND[0], _STRAND[1] + 1))  # those of one sheet are equally long
    loops = _loops_beside_helices(string, rng)
    left = length - sum(loops) - strand * string.count("E")
    arranged = _arranged(string, rng) if _has_a_sheet(string) and _has_room(string, left) else None
    if arranged is None:
        return None
    where, lanes = arranged
    twist, pleat = _TWIST + math.radians(rng.normal(0.0, 5.0)), rng.choice([-1.0, 1.0])
    middle = 0.5 * (len(where) - 1)
    strands = {}
    for place, lane in where.items():
        up = place % 2 == 0
        direction, normal = turned((lane - middle) * twist)
        first = strand_normal(strand, up, pleat * normal)
        centre = np.array([(lane - middle) * STRAND_SPACING, 0.0, 0.0])
        strands[place] = element("E", strand, centre, direction if up else -direction, first)
    loops = _with_hairpins(loops, string, strands, rng)
    sizes = shared_out(length - sum(loops) - strand * len(where), len(lanes), _HELIX, rng)
    if sizes is None:
        return None
    helices = {}
    for (place, (lane, side)), size in zip(sorted(lanes.items()), sizes, strict=True):
        direction, normal = turned((lane - middle) * twist)
        centre = np.array([(lane - middle) * STRAND_SPACING, 0.0, 0.0])
        helices[place] = _helix_on(size, centre, direction, normal, side=side, up=place % 2 == 0, rng=rng)
    return joined_fold([(strands | helices)[place] for place in range(len(string))], loops)


def _helix_on(
    length: int, lane: np.ndarray, direction: np.ndarray, normal: np.ndarray, *, side: float, up: bool,
    rng: np.random.Generator,
) -> Element:  # fmt: skip
    """A helix over a lane of a sheet, turned and shifted as on natural sheets."""
    centre = lane + side * (_SHEET_TO_HELIX + rng.normal(0.0, 0.4)) * normal + rng.normal(0.0, 1.8) * direction
    angle = math.radians(rng.normal(0.0, 16.0))
    way = math.cos(angle) * direction + math.sin(angle) * across(normal, direction)
    return element("H", length, centre, way if up else -way, normal)


def _string(length: int, rng: np.random.Generator) -> str:
    """An order of helices and strands that such a chain has room for; two helices in a row lie between strands."""
    room = length / _ROOM + rng.normal(0.0, 1.0)
    hairpins = rng.uniform(*_HAIRPINS)
    found = "H" if rng.random() < 0.35 else "E"
    while len(found) < max(3, round(room)):
        if found.endswith("EH") and rng.random() < _SECOND_HELIX:
            found += "HE"
        else:
            found += "E" if found[-1] == "H" or (rng.random() < hairpins and not found.endswith("EEEE")) else "H"
    return found


def _has_a_sheet(string: str) -> bool:
    """Whether strands and helices are there, and two of the strands at least may lie side by side."""
    strands = string.count("E")
    return "H" in string and (strands > 2 or "EE" in string)


def _has_room(string: str, left: int) -> bool:
    """Whether so many residues can be shared out among the helices and the loops of hairpins."""
    helices, hairpins = string.count("H"), sum(a + b == "EE" for a, b in pairwise(string))
    low, high = (size * helices + loop * hairpins for size, loop in zip(_HELIX, HAIRPIN_LOOPS, strict=True))
    return low <= left <= high


def _loops_beside_helices(string: str, rng: np.random.Generator) -> tuple[int, ...]:
    """Residues of the ends and of each loop; those of hairpins are 0 as yet."""
    longer = int(rng.integers(0, _LONGER + 1))
    first, last = (int(rng.integers(*_ENDS)) for _ in range(2))
    between = [0 if a + b == "EE" else int(rng.integers(_LOOP[0], _LOOP[1] + longer + 1)) for a, b in pairwise(string)]
    return (first, *between, last)


def _with_hairpins(
    loops: tuple[int, ...], string: str, strands: dict[int, Element], rng: np.random.Generator
) -> tuple[int, ...]:
    """The loops with those of hairpins as these strands ask for."""
    found = list(loops)
    for place, both in enumerate(a + b for a, b in pairwise(string)):
        if both == "EE":
            found[place + 1] = hairpin_loop(strands[place], strands[place + 1], rng)
    return tuple(found)


def shared_out(total: int, parts: int, limits: tuple[int, int], rng: np.random.Generator) -> list[int] | None:
    """Sizes of parts, each within limits, that add up to a total; None where none do.

    They begin equal, and residues go from one to another at random.
    """
    low, high = limits
    if parts == 0 or not low * parts <= total <= high * parts:
        return None
    sizes = np.full(parts, total // parts)
    sizes[rng.permutation(parts)[: total % parts]] += 1
    for _ in range(2 * parts):
        one, other = rng.integers(parts, size=2)
        if one != other and sizes[one] > low and sizes[other] < high:
            sizes[one], sizes[other] = sizes[one] - 1, sizes[other] + 1
    return sizes.tolist()


def _arranged(string: str, rng: np.random.Generator) -> tuple[dict[int, int], Lanes] | None:
    """The place of each strand in the sheet, from 0, and the lanes of the helices on it; None if nothing was found.

    Strands are put down one after the other, with the helix that leads to each, and taken up again where the next finds
    no room.
    """
    strands = [place for place, letter in enumerate(string) if letter == "E"]
    left = [_NODES]

    def go_on(at: list[int], lanes: Lanes) -> tuple[list[int], Lanes] | None:
        if len(at) == len(strands):
            done = _with_end_helices(string, dict(zip(strands, at, strict=True)), lanes, rng)
            return None if done is None else (at, done)
        before, after = strands[len(at) - 1], strands[len(at)]
        low, high = min(at), max(at)
        for step in _steps(after == before + 1, rng):
            left[0] -= 1
            new, onward = at[-1] + step, lanes
            if left[0] < 0:
                return None
            if new in at or max(high, new) - min(low, new) >= len(strands):
                continue
            if after == before + 2:
                side = -math.copysign(1.0, step) * (1.0 if before % 2 == 0 else -1.0)  # right-handed crossover
                onward = _joined(lanes, before + 1, (at[-1] + step / 2, side))
            if after == before + 3:
                onward = _two_joined(lanes, before + 1, (at[-1], new), rng)
            found = None if onward is None else go_on([*at, new], onward)
            if found is not None:
                return found
        return None

    found = go_on([0], {})
    if found is None:
        return None
    at, lanes = found
    first = min(at)
    shifted = {place: (lane - first, side) for place, (lane, side) in lanes.items()}
    return {place: lane - first for place, lane in zip(strands, at, strict=True)}, shifted


def _steps(hairpin: bool, rng: np.random.Generator) -> list[int]:
    """How far from a strand the next may lie, in random order: beside it after a hairpin, else up to four away."""
    return rng.permutation(_BESIDE if hairpin else _NEAR).tolist()


def _joined(lanes: Lanes, place: int, lane: tuple[float, float]) -> Lanes | None:
    """The lanes with one more; None where another helix lies there."""
    for at, side in lanes.values():
        if side == lane[1] and abs(at - lane[0]) < _LANE_ROOM:
            return None
    return {**lanes, place: lane}


def _two_joined(lanes: Lanes, place: int, strands: tuple[int, int], rng: np.random.Generator) -> Lanes | None:
    """The lanes with two helices more, side by side on the way from one strand to another; None where no room is."""
    ways = _ways(strands[1] - strands[0])
    for number in rng.permutation(len(ways)).tolist():
        for side in rng.permutation(_SIDES).tolist():
            first = _joined(lanes, place, (strands[0] + ways[number][0], side))
            second = None if first is None else _joined(first, place + 1, (strands[0] + ways[number][1], side))
            if second is not None:
                return second
    return None


@cache
def _ways(step: int) -> tuple[tuple[float, float], ...]:
    """Where two helices between two strands may lie, in strands from the first one."""
    ways = ((one, step + other) for one in _BESIDE_STRAND for other in _BESIDE_STRAND)
    return tuple(way for way in ways if _APART[0] <= abs(way[0] - way[1]) <= _APART[1])


def _with_end_helices(string: str, where: dict[int, int], lanes: Lanes, rng: np.random.Generator) -> Lanes | None:
    """The lanes with those of the first and last helix; None where they have no room or half of the sheet is bare."""
    low, high = min(where.values()), max(where.values())
    for place, beside in ((0, 1), (len(string) - 1, len(string) - 2)):
        if string[place] == "E":
            continue
        free = [(where[beside] + shift, side) for shift in (-1.0, -0.5, 0.5, 1.0) for side in (-1.0, 1.0)]
        # Rather on the side that has helices already, so that there is one core.
        usual = [side for _, side in lanes.values()]
        order = sorted(rng.permutation(len(free)).tolist(), key=lambda k: -usual.count(free[k][1]))
        for number in order if rng.random() < 0.8 else order[::-1]:
            onward = _joined(lanes, place, free[number])
            if low - 0.5 <= free[number][0] <= high + 0.5 and onward is not None:
                lanes = onward
                break
        else:
            return None
    most = max(sum(side == way for _, side in lanes.values()) for way in (-1.0, 1.0))
    return lanes if 2 * most >= len(where) - 1 else None

"""Ideal folds of one sheet with helices on it: strands in an order that nature allows, crossovers right-handed."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np

from structdiff.spec.fold_elements import (
    STRAND_SPACING,
    Element,
    IdealFold,
    element,
    joined_fold,
    strand_normal,
    turned,
)

#: Å from a sheet to the helices on it: as in nature, and the 0.8 by which they come nearer while they are drawn.
_SHEET_TO_HELIX = 10.8
#: A strand is turned by so much against the one before it (left-handed, seen across the strands).
SHEET_TWIST = math.radians(-20.0)
#: Residues of helices, of strands, of the loops between two elements, and at the ends; loops may all be longer by 2.
_HELIX, _STRAND = (8, 18), (5, 8)
_LOOPS = {"EE": (2, 5), "EH": (2, 5), "HE": (2, 5)}
_LONGER, _ENDS = 2, (1, 6)
#: Residues of a chain to an element, on average.
_ROOM = 12.5
_NODES = 200
_LANE_ROOM = 1.9  # strands between two helices on one side

Lanes = dict[int, tuple[float, float]]  # of each helix its place along the sheet, in strands, and its side, 1 or -1


def sheet_with_helices(length: int, rng: np.random.Generator) -> IdealFold | None:
    """One sheet with helices on it, of that many residues; None where what was drawn does not come together."""
    string = _string(length, rng)
    sizes = _sizes(string, length, rng)
    arranged = None if sizes is None else _arranged(string, rng)
    if sizes is None or arranged is None:
        return None
    (lengths, loops), (where, lanes) = sizes, arranged
    twist = SHEET_TWIST + math.radians(rng.normal(0.0, 5.0))
    middle = 0.5 * (len(where) - 1)
    found = []
    for place, letter in enumerate(string):
        up = place % 2 == 0
        lane, side = (where[place], 0.0) if letter == "E" else lanes[place]
        direction, normal = turned((lane - middle) * twist)
        centre = np.array([(lane - middle) * STRAND_SPACING, 0.0, 0.0])
        if letter == "E":
            pleat = strand_normal(lengths[place], up, normal)
            found.append(element("E", lengths[place], centre, direction if up else -direction, pleat))
        else:
            found.append(_helix_on(lengths[place], centre, direction, normal, side=side, up=up, rng=rng))
    return joined_fold(found, loops)


def _helix_on(
    length: int, lane: np.ndarray, direction: np.ndarray, normal: np.ndarray, *, side: float, up: bool,
    rng: np.random.Generator,
) -> Element:  # fmt: skip
    """A helix over a lane of a sheet, turned and shifted as on natural sheets."""
    centre = lane + side * (_SHEET_TO_HELIX + rng.normal(0.0, 0.4)) * normal + rng.normal(0.0, 1.0) * direction
    angle = math.radians(rng.normal(0.0, 12.0))
    way = math.cos(angle) * direction + math.sin(angle) * np.cross(normal, direction)
    return element("H", length, centre, way if up else -way, normal)


def _string(length: int, rng: np.random.Generator) -> str:
    """An order of helices and strands that a chain of that length has room for: no two helices in a row."""
    room = length / _ROOM + rng.normal(0.0, 1.0)
    hairpins = rng.uniform(0.35, 0.75)
    found = "H" if rng.random() < 0.35 else "E"
    while len(found) < max(3, round(room)):
        after = "E" if found[-1] == "H" or (rng.random() < hairpins and not found.endswith("EEEE")) else "H"
        found += after
    return found


def _sizes(string: str, length: int, rng: np.random.Generator) -> tuple[list[int], tuple[int, ...]] | None:
    """Residues of each element and loop so that they add up; None where they cannot."""
    if string.count("E") == 1 or (string.count("E") == 2 and "EE" not in string):
        return None
    strand = int(rng.integers(_STRAND[0], _STRAND[1] + 1))  # those of one sheet are equally long
    longer = int(rng.integers(0, _LONGER + 1))
    loops = [int(rng.integers(low, high + longer + 1)) for low, high in (_LOOPS[a + b] for a, b in pairwise(string))]
    ends = [int(rng.integers(*_ENDS)) for _ in range(2)]
    left = length - sum(loops) - sum(ends) - strand * string.count("E")
    helices = string.count("H")
    parts = shared_out(left, helices, _HELIX, rng)
    if helices == 0 or parts is None:
        return None
    each = iter(parts)
    return [strand if letter == "E" else next(each) for letter in string], (ends[0], *loops, ends[1])


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
        for step in _steps(after == before + 1, rng):
            left[0] -= 1
            new, onward = at[-1] + step, lanes
            if left[0] < 0:
                return None
            if new in at or max(*at, new) - min(*at, new) >= len(strands):
                continue
            if after == before + 2:
                side = -math.copysign(1.0, step) * (1.0 if before % 2 == 0 else -1.0)  # right-handed crossover
                onward = _joined(lanes, before + 1, (at[-1] + step / 2, side))
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
    """How far from a strand the next may lie, in random order: beside it after a hairpin, else up to three away."""
    sizes = [1] if hairpin else [1, 2, 3] if rng.random() < 0.3 else [1, 2]
    return rng.permutation([sign * size for size in sizes for sign in (-1, 1)]).tolist()


def _joined(lanes: Lanes, place: int, lane: tuple[float, float]) -> Lanes | None:
    """The lanes with one more; None where another helix lies there."""
    if any(side == lane[1] and abs(at - lane[0]) < _LANE_ROOM for at, side in lanes.values()):
        return None
    return {**lanes, place: lane}


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

"""Ideal folds: helix bundles, and sheets with helices on them, drawn by the rules that small stable proteins follow."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from structdiff.spec.fold import BlockPair
from structdiff.typing import Float

#: Å: rise of a residue along a helix and a strand, radius of a helix and of a strand's zigzag (CA atoms).
_HELIX_RISE, _HELIX_RADIUS, _HELIX_TURN = 1.5, 2.3, math.radians(100.0)
_STRAND_RISE, _STRAND_PLEAT = 3.3, 0.9
#: Å between neighbouring strands, from a sheet to the helices on it, between neighbouring helices.
_STRAND_SPACING, _SHEET_TO_HELIX, _HELIX_SPACING = 4.8, 10.0, 9.6
#: A strand is turned by so much against the one before it (left-handed, seen across the strands).
_SHEET_TWIST = math.radians(-20.0)
#: Residues of helices in bundles and on sheets, of strands, of the loops between two elements, and at the ends.
_BUNDLE_HELIX, _SHEET_HELIX, _STRAND = (15, 34), (10, 18), (5, 8)
_LOOPS = {"HH": (3, 5), "EE": (2, 5), "EH": (3, 7), "HE": (3, 7)}
_ENDS = (1, 3)
#: Å that a residue of a loop bridges at most, on average.
_REACH = 3.4
#: Å between CA atoms of two elements, at least.
_NEAREST = 3.8
#: Bundles among all folds; the most helix that most folds with a sheet have: natural chains of 60 to 130 residues.
_BUNDLE_SHARE = 0.1
_MOST_HELIX, _MORE_HELIX = 0.38, 0.15
_TRIES, _NODES = 400, 200
_LANE_ROOM = 1.9  # strands between two helices on one side

Lanes = dict[int, tuple[float, float]]  # of each helix its place along the sheet, in strands, and its side, 1 or -1


@dataclass(frozen=True, kw_only=True)
class Element:
    """A helix (H) or strand (E) in space: its number of residues, its middle (Å) and the way it runs.

    normal: to which side a strand's first residue points.
    """

    letter: str
    length: int
    middle: Float[np.ndarray, "3"]
    direction: Float[np.ndarray, "3"]
    normal: Float[np.ndarray, "3"]

    @property
    def half(self) -> float:
        """Half of its length in Å."""
        return 0.5 * (self.length - 1) * (_HELIX_RISE if self.letter == "H" else _STRAND_RISE)

    def alphas(self) -> Float[np.ndarray, "residue 3"]:
        """Its CA atoms (Å)."""
        along = np.linspace(-self.half, self.half, self.length)[:, None] * self.direction + self.middle
        place = np.arange(self.length)[:, None]
        if self.letter == "E":
            return along + _STRAND_PLEAT * (1.0 - 2.0 * (place % 2)) * self.normal
        other = np.cross(self.direction, self.normal)
        turn = place * _HELIX_TURN
        return along + _HELIX_RADIUS * (np.cos(turn) * self.normal + np.sin(turn) * other)


@dataclass(frozen=True, kw_only=True)
class IdealFold:
    """A chain's helices and strands in space and the loops between them.

    loops: residues before the first element, between two, after the last. adjacent, parallel: pairs, counted from 1.
    """

    elements: tuple[Element, ...]
    loops: tuple[int, ...]
    adjacent: tuple[BlockPair, ...]
    parallel: tuple[BlockPair, ...] = ()

    @property
    def letters(self) -> str:
        """One letter H, E or L for each residue."""
        parts = ["L" * self.loops[0]]
        for element, loop in zip(self.elements, self.loops[1:], strict=True):
            parts += [element.letter * element.length, "L" * loop]
        return "".join(parts)

    @property
    def name(self) -> str:
        """The order of its elements."""
        return "".join(element.letter for element in self.elements)


def draw_ideal_fold(length: int, rng: np.random.Generator) -> IdealFold | None:
    """An ideal fold of that many residues, drawn at random; None where the rules know none (short and long chains).

    One in ten is a bundle of two to four helices, the others are one sheet with helices on it. Elements run up and
    down by turns. A strand, a helix and a strand make a right-handed crossover (Richardson 1976), sheets twist as in
    nature (Chothia 1973), loops are short (Koga et al. 2012).
    """
    kinds = (_bundle, _sheet) if rng.random() < _BUNDLE_SHARE else (_sheet, _bundle)
    for kind in kinds:
        for _ in range(_TRIES):
            found = kind(length, rng)
            if found is not None:
                return found
    return None


def _bundle(length: int, rng: np.random.Generator) -> IdealFold | None:
    count = int(rng.integers(2, 5))
    sizes = _sizes("H" * count, length, _BUNDLE_HELIX, rng)
    if sizes is None or (count == 2 and length > 50):
        return None
    elements, loops = sizes
    spacing = _HELIX_SPACING + rng.normal(0.0, 0.3)
    radius = spacing / (2 * math.sin(math.pi / count))
    tilt, way = math.radians(rng.normal(10.0, 3.0)), rng.choice((-1.0, 1.0))
    found = []
    for place, size in enumerate(elements):
        angle = way * 2 * math.pi * place / count
        outward = np.array([math.cos(angle), math.sin(angle), 0.0])
        # Left-handed coil: upwards the angle falls.
        upward = _unit(np.array([0.0, 0.0, 1.0]) - math.tan(tilt) * np.cross([0.0, 0.0, 1.0], outward))
        up = 1.0 if place % 2 == 0 else -1.0
        middle = radius * outward + np.array([0.0, 0.0, rng.normal(0.0, 0.7)])
        found.append(_element("H", size, middle, up * upward, outward))
    return _checked(found, loops)


def _sheet(length: int, rng: np.random.Generator) -> IdealFold | None:
    string = _string(length, rng)
    sizes = _sizes(string, length, _SHEET_HELIX, rng)
    if sizes is None:
        return None
    lengths, loops = sizes
    helix = sum(size for letter, size in zip(string, lengths, strict=True) if letter == "H")
    if helix > _MOST_HELIX * length and rng.random() > _MORE_HELIX:
        return None
    arranged = _arranged(string, rng)
    if arranged is None:
        return None
    where, lanes = arranged
    twist = _SHEET_TWIST + math.radians(rng.normal(0.0, 5.0))
    middle = 0.5 * (len(where) - 1)
    found = []
    for place, letter in enumerate(string):
        up = 1.0 if place % 2 == 0 else -1.0
        lane, side = (where[place], 0.0) if letter == "E" else lanes[place]
        direction, normal = _turned((lane - middle) * twist)
        centre = np.array([(lane - middle) * _STRAND_SPACING, 0.0, 0.0])
        if letter == "H":  # varied as on natural sheets
            centre = (
                centre + side * (_SHEET_TO_HELIX + rng.normal(0.0, 0.4)) * normal + rng.normal(0.0, 1.0) * direction
            )
            angle = math.radians(rng.normal(0.0, 10.0))
            direction = math.cos(angle) * direction + math.sin(angle) * np.cross(normal, direction)
        # Facing residues of two strands point to the same side.
        pleat = normal if letter == "H" or (lengths[place] % 2 or up > 0) else -normal
        found.append(_element(letter, lengths[place], centre, up * direction, pleat))
    return _checked(found, loops)


def _string(length: int, rng: np.random.Generator) -> str:
    """An order of helices and strands that a chain of that length has room for: no two helices in a row."""
    room = length / 12.0 + rng.normal(0.0, 1.0)
    found = "H" if rng.random() < 0.35 else "E"
    while len(found) < max(3, round(room)):
        after = "E" if found[-1] == "H" else ("E" if rng.random() < 0.5 and not found.endswith("EEE") else "H")
        found += after
    return found


def _sizes(
    string: str, length: int, helix: tuple[int, int], rng: np.random.Generator
) -> tuple[list[int], tuple[int, ...]] | None:
    """Residues of each element and loop so that they add up; None where they cannot."""
    if string.count("E") == 1 or (string.count("E") == 2 and "EE" not in string):
        return None
    strand = int(rng.integers(_STRAND[0], _STRAND[1] + 1))  # those of one sheet are equally long
    loops = [int(rng.integers(low, high + 1)) for low, high in (_LOOPS[a + b] for a, b in pairwise(string))]
    ends = [int(rng.integers(*_ENDS)) for _ in range(2)]
    left = length - sum(loops) - sum(ends) - strand * string.count("E")
    helices = string.count("H")
    if helices == 0 or not helix[0] * helices <= left <= helix[1] * helices:
        return None
    parts = np.full(helices, left // helices)
    parts[rng.permutation(helices)[: left % helices]] += 1
    each = iter(parts.tolist())
    return [strand if letter == "E" else next(each) for letter in string], (ends[0], *loops, ends[1])


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


def _checked(elements: Sequence[Element], loops: tuple[int, ...]) -> IdealFold | None:
    """The fold with its neighbours; None where a loop is too short or two elements run into each other."""
    for (before, after), loop in zip(pairwise(elements), loops[1:-1], strict=True):
        if np.linalg.norm(after.alphas()[0] - before.alphas()[-1]) > _REACH * (loop + 1):
            return None
    adjacent, parallel = [], []
    for (low, one), (high, other) in _pairs(elements):
        if np.linalg.norm(one.alphas()[:, None] - other.alphas()[None], axis=-1).min() < _NEAREST:
            return None
        both = one.letter + other.letter
        apart = float(np.linalg.norm(one.middle - other.middle))
        limit = {"EE": 6.0, "HH": 12.0}.get(both, 11.5)
        if apart < limit:
            adjacent.append((low, high))
            if both == "EE" and one.direction @ other.direction > 0:
                parallel.append((low, high))
    return IdealFold(elements=tuple(elements), loops=loops, adjacent=tuple(adjacent), parallel=tuple(parallel))


def _pairs(elements: Sequence[Element]) -> Iterator[tuple[tuple[int, Element], tuple[int, Element]]]:
    numbered = list(enumerate(elements, start=1))
    return ((one, other) for place, one in enumerate(numbered) for other in numbered[place + 1 :])


def _element(letter: str, length: int, middle: np.ndarray, direction: np.ndarray, normal: np.ndarray) -> Element:
    direction = _unit(direction)
    normal = _unit(normal - direction * (normal @ direction))
    return Element(letter=letter, length=length, middle=middle, direction=direction, normal=normal)


def _turned(angle: float) -> tuple[np.ndarray, np.ndarray]:
    """Direction (z) and normal (y) of a strand turned about x."""
    return (
        np.array([0.0, -math.sin(angle), math.cos(angle)]),
        np.array([0.0, math.cos(angle), math.sin(angle)]),
    )


def _unit(arrow: np.ndarray) -> np.ndarray:
    return arrow / np.linalg.norm(arrow)

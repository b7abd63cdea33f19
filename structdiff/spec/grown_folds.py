"""Folds grown from a motif where no ideal fold fits: helices beside it, one after the other, none in another's way."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby, zip_longest

import numpy as np
from scipy.spatial.distance import cdist
from scipy.spatial.transform import Rotation

from structdiff.spec.anchor import Anchor
from structdiff.spec.anchored_fold import AnchoredFold, fold_of_points
from structdiff.spec.fold import Block, blocks_of
from structdiff.spec.fold_elements import element
from structdiff.typing import Float

_GROWTHS, _PLACES = 8, 3000  # folds that are begun, and places that are tried for a helix
#: Å: how near CA atoms of a helix may come to others, and those on the way to it; up to where one is a neighbour.
_NEAREST, _ON_THE_WAY, _BESIDE = 5.2, 4.4, 10.0
#: Å that a residue of a loop bridges at most, one of a helix, and how far the next helix begins at most.
_REACH, _HELIX_REACH, _FARTHEST = 3.4, 1.5, 13.0
#: Residues of a stretch to a helix, of loops beside helices, and of the shortest helix.
_HELIX_ROOM, _HELIX_LOOPS, _SHORTEST_HELIX = 20, (2, 6), 7
_ALONG_CHAIN = 4  # residues along a chain that are near each other anyway
#: Pairs of neighbours that an Å nearer to the middle of what stands there is worth, and of how many of the best places
#: one is taken.
_INWARDS, _AMONG = 15.0, 4


@dataclass(frozen=True, kw_only=True)
class _Step:
    """A helix that is to be placed, the residue it starts from, and the kept one it must come back to, if any."""

    block: Block
    after: int
    back_to: int | None

    @property
    def rows(self) -> np.ndarray:
        """Its residues, from the one nearest to where it starts from."""
        rows = np.arange(self.block.start, self.block.stop)
        return rows if self.after < self.block.start else rows[::-1]

    @property
    def loop(self) -> np.ndarray:
        """The residues between where it starts from and it, in this order."""
        first = int(self.rows[0])
        return np.arange(self.after, first, 1 if self.after < first else -1)[1:]

    def ways(self, start: np.ndarray, ends: np.ndarray) -> Float[np.ndarray, "place residue 3"]:
        """The loop's residues on straight ways to places where the helix begins."""
        share = (np.arange(len(self.loop)) + 1) / (len(self.loop) + 1)
        return start + share[None, :, None] * (ends[:, None] - start)


def grow_fold(length: int, anchor: Anchor, rng: np.random.Generator) -> AnchoredFold | None:
    """Helices around a motif, each placed where it has most neighbours and nothing in its way, loops too.

    Those between two stretches of the motif come first, then those before and after it by turns. What stands around the
    motif is not looked at. None where there is no room for a helix, or what was drawn is shut in.
    """
    for _ in range(_GROWTHS):
        letters = np.array(list(helices_around(length, anchor.places, rng)))
        steps = _steps("".join(letters), anchor)
        points = np.full((length, 3), np.nan)
        points[anchor.places] = anchor.alphas
        if steps and all(_grown(points, step, letters, rng) for step in steps):
            letters[letters == "?"] = "L"
            letters[anchor.places] = list(anchor.without_stubs(length).letters)
            return fold_of_points("".join(letters), points, anchor)
    return None


def _steps(letters: str, anchor: Anchor) -> list[_Step]:
    """The helices of these letters in the order in which they are placed."""
    blocks, (first, last) = blocks_of(letters), (int(anchor.places[0]), int(anchor.places[-1]))
    before = [block for block in reversed(blocks) if block.stop <= first]
    after = [block for block in blocks if block.start > last]
    found = []
    for block in blocks:
        if first < block.start < last:
            since = int(anchor.places[anchor.places < block.start][-1])
            since = max([since, *(each.stop - 1 for each in blocks if since < each.start < block.start)])
            onward = int(anchor.places[anchor.places > block.start][0])
            found.append(_Step(block=block, after=since, back_to=onward))
    for pair in zip_longest(_chained(before, first), _chained(after, last)):
        found += [step for step in pair if step is not None]
    return found


def _chained(blocks: list[Block], start: int) -> Iterator[_Step]:
    """Steps from block to block, away from the motif."""
    for block in blocks:
        yield _Step(block=block, after=start, back_to=None)
        start = block.start if block.stop <= start else block.stop - 1


def _grown(points: np.ndarray, step: _Step, letters: np.ndarray, rng: np.random.Generator) -> bool:
    """Whether the helix found a place; it is put there."""
    known = np.flatnonzero(np.isfinite(points[:, 0]))
    helices = _tried(points[step.after], step, rng)
    apart = cdist(helices.reshape(-1, 3), points[known]).reshape(_PLACES, -1)
    free = apart.min(1) >= _NEAREST
    ways = step.ways(points[step.after], helices[:, 0])
    free &= _are_free(ways, points[known[np.abs(known - step.after) > _ALONG_CHAIN]])
    if step.back_to is not None:
        rest = letters[step.rows[-1] + 1 : step.back_to]
        reach = _REACH * (1 + int((rest != "H").sum())) + _HELIX_REACH * int((rest == "H").sum())
        free &= np.linalg.norm(helices[:, -1] - points[step.back_to], axis=1) <= reach
    if not free.any():
        return False
    worth = (apart < _BESIDE).sum(1) - _INWARDS * np.linalg.norm(helices - points[known].mean(0), axis=-1).mean(1)
    best = np.argsort(np.where(free, -worth, np.inf), kind="stable")[: min(_AMONG, int(free.sum()))]
    chosen = best[rng.integers(len(best))]
    points[step.rows], points[step.loop] = helices[chosen], ways[chosen]
    return True


def _tried(start: np.ndarray, step: _Step, rng: np.random.Generator) -> Float[np.ndarray, "place residue 3"]:
    """CA atoms of the helix at places in reach of where it starts from, from the nearest along the chain on."""
    ideal = element("H", len(step.block), np.zeros(3), *np.eye(3)[:2]).alphas()
    if step.after > step.block.start:
        ideal = ideal[::-1]
    turned = Rotation.from_quat(rng.normal(size=(_PLACES, 4))).as_matrix()
    far = rng.uniform(_NEAREST, min(_FARTHEST, _REACH * (len(step.loop) + 1)), size=(_PLACES, 1))
    way = rng.normal(size=(_PLACES, 3))
    first = start + far * way / np.linalg.norm(way, axis=1, keepdims=True)
    return (ideal - ideal[0]) @ turned.transpose(0, 2, 1) + first[:, None]


def _are_free(ways: np.ndarray, standing: np.ndarray) -> np.ndarray:
    """Of each way whether it is free of what stands there already."""
    if not standing.size or not ways.size:
        return np.ones(len(ways), bool)
    return cdist(ways.reshape(-1, 3), standing).reshape(len(ways), -1).min(1) >= _ON_THE_WAY


def helices_around(length: int, kept: np.ndarray, rng: np.random.Generator) -> str:
    """Letters of a chain of which some places (from 0) are kept: helices and loops elsewhere, ? where it is kept.

    Stretches too short for a helix are left open too.
    """
    letters = np.full(length, "?")
    new = np.ones(length, bool)
    new[kept] = False
    place = 0
    for is_new, run in groupby(new.tolist()):
        size = len(list(run))
        if is_new:
            letters[place : place + size] = list(_helices(size, rng))
        place += size
    return "".join(letters)


def _helices(size: int, rng: np.random.Generator) -> str:
    """So many residues as helices with loops before, between and after them; ? where they are too few."""
    number = max(1, round(size / _HELIX_ROOM))
    loops = rng.integers(*_HELIX_LOOPS, size=number + 1)
    left = size - int(loops.sum())
    if left < number * _SHORTEST_HELIX:
        return "?" * size
    parts = [left // number + (row < left % number) for row in range(number)]
    return "".join("L" * loop + "H" * part for loop, part in zip(loops[:-1], parts, strict=True)) + "L" * loops[-1]

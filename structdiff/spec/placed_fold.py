"""An ideal fold at a place in a motif's frame and along its chain: whether the two go together, and how well."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise

import numpy as np
from scipy.spatial.distance import cdist

from structdiff.spec.anchor import SHORTEST, Anchor, long_blocks
from structdiff.spec.anchored_fold import AnchoredFold, fold_of_points
from structdiff.spec.fold import Block, blocks_of
from structdiff.spec.fold_elements import SIZE_EXPONENT, IdealFold
from structdiff.typing import Float

#: Å: how near CA atoms of motif and fold may come; how near CA atoms of the fold may and must come to atoms of what
#: stands around.
NEAREST, NEAREST_OBSTACLE, BESIDE_OBSTACLE = 4.4, 5.0, 6.0
_ON_THE_WAY = 4.0  # Å from the straight way of a loop to CA atoms and to atoms around
_ALONG_CHAIN = 3  # residues along a chain that are near each other anyway
_REACH = 3.5  # Å that a residue bridges at most
#: Residues by which loops on one side of something may change in all, and how short and long loops may get.
_SHIFT, _SHORTEST_LOOP, _LONGEST_LOOP, _SHORTEST_END = 10, 2, 9, 1
_CONTACT = 10.0  # Å between CA atoms of neighbours
#: Neighbours a residue that a chain without loops is worth more than one of loops alone; what its radius of gyration
#: costs, in Å of a chain of one residue, and an Å of misfit.
_LOOPS, _SIZE, _MISFIT = 10.0, 4.5, 1.0


@dataclass(frozen=True, kw_only=True, eq=False)
class PlacedFold:
    """Of each residue of a chain: the letter of the fold's element there (L: none), its number (-1: none), and its CA
    atom (Å) in the motif's frame, NaN where there is neither element nor motif.

    misfit: Å by which the fold misses the motif where they overlap.
    """

    kinds: np.ndarray
    owner: np.ndarray
    points: Float[np.ndarray, "residue 3"]
    misfit: float

    def anchored(self, anchor: Anchor) -> AnchoredFold | None:
        """The fold with the motif in it; None where the two do not go together."""
        text = _merged(self.kinds, self.owner, anchor)
        if text is None or not _possible(self.points, text, anchor):
            return None
        return fold_of_points(text, self.points, anchor)

    def worth(self, fold: AnchoredFold, anchor: Anchor) -> float:
        """How compact the fold is, and how much more than loops: the more the better.

        CA atoms within 10 Å a residue, residues as near to what stands around, less the share of loops, the radius of
        gyration and the misfit. What has no neighbour counts as loop.
        """
        length, inner = len(fold.letters), np.zeros(len(fold.letters), bool)
        for block, has_neighbour in zip(blocks_of(fold.letters), fold.has_neighbour(), strict=True):
            inner[block.start : block.stop] = has_neighbour
        placed = inner.copy()
        placed[anchor.places] = True
        known = np.flatnonzero(placed)
        near = cdist(self.points[known], self.points[known]) < _CONTACT
        far_along = np.abs(known[:, None] - known) > _ALONG_CHAIN
        size = float(np.sqrt(np.square(self.points[known] - self.points[known].mean(0)).sum(1).mean()))
        neighbours, loops = float((near & far_along).sum()) / length, float(np.mean(~inner))
        if len(anchor.obstacles):
            neighbours += float((cdist(self.points[known], anchor.obstacles).min(1) < _CONTACT).sum()) / length
        return neighbours - _LOOPS * loops - _SIZE * size / length**SIZE_EXPONENT - _MISFIT * self.misfit


def along_chain(fold: IdealFold, loops: Sequence[int]) -> list[Block]:
    """The fold's elements along a chain, with so many residues before, between and after them."""
    found, place = [], 0
    for element, loop in zip(fold.elements, loops[:-1], strict=True):
        place += loop
        found.append(Block(letter=element.letter, start=place, stop=place + element.length))
        place += element.length
    return found


def with_longer_loops(loops: Sequence[int], rows: range, change: int, rng: np.random.Generator) -> list[int] | None:
    """The loops, those rows longer by the change in all; None where that is too much for them."""
    found, ends, step = list(loops), (0, len(loops) - 1), 1 if change > 0 else -1
    for _ in range(abs(change)):
        able = [
            row
            for row in rows
            if (_SHORTEST_END if row in ends else _SHORTEST_LOOP) <= found[row] + step <= _LONGEST_LOOP
        ]
        if not able:
            return None
        found[able[rng.integers(len(able))]] += step
    return found if abs(change) <= _SHIFT else None


def spread_out(fold: IdealFold, blocks: Sequence[Block], length: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Letters, numbers and CA atoms (Å) of the fold's elements for each residue of a chain; L, -1 and NaN elsewhere."""
    owner, points = np.full(length, -1), np.full((length, 3), np.nan)
    for number, (block, element) in enumerate(zip(blocks, fold.elements, strict=True)):
        owner[block.start : block.stop] = number
        points[block.start : block.stop] = element.alphas()
    return np.array([*(each.letter for each in fold.elements), "L"])[owner], owner, points


def _merged(kinds: np.ndarray, owner: np.ndarray, anchor: Anchor) -> str | None:
    """The chain's letters: the motif's own in the motif, the fold's elsewhere, less what is left too short.

    None where one helix or strand would be made of two of the fold's, or none is left beside the motif's.
    """
    letters = kinds.copy()
    letters[anchor.places] = list(anchor.letters)
    inside = np.zeros(len(letters), bool)
    inside[anchor.places] = True
    # Two blocks have a loop between them; the motif's stay as they are.
    for before in np.flatnonzero((letters[:-1] != letters[1:]) & (letters[:-1] != "L") & (letters[1:] != "L")):
        for row in (before, before + 1):
            if not inside[row]:
                letters[row] = "L"
    place = 0
    for letter, run in groupby(letters.tolist()):
        rows = np.arange(place, place + len(list(run)))
        place = rows[-1] + 1
        own = rows[~inside[rows]]
        if letter != "L" and len(np.unique(owner[own])) > 1:
            return None
        if letter != "L" and len(rows) < SHORTEST[letter]:
            letters[own] = "L"
    outside = [block for block in long_blocks(letters) if not inside[block.start : block.stop].any()]
    return "".join(letters) if outside else None


def _possible(points: np.ndarray, text: str, anchor: Anchor) -> bool:
    """Whether loops can bridge what they must, and elements of the fold are beside the motif and what is around."""
    letters, inside = np.array(list(text)), np.zeros(len(text), bool)
    inside[anchor.places] = True
    known = np.flatnonzero(inside | (letters != "L"))
    for before, after in pairwise(known.tolist()):
        if np.linalg.norm(points[after] - points[before]) > _REACH * (after - before) + 0.6:
            return False
        if after > before + 1 and not _way_is_free(points, known, (before, after), anchor):
            return False
    new = np.flatnonzero(~inside & (letters != "L"))
    near = np.abs(new[:, None] - anchor.places) <= _ALONG_CHAIN
    if np.any((cdist(points[new], anchor.alphas) < NEAREST) & ~near):
        return False
    if not len(anchor.obstacles):
        return True
    return bool(NEAREST_OBSTACLE <= cdist(points[new], anchor.obstacles).min() < BESIDE_OBSTACLE)


def _way_is_free(points: np.ndarray, known: np.ndarray, loop: tuple[int, int], anchor: Anchor) -> bool:
    """Whether the straight way of a loop between two residues leads past all residues known and what is around."""
    before, after = loop
    share = (np.arange(before + 1, after)[:, None] - before) / (after - before)
    way = (1 - share) * points[before] + share * points[after]
    far = known[np.minimum(np.abs(known - before), np.abs(known - after)) > _ALONG_CHAIN]
    standing = np.concatenate([points[far], anchor.obstacles])
    return not len(standing) or bool(cdist(way, standing).min() >= _ON_THE_WAY)

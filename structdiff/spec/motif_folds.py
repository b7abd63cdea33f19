"""Folds around a motif: ideal folds of which helices or strands lie where the motif has its own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations, groupby, pairwise

import numpy as np
from scipy.spatial.distance import cdist
from scipy.spatial.transform import Rotation

from structdiff.spec.fold import Block, BlockPair, Register, StrandPair, blocks_of
from structdiff.spec.fold_elements import BESIDE, IdealFold
from structdiff.spec.ideal_folds import draw_ideal_folds
from structdiff.typing import Float

#: Rounds of so many ideal folds that are tried; Å of misfit from which on one is good enough to stop, and too bad.
_ROUNDS, _FOLDS, _GOOD_FIT, _WORST_FIT = 9, 40, 1.0, 1.5
#: Residues by which the loops before an element of the fold may change in all, and how long loops may get.
_SHIFT, _SHORTEST_LOOP, _LONGEST_LOOP, _SHORTEST_END = 10, 2, 9, 1
#: Residues of the shortest helices and strands, of the motif as of the fold.
_SHORTEST = {"H": 4, "E": 3}
#: Å: how near CA atoms of motif and fold may come; how near CA atoms of the fold may and must come to atoms of what
#: stands around.
_NEAREST, _NEAREST_OBSTACLE, _BESIDE_OBSTACLE = 4.4, 5.0, 7.0
_ON_THE_WAY = 3.5  # Å from the straight way of a loop to CA atoms of the motif and atoms around
_ALONG_CHAIN = 3  # residues along a chain that are near each other anyway
_REACH = 3.5  # Å that a residue bridges at most
#: Å of misfit for each residue of the motif in a helix or strand on which the fold has none, and the other way round.
_UNMATCHED, _LOST = 0.1, 0.05
#: Residues of a stretch to a helix, of loops beside helices, and of the shortest helix, where no fold fits a motif.
_HELIX_ROOM, _HELIX_LOOPS, _SHORTEST_HELIX = 20, (2, 6), 7


@dataclass(frozen=True, kw_only=True, eq=False)
class Anchor:
    """What a chain keeps of a structure, in one piece: places in the chain (from 0), letters H, E or L, CA atoms (Å).

    carbonyls: from C to O of each residue (Å). obstacles: atoms (Å, in the same frame) that stand around it.
    """

    places: np.ndarray
    letters: str
    alphas: Float[np.ndarray, "residue 3"]
    carbonyls: Float[np.ndarray, "residue 3"]
    obstacles: Float[np.ndarray, "atom 3"]


@dataclass(frozen=True, kw_only=True, eq=False)
class AnchoredFold:
    """A fold in the motif's frame: letters of the whole chain, CA atoms of its blocks (Å), which lie side by side.

    registers: how pairs of strands are shifted and bonded. misfit: Å by which the fold's elements miss the motif's and
    what either has for itself.
    """

    letters: str
    sketch: tuple[Float[np.ndarray, "residue 3"], ...]
    adjacent: tuple[BlockPair, ...]
    parallel: tuple[BlockPair, ...]
    registers: tuple[tuple[BlockPair, Register], ...]
    misfit: float


def draw_anchored_fold(length: int, anchor: Anchor, rng: np.random.Generator) -> AnchoredFold | None:
    """A chain of that many residues with an ideal fold that takes up the motif's helices and strands.

    Of many ideal folds, each moved along the chain until an element of it falls on one of the motif, the one that fits
    best in space; None where the motif has neither helix nor strand of some length, or none fits.
    """
    anchor = replace(anchor, letters=letters_kept(length, anchor))
    own = _blocks(_told(length, anchor))
    best: AnchoredFold | None = None
    for _ in range(_ROUNDS if own else 0):
        for fold in draw_ideal_folds(length, rng, _FOLDS):
            for elements in _moved_onto(fold, own, rng):
                found = _anchored(fold, elements, anchor, length)
                if found is not None and (best is None or found.misfit < best.misfit):
                    best = found
            if best is not None and best.misfit < _GOOD_FIT:
                return best
    return best


def letters_kept(length: int, anchor: Anchor) -> str:
    """The motif's letters, of its helices and strands those alone that are long enough."""
    kept = np.full(length, "L")
    for block in _blocks(_told(length, anchor)):
        kept[block.start : block.stop] = block.letter
    return "".join(kept[anchor.places])


def _told(length: int, anchor: Anchor) -> np.ndarray:
    """One letter for each residue of the chain, L where the motif says nothing."""
    told = np.full(length, "L")
    told[anchor.places] = list(anchor.letters)
    return told


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


def _blocks(letters: np.ndarray) -> list[Block]:
    return [each for each in blocks_of("".join(letters)) if len(each) >= _SHORTEST[each.letter]]


def _moved_onto(fold: IdealFold, own: Sequence[Block], rng: np.random.Generator) -> Iterator[list[Block]]:
    """The fold's elements along the chain, loops changed so that one of them lies on one of the motif's blocks."""
    for block in own:
        for number, element in enumerate(fold.elements):
            if element.letter != block.letter:
                continue
            start = block.start + (len(block) - element.length) // 2 + int(rng.integers(-2, 3))
            shift = start - sum(fold.loops[: number + 1]) - sum(each.length for each in fold.elements[:number])
            loops = _stretched(fold.loops, number, shift, rng)
            if loops is not None:
                yield _along_chain(fold, loops)


def _stretched(loops: Sequence[int], number: int, shift: int, rng: np.random.Generator) -> list[int] | None:
    """The loops; those up to the one of that number are longer by the shift in all, those after it shorter."""
    if abs(shift) > _SHIFT:
        return None
    found, ends = list(loops), (0, len(loops) - 1)
    for rows, change in ((range(number + 1), shift), (range(number + 1, len(loops)), -shift)):
        step = 1 if change > 0 else -1
        for _ in range(abs(change)):
            able = [
                row
                for row in rows
                if (_SHORTEST_END if row in ends else _SHORTEST_LOOP) <= found[row] + step <= _LONGEST_LOOP
            ]
            if not able:
                return None
            found[able[rng.integers(len(able))]] += step
    return found


def _along_chain(fold: IdealFold, loops: Sequence[int]) -> list[Block]:
    found, place = [], 0
    for element, loop in zip(fold.elements, loops[:-1], strict=True):
        place += loop
        found.append(Block(letter=element.letter, start=place, stop=place + element.length))
        place += element.length
    return found


def _anchored(fold: IdealFold, elements: Sequence[Block], anchor: Anchor, length: int) -> AnchoredFold | None:
    """The fold with the motif in it; None where the two do not go together."""
    owner = np.full(length, -1)
    ideal = np.full((length, 3), np.nan)
    for number, (block, element) in enumerate(zip(elements, fold.elements, strict=True)):
        owner[block.start : block.stop] = number
        ideal[block.start : block.stop] = element.alphas()
    kinds = np.array([*(each.letter for each in fold.elements), "L"])[owner]
    letters = np.array(list(anchor.letters))
    matched = (letters != "L") & (letters == kinds[anchor.places])
    if matched.sum() < min(_SHORTEST.values()):
        return None
    placed = _superposed(ideal, ideal[anchor.places[matched]], anchor.alphas[matched])
    off = placed[anchor.places[matched]] - anchor.alphas[matched]
    misfit = float(np.sqrt(np.square(off).sum(1).mean()))
    misfit += _UNMATCHED * int(((letters != "L") & ~matched).sum())
    misfit += _LOST * int(((kinds[anchor.places] != "L") & ~matched).sum())
    if misfit > _WORST_FIT:
        return None
    points = placed.copy()
    points[anchor.places] = anchor.alphas
    text = _merged(kinds, owner, anchor)
    if text is None or not _possible(points, text, anchor):
        return None
    return fold_of_points(text, points, anchor, misfit)


def fold_of_points(
    text: str, points: Float[np.ndarray, "residue 3"], anchor: Anchor, misfit: float = 0.0
) -> AnchoredFold | None:
    """The fold of these letters and CA atoms with what lies side by side; None where a new strand would be alone."""
    blocks = blocks_of(text)
    sketch = tuple(points[block.start : block.stop] for block in blocks)
    beside = _neighbours(blocks, sketch)
    strands = [(low, high) for low, high in beside if blocks[low - 1].letter == blocks[high - 1].letter == "E"]
    paired = {number - 1 for pair in strands for number in pair}
    lone = [block for row, block in enumerate(blocks) if block.letter == "E" and row not in paired]
    # A strand of the fold that has lost its neighbour to the motif has no place in a sheet.
    if any(not _holds(anchor, block) for block in lone):
        return None
    parallel = tuple((low, high) for low, high in strands if _same_way(sketch[low - 1], sketch[high - 1]))
    registers = []
    for low, high in strands:
        same_way = (low, high) in parallel
        register = _register(sketch[low - 1], sketch[high - 1], same_way)
        pair = StrandPair(first=blocks[low - 1], second=blocks[high - 1], parallel=same_way, register=register)
        registers.append(((low, high), (register, first_bonded(pair, points, anchor))))
    return AnchoredFold(
        letters=text, sketch=sketch, adjacent=beside, parallel=parallel, registers=tuple(registers), misfit=misfit
    )


def _holds(anchor: Anchor, block: Block) -> bool:
    return bool(np.any((anchor.places >= block.start) & (anchor.places < block.stop)))


def _superposed(points: np.ndarray, given: np.ndarray, onto: np.ndarray) -> np.ndarray:
    """Points, moved as a rigid body so that those given lie on the others as well as they can."""
    turn = Rotation.align_vectors(onto - onto.mean(0), given - given.mean(0))[0]
    return (points - given.mean(0)) @ turn.as_matrix().T + onto.mean(0)


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
        if letter != "L" and len(rows) < _SHORTEST[letter]:
            letters[own] = "L"
    outside = [block for block in _blocks(letters) if not inside[block.start : block.stop].any()]
    return "".join(letters) if outside else None


def _possible(points: np.ndarray, text: str, anchor: Anchor) -> bool:
    """Whether loops can bridge what they must, and elements of the fold are beside the motif and what is around."""
    letters, inside = np.array(list(text)), np.zeros(len(text), bool)
    inside[anchor.places] = True
    known = np.flatnonzero(inside | (letters != "L"))
    for before, after in pairwise(known.tolist()):
        if np.linalg.norm(points[after] - points[before]) > _REACH * (after - before) + 0.6:
            return False
        if after > before + 1 and not _way_is_free(points, before, after, anchor):
            return False
    new = np.flatnonzero(~inside & (letters != "L"))
    near = np.abs(new[:, None] - anchor.places) <= _ALONG_CHAIN
    if np.any((cdist(points[new], anchor.alphas) < _NEAREST) & ~near):
        return False
    if not len(anchor.obstacles):
        return True
    return bool(_NEAREST_OBSTACLE <= cdist(points[new], anchor.obstacles).min() < _BESIDE_OBSTACLE)


def _way_is_free(points: np.ndarray, before: int, after: int, anchor: Anchor) -> bool:
    """Whether the straight way of a loop leads past the motif and what is around."""
    share = (np.arange(before + 1, after)[:, None] - before) / (after - before)
    way = (1 - share) * points[before] + share * points[after]
    far = np.minimum(np.abs(anchor.places - before), np.abs(anchor.places - after)) > _ALONG_CHAIN
    standing = np.concatenate([anchor.alphas[far], anchor.obstacles])
    return not len(standing) or bool(cdist(way, standing).min() >= _ON_THE_WAY)


def _neighbours(blocks: Sequence[Block], sketch: Sequence[np.ndarray]) -> tuple[BlockPair, ...]:
    """Blocks that lie side by side; numbers from 1."""
    return tuple(
        (low + 1, high + 1)
        for low, high in combinations(range(len(blocks)), 2)
        if _apart(sketch[low], sketch[high]) < BESIDE[blocks[low].letter + blocks[high].letter]
    )


def _apart(one: np.ndarray, other: np.ndarray) -> float:
    """Å from the middle of the shorter of two elements to the other's axis."""
    short, long = sorted((one, other), key=len)
    turn = min(4, len(long))
    axis = np.stack([long[start : start + turn].mean(0) for start in range(len(long) - turn + 1)])
    return float(np.linalg.norm(axis - short.mean(0), axis=-1).min())


def _same_way(one: np.ndarray, other: np.ndarray) -> bool:
    return bool((one[-1] - one[0]) @ (other[-1] - other[0]) > 0)


def _register(one: np.ndarray, other: np.ndarray, parallel: bool) -> int:
    """The register of two strands in which residues that face each other are nearest; see `StrandPair.register`."""
    first = one if parallel else one[::-1]
    apart = {}
    for register in range(2 - len(one), len(other) - 1):
        rows = np.arange(max(0, -register), min(len(one), len(other) - register))
        # Few pairs may be near by chance: each that is missing counts.
        missing = min(len(one), len(other)) - len(rows)
        apart[register] = np.linalg.norm(first[rows] - other[rows + register], axis=-1).mean() + 0.3 * missing
    return min(apart, key=apart.__getitem__)


def first_bonded(pair: StrandPair, points: np.ndarray, anchor: Anchor) -> int | None:
    """Which residues of the pair are the first that are bonded, by where the motif's carbonyls point; None without any.

    Along a strand they point to one side and to the other by turns. Of parallel strands, where one's residue is bonded
    the one it faces is not.
    """
    carbonyls = dict(zip(anchor.places.tolist(), anchor.carbonyls, strict=True))
    towards = 0.0
    for number, (one, other) in enumerate(pair.facing()):
        for here, there, turned in ((one, other, False), (other, one, pair.parallel)):
            if here in carbonyls:
                sign = -1.0 if (number + turned) % 2 else 1.0
                towards += sign * float(carbonyls[here] @ (points[there] - points[here]))
    return None if towards == 0.0 else int(towards < 0)

"""A fold in the frame of the motif that it holds, and what of it lies side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from structdiff.spec.anchor import Anchor
from structdiff.spec.fold import Block, BlockPair, Register, StrandPair, blocks_of
from structdiff.spec.fold_elements import BESIDE
from structdiff.typing import Float


@dataclass(frozen=True, kw_only=True, eq=False)
class AnchoredFold:
    """A fold in the motif's frame: letters of the whole chain, CA atoms of its blocks (Å), which lie side by side.

    registers: how pairs of strands are shifted and bonded.
    """

    letters: str
    sketch: tuple[Float[np.ndarray, "residue 3"], ...]
    adjacent: tuple[BlockPair, ...]
    parallel: tuple[BlockPair, ...]
    registers: tuple[tuple[BlockPair, Register], ...]

    def has_neighbour(self) -> list[bool]:
        """Of each block whether something that holds it lies beside it: of a strand another strand, of a helix any."""
        held = {number for pair, _ in self.registers for number in pair}
        beside = {number for pair in self.adjacent for number in pair}
        blocks = enumerate(blocks_of(self.letters), 1)
        return [number in (held if block.letter == "E" else beside) for number, block in blocks]


def fold_of_points(text: str, points: Float[np.ndarray, "residue 3"], anchor: Anchor) -> AnchoredFold | None:
    """The fold of these letters and CA atoms with what lies side by side; None where a new strand would be alone."""
    blocks = blocks_of(text)
    sketch = tuple(points[block.start : block.stop] for block in blocks)
    beside = _neighbours(blocks, sketch)
    strands = [(low, high) for low, high in beside if blocks[low - 1].letter == blocks[high - 1].letter == "E"]
    paired = {number - 1 for pair in strands for number in pair}
    lone = [block for row, block in enumerate(blocks) if block.letter == "E" and row not in paired]
    # A strand of the fold that has lost its neighbour to the motif has no place in a sheet.
    if any(not anchor.holds(block) for block in lone):
        return None
    parallel = tuple((low, high) for low, high in strands if _same_way(sketch[low - 1], sketch[high - 1]))
    registers = []
    for low, high in strands:
        same_way = (low, high) in parallel
        register = _register(sketch[low - 1], sketch[high - 1], same_way)
        pair = StrandPair(first=blocks[low - 1], second=blocks[high - 1], parallel=same_way, register=register)
        registers.append(((low, high), (register, first_bonded(pair, points, anchor))))
    return AnchoredFold(letters=text, sketch=sketch, adjacent=beside, parallel=parallel, registers=tuple(registers))


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

"""The fold that is asked for: helices and strands as blocks of letters, and which of them lie side by side."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise

import numpy as np

from structdiff.errors import InputError
from structdiff.typing import Float

#: Two blocks by their numbers, counted from 1 along all designed chains.
BlockPair = tuple[int, int]
#: `register` and `bonded` of a `StrandPair`.
Register = tuple[int, int | None]

#: Where the fold of new chains comes from when nothing is said: an ideal one, one of these that is easier to find
#: sequences for, a natural chain's, one that trRosetta makes up, the network alone.
HALLUCINATED = "hallucinated"
#: Folds as the network needs them: ideal ones, or none where it folds by itself.
AUTO = "auto"
FOLD_PLANS = (AUTO, "ideal", "designable", "natural", HALLUCINATED, "none")
_PAIR = re.compile(r"(\d+)\s*[-:]\s*(\d+)")
_SHORTEST_STRAND = 2


@dataclass(frozen=True, kw_only=True)
class Block:
    """A helix (H) or strand (E): its letter and its residues, first and one past the last (from 0)."""

    letter: str
    start: int
    stop: int

    def __len__(self) -> int:
        return self.stop - self.start


@dataclass(frozen=True, kw_only=True, eq=False)
class Sketch:
    """Where a plan has its blocks in space: the CA atoms (Å) of each, none for one that may stand anywhere.

    in_frame: they stand where they are to be beside a motif or target, in its frame.
    """

    clouds: tuple[Float[np.ndarray, "residue 3"], ...]
    in_frame: bool = False


@dataclass(frozen=True, kw_only=True)
class StrandPair:
    """Two strands (blocks) that lie side by side, and whether they run the same way.

    register: at which residue of the second strand (from 0, may lie beyond its ends) the first one's first residue has
    its place, or its last if they run opposite ways. bonded: which of the residues that face each other are the first
    that are bonded to each other, 0 or 1; None if it makes no difference.
    """

    first: Block
    second: Block
    parallel: bool
    register: int = 0
    bonded: int | None = None

    def facing(self) -> list[tuple[int, int]]:
        """Residues that face each other: the first of a pair in rising order, from the loop between two outwards."""
        skipped = max(0, -self.register)
        count = min(len(self.first), len(self.second) - self.register)
        if self.parallel:
            return [
                (self.first.start + place, self.second.start + self.register + place) for place in range(skipped, count)
            ]
        return [
            (self.second.start + self.register + place, self.first.stop - 1 - place) for place in range(skipped, count)
        ]


def blocks_of(letters: str) -> list[Block]:
    """The helices and strands of a string of letters; '/' ends a block and counts as no residue.

    >>> [(block.letter, block.start, block.stop) for block in blocks_of("LHHHLLEE/EE?")]
    [('H', 1, 4), ('E', 6, 8), ('E', 8, 10)]
    """
    found, place = [], 0
    for chain in letters.split("/"):
        for letter, run in groupby(chain):
            length = len(list(run))
            if letter in "HE":
                found.append(Block(letter=letter, start=place, stop=place + length))
            place += length
    return found


def parse_block_pairs(text: str, key: str) -> tuple[BlockPair, ...]:
    """Reads pairs of blocks such as ``1-2, 2-4``; raises InputError under the name ``key``."""
    pairs = []
    for word in re.split(r"\s*,\s*|\s+", text.strip("[] '\"\t\n")):
        match = _PAIR.fullmatch(word)
        if match is None or match[1] == match[2]:
            raise InputError("this is no pair of blocks", key=key, found=word, allowed="1-2, 2-4, say")
        low, high = sorted((int(match[1]), int(match[2])))
        pairs.append((low, high))
    return tuple(dict.fromkeys(pairs))


def check_block_pairs(
    letters: str | None,
    adjacent: Iterable[BlockPair],
    apart: Iterable[BlockPair],
    parallel: Iterable[BlockPair] = (),
) -> None:
    """Raises InputError for blocks that are not there, and for pairs of which two things are asked."""
    blocks = [] if letters is None else blocks_of(letters)
    for key, pairs in (("adjacent", adjacent), ("apart", apart)):
        for pair in pairs:
            if letters is None:
                raise InputError("blocks are those of a secondary structure, and none is given", key=key)
            if not 1 <= min(pair) < max(pair) <= len(blocks):
                raise InputError("there is no such pair of helices and strands", key=key, found=f"{pair[0]}-{pair[1]}",
                                 allowed=f"numbers from 1 to {len(blocks)}")  # fmt: skip
    for low, high in parallel:
        if (low, high) not in set(adjacent):
            raise InputError("parallel strands are adjacent ones", key="parallel", found=f"{low}-{high}",
                             allowed=[f"{one}-{other}" for one, other in adjacent])  # fmt: skip
        if not blocks[low - 1].letter == blocks[high - 1].letter == "E":
            raise InputError("only strands can be parallel", key="parallel", found=f"{low}-{high}")
    both = set(adjacent) & set(apart)
    if both:
        raise InputError("the blocks are asked to touch too", key="apart", found="-".join(map(str, min(both))))


def strand_pairs(
    blocks: Sequence[Block],
    adjacent: Iterable[BlockPair] = (),
    apart: Iterable[BlockPair] = (),
    parallel: Iterable[BlockPair] = (),
    registers: Mapping[BlockPair, Register] | None = None,
) -> list[StrandPair]:
    """Which strands are paired: those said to be adjacent; else, without registers, each with the next one.

    Those of ``parallel`` run the same way; of those with a register the others do not. Of the rest, two with nothing
    between them but a loop make a hairpin (antiparallel); two with one helix between them lie parallel, as nearly
    always in nature (right-handed crossover); the remaining ones antiparallel.
    """
    strands = [place for place, block in enumerate(blocks) if block.letter == "E" and len(block) >= _SHORTEST_STRAND]
    asked = [(low - 1, high - 1) for low, high in adjacent]
    chosen = [pair for pair in asked if pair[0] in strands and pair[1] in strands]
    if not chosen and registers is None:
        refused = {(low - 1, high - 1) for low, high in apart}
        chosen = [pair for pair in pairwise(strands) if pair not in refused]
    same_way = {(low - 1, high - 1) for low, high in parallel}
    known = {(low - 1, high - 1): given for (low, high), given in (registers or {}).items()}
    return [
        StrandPair(
            first=blocks[low],
            second=blocks[high],
            parallel=(low, high) in same_way or (high - low == 2 and (low, high) not in known),
            register=known.get((low, high), (0, None))[0],
            bonded=known.get((low, high), (0, None))[1],
        )
        for low, high in chosen
    ]  # fmt: skip

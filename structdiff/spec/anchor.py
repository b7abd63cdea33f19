"""What a designed chain keeps of a structure, as folds are drawn around it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from structdiff.spec.fold import Block, blocks_of
from structdiff.typing import Float

#: Residues of the shortest helices and strands, of the motif as of the fold.
SHORTEST = {"H": 4, "E": 3}


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

    @property
    def is_one_stretch(self) -> bool:
        """Whether no new residue stands between those that are kept."""
        return int(np.ptp(self.places)) + 1 == len(self.places)

    def along(self, length: int) -> np.ndarray:
        """One letter for each residue of a chain of that length, L where nothing is kept."""
        letters = np.full(length, "L")
        letters[self.places] = list(self.letters)
        return letters

    def blocks(self, length: int) -> list[Block]:
        """Its helices and strands that are long enough, by their places in a chain of that length."""
        return long_blocks(self.along(length))

    def without_stubs(self, length: int) -> Anchor:
        """The same, with letters of the helices and strands alone that are long enough."""
        kept = np.full(length, "L")
        for block in self.blocks(length):
            kept[block.start : block.stop] = block.letter
        return replace(self, letters="".join(kept[self.places]))

    def holds(self, block: Block) -> bool:
        """Whether any residue of a block is kept."""
        return bool(np.any((self.places >= block.start) & (self.places < block.stop)))


def long_blocks(letters: np.ndarray) -> list[Block]:
    """The helices and strands of so many letters that are long enough to count."""
    return [each for each in blocks_of("".join(letters)) if len(each) >= SHORTEST[each.letter]]

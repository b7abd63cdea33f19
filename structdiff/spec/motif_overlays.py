"""Ideal folds laid on a motif: one of their helices or strands where the motif has its own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from scipy.spatial.transform import Rotation

from structdiff.spec.anchor import SHORTEST, Anchor
from structdiff.spec.fold import Block
from structdiff.spec.fold_elements import IdealFold
from structdiff.spec.placed_fold import PlacedFold, along_chain, spread_out, with_longer_loops

_OFF_MIDDLE = range(-2, 3)  # residues that the middles of the fold's and of the motif's element may be apart
_WORST_FIT = 1.5  # Å
#: Å of misfit for each residue of the motif in a helix or strand on which the fold has none, and the other way round.
_UNMATCHED, _LOST = 0.1, 0.05


def overlays(fold: IdealFold, anchor: Anchor, length: int, rng: np.random.Generator) -> Iterator[PlacedFold]:
    """The fold moved along the chain until one of its elements falls on one of the motif's, and laid on it.

    On all that match where they do in space, else on that element alone.
    """
    for block in anchor.blocks(length):
        for number, element in enumerate(fold.elements):
            if element.letter != block.letter:
                continue
            for off in _OFF_MIDDLE:
                start = block.start + (len(block) - element.length) // 2 + off
                shift = start - sum(fold.loops[: number + 1]) - sum(each.length for each in fold.elements[:number])
                loops = _stretched(fold.loops, number, shift, rng)
                if loops is not None:
                    found = _laid(fold, along_chain(fold, loops), number, block, anchor, length)
                    if found is not None:
                        yield found


def _stretched(loops: Sequence[int], number: int, shift: int, rng: np.random.Generator) -> list[int] | None:
    """The loops; those up to that number are longer by the shift in all, those after it shorter; None if too much."""
    longer = with_longer_loops(loops, range(number + 1), shift, rng)
    return None if longer is None else with_longer_loops(longer, range(number + 1, len(loops)), -shift, rng)


def _laid(
    fold: IdealFold, elements: Sequence[Block], number: int, block: Block, anchor: Anchor, length: int
) -> PlacedFold | None:
    """The fold with its elements there in the chain, laid on the motif; None where it fits badly."""
    kinds, owner, points = spread_out(fold, elements, length)
    letters, places = np.array(list(anchor.letters)), anchor.places
    alike = (letters != "L") & (letters == kinds[places])
    this_one = alike & (owner[places] == number) & (places >= block.start) & (places < block.stop)
    for matched in (alike, this_one):
        if matched.sum() < min(SHORTEST.values()):
            continue
        laid = _superposed(points, points[places[matched]], anchor.alphas[matched])
        off = laid[places[matched]] - anchor.alphas[matched]
        misfit = float(np.sqrt(np.square(off).sum(1).mean()))
        misfit += _UNMATCHED * int(((letters != "L") & ~alike).sum())
        misfit += _LOST * int(((kinds[places] != "L") & ~alike).sum())
        if misfit <= _WORST_FIT:
            laid[places] = anchor.alphas
            return PlacedFold(kinds=kinds, owner=owner, points=laid, misfit=misfit)
    return None


def _superposed(points: np.ndarray, given: np.ndarray, onto: np.ndarray) -> np.ndarray:
    """Points, moved as a rigid body so that those given lie on the others as well as they can."""
    turn = Rotation.align_vectors(onto - onto.mean(0), given - given.mean(0))[0]
    return (points - given.mean(0)) @ turn.as_matrix().T + onto.mean(0)

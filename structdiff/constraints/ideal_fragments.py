"""Helices, strands and sheets that are asked for: every short stretch is laid out as the ideal one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import torch
from torch import Tensor

from structdiff.constraints.ideal_pieces import ideal_helix, ideal_pair, ideal_strand
from structdiff.constraints.surroundings import carried_along
from structdiff.geometry.superposition import superposition
from structdiff.spec.fold import Block, StrandPair
from structdiff.typing import Float, Int

#: Residues laid out together: long enough to be straight, short enough to bend with the rest.
_HELIX_WINDOW, _STRAND_WINDOW, _PAIR_WINDOW = 9, 5, 4
_ROUNDS = 6

#: Atoms (k), and their ideal places (k, 3) in Å.
Piece = tuple[np.ndarray, np.ndarray]


class IdealFragments:
    """Lays every window of the asked helices and strands as its ideal piece, where the prediction has it.

    Windows overlap; an atom goes to the mean of what its windows say, over and over, and surroundings go along. So a
    helix may bend and a sheet may twist, but neither may be something else.

    Args:
        pieces: atoms and ideal places of each window.
        residue: the residue of each atom.
    """

    def __init__(self, pieces: Iterable[Piece], residue: Int[Tensor, " atom"]) -> None:
        self.residue = residue
        by_size: dict[int, list[Piece]] = {}
        for rows, shape in pieces:
            by_size.setdefault(len(rows), []).append((rows, shape))
        self.windows = [
            (torch.from_numpy(np.stack([rows for rows, _ in same])), torch.from_numpy(np.stack([s for _, s in same])))
            for same in by_size.values()
        ]

    def project(self, positions: Float[Tensor, "sample atom 3"], sigma: float) -> Float[Tensor, "sample atom 3"]:
        """Positions with the windows laid out; ``sigma`` makes no difference."""
        if not self.windows:
            return positions
        start = positions
        for _ in range(_ROUNDS):
            positions, touched = self._laid(positions)
        residue = self.residue.to(positions.device)
        count = int(residue.max()) + 1
        sizes = positions.new_zeros(count).index_add(0, residue, positions.new_ones(len(residue)))
        moved = positions.new_zeros(count).index_add(0, residue, touched.to(positions))
        centre = positions.new_zeros(len(positions), count, 3).index_add(1, residue, start) / sizes[:, None].clamp(
            min=1
        )
        shift = positions.new_zeros(len(positions), count, 3).index_add(
            1, residue, (positions - start) * touched[:, None]
        )
        shift = shift / moved[:, None].clamp(min=1)
        along = carried_along(centre, shift, (moved > 0)[None].expand(len(positions), -1))[:, residue]
        return torch.where(touched[None, :, None], positions, start + along)

    def _laid(self, positions: Tensor) -> tuple[Tensor, Tensor]:
        total, count = torch.zeros_like(positions), positions.new_zeros(positions.shape[1])
        for rows, shapes in self.windows:
            rows, shapes = rows.to(positions.device), shapes.to(positions)
            now = positions[:, rows]
            laid = superposition(shapes.expand(len(positions), -1, -1, -1), now).apply(
                shapes.expand(len(positions), -1, -1, -1)
            )
            total = total.index_add(1, rows.flatten(), laid.flatten(1, 2))
            count = count.index_add(0, rows.flatten(), count.new_ones(rows.numel()))
        touched = count > 0
        return torch.where(touched[None, :, None], total / count.clamp(min=1)[:, None], positions), touched

    def energy(self, positions: Float[Tensor, "sample atom 3"]) -> Float[Tensor, " sample"]:
        """Nothing is preferred: the fragments are laid out."""
        return positions.new_zeros(positions.shape[0])


def fragment_pieces(
    blocks: Sequence[Block], pairs: Sequence[StrandPair], backbone: np.ndarray, chain: np.ndarray
) -> list[Piece]:
    """The windows of helices, strands and strand pairs.

    backbone (residue, 4): rows of N, CA, C, O, -1 where there are none; chain (residue). A helix reaches one residue
    beyond its letters at either end, since DSSP's helices begin after their first turn.
    """
    pieces: list[Piece] = []
    for block in blocks:
        low, high = _grown(block, chain) if block.letter == "H" else (block.start, block.stop)
        size = min(high - low, _HELIX_WINDOW if block.letter == "H" else _STRAND_WINDOW)
        shape = (ideal_helix if block.letter == "H" else ideal_strand)(size)
        for start in range(low, high - size + 1):
            pieces.append((backbone[start : start + size].reshape(-1), shape.reshape(-1, 3)))
    for facing, parallel in ladders(pairs, chain):
        shape = ideal_pair(len(facing), parallel)
        size = min(len(facing), _PAIR_WINDOW)
        for start in range(len(facing) - size + 1):
            rows = backbone[np.array(facing[start : start + size]).T].reshape(-1)
            pieces.append((rows, shape[:, start : start + size].reshape(-1, 3)))
    return [(rows, shape) for rows, shape in pieces if (rows >= 0).all()]


def _grown(block: Block, chain: np.ndarray) -> tuple[int, int]:
    low = block.start - (block.start > 0 and chain[block.start - 1] == chain[block.start])
    high = block.stop + (block.stop < len(chain) and chain[min(block.stop, len(chain) - 1)] == chain[block.start])
    return low, high


def ladders(pairs: Sequence[StrandPair], chain: np.ndarray) -> list[tuple[list[tuple[int, int]], bool]]:
    """For each pair of strands the residues that face each other, as `ideal_pair` counts them, and if it is parallel.

    The N-H and C=O of a residue point to one side, those of the next to the other: so a strand between two others is
    bonded to them by turns, and a ladder begins one residue further on where it must. At the far end it has one pair
    more: the bonds around the last pair need it.
    """
    parity: dict[int, int] = {}
    found = []
    for pair in pairs:
        facing = pair.facing()
        starts = (pair.first.start, pair.second.start) if pair.parallel else (pair.second.start, pair.first.start)
        begin = 0
        for side, start in enumerate(starts):
            if start in parity and begin == 0:
                bonded = (facing[0][side] + (pair.parallel and side)) % 2
                begin = int(bonded == parity[start])
        facing = _longer(facing[begin:], pair, chain)
        if len(facing) < 2:
            continue
        for side, start in enumerate(starts):
            parity.setdefault(start, (facing[0][side] + (pair.parallel and side)) % 2)
        found.append((facing, pair.parallel))
    return found


def _longer(facing: list[tuple[int, int]], pair: StrandPair, chain: np.ndarray) -> list[tuple[int, int]]:
    if not facing:
        return facing
    more = (facing[-1][0] + 1, facing[-1][1] + (1 if pair.parallel else -1))
    same = [0 <= new < len(chain) and chain[new] == chain[old] for new, old in zip(more, facing[-1], strict=True)]
    return [*facing, more] if all(same) else facing

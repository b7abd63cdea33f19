"""Helices, strands and sheets that are asked for: every short stretch is laid out as the ideal one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import torch
from torch import Tensor

from structdiff.constraints.ideal_pieces import ideal_helix, ideal_pair, ideal_strand
from structdiff.constraints.surroundings import carried_along
from structdiff.geometry.superposition import nearest_rotation
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
        windows = list(pieces)
        self.atoms: Tensor | None = None
        if not windows:
            return
        rows, shapes = _padded(windows)
        atoms, places = np.unique(rows, return_inverse=True)
        atoms, places = atoms[atoms >= 0], places.reshape(rows.shape) - int((rows < 0).any())
        given = rows >= 0
        share = given / given.sum(1, keepdims=True)
        self.atoms = torch.from_numpy(atoms)
        # Where a window has no atom it looks at some atom, without weight.
        self.places = torch.from_numpy(np.where(given, places, 0))
        self.share = torch.from_numpy(share)
        self.shapes = torch.from_numpy((shapes - (share[..., None] * shapes).sum(1, keepdims=True)) * given[..., None])
        self.slots, self.slot_share = (torch.from_numpy(each) for each in _slots(places, given, len(atoms)))
        self.residue = residue.to("cpu")
        self.size = torch.bincount(self.residue)
        self.moved = torch.bincount(self.residue[self.atoms], minlength=len(self.size))

    def project(self, positions: Float[Tensor, "sample atom 3"], sigma: float) -> Float[Tensor, "sample atom 3"]:
        """Positions with the windows laid out; ``sigma`` makes no difference."""
        if self.atoms is None:
            return positions
        device = positions.device
        atoms, residue = self.atoms.to(device), self.residue.to(device)
        given = positions[:, atoms]
        laid = self._laid(given)
        size, moved = self.size.to(positions), self.moved.to(positions)
        zeros = positions.new_zeros(len(positions), len(size), 3)
        centre = zeros.index_add(1, residue, positions) / size[:, None].clamp(min=1)
        shift = zeros.index_add(1, residue[atoms], laid - given) / moved[:, None].clamp(min=1)
        along = carried_along(centre, shift, (moved > 0)[None].expand(len(positions), -1))[:, residue]
        return (positions + along).index_copy(1, atoms, laid)

    def _laid(self, given: Float[Tensor, "sample touched 3"]) -> Float[Tensor, "sample touched 3"]:
        """The atoms of all windows, laid out round after round, in float64 (Apple's mps has none: on the CPU)."""
        now = given.detach().to("cpu" if given.device.type == "mps" else given.device).double()
        places, share, shapes = (each.to(now.device) for each in (self.places, self.share, self.shapes))
        slots, slot_share = self.slots.to(now.device), self.slot_share.to(now.device)[:, None]
        for _ in range(_ROUNDS):
            seen = now[:, places]
            # The shapes are centred, so it makes no difference that what is seen is not.
            rotation = nearest_rotation(seen.transpose(-1, -2) @ shapes)
            wanted = shapes @ rotation.transpose(-1, -2) + share[:, None] @ seen
            now = (slot_share @ wanted.flatten(1, 2)[:, slots]).squeeze(2)
        return now.to(given.device, given.dtype)

    def energy(self, positions: Float[Tensor, "sample atom 3"]) -> Float[Tensor, " sample"]:
        """Nothing is preferred: the fragments are laid out."""
        return positions.new_zeros(positions.shape[0])


def fragment_pieces(
    blocks: Sequence[Block], pairs: Sequence[StrandPair], backbone: np.ndarray, chain: np.ndarray,
    loop: np.ndarray | None = None,
) -> list[Piece]:  # fmt: skip
    """The windows of helices, strands and strand pairs.

    backbone (residue, 4): rows of N, CA, C, O, -1 where there are none; chain (residue); loop (residue): where neither
    helix nor strand is to be. A helix reaches one residue beyond its letters at either end, since DSSP's helices begin
    after their first turn; such a residue is a cap where it is in a loop.
    """
    loop = np.zeros(len(chain), bool) if loop is None else loop
    pieces: list[Piece] = []
    beside = ladders(pairs, chain)
    # Strands side by side are not quite as one alone.
    laid = {residue for facing, _ in beside for both in facing for residue in both}
    for block in blocks:
        helix = block.letter == "H"
        low, high = _grown(block, chain) if helix else (block.start, block.stop)
        if helix:
            whole = ideal_helix(high - low, begins=bool(low < block.start and loop[low]),
                                ends=bool(high > block.stop and loop[high - 1]))  # fmt: skip
        else:
            whole = ideal_strand(high - low)
        size = min(high - low, _HELIX_WINDOW if helix else _STRAND_WINDOW)
        for start in range(high - low - size + 1):
            window = slice(start, start + size)
            if not helix and laid.issuperset(range(low + start, low + start + size)):
                continue
            pieces.append((backbone[low:high][window].reshape(-1), whole[window].reshape(-1, 3)))
    for facing, parallel in beside:
        shape = ideal_pair(len(facing), parallel)
        size = min(len(facing), _PAIR_WINDOW)
        for start in range(len(facing) - size + 1):
            rows = backbone[np.array(facing[start : start + size]).T].reshape(-1)
            pieces.append((rows, shape[:, start : start + size].reshape(-1, 3)))
    return [(rows, shape) for rows, shape in pieces if (rows >= 0).all()]


def _padded(windows: Sequence[Piece]) -> tuple[np.ndarray, np.ndarray]:
    """Rows (window, place) and shapes (window, place, 3) of windows of any size; -1 and 0 where one has no more."""
    places = max(len(rows) for rows, _ in windows)
    padded = np.full((len(windows), places), -1)
    shapes = np.zeros((len(windows), places, 3))
    for window, (rows, shape) in enumerate(windows):
        padded[window, : len(rows)], shapes[window, : len(rows)] = rows, shape
    return padded, shapes


def _slots(places: np.ndarray, given: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """For each of ``count`` atoms its places in all windows, laid end to end, and the weight of each (atom, slot)."""
    slots = np.flatnonzero(given)
    atoms = places.reshape(-1)[slots]
    order = np.argsort(atoms, kind="stable")
    slots, atoms = slots[order], atoms[order]
    number = np.bincount(atoms, minlength=count)
    rank = np.arange(len(atoms)) - np.repeat(np.cumsum(number) - number, number)
    found, share = np.zeros((count, number.max()), int), np.zeros((count, number.max()))
    found[atoms, rank], share[atoms, rank] = slots, 1 / number[atoms]
    return found, share


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
    # First those of which it is known where their bonds are: the others go by them.
    for pair in sorted(pairs, key=lambda pair: pair.bonded is None):
        facing = pair.facing()
        starts = (pair.first.start, pair.second.start) if pair.parallel else (pair.second.start, pair.first.start)
        begin = pair.bonded or 0
        for side, start in enumerate(starts):
            if start in parity and begin == 0 and facing and pair.bonded is None:
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

"""TM-score of two chains of different sequence: finds which residues correspond, many pairs of chains at once.

After TM-align (Zhang & Skolnick, Nucleic Acids Res. 33, 2302, 2005): superpositions of fragments, then dynamic
programming over residues that came to lie near, again and again. Unlike it, a superposition is refined by weights
1 / (1 + (d / d0)²)², which climb the TM-score itself, and all pairs of a batch take each step together. The score is
that of an alignment that was found, so it never exceeds the true optimum.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from structdiff.errors import InputError
from structdiff.evaluation.dynamic_programming import align_positions
from structdiff.evaluation.superposition import rotation_of
from structdiff.evaluation.tm_score import tm_d0

MINIMAL_LENGTH = 5  # residues
_FRAGMENTS = (0.6, 0.3)  # of the shorter chain: lengths of the fragments that give first superpositions
_STARTS = (8, 14)  # places along a chain at which fragments of each length begin
_ALIKE = 12  # pairs of fragments of each length, the most alike, that are superposed
_KEPT = (6, 2)  # first superpositions kept after a look without alignment, and after the first alignments
_ROUNDS = (1, 5)  # alignments of each first superposition, and of each that was kept
_FALL_BEHIND = 0.18  # what a first alignment may lack at most of a score that is looked for
_CLIMBS = 3  # refinements of a superposition by weights after every alignment
_CELLS = 6_000_000  # residue pairs in memory at once


@dataclass(frozen=True, kw_only=True, eq=False)
class AlignedScores:
    """TM-scores of pairs of chains, by the length of the first and of the second; aligned: residues that correspond."""

    by_first: np.ndarray
    by_second: np.ndarray
    aligned: np.ndarray

    @property
    def by_longer(self) -> np.ndarray:
        """TM-score by the longer chain: high only if the chains are alike as wholes."""
        return np.minimum(self.by_first, self.by_second)


def align_chains(first: np.ndarray, second: np.ndarray) -> AlignedScores:
    """TM-scores of two chains given by their CA positions (residue, 3) in Å, whatever their sequences."""
    return align_pairs([first, second], np.array([[0, 1]]))


def align_pairs(
    chains: Sequence[np.ndarray],
    pairs: np.ndarray,
    *,
    floor: float = 0.0,
    on_done: Callable[[int], None] | None = None,
) -> AlignedScores:
    """TM-scores of pairs (pair, 2) of chains, each the CA positions (residue, 3) of its resolved residues in Å.

    floor: scores below it need not be exact; pairs far from it are left after a first alignment.
    on_done is told how many pairs each batch held. Raises InputError for a chain of fewer than five residues.
    """
    pairs = np.asarray(pairs, np.int64).reshape(-1, 2)
    lengths = np.array([len(chain) for chain in chains])
    short = lengths[pairs].min(initial=MINIMAL_LENGTH)
    if short < MINIMAL_LENGTH:
        raise InputError(
            "a chain is too short to be aligned", found=short, allowed=f"{MINIMAL_LENGTH} residues or more"
        )
    centred = [np.asarray(chain - chain.mean(0), np.float32) if len(chain) else chain for chain in chains]
    scores = np.zeros((2, len(pairs)))
    aligned = np.zeros(len(pairs), np.int64)
    for rows in _batches(lengths[pairs]):
        batch = _Batch.of(centred, pairs[rows])
        scores[:, rows], aligned[rows] = _align_batch(batch, floor)
        if on_done is not None:
            on_done(len(rows))
    return AlignedScores(by_first=scores[0], by_second=scores[1], aligned=aligned)


def _batches(lengths: np.ndarray) -> Iterator[np.ndarray]:
    """Rows of pairs of like lengths (pair, 2), as many together as memory allows."""
    order = np.lexsort((lengths[:, 1], lengths[:, 0]))
    cells = lengths.prod(-1)[order]
    first = 0
    while first < len(order):
        longest = np.maximum.accumulate(cells[first:])
        room = longest * np.arange(1, len(longest) + 1) * sum(_KEPT[:1]) <= _CELLS
        stop = first + max(1, int(np.argmin(room)) if not room.all() else len(room))
        yield order[first:stop]
        first = stop


@dataclass(frozen=True, kw_only=True)
class _Batch:
    """Pairs of padded chains: a, b (pair, residue, 3), their lengths, d0 of the shorter chain (pair)."""

    a: np.ndarray
    b: np.ndarray
    length_a: np.ndarray
    length_b: np.ndarray
    d0: np.ndarray

    @classmethod
    def of(cls, chains: Sequence[np.ndarray], pairs: np.ndarray) -> _Batch:
        padded = [_padded([chains[row] for row in column]) for column in pairs.T.tolist()]
        (a, length_a), (b, length_b) = padded
        shorter = np.minimum(length_a, length_b)
        d0 = np.array([tm_d0(int(length)) for length in shorter], np.float32)
        return cls(a=a, b=b, length_a=length_a, length_b=length_b, d0=d0)

    def rows(self, rows: np.ndarray) -> _Batch:
        return _Batch(
            a=self.a[rows], b=self.b[rows], length_a=self.length_a[rows], length_b=self.length_b[rows], d0=self.d0[rows]
        )

    @property
    def mask_a(self) -> np.ndarray:
        return np.arange(self.a.shape[1]) < self.length_a[:, None]


def _padded(chains: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    lengths = np.array([len(chain) for chain in chains])
    out = np.full((len(chains), lengths.max(), 3), 1e4, np.float32)  # far from everything
    for row, chain in enumerate(chains):
        out[row, : len(chain)] = chain
    return out, lengths


@dataclass(frozen=True)
class _Motion:
    """Rotations (pair, 3, 3) and shifts (pair, 3): a moves to a @ rotation + shift."""

    rotation: np.ndarray
    shift: np.ndarray

    def rows(self, rows: np.ndarray) -> _Motion:
        return _Motion(self.rotation[rows], self.shift[rows])

    def moved(self, batch: _Batch) -> np.ndarray:
        return batch.a @ self.rotation + self.shift[:, None]


def _align_batch(batch: _Batch, floor: float) -> tuple[np.ndarray, np.ndarray]:
    """Best TM-scores of each pair by either length (2, pair), and residues aligned (pair)."""
    count = len(batch.d0)
    pair, motion = _first_motions(batch)
    expanded = batch.rows(pair)
    motion, partner, score = _improved(expanded, motion, _ROUNDS[0])
    table = score.reshape(count, -1)
    first = _highest(table, 1)
    final_motion, final_partner = motion.rows(first), partner[first]
    hopeful = np.flatnonzero(table.max(1) >= floor - _FALL_BEHIND)
    if len(hopeful):
        best = _highest(table, _KEPT[1]).reshape(count, -1)[hopeful].ravel()
        motion, partner, score = _improved(
            expanded.rows(best), motion.rows(best), _ROUNDS[1], partner[best], score[best]
        )
        best = _highest(score.reshape(len(hopeful), -1), 1)
        final_partner[hopeful] = partner[best]
        final_motion.rotation[hopeful], final_motion.shift[hopeful] = motion.rotation[best], motion.shift[best]
    by = [_final(batch, final_motion, final_partner, length) for length in (batch.length_a, batch.length_b)]
    return np.stack(by), (final_partner >= 0).sum(-1)


def _highest(score: np.ndarray, kept: int) -> np.ndarray:
    """Flat rows of the best few of each pair (pair, kept)."""
    kept = min(kept, score.shape[1])
    best = np.argsort(-score, axis=1, kind="stable")[:, :kept]
    return (best + np.arange(len(score))[:, None] * score.shape[1]).ravel()


def _first_motions(batch: _Batch) -> tuple[np.ndarray, _Motion]:
    """The most promising superpositions of fragments: pair of each, and the motion."""
    count = len(batch.d0)
    found = [_fragment_motions(batch, share, starts) for share, starts in zip(_FRAGMENTS, _STARTS, strict=True)]
    rotation = np.concatenate([motion.rotation.reshape(count, -1, 3, 3) for motion in found], 1)
    shift = np.concatenate([motion.shift.reshape(count, -1, 3) for motion in found], 1)
    score = _glance(batch, rotation, shift)
    pair, flat = np.arange(count)[:, None], np.argsort(-score, axis=1, kind="stable")[:, : _KEPT[0]]
    chosen = _Motion(rotation[pair, flat].reshape(-1, 3, 3), shift[pair, flat].reshape(-1, 3))
    return np.repeat(np.arange(count), flat.shape[1]), chosen


def _fragment_motions(batch: _Batch, share: float, starts: int) -> _Motion:
    """Superpositions of the pairs of fragments that are most alike, of a share of the shorter chain's length."""
    size = np.maximum(4, (np.minimum(batch.length_a, batch.length_b) * share)).astype(np.int64)
    within = (np.arange(size.max()) < size[:, None]).astype(np.float32)
    own, centre_own = _fragments(batch.a, batch.length_a, size, starts, within)
    other, centre_other = _fragments(batch.b, batch.length_b, size, starts, within)
    count = len(size)
    flat = [np.swapaxes(part, 2, 3).reshape(count, starts * 3, -1) for part in (own, other)]
    covariance = (flat[0] @ np.swapaxes(flat[1], 1, 2)).reshape(count, starts, 3, starts, 3).swapaxes(2, 3)
    squares = [np.square(part).sum((2, 3)) for part in (own, other)]
    rest = squares[0][:, :, None] + squares[1][:, None] - 2 * _overlap(covariance)
    best = np.argsort(rest.reshape(count, -1), axis=1, kind="stable")[:, :_ALIKE]
    pair, (first, second) = np.arange(count)[:, None], np.unravel_index(best, (starts, starts))
    rotation = rotation_of(covariance[pair, first, second])
    shift = centre_other[pair, second] - (centre_own[pair, first][..., None, :] @ rotation)[..., 0, :]
    return _Motion(rotation, shift)


def _fragments(
    chain: np.ndarray, length: np.ndarray, size: np.ndarray, starts: int, within: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Fragments (pair, start, residue, 3) of each pair's own size about their centres, 0 behind the end; and these."""
    start = np.floor(np.linspace(0, 1, starts) * (length - size)[:, None]).astype(np.int64)
    index = np.minimum(start[..., None] + np.arange(within.shape[1]), chain.shape[1] - 1)
    part = chain[np.arange(len(chain))[:, None, None], index] * within[:, None, :, None]
    centre = part.sum(2) / size[:, None, None].astype(np.float32)
    return (part - centre[:, :, None]) * within[:, None, :, None], centre


def _overlap(covariance: np.ndarray) -> np.ndarray:
    """Sum of the singular values of covariances (..., 3, 3), the smallest negative for an improper fit: closed form."""
    square = np.swapaxes(covariance, -1, -2) @ covariance
    mean = np.trace(square, axis1=-2, axis2=-1) / 3
    rest = square - mean[..., None, None] * np.eye(3, dtype=square.dtype)
    width = np.sqrt(np.maximum(np.square(rest).sum((-1, -2)) / 6, 1e-12))
    angle = np.arccos(np.clip(_determinant(rest) / (2 * width**3), -1, 1)) / 3
    cosines = [np.cos(angle + turn) for turn in (0.0, -2 * np.pi / 3, 2 * np.pi / 3)]  # largest, middle, smallest
    values = [np.sqrt(np.maximum(mean + 2 * width * cosine, 0)) for cosine in cosines]
    return values[0] + values[1] + np.sign(_determinant(covariance)) * values[2]


def _determinant(matrix: np.ndarray) -> np.ndarray:
    return np.sum(matrix[..., 0, :] * np.cross(matrix[..., 1, :], matrix[..., 2, :]), -1)


def _glance(batch: _Batch, rotation: np.ndarray, shift: np.ndarray) -> np.ndarray:
    """A quick score (pair, motion): how near every third residue of a comes to any of every other residue of b."""
    a, b = batch.a[:, ::3], batch.b[:, ::2]
    count, number = rotation.shape[:2]
    moved = (a[:, None] @ rotation + shift[:, :, None]).reshape(count, -1, 3)
    nearest = _squared_distances(moved, b).min(-1).reshape(count, number, -1)
    scale = np.square(np.maximum(batch.d0, 3.0))[:, None, None]
    seen = (np.arange(a.shape[1]) * 3 < batch.length_a[:, None])[:, None]
    return np.sum(seen / (1 + nearest / scale), -1)


def _squared_distances(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Squared distances (pair, residue of a, residue of b), by one matrix product."""
    left, right = (np.empty((*part.shape[:2], 5), np.float32) for part in (a, b))
    left[..., :3], left[..., 3], left[..., 4] = a * -2, np.einsum("pik,pik->pi", a, a), 1
    right[..., :3], right[..., 3], right[..., 4] = b, 1, np.einsum("pik,pik->pi", b, b)
    return left @ np.ascontiguousarray(np.swapaxes(right, 1, 2))


def _improved(
    batch: _Batch,
    motion: _Motion,
    rounds: int,
    partner: np.ndarray | None = None,
    score: np.ndarray | None = None,
) -> tuple[_Motion, np.ndarray, np.ndarray]:
    """Aligns and superposes in turn; best motion, alignment (pair, residue of a; -1 for none) and TM-score found."""
    count = len(batch.d0)
    best = np.full(count, -1.0, np.float32) if score is None else score.copy()
    best_partner = np.full(batch.a.shape[:2], -1) if partner is None else partner.copy()
    rotation, shift = motion.rotation.copy(), motion.shift.copy()
    active = np.arange(count)
    current = motion
    for _ in range(rounds):
        part = batch.rows(active)
        moved, reach = current.moved(part), np.clip(part.d0, 3.5, 8.0)
        found = align_positions(moved, part.b, part.length_a, part.length_b, reach=reach)
        current, value = _climbed(part, current, found, part.d0, np.minimum(part.length_a, part.length_b))
        better = value > best[active] + 1e-4
        rows = active[better]
        best[rows], best_partner[rows] = value[better], found[better]
        rotation[rows], shift[rows] = current.rotation[better], current.shift[better]
        if not better.any():
            break
        active, current = rows, current.rows(better)
    return _Motion(rotation, shift), best_partner, best


def _climbed(
    batch: _Batch, motion: _Motion, partner: np.ndarray, d0: np.ndarray, length: np.ndarray, steps: int = _CLIMBS
) -> tuple[_Motion, np.ndarray]:
    """Refines superpositions over aligned residues by climbing the TM-score; the motion and the score (pair)."""
    rows = np.arange(len(partner))[:, None]
    paired = partner >= 0
    target = batch.b[rows, np.maximum(partner, 0)]
    own = np.where(paired[..., None], batch.a, 0)
    scale = np.square(d0)[:, None]
    for step in range(steps + 1):
        offset = own @ motion.rotation + motion.shift[:, None] - target
        near = paired / (1 + np.einsum("pik,pik->pi", offset, offset) / scale)
        if step == steps:
            break
        weight = np.square(near) + 1e-6 * paired
        weight /= np.maximum(weight.sum(-1, keepdims=True), 1e-9)
        centre_own = np.einsum("pi,pik->pk", weight, own)
        centre = np.einsum("pi,pik->pk", weight, target)
        covariance = np.swapaxes(own - centre_own[:, None], 1, 2) @ ((target - centre[:, None]) * weight[..., None])
        rotation = rotation_of(covariance)
        motion = _Motion(rotation, centre - (centre_own[:, None] @ rotation)[:, 0])
    return motion, near.sum(-1) / length


def _final(batch: _Batch, motion: _Motion, partner: np.ndarray, length: np.ndarray) -> np.ndarray:
    """TM-score of a given alignment by a given length, with that length's d0."""
    d0 = np.array([tm_d0(int(each)) for each in length], np.float32)
    return _climbed(batch, motion, partner, d0, length, steps=8)[1]

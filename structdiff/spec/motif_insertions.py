"""Ideal folds that hold a motif in one of their loops, or at an end."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy.spatial import KDTree
from scipy.spatial.distance import cdist
from scipy.spatial.transform import Rotation

from structdiff.spec.anchor import Anchor
from structdiff.spec.fold_elements import IdealFold
from structdiff.spec.placed_fold import (
    BESIDE_OBSTACLE,
    NEAREST_OBSTACLE,
    PlacedFold,
    along_chain,
    spread_out,
    with_longer_loops,
)
from structdiff.typing import Float

#: Poses of a motif in a loop that are tried at a time, and the best of them that go on for so many rounds; by how much
#: they are turned (radians) and shifted (Å) in each.
_POSES, _KEPT, _ROUNDS, _TURN, _STEP = 128, 16, 8, 0.3, 1.2
#: Å from one CA atom to the next; of two loops' ways from each other, at least.
_BOND, _ON_THE_WAY = 3.8, 4.2
#: Places on a loop's way, as shares of what is left of it after the first bond, and Å from there to other CA atoms.
_ON_WAY, _PAST = np.array([1.0, 0.7, 0.4]), np.array([4.8, 5.5, 5.5])
#: Neighbours that an Å in the way or out of reach costs, and Å that are nothing.
_WRONG, _NOTHING = 10.0, 0.05
#: New residues between a motif and the element before or after it: the fewest, and one more than the most; where there
#: is none, at the end of a chain, the most.
_GAP, _LONGEST_END = (2, 5), 6
#: Å that a residue of a loop bridges at most; that a whole loop does at least; how far off the motif's own length its
#: ends may be meant to be, since they need not be where they are meant; from the motif's CA atoms to others at least.
_REACH, _LEAST, _LENGTH_OFF, _NEAREST = 3.1, 4.5, 2.5, 5.2
_CONTACT, _FAR = 8.0, 13.0  # Å between CA atoms up to where they are neighbours, and from where on no more
_SMALL = 1e-6  # Å


@dataclass(frozen=True, kw_only=True, eq=False)
class _Poses:
    """Places of the motif in the frame of a fold: how it is turned, and where its centre comes to (Å)."""

    turns: Float[np.ndarray, "pose 3 3"]
    centres: Float[np.ndarray, "pose 3"]

    def applied(self, points: np.ndarray, centre: np.ndarray) -> Float[np.ndarray, "pose point 3"]:
        """Points of the motif, of which that is the centre, in the fold's frame."""
        return np.einsum("pij,kj->pki", self.turns, points - centre) + self.centres[:, None]

    def undone(self, points: np.ndarray, centre: np.ndarray) -> Float[np.ndarray, "pose point 3"]:
        """Points of the fold in the motif's frame."""
        return np.einsum("pij,pki->pkj", self.turns, points - self.centres[:, None]) + centre

    def chosen(self, rows: np.ndarray) -> _Poses:
        return _Poses(turns=self.turns[rows], centres=self.centres[rows])

    def joined(self, others: _Poses) -> _Poses:
        return _Poses(
            turns=np.concatenate([self.turns, others.turns]), centres=np.concatenate([self.centres, others.centres])
        )

    def shaken(self, rng: np.random.Generator) -> _Poses:
        """Each turned and shifted a little."""
        turns = Rotation.from_rotvec(rng.normal(0.0, _TURN, self.centres.shape)).as_matrix()
        return _Poses(turns=turns @ self.turns, centres=self.centres + rng.normal(0.0, _STEP, self.centres.shape))


@dataclass(frozen=True, kw_only=True, eq=False)
class _Gap:
    """Where the motif goes: the fold's CA atoms (Å), how many of them come before it, and new residues beside it.

    residues: between what comes before it, or the end of the chain, and the motif; likewise after it.
    """

    standing: Float[np.ndarray, "residue 3"]
    place: int
    residues: tuple[int, int]

    @property
    def is_closed(self) -> bool:
        """Whether the fold goes on on both sides."""
        return 0 < self.place < len(self.standing)

    def sides(self) -> Iterator[tuple[int, int, int]]:
        """The residue of the fold, of the motif, and how many new ones between them, before and after the motif."""
        if self.place > 0:
            yield self.place - 1, 0, self.residues[0]
        if self.place < len(self.standing):
            yield self.place, -1, self.residues[1]


def insertions(fold: IdealFold, anchor: Anchor, length: int, rng: np.random.Generator) -> Iterator[PlacedFold]:
    """A fold of the new residues alone, with the motif in each of its loops and at its ends, where there is room.

    Loops before and after are lengthened and shortened so that the motif comes to its places in the chain. Of many
    places in space the one where the motif has most neighbours is taken.
    """
    standing = np.concatenate([each.alphas() for each in fold.elements])
    for number in range(len(fold.loops)):
        room = _room_for(fold, number, anchor, length, rng)
        if room is None:
            continue
        before = sum(each.length for each in fold.elements[:number])
        pose = _best_pose(_Gap(standing=standing, place=before, residues=room[0]), anchor, rng)
        if pose is not None:
            yield _placed(fold, room[1], pose, anchor, length)


def _room_for(
    fold: IdealFold, number: int, anchor: Anchor, length: int, rng: np.random.Generator
) -> tuple[tuple[int, int], list[int]] | None:
    """New residues before and after a motif in the loop of that number, and the loops, the motif in this one.

    None where the other loops would have to change too much.
    """
    start, kept = int(anchor.places[0]), len(anchor.places)
    sizes = [each.length for each in fold.elements]
    spare = (start - sum(sizes[:number]), length - kept - start - sum(sizes[number:]))  # for loops before and after
    before, after = (int(rng.integers(*_GAP)) for _ in range(2))
    before = before if number else spare[0]
    after = after if number < len(sizes) else spare[1]
    if not (0 <= before <= _LONGEST_END and 0 <= after <= _LONGEST_END):
        return None
    rest = range(number + 1, len(fold.loops))
    loops = with_longer_loops(fold.loops, range(number), spare[0] - before - sum(fold.loops[:number]), rng)
    loops = loops and with_longer_loops(loops, rest, spare[1] - after - sum(fold.loops[number + 1 :]), rng)
    if loops is None:
        return None
    loops[number] = before + kept + after
    return (before, after), loops


def _placed(fold: IdealFold, loops: list[int], pose: _Poses, anchor: Anchor, length: int) -> PlacedFold:
    """The fold in the motif's frame, from the pose that has brought the motif into the fold's."""
    kinds, owner, points = spread_out(fold, along_chain(fold, loops), length)
    points = pose.undone(points, anchor.alphas.mean(0))[0]
    points[anchor.places] = anchor.alphas
    return PlacedFold(kinds=kinds, owner=owner, points=points, misfit=0.0)


def _best_pose(gap: _Gap, anchor: Anchor, rng: np.random.Generator) -> _Poses | None:
    """How the motif closes the gap, with most neighbours and nothing in its way; None where no way was found.

    Of poses drawn at random those that are best go on, each moved a little in several ways, for some rounds.
    """
    poses = _drawn(gap, anchor.alphas, rng)
    if not len(poses.centres):
        return None
    around = KDTree(anchor.obstacles) if len(anchor.obstacles) else None
    worth, free = _judged(poses, gap, anchor, around)
    for _ in range(_ROUNDS):
        best = np.argsort(-worth, kind="stable")[:_KEPT]
        poses = poses.chosen(best).joined(poses.chosen(best.repeat(_POSES // _KEPT)).shaken(rng))
        worth, free = _judged(poses, gap, anchor, around)
    best = int(np.argmax(np.where(free, worth, -np.inf)))
    return poses.chosen(np.array([best])) if free[best] else None


def _drawn(gap: _Gap, alphas: np.ndarray, rng: np.random.Generator) -> _Poses:
    """Poses in which the ends of the motif are about where loops can lead to, or nearly."""
    first, last = alphas[0], alphas[-1]
    far = float(np.linalg.norm(last - first))
    starts, ends = np.zeros((_POSES, 3)), None
    for at, own, residues in gap.sides():
        reached = gap.standing[at] + _arrows(_POSES, rng) * rng.uniform(_LEAST, _REACH * (residues + 1), (_POSES, 1))
        starts, ends = (reached, ends) if own == 0 else (starts, reached)
    ways = _arrows(_POSES, rng) * far
    if ends is not None and gap.place > 0:
        ways = ends - starts
    elif ends is not None:
        starts = ends - ways
    fit = np.abs(np.linalg.norm(ways, axis=1) - far) < _LENGTH_OFF
    turns = _frames(ways[fit], _arrows(int(fit.sum()), rng)) @ _own_frame(alphas).T
    middles = starts[fit] + 0.5 * ways[fit]
    off_middle = alphas.mean(0) - 0.5 * (first + last)
    return _Poses(turns=turns, centres=middles + np.einsum("pij,j->pi", turns, off_middle))


def _judged(
    poses: _Poses, gap: _Gap, anchor: Anchor, around: KDTree | None
) -> tuple[Float[np.ndarray, "pose"], np.ndarray]:
    """How good each pose is, by neighbours and by what is in the way or out of reach, and whether nothing is."""
    moved = poses.applied(anchor.alphas, anchor.alphas.mean(0))
    apart = _apart(moved, gap.standing)
    wrong = _short_by(apart, _NEAREST)
    for at, own, residues in gap.sides():
        wrong += _way_wrong(moved, own, gap.standing, at, residues)
    if gap.is_closed:
        wrong += _crossing(moved, gap)
    worth = _nearness(apart).sum((1, 2))
    if around is not None:
        nearest, _ = around.query(poses.undone(gap.standing, anchor.alphas.mean(0)))
        worth += _nearness(nearest).sum(1)
        wrong += _short_by(nearest[:, None], NEAREST_OBSTACLE)
        wrong += np.clip(nearest.min(1) - BESIDE_OBSTACLE + 2 * _NOTHING, 0.0, None)
    return worth - _WRONG * wrong, wrong < _NOTHING


def _nearness(apart: np.ndarray) -> np.ndarray:
    """1 for neighbours, 0 for what is far."""
    return np.clip((_FAR - apart) / (_FAR - _CONTACT), 0.0, 1.0)


def _short_by(apart: Float[np.ndarray, "pose one other"], least: float | np.ndarray) -> Float[np.ndarray, "pose"]:
    """Å by which distances are too short, in all."""
    return np.clip(least - apart, 0.0, None).sum((1, 2))


def _way_wrong(moved: np.ndarray, own: int, standing: np.ndarray, at: int, residues: int) -> Float[np.ndarray, "pose"]:
    """Å by which a loop cannot reach from a residue of the fold to one of the motif, or sets out into either."""
    end, start = moved[:, own], standing[at]
    far = np.linalg.norm(end - start, axis=1)
    wrong = np.clip(far - _REACH * (residues + 1), 0.0, None) + np.clip(_LEAST - far, 0.0, None)
    # Places on the way, from a bond off either end on: the first must lead away, the others past.
    share = (1.0 - _BOND / np.maximum(far, _LEAST))[:, None, None] * _ON_WAY[:, None]
    way = (start - end)[:, None]
    past_motif, past_fold = end[:, None] + (1.0 - share) * way, start - (1.0 - share) * way
    motif, fold = np.delete(moved, own, axis=1), np.delete(standing, at, axis=0)
    wrong += _short_by(np.linalg.norm(past_motif[:, :, None] - motif[:, None], axis=-1), _PAST[:, None])
    return wrong + _short_by(_apart(past_fold, fold), _PAST[:, None])


def _crossing(moved: np.ndarray, gap: _Gap) -> Float[np.ndarray, "pose"]:
    """Å by which the ways into the motif and out of it are too near each other."""
    share = np.linspace(0.0, 1.0, 5)[:, None]
    into, out = ((1 - share) * gap.standing[at] + share * moved[:, own, None] for at, own, _ in gap.sides())
    apart = np.linalg.norm(into[:, :, None] - out[:, None], axis=-1)
    apart[:, 0, 0] = apart[:, -1, -1] = np.inf  # where they begin and end is for the fold and the motif to say
    return _short_by(apart, _ON_THE_WAY)


def _arrows(count: int, rng: np.random.Generator) -> Float[np.ndarray, "arrow 3"]:
    """Unit vectors in random directions."""
    found = rng.normal(size=(count, 3))
    return found / np.linalg.norm(found, axis=1, keepdims=True)


def _own_frame(alphas: np.ndarray) -> Float[np.ndarray, "3 3"]:
    """The motif's frame, which turns with it: first axis from end to end, second to what is farthest from that."""
    way = alphas[-1:] - alphas[:1]
    along = way / max(np.linalg.norm(way), _SMALL)
    aside = alphas - alphas[0]
    aside -= (aside @ along.T) * along
    farthest = aside[np.argmax(np.square(aside).sum(1))]
    return _frames(way, np.eye(3)[[np.argmin(np.abs(along))]] if np.linalg.norm(farthest) < _SMALL else farthest[None])[
        0
    ]


def _frames(ways: np.ndarray, towards: np.ndarray) -> Float[np.ndarray, "way 3 3"]:
    """Right-handed frames (axes are columns): the first axis runs along each way, the second to the side given."""
    along = ways / np.maximum(np.linalg.norm(ways, axis=1, keepdims=True), _SMALL)
    aside = towards - (towards * along).sum(1, keepdims=True) * along
    aside /= np.linalg.norm(aside, axis=1, keepdims=True)
    return np.stack([along, aside, np.cross(along, aside)], axis=-1)


def _apart(moved: np.ndarray, standing: np.ndarray) -> Float[np.ndarray, "pose point other"]:
    return cdist(moved.reshape(-1, 3), standing).reshape(len(moved), -1, len(standing))

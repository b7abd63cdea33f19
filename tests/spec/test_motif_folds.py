from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from structdiff.spec.anchor import Anchor
from structdiff.spec.anchored_fold import first_bonded
from structdiff.spec.fold import Block, StrandPair, blocks_of
from structdiff.spec.fold_elements import element
from structdiff.spec.fold_plans import plan_around
from structdiff.spec.grown_folds import helices_around
from structdiff.spec.motif_folds import draw_anchored_fold

NOWHERE = np.zeros((0, 3))


def helix(first: int, length: int = 12, obstacles: np.ndarray = NOWHERE) -> Anchor:
    """A helix that stands askew, far from the origin, with a loop of two residues before it."""
    part = element("H", length, np.array([30.0, -8.0, 5.0]), np.array([1.0, 2.0, -0.5]), np.array([0.0, 1.0, 0.0]))
    alphas = part.alphas()
    before = alphas[0] + np.array([[-5.0, -4.0, 2.0], [-2.5, -2.0, 1.0]])
    return Anchor(
        places=np.arange(first, first + length + 2), letters="LL" + "H" * length,
        alphas=np.concatenate([before, alphas]), carbonyls=np.tile(part.direction, (length + 2, 1)),
        obstacles=obstacles,
    )  # fmt: skip


@pytest.mark.parametrize("seed", range(4))
def test_a_fold_takes_up_the_motif_where_it_is(seed):
    anchor = helix(20)
    fold = draw_anchored_fold(80, anchor, np.random.default_rng(seed))
    assert fold is not None
    assert len(fold.letters) == 80
    assert fold.letters[20:34] == anchor.letters
    blocks = blocks_of(fold.letters)
    own = next(row for row, block in enumerate(blocks) if block.start == 22)
    assert np.allclose(fold.sketch[own][:12], anchor.alphas[2:])
    assert [len(cloud) for cloud in fold.sketch] == [len(block) for block in blocks]
    others = np.concatenate([cloud for row, cloud in enumerate(fold.sketch) if row != own])
    assert np.linalg.norm(others[:, None] - anchor.alphas, axis=-1).min() > 4.3
    assert any(own + 1 in pair for pair in fold.adjacent), "the motif has no neighbour"


def test_the_same_seed_gives_the_same_fold():
    one, again = (draw_anchored_fold(70, helix(30), np.random.default_rng(5)) for _ in range(2))
    assert one is not None
    assert again is not None
    assert one.letters == again.letters
    assert np.array_equal(one.sketch[0], again.sketch[0])


def test_nothing_of_the_fold_stands_in_what_is_around_the_motif():
    rng = np.random.default_rng(1)
    wall = np.array([30.0, -8.0, 5.0]) + np.array([0.0, 0.0, 9.0]) + rng.uniform(-1, 1, (200, 3)) * [25.0, 25.0, 1.0]
    anchor, found = helix(20, obstacles=wall), 0
    for seed in range(3):
        fold = draw_anchored_fold(80, anchor, np.random.default_rng(seed))
        if fold is None:  # beside a wall not every seed finds one
            continue
        found += 1
        own = next(row for row, block in enumerate(blocks_of(fold.letters)) if block.start == 22)
        new = np.concatenate([cloud for row, cloud in enumerate(fold.sketch) if row != own])
        assert np.linalg.norm(new[:, None] - wall, axis=-1).min() >= 5.0
    assert found > 1


def test_strands_of_a_sketch_face_each_other_in_their_register():
    apart = []
    for seed in range(12):
        fold = draw_anchored_fold(75, helix(30), np.random.default_rng(seed))
        assert fold is not None
        blocks, same_way = blocks_of(fold.letters), set(fold.parallel)
        alphas = {
            block.start + row: place
            for block, cloud in zip(blocks, fold.sketch, strict=True)
            for row, place in enumerate(cloud)
        }
        for (low, high), (register, _) in fold.registers:
            pair = StrandPair(
                first=blocks[low - 1], second=blocks[high - 1], parallel=(low, high) in same_way, register=register
            )
            # Sheets are twisted: strands are nearest where they cross.
            apart.append(min(np.linalg.norm(alphas[one] - alphas[other]) for one, other in pair.facing()))
    assert len(apart) > 20
    assert np.median(apart) < 5.0
    assert max(apart) < 5.8


def ends_far_apart(first: int) -> Anchor:
    """Six residues drawn out along a line."""
    return Anchor(
        places=np.arange(first, first + 6), letters="LLLLLL",
        alphas=3.4 * np.arange(6)[:, None] * np.array([1.0, 0.2, 0.0]), carbonyls=np.eye(6, 3), obstacles=NOWHERE,
    )  # fmt: skip


def bent(first: int) -> Anchor:
    """Nine residues on an arc."""
    turn = np.linspace(0.0, 3.5, 9)
    alphas = np.stack([8.0 * np.cos(turn), 8.0 * np.sin(turn), 0.4 * np.arange(9)], axis=1)
    return Anchor(
        places=np.arange(first, first + 9), letters="L" * 9, alphas=alphas,
        carbonyls=np.tile([0.0, 0.0, 1.2], (9, 1)), obstacles=NOWHERE,
    )  # fmt: skip


@pytest.mark.parametrize("first", [3, 30, 62])
@pytest.mark.parametrize("seed", range(3))
def test_a_fold_holds_a_motif_of_loops_in_a_loop_or_at_an_end(first, seed):
    anchor = ends_far_apart(first)
    fold = draw_anchored_fold(70, anchor, np.random.default_rng(seed))
    assert fold is not None
    assert len(fold.letters) == 70
    assert fold.letters[first : first + 6] == "LLLLLL"
    placed = np.full((70, 3), np.nan)
    for block, cloud in zip(blocks_of(fold.letters), fold.sketch, strict=True):
        placed[block.start : block.stop] = cloud
    new = placed[np.isfinite(placed[:, 0])]
    near = np.linalg.norm(new[:, None] - anchor.alphas, axis=-1)
    assert near.min() > 5.1
    assert (near < 10.0).sum() >= 6, "the motif stands apart from the fold"
    placed[anchor.places] = anchor.alphas
    known = np.flatnonzero(np.isfinite(placed[:, 0]))
    for before, after in pairwise(known.tolist()):
        assert np.linalg.norm(placed[after] - placed[before]) <= 3.5 * (after - before) + 0.6


@pytest.mark.parametrize("first", [20, 40])
def test_a_turned_motif_gives_the_turned_fold(first):
    turn, shift = Rotation.from_rotvec([0.4, -1.1, 2.0]).as_matrix(), np.array([5.0, -30.0, 12.0])
    anchor = bent(first)
    moved = replace(anchor, alphas=anchor.alphas @ turn.T + shift, carbonyls=anchor.carbonyls @ turn.T)
    one, other = (draw_anchored_fold(70, each, np.random.default_rng(4)) for each in (anchor, moved))
    assert one is not None
    assert other is not None
    assert one.letters == other.letters
    assert np.allclose(np.concatenate(one.sketch) @ turn.T + shift, np.concatenate(other.sketch), atol=1e-6)


def test_a_fold_beside_something_leaves_it_room_and_touches_it():
    ligand = np.array([8.5, 7.0, 2.0]) + np.random.default_rng(0).normal(0.0, 1.5, (20, 3))
    anchor = replace(ends_far_apart(30), obstacles=ligand)
    folds = [draw_anchored_fold(70, anchor, np.random.default_rng(seed)) for seed in range(3)]
    for fold in folds:
        assert fold is not None
        nearest = np.linalg.norm(np.concatenate(fold.sketch)[:, None] - ligand, axis=-1).min()
        assert 5.0 <= nearest < 7.0


def test_helices_grow_from_a_motif_that_no_fold_holds():
    """Two stretches of loop with few residues between them are in no loop of an ideal fold."""
    one, other = ends_far_apart(30), ends_far_apart(40)
    anchor = replace(
        one, places=np.concatenate([one.places, other.places]), letters="L" * 12, carbonyls=np.eye(12, 3),
        alphas=np.concatenate([one.alphas, other.alphas[::-1] + [0.0, 9.0, 0.0]]),
    )  # fmt: skip
    assert draw_anchored_fold(70, anchor, np.random.default_rng(0)) is None
    plan = plan_around(70, anchor, np.random.default_rng(0))
    assert plan is not None
    assert plan.sketch is not None
    assert plan.sketch.in_frame
    assert plan.letters[30:36] == "LLLLLL"
    assert plan.letters.count("H") > 30
    assert "E" not in plan.letters


def test_kinds_of_folds_go_with_what_the_motif_has():
    """A lone strand has no place in a bundle of helices, nor a helix in two sheets."""
    letters = "".join(draw_anchored_fold(80, helix(20), np.random.default_rng(seed)).letters for seed in range(6))
    assert letters.count("H") > 6 * 20
    strand = element("E", 6, np.zeros(3), np.array([1.0, 0.0, 0.0]), np.array([0.0, 1.0, 0.0]))
    carbonyls = np.array([0.0, 0.0, 1.2]) * (1 - 2 * (np.arange(6) % 2))[:, None]
    anchor = Anchor(
        places=np.arange(30, 36), letters="E" * 6, alphas=strand.alphas(), carbonyls=carbonyls, obstacles=NOWHERE
    )
    for seed in range(6):
        fold = draw_anchored_fold(80, anchor, np.random.default_rng(seed))
        assert fold is not None
        assert fold.letters.count("E") > 12


def test_stretches_too_short_for_a_helix_are_left_open():
    letters = helices_around(40, np.arange(6, 15), np.random.default_rng(3))
    assert letters[:15] == "?" * 15
    assert len(letters) == 40
    assert {letters[15], letters[-1]} == {"L"}
    assert all(len(block) >= 7 for block in blocks_of(letters))


def test_a_register_shifts_which_residues_face_each_other():
    first, second = Block(letter="E", start=0, stop=5), Block(letter="E", start=10, stop=14)

    def facing(register: int, parallel: bool) -> list[tuple[int, int]]:
        return StrandPair(first=first, second=second, parallel=parallel, register=register).facing()

    assert facing(1, False) == [(11, 4), (12, 3), (13, 2)]
    assert facing(-2, False) == [(10, 2), (11, 1), (12, 0)]
    assert facing(2, True) == [(0, 12), (1, 13)]
    assert facing(-1, True) == [(1, 10), (2, 11), (3, 12), (4, 13)]
    assert facing(0, False) == [(10, 4), (11, 3), (12, 2), (13, 1)]


@pytest.mark.parametrize("parallel", [False, True])
def test_bonds_of_a_pair_are_where_the_motif_points(parallel):
    """Two strands in a plane; the motif's carbonyls point to the other strand and away by turns."""
    places = np.arange(5)
    points = np.zeros((20, 3))
    points[:5, 0] = points[10:15, 0] = 3.3 * places
    points[10:15, 1] = 4.8
    if not parallel:
        points[10:15] = points[10:15][::-1].copy()
    pair = StrandPair(
        first=Block(letter="E", start=0, stop=5), second=Block(letter="E", start=10, stop=15), parallel=parallel
    )
    carbonyls = np.zeros((5, 3))
    for towards in (0, 1):
        carbonyls[:, 1] = np.where(places % 2 == towards, 1.2, -1.2)
        anchor = Anchor(places=places, letters="EEEEE", alphas=points[:5], carbonyls=carbonyls, obstacles=NOWHERE)
        assert first_bonded(pair, points, anchor) == towards
    elsewhere = Anchor(
        places=np.arange(16, 18), letters="LL", alphas=points[16:18], carbonyls=points[:2], obstacles=NOWHERE
    )
    assert first_bonded(pair, points, elsewhere) is None

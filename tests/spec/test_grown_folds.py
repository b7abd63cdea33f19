from itertools import pairwise

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from structdiff.spec.anchor import Anchor
from structdiff.spec.fold import blocks_of
from structdiff.spec.fold_plans import plan_around
from structdiff.spec.grown_folds import grow_fold

NOWHERE = np.zeros((0, 3))


def loop(places: np.ndarray, obstacles: np.ndarray = NOWHERE) -> Anchor:
    """Residues on an arc, far from the origin, whose ends lie side by side."""
    turn = np.linspace(0.3, 2 * np.pi - 0.3, len(places))
    alphas = np.stack([8.0 * np.cos(turn) + 40.0, 8.0 * np.sin(turn), 0.1 * np.arange(len(places))], axis=1)
    return Anchor(
        places=places, letters="L" * len(places), alphas=alphas, carbonyls=np.tile([0.0, 0.0, 1.2], (len(places), 1)),
        obstacles=obstacles,
    )  # fmt: skip


def alphas_of(fold) -> np.ndarray:
    return np.concatenate(fold.sketch)


@pytest.mark.parametrize("seed", range(5))
def test_helices_stand_beside_the_motif_and_clear_of_each_other(seed):
    anchor = loop(np.arange(40, 54))
    fold = grow_fold(100, anchor, np.random.default_rng(seed))
    assert fold is not None
    assert len(fold.letters) == 100
    assert fold.letters[40:54] == "L" * 14
    assert set(fold.letters) == {"H", "L"}
    assert all(len(block) >= 7 for block in blocks_of(fold.letters))
    assert cdist(alphas_of(fold), anchor.alphas).min() >= 5.2
    for row, cloud in enumerate(fold.sketch):
        others = np.concatenate([each for number, each in enumerate(fold.sketch) if number != row])
        assert cdist(cloud, others).min() >= 5.2
    assert fold.adjacent, "no helix lies beside another"


@pytest.mark.parametrize("seed", range(5))
def test_loops_reach_and_lead_past_the_motif(seed):
    anchor = loop(np.arange(40, 54))
    fold = grow_fold(100, anchor, np.random.default_rng(seed))
    assert fold is not None
    placed = np.full((100, 3), np.nan)
    placed[anchor.places] = anchor.alphas
    for block, cloud in zip(blocks_of(fold.letters), fold.sketch, strict=True):
        placed[block.start : block.stop] = cloud
    known = np.flatnonzero(np.isfinite(placed[:, 0]))
    for before, after in pairwise(known.tolist()):
        gap = after - before
        assert np.linalg.norm(placed[after] - placed[before]) <= 3.4 * gap + 0.6
        share = np.arange(1, gap)[:, None] / gap
        way = (1 - share) * placed[before] + share * placed[after]
        far = np.minimum(abs(anchor.places - before), abs(anchor.places - after)) > 4
        assert not way.size or cdist(way, anchor.alphas[far]).min() >= 4.4


def test_grown_folds_are_as_compact_as_natural_chains():
    folds = [grow_fold(120, loop(np.arange(60, 74)), np.random.default_rng(seed)) for seed in range(8)]
    sizes = [np.sqrt(np.square(at - at.mean(0)).sum(1).mean()) for at in map(alphas_of, filter(None, folds))]
    assert len(sizes) == 8
    # 30 natural chains of helices have quartiles of 0.92 and 0.97.
    assert 0.85 < np.mean(sizes) / (2.2 * 120**0.38) < 1.05


def test_between_two_stretches_of_a_motif_the_chain_comes_back():
    # Two short stretches 20 Å apart, 26 residues between them.
    anchor = loop(np.r_[np.arange(30, 34), np.arange(60, 64)])
    fold = grow_fold(95, anchor, np.random.default_rng(0))
    assert fold is not None
    between = [
        (block, cloud)
        for block, cloud in zip(blocks_of(fold.letters), fold.sketch, strict=True)
        if 34 <= block.start < 60
    ]
    assert between
    block, cloud = between[-1]
    assert np.linalg.norm(cloud[-1] - anchor.alphas[4]) <= 3.4 * (60 - block.stop + 1)


def test_a_motif_without_room_for_helices_has_no_fold():
    assert grow_fold(20, loop(np.arange(4, 18)), np.random.default_rng(0)) is None


def test_chains_that_are_shut_in_are_left_to_the_network():
    """Atoms all around the motif leave no way out of it."""
    way = np.random.default_rng(0).normal(size=(600, 3))
    cage = np.array([40.0, 0.0, 0.0]) + 14.0 * way / np.linalg.norm(way, axis=1, keepdims=True)
    assert plan_around(60, loop(np.arange(20, 34), cage), np.random.default_rng(0)) is None
    assert plan_around(60, loop(np.arange(20, 34)), np.random.default_rng(0)) is not None


def test_the_same_seed_gives_the_same_fold():
    one, again = (grow_fold(80, loop(np.arange(30, 44)), np.random.default_rng(7)) for _ in range(2))
    assert one is not None
    assert again is not None
    assert one.letters == again.letters
    assert np.array_equal(alphas_of(one), alphas_of(again))

from itertools import pairwise

import numpy as np
import pytest

from structdiff.constraints.ideal_pieces import ideal_pair
from structdiff.spec.fold import blocks_of, check_block_pairs, strand_pairs
from structdiff.spec.fold_elements import IdealFold, element, faces_bonded
from structdiff.spec.fold_plans import draw_fold_plan, ideal_fold_plan
from structdiff.spec.ideal_folds import KINDS, draw_ideal_fold, draw_ideal_folds, kind_of


def folds(length: int, count: int = 40) -> list[IdealFold]:
    found = [draw_ideal_fold(length, np.random.default_rng([length, seed])) for seed in range(count)]
    assert all(fold is not None for fold in found)
    return [fold for fold in found if fold is not None]


@pytest.mark.parametrize("length", [40, 64, 100, 150])
def test_a_fold_has_the_asked_length_and_every_element_its_letters(length):
    for fold in folds(length):
        assert len(fold.letters) == length
        assert [len(block) for block in blocks_of(fold.letters)] == [element.length for element in fold.elements]
        assert [len(element.alphas()) for element in fold.elements] == [element.length for element in fold.elements]


def test_the_same_random_numbers_give_the_same_fold_and_others_another():
    one, again = (draw_ideal_fold(80, np.random.default_rng(5)) for _ in range(2))
    assert one is not None
    assert again is not None
    assert one.letters == again.letters
    assert all((a.alphas() == b.alphas()).all() for a, b in zip(one.elements, again.elements, strict=True))
    assert len({fold.name for fold in folds(100)}) > 15


def test_chains_too_short_or_too_long_have_none():
    assert draw_ideal_fold(12, np.random.default_rng(0)) is None
    assert draw_ideal_fold(600, np.random.default_rng(0)) is None


def test_helices_are_right_handed_and_atoms_as_far_apart_as_in_proteins():
    for fold in folds(90):
        for each in fold.elements:
            alphas = each.alphas()
            steps = np.linalg.norm(np.diff(alphas, axis=0), axis=-1)
            np.testing.assert_allclose(steps, 3.8, atol=0.1)
            if each.letter == "H":
                a, b, c = np.diff(alphas[:4], axis=0)
                assert np.cross(a, b) @ c > 0


def test_elements_do_not_run_into_each_other_and_their_ends_are_within_reach():
    for fold in folds(100):
        clouds = [element.alphas() for element in fold.elements]
        for place, one in enumerate(clouds):
            for other in clouds[place + 1 :]:
                assert np.linalg.norm(one[:, None] - other[None], axis=-1).min() > 3.7
        for (before, after), loop in zip(pairwise(clouds), fold.loops[1:-1], strict=True):
            assert np.linalg.norm(after[0] - before[-1]) < 3.8 * (loop + 1)


def test_crossovers_are_right_handed():
    seen = 0
    for fold in folds(100, 80):
        for one, helix, other in zip(fold.elements, fold.elements[1:], fold.elements[2:], strict=False):
            if one.letter + helix.letter + other.letter == "EHE":
                seen += 1
                along = other.middle - one.middle
                assert np.cross(one.direction, along) @ (helix.middle - (one.middle + other.middle) / 2) < 0
    assert seen > 20


def test_sheets_twist_to_the_left_seen_across_the_strands():
    for fold in folds(100):
        for low, high in fold.adjacent:
            one, other = fold.elements[low - 1], fold.elements[high - 1]
            if one.letter + other.letter == "EE":
                way = np.sign(one.direction @ other.direction)
                assert np.cross(one.direction, way * other.direction) @ (other.middle - one.middle) < 0


def test_plans_can_be_asked_for_and_every_strand_is_paired_as_it_runs():
    for seed in range(40):
        plan = ideal_fold_plan(100, np.random.default_rng(seed))
        assert plan is not None
        check_block_pairs(plan.letters, plan.adjacent, (), plan.parallel)
        blocks = blocks_of(plan.letters)
        pairs = strand_pairs(blocks, plan.adjacent, (), plan.parallel)
        numbers = {block: place for place, block in enumerate(blocks, start=1)}
        together = {(numbers[pair.first], numbers[pair.second]) for pair in pairs if pair.parallel}
        assert together == set(plan.parallel)
        paired = {pair.first for pair in pairs} | {pair.second for pair in pairs}
        assert {block for block in blocks if block.letter == "E"} <= paired


@pytest.mark.parametrize("length", [64, 100, 128])
@pytest.mark.parametrize("kind", list(KINDS))
def test_there_are_folds_of_each_kind_that_differ(length, kind):
    found = draw_ideal_folds(length, np.random.default_rng(length), 6, kind)
    assert len(found) == 6
    assert {kind_of(fold.letters) for fold in found} == {kind}
    assert len({fold.letters for fold in found}) > 3


def test_sheets_of_a_sandwich_are_antiparallel_and_face_each_other():
    for fold in draw_ideal_folds(100, np.random.default_rng(1), 10, "sandwich"):
        assert not fold.parallel
        sheet = {1: 0}
        for _ in fold.elements:
            sheet |= {high: sheet[low] for low, high in fold.adjacent if low in sheet}
            sheet |= {low: sheet[high] for low, high in fold.adjacent if high in sheet}
        assert 2 <= len(sheet) <= len(fold.elements) - 2
        middles = [np.mean([each.middle for number, each in enumerate(fold.elements, 1) if (number in sheet) is own], 0)
                   for own in (True, False)]  # fmt: skip
        assert 8 < np.linalg.norm(middles[0] - middles[1]) < 14


def test_content_and_size_are_spread_about_those_of_natural_chains():
    rng = np.random.default_rng(0)
    ideal = np.array([plan.shape() for plan in (ideal_fold_plan(100, rng) for _ in range(60)) if plan is not None])
    natural = np.array([plan.shape() for plan in (draw_fold_plan(100, rng) for _ in range(200)) if plan is not None])
    away = (ideal.mean(0) - natural.mean(0)) / natural.std(0)
    assert np.abs(away).max() < 1.0
    assert (ideal.std(0) > 0.4 * natural.std(0)).all()


def test_what_loops_bridge_lies_between_elements_and_counts_a_residue():
    up, side = np.array([0.0, 0.0, 1.0]), np.array([1.0, 0.0, 0.0])
    one = element("E", 5, np.zeros(3), up, side)
    other = element("E", 5, np.array([0.0, 4.8, 0.0]), -up, side)
    fold = IdealFold(elements=(one, other), loops=(1, 3, 2), adjacent=((1, 2),))
    assert fold.bridged() == pytest.approx(4.8 / 16)


@pytest.mark.parametrize("length", [64, 100])
def test_loops_of_designable_plans_have_less_to_bridge(length):
    def bridged(*, designable: bool) -> float:
        plans = [ideal_fold_plan(length, np.random.default_rng(seed), designable=designable) for seed in range(30)]
        clouds = [plan.sketch.clouds for plan in plans if plan and plan.sketch]
        assert len({plan.letters for plan in plans if plan}) > 20
        ends = [after[0] - before[-1] for each in clouds for before, after in pairwise(each)]
        return float(np.linalg.norm(ends, axis=-1).sum() / (length * len(clouds)))

    assert bridged(designable=True) < 0.85 * bridged(designable=False)


def test_loops_of_hairpins_go_with_the_side_their_strands_are_bonded_on():
    loops: dict[bool, list[int]] = {True: [], False: []}
    for fold in folds(100, 80):
        told = dict(fold.registers)
        for place, (one, other) in enumerate(pairwise(fold.elements)):
            if fold.name[place : place + 2] == "EE" and (place + 1, place + 2) in told:
                bonded = faces_bonded(one, one.length - 1, other.middle - one.middle)
                assert told[place + 1, place + 2] == (0, 0 if bonded else 1)
                loops[bonded].append(fold.loops[place + 1])
    # As in nature: two residues between bonded ones, five or so between others.
    assert np.median(loops[True]) == 2
    assert min(loops[False]) > 2
    assert np.mean(loops[False]) > np.mean(loops[True]) + 1


def test_strands_have_their_bonds_where_l_amino_acids_have_them():
    """Of an ideal hairpin every other pair of residues is bonded, the first to begin with."""
    one, other = ideal_pair(6, parallel=False)
    alphas = one[:, 1]
    first_side = alphas[0] - 0.5 * (alphas[1] + alphas[-1])
    strand = element("E", 6, alphas.mean(0), alphas[-1] - alphas[0], first_side)
    across = other[:, 1].mean(0) - alphas.mean(0)
    nitrogen_to_oxygen = np.linalg.norm(one[:, 0] - other[:, 3], axis=-1)
    assert [faces_bonded(strand, place, across) for place in range(6)] == (nitrogen_to_oxygen < 3.5).tolist()


def test_two_helices_between_strands_make_them_antiparallel():
    found = near = 0
    for fold in folds(100, 80):
        for place in range(len(fold.name) - 3):
            if fold.name[place : place + 4] == "EHHE":
                found += 1
                one, other = fold.elements[place], fold.elements[place + 3]
                # Further apart than two strands the twist may have turned one right across the other.
                if np.linalg.norm(one.middle - other.middle) < 11:
                    near += 1
                    assert one.direction @ other.direction < 0
                beside = np.linalg.norm(fold.elements[place + 1].middle - fold.elements[place + 2].middle)
                assert 6 < beside < 25
    assert found > 5
    assert near > 5

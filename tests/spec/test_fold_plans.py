import numpy as np
import pytest

from structdiff.errors import InputError
from structdiff.spec.contig_grammar import parse_contigs
from structdiff.spec.design import DesignSpec
from structdiff.spec.fold import blocks_of, check_block_pairs, strand_pairs
from structdiff.spec.fold_plans import FoldPlan, draw_fold_plan, natural_fold_plans, with_fold_plan

PLAN = FoldPlan(letters="LLEEEELLEEEELLLHHHHHHHHHHHLL", adjacent=((1, 2), (2, 3)), parallel=((1, 2),), origin="1abc_A")


def planned(number: int = 0, **changes) -> DesignSpec:
    spec = DesignSpec(**({"contigs": parse_contigs("60-80"), "seed": 3} | changes))
    rng = np.random.default_rng([spec.seed, number])
    return with_fold_plan(spec, spec.sample_layout(rng), rng)


def test_a_plan_survives_being_written():
    assert FoldPlan.from_row(PLAN.to_row()) == PLAN


@pytest.mark.parametrize("length", [25, 28, 34])
def test_a_plan_fits_another_length_and_keeps_its_blocks(length):
    fitted = PLAN.fitted(length, np.random.default_rng(0))
    assert len(fitted.letters) == length
    assert [block.letter for block in blocks_of(fitted.letters)] == ["E", "E", "H"]
    assert fitted.adjacent == PLAN.adjacent


def test_a_plan_without_loops_to_give_cannot_shrink():
    assert FoldPlan(letters="EEEELLEEEE", adjacent=((1, 2),)).fitted(8, np.random.default_rng(0)) is None


def test_every_natural_plan_can_be_asked_for_and_pairs_all_its_strands():
    for plan in natural_fold_plans():
        check_block_pairs(plan.letters, plan.adjacent, (), plan.parallel)
        blocks = blocks_of(plan.letters)
        pairs = strand_pairs(blocks, plan.adjacent, (), plan.parallel)
        paired = {pair.first for pair in pairs} | {pair.second for pair in pairs}
        assert {block for block in blocks if block.letter == "E"} <= paired, plan.origin


def test_plans_vary_as_natural_chains_do():
    plans = [draw_fold_plan(80, np.random.default_rng(seed)) for seed in range(100)]
    assert all(plan is not None and len(plan.letters) == 80 for plan in plans)
    assert len({plan.origin for plan in plans}) > 30
    with_sheet = np.mean(["E" in plan.letters for plan in plans])
    assert 0.5 < with_sheet < 0.95


def test_a_request_that_says_nothing_of_its_fold_gets_a_plan_and_the_same_one_again():
    one, again, other = planned(0), planned(0), planned(1)
    assert one.secondary_structure is not None
    assert one.adjacent == again.adjacent
    assert one.secondary_structure == again.secondary_structure != other.secondary_structure


@pytest.mark.parametrize(
    "changes",
    [
        {"fold_plan": "none"},
        {"secondary_structure": "?" * 70, "contigs": parse_contigs("70")},
        {"contigs": parse_contigs("10/A163-181/10"), "motif": "motif.pdb"},
        {"contigs": parse_contigs("10")},
    ],
    ids=["not wanted", "said already", "around a motif", "too short to know"],
)
def test_other_requests_stay_as_they_are(changes):
    spec = DesignSpec(**({"contigs": parse_contigs("60-80")} | changes))
    if spec.motif is not None:
        from structdiff.spec.segments import ResidueId

        spec = spec.resolve([ResidueId(chain="A", number=number) for number in range(160, 190)])
    assert with_fold_plan(spec, spec.sample_layout(np.random.default_rng(0)), np.random.default_rng(0)) == spec


def test_plans_of_two_chains_count_their_blocks_on():
    spec = planned(contigs=parse_contigs("60 60"))
    blocks = blocks_of(spec.secondary_structure)
    chain = [block.start >= 60 for block in blocks]
    assert spec.secondary_structure.count("/") == 1
    assert all(chain[low - 1] == chain[high - 1] for low, high in spec.adjacent)
    assert any(chain[low - 1] for low, _ in spec.adjacent)


def test_ideal_plans_are_the_default_and_bring_a_sketch_of_each_block():
    spec = planned()
    assert spec.fold_plan == "auto"
    assert [len(each) for each in spec.sketches[0].clouds] == [
        len(block) for block in blocks_of(spec.secondary_structure)
    ]
    assert planned(fold_plan="natural").sketches == ()


def test_designable_plans_are_other_ideal_ones():
    spec = planned(fold_plan="designable")
    assert spec.sketches
    assert spec.secondary_structure != planned().secondary_structure


def test_a_chain_too_long_for_an_ideal_fold_gets_none_or_a_natural_plan():
    assert planned(contigs=parse_contigs("190")).secondary_structure is not None
    assert planned(contigs=parse_contigs("900")).secondary_structure is None


def test_an_unknown_plan_is_refused():
    with pytest.raises(InputError, match="did you mean 'natural'"):
        DesignSpec(contigs=parse_contigs("60"), fold_plan="naturl")

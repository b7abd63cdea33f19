"""Filters: what they accept, what they refuse to read, and what they say of each design; ranking and advice."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from structdiff.campaign.columns import COME_WITH, EVERY, campaign_columns
from structdiff.campaign.filters import check_columns, parse_filter
from structdiff.campaign.results import DesignResult
from structdiff.campaign.selection import PATIENCE, Funnel, select
from structdiff.errors import InputError
from structdiff.spec.symmetry import parse_symmetry

COLUMNS = {"sc_rmsd": 1.5, "plddt": 80.0, "iptm": None, "all_met": True, "helix": 0.5, "polymer_residues": 60}


def design(number: int, met: bool = True, **columns: object) -> DesignResult:
    verdicts = [{"name": "motif", "asked": "", "reached": "", "met": met}]
    return DesignResult(run="d", name=f"d_{number}", backbone=f"d_{number}", number=number, columns=columns,
                        verdicts=verdicts)  # fmt: skip


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("sc_rmsd < 2", True),
        ("sc_rmsd < 2 and plddt > 90", False),
        ("plddt > 90 or helix == 0.5", True),
        ("not (plddt > 90)", True),
        ("all_met", True),
        ("all_met == true and not all_met == false", True),
        ("all_met == false", False),
        ("1 < sc_rmsd <= 1.5", True),
        ("abs(sc_rmsd - 2) < 0.6 and max(helix, 0.1) * 2 >= 1", True),
        ("iptm > 0.1", False),
        ("polymer_residues / (plddt - 80) > 1", False),
        ("-sc_rmsd < 0", True),
    ],
)
def test_conditions_mean_what_they_say(text: str, expected: bool) -> None:
    assert (parse_filter(text).failures(COLUMNS) == ()) is expected


def test_each_condition_has_its_reason() -> None:
    failures = parse_filter("sc_rmsd < 1 and (plddt > 90 or helix > 1) and iptm > 0.5 and all_met").failures(COLUMNS)
    assert failures == (
        "sc_rmsd < 1 (sc_rmsd is 1.5)",
        "plddt > 90 or helix > 1 (helix is 0.5, plddt is 80)",
        "iptm > 0.5 (iptm is not known)",
    )


@pytest.mark.parametrize(
    "text",
    [
        "", "sc_rmsd <", "sc_rmsd", "not sc_rmsd", "all_met and plddt", "sc_rmsd = 2",
        "__import__('os').system('true') == 0", "plddt.real > 1",
        "[x for x in (1,)] == 1", "(lambda: 1)() > 0", "plddt > 1 if all_met else 2", "open('x') == 1",
        "plddt ** 9 > 1", "f'{plddt}' == 'x'", "plddt > 1; plddt", "abs(1, 2) > 1", "max() > 1", "x := 1",
        "(" * 300 + "plddt" + ")" * 300, "1 + 1", "plddt in (1, 2)", "b'x' == plddt", "max(plddt, key=abs) > 1",
    ],
)  # fmt: skip
def test_nothing_else_is_read(text: str) -> None:
    with pytest.raises(InputError, match="filter"):
        parse_filter(text)


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        wanted = parse_filter(text)
        check_columns(wanted.columns, COLUMNS)
        wanted.failures(COLUMNS)
    except InputError:
        pass


def test_an_unknown_column_is_answered_with_the_nearest() -> None:
    with pytest.raises(InputError, match="did you mean 'sc_rmsd'"):
        check_columns(parse_filter("scrmsd < 2").columns, COLUMNS)


def test_what_was_met_comes_first_and_rejected_designs_keep_their_reason() -> None:
    results = [
        design(0, sc_rmsd=1.0, met=False), design(1, sc_rmsd=3.0), design(2, sc_rmsd=2.0), design(3, sc_rmsd=None),
        design(4, sc_rmsd=0.5, plddt=10),
    ]  # fmt: skip
    ranked = select(results, parse_filter("sc_rmsd < 3.5 and sc_rmsd > 0.6"))
    assert [each.name for each in ranked] == ["d_2", "d_1", "d_0", "d_4", "d_3"]
    assert [each.rank for each in ranked] == [1, 2, 3, 4, 5]
    assert [bool(each.reasons) for each in ranked] == [False, False, False, True, True]
    assert ranked[3].reasons == ("sc_rmsd > 0.6 (sc_rmsd is 0.5)",)
    by_plddt = select([design(0, plddt=50.0), design(1, plddt=70.0)], None)
    assert [each.name for each in by_plddt] == ["d_1", "d_0"]


def test_after_many_rejections_it_is_said_what_to_relax() -> None:
    funnel = Funnel(wanted=parse_filter("sc_rmsd < 2 and plddt > 70"))
    assert funnel.add(design(0, sc_rmsd=1.0, plddt=80.0)) is None
    advice = [funnel.add(design(k, sc_rmsd=3.0 + k / 10, plddt=80.0 if k % 4 else 60.0)) for k in range(PATIENCE)]
    assert advice[:-1] == [None] * (PATIENCE - 1)
    assert advice[-1] == (
        "20 designs in a row were rejected: relax 'sc_rmsd < 2' (it alone rejects 15 of 21; sc_rmsd <= 3.1 would let a "
        "tenth of them through)"
    )
    lines = funnel.lines()
    assert lines[0] == "1 of 21 designs pass the filter"
    assert "sc_rmsd < 2  rejects    20, alone    15" in lines[1]
    assert "plddt > 70   rejects     5, alone     0" in lines[2]


def test_a_column_of_a_step_that_is_left_out_is_named_as_such():
    with pytest.raises(InputError, match="filter: this column comes with refolding, of which nothing is asked"):
        check_columns(["sc_rmsd"], ["plddt"])
    assert set(COME_WITH) < set(EVERY)


@pytest.mark.parametrize(
    ("asked", "there"),
    [({}, False), ({"contigs": "3/A168-172/2 20"}, True), ({"symmetry": parse_symmetry("C2")}, True)],
)
def test_interfaces_are_columns_of_designs_with_several_chains(planned, asked, there) -> None:
    campaign = planned(1, asked=asked)
    assert ("interface_pairs" in campaign_columns(campaign)) == there

"""The table of designs in a terminal: whole names and numbers, however narrow it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from structdiff.campaign.results import DesignResult
from structdiff.cli.results import Result, show_designs, show_results

_COLUMNS = {
    "plddt": 78.07, "motif_rmsd": 0.0, "sc_rmsd": 10.81, "sc_tm": 0.28, "judge_log_likelihood": -3.43,
    "judge_contact_precision": 0.46, "refold_motif_rmsd": 2.09, "refold_plddt": 46.59,
}  # fmt: skip


@pytest.mark.parametrize("width", [120, 80, 50])
def test_names_and_numbers_are_whole_at_any_width(width, capsys, monkeypatch):
    monkeypatch.setattr("structdiff.cli.console._WIDTH_OUTSIDE_TERMINALS", width)
    reasons = ("sc_rmsd < 2 (10.81)", "refold_motif_rmsd < 1 (2.09)")
    rows = [
        DesignResult(run="binder", name=f"binder_epitope_{number}_1", backbone=f"binder_epitope_{number}",
                     number=number, columns=_COLUMNS, reasons=reasons, rank=number)
        for number in (1, 2)
    ]  # fmt: skip
    show_designs(rows, Path("a/folder"))
    shown = capsys.readouterr().out
    assert "…" not in shown
    lines = [line.split() for line in shown.splitlines() if "binder_epitope_" in line]
    assert [line[1] for line in lines] == ["binder_epitope_1_1", "binder_epitope_2_1"]
    assert all(line[3:4] in (["78.07"], ["2"]) and line[-1] == "2" for line in lines)
    assert "all are in a/folder" in shown
    if width == 120:
        assert lines[0][3:-1] == ["78.07", "0.00", "10.81", "0.28", "-3.43", "0.46", "2.09", "46.59"]


def test_a_design_that_failed_is_told_from_one_that_is_rejected(capsys):
    kinds = {"good": {}, "poor": {"reasons": ("plddt > 90 (plddt is 78)",)},
             "lost": {"reasons": ("not refolded: no such program",), "complete": False}}  # fmt: skip
    rows = [
        DesignResult(run="x", name=name, backbone=name, number=number, columns=_COLUMNS, rank=number + 1, **kind)
        for number, (name, kind) in enumerate(kinds.items())
    ]
    show_designs(rows, Path("x"))
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert {line[1]: line[-1] for line in lines if line[1] in kinds} == {"good": "-", "poor": "1", "lost": "failed"}


def test_headings_are_whole_at_any_width(capsys, monkeypatch):
    rows = [DesignResult(run="x", name="design_1", backbone="design_1", number=0, columns=_COLUMNS, rank=1)]
    for width in range(40, 125):
        monkeypatch.setattr("structdiff.cli.console._WIDTH_OUTSIDE_TERMINALS", width)
        show_designs(rows, Path("x"))
        shown = capsys.readouterr().out
        assert "…" not in shown, width
        assert max(map(len, shown.splitlines()[:2])) <= width


def _prediction(name, *unmet):
    verdicts = [
        {"name": each, "asked": "within 6 Å", "reached": "9.0 Å", "met": each not in unmet, "requested": True}
        for each in ("pocket", "contact 1", "contact 2", "contact 3", "contact 4")
    ]
    file = Path(f"x/{name}.cif")
    return Result(name=name, file=file, plddt=50.0, ranking_score=0.5, verdicts=verdicts, provenance={})


def test_what_a_prediction_misses_is_said(capsys):
    four = ("contact 1", "contact 2", "contact 3", "contact 4")
    show_results([_prediction("p_1", "pocket"), _prediction("p_2"), *(_prediction(f"q_{n}", *four) for n in range(6))])
    lines = [line for line in capsys.readouterr().out.splitlines() if "not met by" in line or "others" in line]
    assert lines[0] == "not met by p_1: pocket (asked: within 6 Å; reached: 9.0 Å)"
    assert lines[1].endswith("contact 3 (asked: within 6 Å; reached: 9.0 Å); 1 more")
    assert len(lines) == 6
    assert lines[-1] == "what 2 others do not meet stands in x/predictions.csv"

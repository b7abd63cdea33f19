"""The table of designs in a terminal: whole names and numbers, however narrow it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from structdiff.campaign.results import DesignResult
from structdiff.cli.results import show_designs

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

"""Damaged files of finished designs are made again, and nothing else is."""

from __future__ import annotations

from pathlib import Path

import pytest

from structdiff.campaign.finished_files import is_whole
from structdiff.campaign.manifest import Manifest
from structdiff.campaign.report import write_campaign_report
from structdiff.campaign.run import Run, Selection
from structdiff.evaluation.backbone import Backbone
from structdiff.structure.files import read_structure
from tests.campaign.making import made, recorded_of


def prepared(campaign, folder: Path) -> list[str]:
    """What is told of a folder before work begins."""
    notes: list[str] = []
    with Manifest(folder) as manifest:
        Run(campaign, folder, Selection(), range(campaign.spec.num_designs)).prepare(manifest, on_note=notes.append)
    return notes


@pytest.mark.parametrize("settings", [{}, {"sequences": 2}, {"avoid": "C"}])
@pytest.mark.parametrize(
    ("suffix", "damage"),
    [(".cif", b"junk\n"), (".cif", b""), (".cif", b"data_x\n"), (".cif", None), (".confidence.json", None),
     (".residue_map.json", b"\x00" * 500), (".pdb", None)],
)  # fmt: skip
def test_a_damaged_file_of_a_finished_design_is_made_again(planned, tmp_path, settings, suffix, damage) -> None:
    campaign = planned(2, refold="none", judge="none", **settings)
    name = made(campaign, tmp_path)[0].name
    path = tmp_path / f"{name}{suffix}"
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2] if damage is None else damage)
    (note,) = prepared(campaign, tmp_path)
    assert path.name in note
    assert "damaged files count as missing" in note
    failures: list = []
    assert len(made(campaign, tmp_path, failures=failures)) == 2 * campaign.settings.sequences
    assert not failures
    assert path.read_bytes() == whole
    assert not prepared(campaign, tmp_path)


def test_a_structure_that_is_cut_between_two_lines_is_damaged(planned, tmp_path) -> None:
    path = tmp_path / f"{made(planned(1, refold='none', judge='none'), tmp_path)[0].name}.cif"
    lines = path.read_text().splitlines(keepends=True)
    assert is_whole(path)
    path.write_text("".join(lines[:-12]))
    assert not is_whole(path)
    path.write_text("".join(lines)[:-1])
    assert not is_whole(path)


def test_a_design_and_what_was_made_of_it_are_made_again_in_their_order(planned, published_weights, tmp_path) -> None:
    campaign = planned(2, sequence_model="proteinmpnn", sequences=2)
    made(campaign, tmp_path)
    paths = [tmp_path / name for name in ("design_1_1.cif", "refolded/design_1_1.cif", "backbones/design_1.cif")]
    before = [path.read_bytes() for path in paths]
    for path in paths:
        path.write_bytes(b"junk")
    failures: list = []
    results = made(campaign, tmp_path, failures=failures)
    assert not failures
    assert len(results) == 4
    assert all(each.complete for each in results)
    assert [path.read_bytes() for path in paths] == before
    assert "judge" in recorded_of(tmp_path, "design_1_1")


def test_a_damaged_design_takes_no_other_out_of_the_report(planned, tmp_path) -> None:
    results = made(planned(6, refold="none", contigs="12/A168-172/12"), tmp_path)
    known = [("1abc_A", Backbone.from_structure(read_structure(tmp_path / "design_2.cif")))]
    (tmp_path / "design_1.cif").write_bytes(b"junk\n")
    with Manifest(tmp_path) as manifest:
        text = write_campaign_report(manifest, results, tmp_path, known).read_text()
    assert "the files of design_1 are damaged" in text
    assert "design_2 is a near-copy of 1abc_A" in text

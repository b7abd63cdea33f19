"""``structdiff evaluate``: the files it writes, what it says, and what it does with what it cannot read."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import pytest

from structdiff.cli.main import main
from structdiff.cli.stages import PlainStages
from structdiff.evaluation.catalogue import CATALOGUE

DATA = Path(__file__).parents[1] / "evaluation" / "data"


@pytest.fixture(scope="module")
def judged(tmp_path_factory) -> tuple[int, Path]:
    """Four proteins and one broken file, judged once."""
    folder = tmp_path_factory.mktemp("evaluate")
    shutil.copytree(DATA, folder / "structures")
    (folder / "structures" / "broken.pdb").write_text("ATOM  nothing\n")
    code = main(["evaluate", str(folder / "structures"), "--out", str(folder / "out"), "--quiet"])
    return code, folder / "out"


def test_a_broken_file_is_reported_and_the_rest_is_done(judged) -> None:
    code, out = judged
    assert code == 2
    data = json.loads((out / "evaluation.json").read_text())
    assert [Path(each["file"]).name for each in data["failures"]] == ["broken.pdb"]
    assert "broken.pdb" in data["failures"][0]["reason"]
    assert [each["name"] for each in data["structures"]] == ["1crn", "1ubi", "2igd", "2zta"]


def test_every_number_is_explained_and_every_mean_has_an_interval(judged) -> None:
    data = json.loads((judged[1] / "evaluation.json").read_text())
    assert set(data["summary"]) <= set(CATALOGUE)
    assert set(data["summary"]) <= set(data["metrics"])
    for name, value in data["summary"].items():
        if CATALOGUE[name].scope == "structure":
            assert value["low"] <= value["mean"] <= value["high"], name
    assert data["summary"]["clusters"]["mean"] == 4
    assert data["summary"]["helix"]["mean"] <= 1
    assert data["metrics"]["helix"]["unit"] == "share, 0 to 1"
    assert data["provenance"]["program"].startswith("structdiff ")


def test_the_table_has_a_row_for_each_structure(judged) -> None:
    with (judged[1] / "structures.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["name"] for row in rows] == ["1crn", "1ubi", "2igd", "2zta"]
    assert set(rows[0]) - {"name", "file"} <= set(CATALOGUE)
    assert float(rows[1]["residues"]) == 76
    assert rows[0]["interface_area"] == ""
    assert float(rows[3]["interface_area"]) > 500


def test_the_page_holds_everything_and_needs_no_network(judged) -> None:
    page = (judged[1] / "report.html").read_text()
    assert "http" not in page.replace("https://www.w3.org", "")
    assert page.count("data:image/png;base64,") == 2
    assert "broken.pdb" in page
    assert "2zta" in page
    assert CATALOGUE["rama_favoured"].label in page


def test_the_same_again_gives_the_same_files(judged, tmp_path) -> None:
    arguments = ["evaluate", str(judged[1].parent / "structures"), "--out", str(tmp_path), "--quiet"]
    assert main(arguments) == 2
    for name in ("evaluation.json", "structures.csv"):
        assert (tmp_path / name).read_bytes() == (judged[1] / name).read_bytes()


def test_models_are_held_against_references_of_the_same_name(tmp_path, capsys) -> None:
    arguments = ["evaluate", str(DATA / "1ubi.pdb"), str(DATA / "1crn.pdb"), "--reference", str(DATA)]
    assert main([*arguments, "--out", str(tmp_path), "--no-clusters"]) == 0
    data = json.loads((tmp_path / "evaluation.json").read_text())
    assert data["summary"]["lddt"]["mean"] == data["summary"]["tm"]["mean"] == 1
    assert data["targets"] == []
    shown = capsys.readouterr().out
    assert "lDDT" in shown
    assert "targets" not in shown


def test_targets_are_those_that_apply(tmp_path) -> None:
    """One design from nothing, one with a residue map, one whose request names a structure that is gone."""
    names = ("1ubi", "1crn", "2igd")
    for name in names:
        shutil.copy(DATA / f"{name}.pdb", tmp_path)
    residues = [{"design": {"chain": "A", "number": number, "insertion_code": ""},
                 "motif": {"chain": "A", "number": number, "insertion_code": ""}, "group": 1}
                for number in range(5, 10)]  # fmt: skip
    kept = {"chains": [{"chain": "A", "length": 46, "new": 41, "kept": False}], "residues": residues}
    (tmp_path / "1crn.residue_map.json").write_text(json.dumps(kept))
    request = {"provenance": {"spec": {"name": "design", "motif": "gone.pdb", "noise": "4"}}}
    (tmp_path / "2igd.confidence.json").write_text(json.dumps(request))

    def texts(*chosen: str) -> dict[str, set[str]]:
        files, out = [str(tmp_path / f"{name}.pdb") for name in chosen], tmp_path / "out"
        assert main(["evaluate", *files, "--out", str(out), "--no-clusters", "--quiet"]) == 0
        targets = json.loads((out / "evaluation.json").read_text())["targets"]
        assert ("quartiles.</p>" in (out / "report.html").read_text()) == ("1ubi" in chosen)
        return {each["group"]: {line["text"] for line in targets if line["group"] == each["group"]} for each in targets}

    assert "helix content within natural quartiles" in texts("1ubi")["all"]
    assert "Ramachandran favoured, new residues" in texts("1crn")["all"]
    assert "Ramachandran favoured" in texts("2igd")["all"]
    found = texts(*names)
    assert list(found) == ["all, from nothing", "all, around given parts"]
    assert {"quartiles" in " ".join(lines) for lines in found.values()} == {True, False}


def test_ligands_of_references_have_a_table(tmp_path) -> None:
    file, out = DATA.parents[1] / "data" / "4i39.cif.gz", tmp_path / "out"
    arguments = ["evaluate", str(file), "--out", str(out), "--no-clusters", "--quiet"]
    assert main([*arguments, "--reference", str(file)]) == 0
    with (out / "ligands.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    (structure,) = json.loads((out / "evaluation.json").read_text())["structures"]
    assert [row["name"] for row in rows] == [each["name"] for each in structure["ligands"]]
    assert rows
    assert {row["structure"] for row in rows} == {structure["name"]}
    assert float(rows[0]["rmsd"]) < 0.01
    assert main(arguments) == 0
    assert not (out / "ligands.csv").exists()


def test_structures_without_a_reference_are_named(tmp_path, capsys) -> None:
    references = tmp_path / "references"
    references.mkdir()
    shutil.copy(DATA / "1ubi.pdb", references)
    arguments = ["evaluate", str(DATA / "1ubi.pdb"), str(DATA / "1crn.pdb"), "--reference", str(references)]
    assert main([*arguments, "--out", str(tmp_path), "--no-clusters"]) == 0
    (note,) = [each for each in json.loads((tmp_path / "evaluation.json").read_text())["notes"] if "1crn" in each]
    assert "no reference" in note
    assert "1ubi" not in note
    assert note in (tmp_path / "report.html").read_text()
    assert "1crn" in " ".join(capsys.readouterr().out.split())


def test_what_is_unlike_its_reference_keeps_its_other_values(tmp_path, capsys) -> None:
    model = DATA / "1crn.pdb"
    arguments = ["evaluate", str(model), "--reference", str(DATA / "1ubi.pdb"), "--out", str(tmp_path)]
    assert main(arguments) == 2
    data = json.loads((tmp_path / "evaluation.json").read_text())
    assert data["failures"][0]["reason"].startswith(f"{model}: no chain of the model is like a chain of the reference")
    assert "rama_favoured" in data["structures"][0]
    assert "lddt" not in data["structures"][0]
    assert str(model) in capsys.readouterr().err


@pytest.mark.parametrize("told", [True, False])
def test_predictions_find_the_reference_of_their_input(tmp_path, told) -> None:
    """NAME_1 as `predict` writes it is held against NAME: by its confidence file, or without the number."""
    for folder in ("predicted", "references"):
        (tmp_path / folder).mkdir()
    shutil.copy(DATA / "1ubi.pdb", tmp_path / "references" / "ubiquitin.pdb")
    predicted = tmp_path / "predicted" / ("anything_3.pdb" if told else "ubiquitin_2.pdb")
    shutil.copy(DATA / "1ubi.pdb", predicted)
    if told:
        content = json.dumps({"provenance": {"spec": {"name": "ubiquitin"}}})
        predicted.with_name("anything_3.confidence.json").write_text(content)
    arguments = ["evaluate", str(predicted), "--reference", str(tmp_path / "references"), "--out", str(tmp_path)]
    assert main(arguments) == 0
    assert json.loads((tmp_path / "evaluation.json").read_text())["summary"]["lddt"]["mean"] == 1


def test_the_time_left_is_told_in_plain_lines(capsys) -> None:
    times = iter([0.0, 0.0, 20.0, 21.0])
    report = PlainStages(now=lambda: next(times))
    report("judging", 0, 10)
    report("judging", 2, 10)
    report("judging", 3, 10)
    assert capsys.readouterr().err == "judging: 20 %, 1 min 20 s left\n"


def test_what_was_asked_of_a_structure_and_cannot_be_judged_is_told(tmp_path, capsys) -> None:
    structure, motif = str(DATA / "1crn.pdb"), str(DATA / "2igd.pdb")
    options = ["--hotspots", "A5", "--motif", motif, "--no-clusters", "--out", str(tmp_path / "out")]
    assert main(["evaluate", structure, *options]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "1crn has one chain, so that nothing touches its hotspots" in shown
    assert "1crn has no residue map" in shown
    assert main(["evaluate", structure, motif, *options]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "1crn, 2igd (2 structures): each has one chain, so that nothing touches its hotspots" in shown
    options[1] = "B99"
    two = str(DATA / "2zta.pdb")
    assert main(["evaluate", two, *options]) == 2
    assert f"error: {two}: a hotspot is not in the structure (found 'B99')" in capsys.readouterr().err


def test_folders_that_are_passed_over_are_named(tmp_path, capsys) -> None:
    """AlphaFold 3 puts the best model beside folders of all samples."""
    inside = tmp_path / "job" / "seed-1_sample-0"
    inside.mkdir(parents=True)
    for file in (tmp_path / "job" / "job_model.pdb", inside / "job_seed-1_sample-0_model.pdb"):
        shutil.copy(DATA / "1crn.pdb", file)
    arguments = ["--no-clusters", "--out", str(tmp_path / "out")]
    assert main(["evaluate", str(tmp_path / "job"), *arguments]) == 0
    assert str(inside) in "".join(capsys.readouterr().out.split())
    data = json.loads((tmp_path / "out" / "evaluation.json").read_text())
    assert len(data["structures"]) == 1
    assert str(inside) in data["notes"][-1]
    assert main(["evaluate", str(tmp_path / "job"), str(inside), *arguments]) == 0
    assert not any(
        str(inside) in note for note in json.loads((tmp_path / "out" / "evaluation.json").read_text())["notes"]
    )


def test_a_campaigns_report_is_not_replaced(tmp_path, capsys) -> None:
    (tmp_path / "report.html").write_text("a campaign's")
    shutil.copy(DATA / "1crn.pdb", tmp_path)
    assert main(["evaluate", str(tmp_path), "--out", str(tmp_path)]) == 2
    assert "report.html: out: a report of something else would be replaced" in capsys.readouterr().err
    assert (tmp_path / "report.html").read_text() == "a campaign's"
    (tmp_path / "report.html").unlink()
    for _ in range(2):  # an evaluation's own is
        assert main(["evaluate", str(tmp_path), "--out", str(tmp_path), "--quiet"]) == 0

"""``structdiff sequence``: what it writes, what it keeps, what it refuses. Networks have random weights."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from structdiff.structure.files import read_structure
from tests.inverse_folding.conftest import random_weights  # noqa: F401 - a fixture, used by all


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "sequences.csv").open() as table:
        return list(csv.DictReader(table))


def test_what_is_written(command: Callable, backbones: tuple[Path, Path], tmp_path: Path) -> None:
    code, shown, _ = command("sequence", *backbones, "-n", "2", "--ban", "C", "--temperature", "1", "--out", "found")
    assert code == 0
    assert "4 sequences in found" in shown
    found = rows(tmp_path / "found")
    assert [row["name"] for row in found] == ["cro_1", "cro_2", "peptides_1", "peptides_2"]
    fasta = (tmp_path / "found" / "sequences.fasta").read_text()
    for row in found:
        structure = read_structure(tmp_path / "found" / row["file"])
        letters = dict(part.split(":") for part in row["sequence"].split("/"))
        assert all(sequence in fasta.replace("\n", "") for sequence in letters.values())
        assert structure.atoms.resolved.mean() > 0.85
        assert 0 < float(row["negative_log_likelihood"]) < 20
    text = (tmp_path / "found" / "cro_1.cif").read_text()
    assert "ligandmpnn_v_32_010_25" in text
    record = json.loads((tmp_path / "found" / "cro.sequences.json").read_text())
    assert record["provenance"]["asked"]["ban"] == "C"
    assert len(record["provenance"]["source_sha256"]) == 64
    assert [entry["name"] for entry in record["sequences"]] == ["cro_1", "cro_2"]


def test_designs_whose_motif_gets_new_letters_are_told(
    command: Callable, backbones: tuple[Path, Path], tmp_path: Path
) -> None:
    residue = {"design": {"chain": "A", "number": 7}, "motif": {"chain": "B", "number": 163}, "group": 1}
    (tmp_path / "cro.residue_map.json").write_text(json.dumps({"residues": [residue]}))
    options = ("-n", "1", "--no-pack", "--out", "found")
    _, _, said = command("sequence", *backbones, *options)
    assert len(said) == 1
    assert said[0].startswith("note: the motif or target of 1 of 2 files gets new letters too: --fix keeps residues")
    assert command("sequence", backbones[1], *options)[2] == []
    assert command("sequence", backbones[0], *options, "--fix", "A7", "--overwrite")[2] == []


def test_what_is_there_is_kept_and_another_run_refused(
    command: Callable, backbones: tuple[Path, Path], tmp_path: Path
) -> None:
    cro = backbones[0]
    arguments = ("sequence", cro, "-n", "2", "--no-pack", "--out", "found")
    assert command(*arguments)[0] == 0
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "found").glob("*.cif")}
    assert len(before) == 2
    assert command(*arguments)[0] == 0
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "found").glob("*.cif")} == before
    code, _, errors = command("sequence", cro, "-n", "1", "--no-pack", "--out", "found")
    assert code == 2
    assert "num_sequences was 2 and is 1 now" in errors[0]
    assert command("sequence", cro, "-n", "1", "--no-pack", "--out", "found", "--overwrite")[0] == 0
    assert [path.name for path in (tmp_path / "found").glob("*.cif")] == ["cro_1.cif"]
    assert len(rows(tmp_path / "found")) == 1


def test_names_that_differ_in_case_only_are_refused(
    command: Callable, backbones: tuple[Path, Path], tmp_path: Path
) -> None:
    other = tmp_path / "CRO.pdb.gz"
    other.write_bytes(backbones[0].read_bytes())
    asked = ("-n", "1", "--no-pack", "--out", "found")
    for files in ((backbones[0], other), (backbones[0],), (other, "--overwrite")):
        code, _, errors = command("sequence", *files, *asked)
        assert (code, len(errors)) == ((0, 0) if len(files) == 1 else (2, 1))
        assert code == 0 or "cro differs in upper and lower case only" in errors[0]


def test_all_that_can_be_asked(command: Callable, backbones: tuple[Path, Path], tmp_path: Path) -> None:
    cro, peptides = backbones
    asked = (
        "--fix",
        "A20-30",
        "--ban-at",
        "A31-40=AG",
        "--allow-at",
        "A41-45=DE",
        "--bias",
        "K=-1,E=0.5",
        "--ban",
        "C",
    )
    common = ("--no-pack", "-n", "1", "--temperature", "5", "--out", "found", "--quiet")
    assert command("sequence", cro, *asked, *common) == (0, "", [])
    letters = rows(tmp_path / "found")[0]["sequence"].removeprefix("A:")
    original = read_structure(cro)
    numbers = original.residues.author_seq_id.tolist()
    own = "".join("" if number not in numbers else letters[numbers.index(number)] for number in range(41, 46))
    assert set(own) <= set("DE")
    assert not set(letters[numbers.index(31) : numbers.index(40) + 1]) & set("AG")
    assert command("sequence", peptides, "--tie", "A,B", "--design", "A,B", *common)[0] == 0
    first, second = rows(tmp_path / "found")[1]["sequence"].split("/")
    assert first[2:] == second[2:]
    membrane = ("--model", "membrane_mpnn", "--buried", "A20-30", "--interface", "A31")
    assert command("sequence", cro, *membrane, *common[:-3], "--out", "membrane")[0] == 0


def test_a_file_that_fails_does_not_stop_the_others(
    command: Callable, backbones: tuple[Path, Path], tmp_path: Path
) -> None:
    (tmp_path / "bad.pdb").write_text("hello\n")
    code, _, errors = command("sequence", "bad.pdb", *backbones, "--no-pack", "-n", "1", "--out", "found")
    assert code == 2
    assert next(line for line in errors if line.startswith("error")).startswith("error: bad.pdb")
    assert len(rows(tmp_path / "found")) == 2


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("cro.pdb.gz", "--model", "protinmpnn"), "did you mean 'proteinmpnn'"),
        (("cro.pdb.gz", "--num", "0"), "num_sequences"),
        (("cro.pdb.gz", "--temperature", "-1"), "temperature"),
        (("cro.pdb.gz", "--ban", "J"), "cro.pdb.gz: banned"),
        (("cro.pdb.gz", "--fix", "A"), "cro.pdb.gz: fixed"),
        (("cro.pdb.gz", "--fix", "A900"), "A900"),
        (("cro.pdb.gz", "--ban-at", "A20"), "expected residues=letters"),
        (("cro.pdb.gz", "--bias", "K=much"), "expected letter=number"),
        (("cro.pdb.gz", "--tie", "A"), "two or more, equally long"),
        (("cro.pdb.gz", "--buried", "A20"), "only the membrane networks"),
        (("cro.pdb.gz", "--model", "proteinmpnn", "--side-chain-context"), "only ligandmpnn sees side chains"),
        (("cro.pdb.gz", "cro.pdb.gz"), "two files have this name"),
        (("nowhere.pdb",), "nowhere.pdb: no such file"),
    ],
)
def test_refusals(
    command: Callable, backbones: tuple[Path, Path], tmp_path: Path, arguments: tuple[str, ...], says: str
) -> None:
    code, _, errors = command("sequence", *arguments, "--out", "found", "--no-pack")
    assert code == 2
    assert len(errors) == 1
    assert says in errors[0]
    assert not (tmp_path / "found").exists()


def test_without_weights_the_command_that_fetches_them_is_named(
    command: Callable, backbones: tuple[Path, Path], tmp_path: Path, monkeypatch
) -> None:
    monkeypatch.undo()
    monkeypatch.setenv("STRUCTDIFF_CACHE", str(tmp_path / "empty"))
    code, _, errors = command("sequence", str(backbones[0]))
    assert code == 2
    assert "structdiff weights fetch ligandmpnn" in errors[0]

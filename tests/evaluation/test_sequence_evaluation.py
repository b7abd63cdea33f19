"""Measures of structures by their sequences, as ``structdiff evaluate`` asks for them."""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path

import numpy as np
import pytest

from structdiff.campaign.kept_measures import KeptMeasures
from structdiff.campaign.refolding import Refolded
from structdiff.campaign.sequence_evaluation import judge_measure, likelihood_measure, refold_measure
from structdiff.cli.main import main
from structdiff.errors import InputError, StructdiffError
from structdiff.evaluation import natural_sequences
from structdiff.evaluation.evaluation import evaluate
from structdiff.evaluation.natural_sequences import natural_median
from structdiff.evaluation.subject import Subject
from structdiff.published_weights import is_present
from structdiff.structure.files import read_structure

DATA = Path(__file__).parent / "data"
needs_ligandmpnn = pytest.mark.skipif(not is_present("ligandmpnn"), reason="structdiff weights fetch ligandmpnn")


def subject(name: str = "2igd") -> Subject:
    path = DATA / f"{name}.pdb"
    return Subject(name=name, path=path, structure=read_structure(path))


def without_sequence(found: Subject) -> Subject:
    residues = dataclasses.replace(found.structure.residues, name=np.full(len(found.structure.residues), "GLY"))
    return dataclasses.replace(found, structure=dataclasses.replace(found.structure, residues=residues))


class Echo:
    """A refolder that gives every structure back, one atom of it moved."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def refold(self, complexes, on_progress):
        for each in complexes:
            self.asked.append(each.name)
            yield Refolded(structure=subject().structure, scores={"refold_plddt": 80.0, "refold_iptm": None}, record={})


def test_a_refolded_structure_is_held_beside_the_file():
    echo = Echo()
    measure = refold_measure(lambda: echo)
    found = measure(dataclasses.replace(subject(), name="folder/2igd"))
    assert found["sc_rmsd"] < 1e-3
    assert found["sc_tm"] == pytest.approx(1)
    assert found["refold_plddt"] == 80
    assert "refold_iptm" not in found
    assert echo.asked == ["2igd"]


def test_a_structure_without_a_sequence_is_refused():
    measure = refold_measure(Echo)
    with pytest.raises(InputError, match="no sequence of its own"):
        measure(without_sequence(subject()))


def test_what_a_measure_has_to_say_is_noted():
    def says(subject):
        subject.notes.append("something is odd")
        return {}

    done = evaluate([DATA / "1crn.pdb"], clusters=False, more=[says])
    assert any("something is odd" in note for note in done.notes)


def test_what_a_measure_refuses_is_noted_and_the_rest_is_kept():
    def refuses_one(found: Subject) -> dict[str, float]:
        if found.name == "1crn":
            raise InputError("not this one", path=found.path)
        return {"own_sequence_nll": 1.5}

    done = evaluate([DATA / "1crn.pdb", DATA / "2igd.pdb"], clusters=False, more=[refuses_one])
    assert [row.values.get("own_sequence_nll") for row in done.rows] == [None, 1.5]
    assert all(row.values["residues"] > 40 for row in done.rows)
    assert done.summary["own_sequence_nll"].count == 1
    assert any("not this one" in note for note in done.notes)


def test_where_a_measure_fails_it_is_a_failure_and_the_rest_is_kept():
    def fails(found: Subject) -> dict[str, float]:
        raise StructdiffError("out of memory")

    done = evaluate([DATA / "1crn.pdb"], clusters=False, more=[fails])
    assert done.failures == [(DATA / "1crn.pdb", f"{DATA / '1crn.pdb'}: out of memory")]
    assert done.rows[0].values["residues"] == 46


def fold(body: str, tmp_path: Path) -> str:
    """A refold command that runs a program of these lines, with the input, the folder and the name at hand."""
    (tmp_path / "fold.py").write_text(
        "import shutil, sys\nfrom pathlib import Path\nout, name = Path(sys.argv[2]), sys.argv[3]\n" + body
    )
    return f"{sys.executable} {tmp_path / 'fold.py'} {{yaml}} {{out}} {{name}}"


def test_a_refold_command_that_fails_for_some_is_told_and_the_others_are_kept(tmp_path, capsys):
    body = f"""
sys.stderr.buffer.write(b"100%|\\xff\\xfe| bytes that are no text\\n")
if name == "1ubi":
    sys.exit(3)
if name == "2igd":
    (out / "model.cif").write_text("data_x\\nloop_\\n_atom_site.id\\n")
if name == "1crn":
    shutil.copy({str(DATA / "1crn.pdb")!r}, out / "model.pdb")
    (out / "samples").mkdir()
    shutil.copy({str(DATA / "2igd.pdb")!r}, out / "samples" / "a.pdb")
"""
    files = [str(DATA / f"{name}.pdb") for name in ("1crn", "1ubi", "2igd", "2zta")]
    command = ["--refold-command", fold(body, tmp_path), "--no-clusters", "--out", str(tmp_path / "judged")]
    assert main(["evaluate", *files, *command]) == 2
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error:")]
    assert len(lines) == 3
    for line, file, said in zip(
        lines, files[1:], ("ended with 3", "is not read: model.cif", "no structure file"), strict=True
    ):
        assert line.startswith(f"error: {file}: refold_command: ")
        assert said in line
    rows = json.loads((tmp_path / "judged" / "evaluation.json").read_text())["structures"]
    assert [row.get("sc_tm") for row in rows] == [pytest.approx(1, abs=1e-4), None, None, None]


def test_an_evaluation_that_was_interrupted_goes_on(tmp_path, capsys):
    """What was refolded is not refolded again, until the evaluation is whole; another command refolds all."""
    body = f"""
with open({str(tmp_path / "called")!r}, "a") as stream:
    stream.write(name + " ")
if name == "1ubi" and not Path({str(tmp_path / "ready")!r}).exists():
    sys.exit("not now")
shutil.copy(f"{DATA}/{{name}}.pdb", out / "model.pdb")
"""
    command, out = fold(body, tmp_path), tmp_path / "judged"

    def run(*options: str) -> tuple[int, str, str]:
        (tmp_path / "called").write_text("")
        files = [str(DATA / f"{name}.pdb") for name in ("1crn", "1ubi", "2igd")]
        code = main(["evaluate", *files, "--refold-command", command, "--no-clusters", "--out", str(out), *options])
        return code, (tmp_path / "called").read_text(), " ".join(capsys.readouterr().out.split())

    assert run()[:2] == (2, "1crn 1ubi 2igd ")
    with (out / "unfinished.jsonl").open("a") as stream:
        stream.write('{"key": "cut sho')
    assert run("--designed", "A")[1] == "1crn 1ubi 2igd "  # what counts as designed is another question
    (tmp_path / "ready").touch()
    code, called, shown = run()
    assert (code, called) == (0, "1ubi ")
    assert "note: 2 structures were measured by an earlier run" in shown
    assert not (out / "unfinished.jsonl").exists()
    rows = json.loads((out / "evaluation.json").read_text())["structures"]
    assert [row["sc_tm"] for row in rows] == [pytest.approx(1, abs=1e-4)] * 3
    assert run()[1] == "1crn 1ubi 2igd "


def test_notes_of_values_that_are_kept_are_kept_too(tmp_path):
    def measure(found: Subject) -> dict[str, float]:
        found.notes.append(f"{found.name} is odd")
        return {"tm": 0.5}

    for earlier in (False, True):
        found, keep = subject(), KeptMeasures(tmp_path / "kept.jsonl")
        assert keep.kept(measure, "asked")(found) == {"tm": 0.5}
        assert (found.notes, bool(keep.used)) == (["2igd is odd"], earlier)


def test_natural_medians_are_of_chains_of_that_length(monkeypatch):
    chains = [{"length": 100 + n, "proteinmpnn": {"nll": 1.0 + 0.1 * n, "recovery": 0.4}} for n in range(9)]
    chains += [{"length": 300, "proteinmpnn": {"nll": 9.0, "recovery": 0.1}}]
    monkeypatch.setattr(natural_sequences, "natural_sequences", lambda: {"chains": chains})
    assert natural_median("proteinmpnn", 100) == pytest.approx(1.4)
    assert natural_median("proteinmpnn", 100, "recovery") == pytest.approx(0.4)
    assert np.isnan(natural_median("proteinmpnn", 300))
    assert np.isnan(natural_median("another", 100))


def test_the_bundled_chains_are_enough_for_short_designs_and_have_all_values():
    for model in ("proteinmpnn", "ligandmpnn"):
        for length in (64, 100):
            assert 0.8 < natural_median(model, length) < 2.5
            assert 0.2 < natural_median(model, length, "recovery") < 0.7


@needs_ligandmpnn
def test_a_natural_sequence_is_likelier_than_another_on_its_backbone():
    own = subject()
    found = likelihood_measure("ligandmpnn")(own)
    names = own.structure.residues.name.copy()
    np.random.default_rng(0).shuffle(names)
    residues = dataclasses.replace(own.structure.residues, name=names)
    shuffled = dataclasses.replace(own, structure=dataclasses.replace(own.structure, residues=residues))
    other = likelihood_measure("ligandmpnn")(shuffled)
    assert found["own_sequence_nll"] < 2 < other["own_sequence_nll"]
    assert found["own_sequence_recovery"] > 0.3 > other["own_sequence_recovery"]
    expected = natural_median("ligandmpnn", len(own.backbone))
    assert found["own_sequence_nll_excess"] == pytest.approx(found["own_sequence_nll"] - expected)


def test_what_was_not_fetched_is_said_before_anything_is_judged(monkeypatch, tmp_path):
    monkeypatch.setenv("STRUCTDIFF_CACHE", str(tmp_path))
    with pytest.raises(InputError, match="structdiff weights fetch"):
        judge_measure()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--judge", "nobody"], "trrosetta"),
        (["--refold", "twice"], "own"),
        (["--sequence-model", "proteinmpn"], "proteinmpnn"),
        (["--refold-command", "fold {nothing}"], "nothing"),
        (["--refold-command", "no-such-program {yaml} {out}"], "no-such-program"),
    ],
)
def test_unknown_choices_are_refused_by_name(options, said, tmp_path, capsys):
    code = main(["evaluate", str(DATA / "1crn.pdb"), "--out", str(tmp_path / "out"), *options])
    assert code != 0
    assert said in capsys.readouterr().err
    assert not (tmp_path / "out").exists()

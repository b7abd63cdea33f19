"""``structdiff msa`` and ``structdiff predict --msa-server``: alignments of a server."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
import yaml

from structdiff.alignment_server import connection
from structdiff.features import chain_folds
from structdiff.trrosetta.network import CLASSES, Expectation
from tests.alignment_server.imitation import imitated

ONE, TWO = "MKTAYIAKQRQISFVK", "GSHMLEDPVDAFQ"
FASTA = f">A|protein\n{ONE}\n>B|protein\n{TWO}\n>D|dna\nGATC\n"


@pytest.fixture
def served(monkeypatch):
    """The imitation, which nobody waits for."""
    monkeypatch.setattr(connection.Patience, "wait", lambda self, turn, longest: 0.001)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with imitated() as own:
        yield own


@pytest.fixture
def folding(monkeypatch) -> None:
    """trRosetta that knows nothing, so that no fold is used, without its weights."""

    def expected(alignment) -> Expectation:
        length = alignment.letters.shape[1]
        return Expectation(**{name: torch.zeros(length, length, n).log_softmax(-1) for name, n in CLASSES.items()})

    def folded(expectation, **_):
        length = expectation.distance.shape[0]
        return SimpleNamespace(backbone=torch.arange(length * 9).reshape(length, 3, 3) * 1.3)

    chain_folds._folded.cache_clear()
    monkeypatch.setattr(chain_folds, "weights_path", lambda name: Path(name))
    monkeypatch.setattr(chain_folds, "expect_aligned", expected)
    monkeypatch.setattr(chain_folds, "fold", folded)
    yield
    chain_folds._folded.cache_clear()


def test_a_complex_with_its_alignments(command, served, tmp_path) -> None:
    (tmp_path / "pair.fasta").write_text(FASTA)
    code, shown, errors = command("msa", "pair.fasta", "--out", "found", "--server", served.url)
    assert code == 0
    assert errors[0] == f"note: pair: 2 sequences (16, 13) are sent to {served.url} for alignments"
    assert any(line.startswith("alignments of pair: downloading") for line in errors)
    assert "structdiff predict found/pair.yaml" in shown
    assert sorted(path.name for path in (tmp_path / "found").iterdir()) == ["pair.yaml", "pair_A.csv", "pair_B.csv"]
    data = yaml.safe_load((tmp_path / "found/pair.yaml").read_text())
    assert [own.get("msa") for each in data["sequences"] for own in each.values()] == ["pair_A.csv", "pair_B.csv", None]
    assert (tmp_path / "found/pair_A.csv").read_text().startswith(f"key,sequence\n0,{ONE}\n1,AA")


def test_a_second_time_nothing_is_asked(command, served, tmp_path) -> None:
    (tmp_path / "one.fasta").write_text(f">A|protein\n{ONE}\n")
    asked = ("msa", "one.fasta", "--out", "found", "--server", served.url)
    assert command(*asked)[0] == 0
    count = len(served.asked)
    code, _, errors = command(*asked)
    assert code == 2
    assert "this file is here already" in errors[0]
    code, _, errors = command(*asked, "--overwrite")
    assert (code, errors) == (0, [])
    assert len(served.asked) == count


def test_the_input_is_not_written_over(command, served, tmp_path) -> None:
    (tmp_path / "c.yaml").write_text(f"sequences:\n  - protein: {{id: A, sequence: {ONE}}}\n")
    code, _, errors = command("msa", "c.yaml", "--out", ".", "--overwrite", "--server", served.url)
    assert code == 2
    assert "take the place of the input" in errors[0]
    assert served.asked == []


def test_names_that_differ_in_case_only(command, served, tmp_path) -> None:
    (tmp_path / "c.yaml").write_text(
        f"sequences:\n  - protein: {{id: a, sequence: {ONE}}}\n  - protein: {{id: A, sequence: {TWO}}}\n"
    )
    assert command("msa", "c.yaml", "--out", "found", "--server", served.url, "-q")[0] == 0
    data = yaml.safe_load((tmp_path / "found/c.yaml").read_text())
    assert [each["protein"]["msa"] for each in data["sequences"]] == ["c_a.csv", "c_A~2.csv"]


def test_short_chains_are_told(command, served, tmp_path) -> None:
    (tmp_path / "c.fasta").write_text(f">A|protein\n{ONE}\n>P|protein\nMKTAY\n")
    code, _, errors = command("msa", "c.fasta", "--out", "found", "--server", served.url)
    assert code == 0
    assert errors[0] == "note: c: P of fewer than 10 residues: nothing is to be found"
    assert (tmp_path / "found/c_A.a3m").is_file()


def test_a_failure_is_an_error_and_the_others_go_on(command, served, tmp_path) -> None:
    (tmp_path / "one.fasta").write_text(f">A|protein\n{ONE}\n")
    (tmp_path / "two.fasta").write_text(f">A|protein\n{TWO}\n")
    served.script["status"] = ["ERROR"]
    code, shown, errors = command("msa", "one.fasta", "two.fasta", "--out", "found", "--server", served.url, "-q")
    assert (code, shown) == (2, "")
    assert len(errors) == 1
    assert errors[0].startswith(f"error: one.fasta: alignment server {served.url}: the search failed there (ERROR)")
    assert sorted(path.name for path in (tmp_path / "found").iterdir()) == ["two.yaml", "two_A.a3m"]


def test_ctrl_c_says_how_to_go_on(command, served, tmp_path, monkeypatch) -> None:
    def interrupt(self, turn, longest):
        raise KeyboardInterrupt

    monkeypatch.setattr(connection.Patience, "wait", interrupt)
    (tmp_path / "one.fasta").write_text(f">A|protein\n{ONE}\n")
    served.script["status"] = ["RUNNING"]
    code, _, errors = command("msa", "one.fasta", "--out", "found", "--server", served.url, "-q")
    assert code == 130
    assert "the same command goes on with what" in errors[-1]
    assert not (tmp_path / "found").exists()


def predict(weights: Path, *more: object) -> tuple:
    return ("predict", *more, "--weights", weights, "--no-relax")


def test_predictions_with_a_server(command, served, folding, weights, tmp_path) -> None:
    (tmp_path / "pair.fasta").write_text(FASTA)
    asked = predict(weights, "pair.fasta", "--msa-server", served.url.replace("//", "//me:hidden@"))
    code, _, errors = command(*asked)
    assert code == 0
    assert errors[0] == f"note: pair: 2 sequences (16, 13) are sent to {served.url} for alignments"
    text = (tmp_path / "predictions/pair_1.confidence.json").read_text()
    assert "hidden" not in text + "".join(errors)
    request = json.loads(text)["provenance"]["spec"]
    named = [own["msa"] for each in request["sequences"] for own in each.values() if "msa" in own]
    assert len(named) == 2
    assert sorted(request["alignments_sha256"]) == sorted(named)
    assert all(request["alignments_sha256"].values())
    count = len(served.asked)
    code, _, errors = command(*asked)
    assert code == 0
    assert any("pair is in predictions already and is kept" in line for line in errors)
    assert len(served.asked) == count


def test_no_prediction_without_the_alignment(command, served, folding, weights, tmp_path) -> None:
    (tmp_path / "one.fasta").write_text(f">A|protein\n{ONE}\n")
    (tmp_path / "dna.fasta").write_text(">D|dna\nGATC\n")
    served.script["submit"] = ["MAINTENANCE"]
    code, shown, errors = command(*predict(weights, "one.fasta", "dna.fasta", "--msa-server", served.url))
    assert code == 2
    assert any(line.startswith(f"error: one.fasta: alignment server {served.url}") for line in errors)
    assert "1 of 2 inputs predicted" in shown
    assert not list((tmp_path / "predictions").glob("one*"))


def test_what_would_be_refused_is_not_sent(command, served, weights, tmp_path) -> None:
    (tmp_path / "one.fasta").write_text(f">A|protein\n{ONE}\n")
    code, _, errors = command(*predict(weights, "one.fasta", "--msa-server", served.url))
    assert code == 2
    assert any("this needs trRosetta" in line for line in errors)
    assert served.asked == []


def test_a_dry_run_sends_nothing(command, served, folding, weights, tmp_path) -> None:
    (tmp_path / "pair.fasta").write_text(FASTA)
    asked = predict(weights, "pair.fasta", "--msa-server", served.url)
    code, shown, _ = command(*asked, "--dry-run")
    assert code == 0
    assert f"alignments of A, B would be asked for at {served.url} first" in shown
    assert served.asked == []
    assert command(*asked)[0] == 0
    code, shown, _ = command(*asked, "--dry-run")
    assert "folded by the alignment" in shown
    assert "would be asked" not in shown


def test_no_server_is_asked_unless_named(command, weights, tmp_path, monkeypatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a server was asked")

    monkeypatch.setattr(connection.Connection, "read", refuse)
    (tmp_path / "one.fasta").write_text(f">A|protein\n{ONE}\n")
    assert command(*predict(weights, "one.fasta"))[0] == 0

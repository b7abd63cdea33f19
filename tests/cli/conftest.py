"""A tiny network with random weights, and a small motif, for the command line to work with."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch

from structdiff.cli.main import main
from structdiff.model.checkpoint import save_weights
from structdiff.model.network import StructureNetwork, tiny

DATA = Path(__file__).parents[1] / "data"
MOTIF = Path(__file__).parents[2] / "examples" / "5tpn_site_v.pdb"


@pytest.fixture(scope="session")
def weights(tmp_path_factory) -> Path:
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("weights") / "random"
    save_weights(StructureNetwork(tiny()), folder, training={"steps": 0}, sampling={"steps": 3, "solver": "euler"})
    return folder


@pytest.fixture(autouse=True)
def no_published_weights(tmp_path_factory, monkeypatch) -> None:
    monkeypatch.setenv("STRUCTDIFF_CACHE", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture
def motif(tmp_path: Path) -> Path:
    """A folder's own copy of the motif, chain A 150-194."""
    copy = tmp_path / "motif.pdb"
    copy.write_bytes(MOTIF.read_bytes())
    return copy


@pytest.fixture
def backbones(tmp_path: Path) -> tuple[Path, Path]:
    """A chain of 64 residues, and two of ten, of which some are no standard ones."""
    copies = tmp_path / "cro.pdb.gz", tmp_path / "peptides.pdb.gz"
    for copy, name in zip(copies, ("1orc", "4oz7"), strict=True):
        shutil.copy(DATA / f"{name}.pdb.gz", copy)
    return copies


@pytest.fixture
def command(tmp_path, monkeypatch, capsys):
    """Runs the command line in an empty folder; gives exit code, output, and the lines of the error stream."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: object) -> tuple[int, str, list[str]]:
        code = main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return code, captured.out, captured.err.splitlines()

    return run

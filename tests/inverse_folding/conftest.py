"""Networks with random weights in place of the published ones: the laws hold for any weights."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from structdiff.inverse_folding.library import model_name, network_kind
from structdiff.inverse_folding.network import InverseFoldingConfig, InverseFoldingNetwork
from structdiff.inverse_folding.packer import SideChainPacker
from structdiff.structure.files import read_structure
from structdiff.structure.tables import Structure

DATA = Path(__file__).parents[1] / "data"
NEIGHBOURS = 16


def random_network(model: str, **_: object) -> InverseFoldingNetwork:
    kind = network_kind(model_name(model))
    assert kind is not None
    torch.manual_seed(1)
    config = InverseFoldingConfig(kind=kind, num_neighbours=NEIGHBOURS, num_context_atoms=8)
    network = InverseFoldingNetwork(config).eval().requires_grad_(False)
    network.logits.weight.mul_(8)  # letters must differ in what they are worth
    return network


def random_packer(**_: object) -> SideChainPacker:
    torch.manual_seed(2)
    return SideChainPacker().eval().requires_grad_(False)


@pytest.fixture(autouse=True)
def random_weights(monkeypatch) -> None:
    for place in ("design", "scoring", "library"):
        monkeypatch.setattr(f"structdiff.inverse_folding.{place}.load_network", random_network)
    monkeypatch.setattr("structdiff.inverse_folding.packing.load_packer", random_packer)


@pytest.fixture(scope="session")
def cro() -> Structure:
    """One chain of 64 residues that were seen, and 7 that were not."""
    return read_structure(DATA / "1orc.pdb.gz")


@pytest.fixture(scope="session")
def peptides() -> Structure:
    """Two chains of 10 residues, some of them no standard ones, joined by disulfides, with ligands."""
    return read_structure(DATA / "4oz7.pdb.gz")


@pytest.fixture(scope="session")
def polymerase() -> Structure:
    """A protein of 326 residues on DNA."""
    return read_structure(DATA / "5ugo.pdb.gz")

"""A campaign with a tiny network of random weights; published weights are not to be found."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from structdiff.campaign.plan import PACKING_WEIGHTS, Campaign, plan_campaign
from structdiff.campaign.settings import CampaignSettings
from structdiff.geometry.point_groups import SymmetryGroup
from structdiff.inverse_folding.network import InverseFoldingConfig, InverseFoldingNetwork
from structdiff.inverse_folding.packer import SideChainPacker
from structdiff.model.checkpoint import load_weights, save_weights
from structdiff.model.network import StructureNetwork, tiny
from structdiff.options import RunOptions, recommended_sampling
from structdiff.published_weights import full_names
from structdiff.published_weights.cache import weights_file
from structdiff.spec.contig_grammar import parse_contigs
from structdiff.spec.design import DesignSpec
from structdiff.structure.assembly import symmetric_assembly
from structdiff.structure.files import read_structure, write_structure

MOTIF = Path(__file__).parents[2] / "examples" / "5tpn_site_v.pdb"


@pytest.fixture(scope="session")
def weights_folder(tmp_path_factory) -> Path:
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("weights") / "random"
    save_weights(StructureNetwork(tiny()), folder, training={"steps": 0}, sampling={"steps": 2, "solver": "euler"})
    return folder


@pytest.fixture(autouse=True)
def no_published_weights(tmp_path_factory, monkeypatch) -> None:
    monkeypatch.setenv("STRUCTDIFF_CACHE", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture
def published_weights(no_published_weights, monkeypatch) -> None:
    """Networks of random weights under the names of published ones, which a campaign finds fetched."""
    for name in (*full_names("proteinmpnn_v_48_020"), *full_names(PACKING_WEIGHTS), *full_names("trrosetta")):
        weights_file(name).parent.mkdir(exist_ok=True)
        weights_file(name).write_bytes(name.encode())

    def network(*_: object, **__: object) -> InverseFoldingNetwork:
        torch.manual_seed(1)
        config = InverseFoldingConfig(kind="backbone", num_neighbours=8)
        return InverseFoldingNetwork(config).eval().requires_grad_(False)

    def packer(**_: object) -> SideChainPacker:
        torch.manual_seed(2)
        return SideChainPacker().eval().requires_grad_(False)

    monkeypatch.setattr("structdiff.inverse_folding.design.load_network", network)
    monkeypatch.setattr("structdiff.inverse_folding.packing.load_packer", packer)
    monkeypatch.setattr("structdiff.campaign.stages.judge_columns", lambda *_: {"judge_log_likelihood": -3.0})


@pytest.fixture
def dimer(tmp_path_factory) -> Path:
    """A file of two chains that are alike: residues 168 to 175 of the motif, and again 20 Å away."""
    part = read_structure(MOTIF)
    part = part.select(np.isin(part.residues.author_seq_id[part.atoms.residue], range(168, 176)))
    shifts = np.array([[0.0, 0.0, 0.0], [20.0, 0.0, 0.0]])
    group = SymmetryGroup(name="two", rotations=np.stack([np.eye(3)] * 2), translations=shifts)
    return write_structure(symmetric_assembly(part, group), tmp_path_factory.mktemp("dimer") / "dimer.pdb")


@pytest.fixture
def planned(weights_folder) -> Callable[..., Campaign]:
    """Plans a campaign of small designs around a part of the motif. asked: other keys of the design."""

    def plan(
        number: int = 3, *, contigs: str = "3/A168-172/3-4", seed: int = 0, asked: Mapping[str, Any] | None = None,
        **settings: object,
    ) -> Campaign:  # fmt: skip
        weights = load_weights(weights_folder)
        options = RunOptions(
            weights=weights_folder, relax=False, batch_size=2, device="cpu", sampling=recommended_sampling(weights)
        )
        keys = {"motif": str(MOTIF), "contigs": parse_contigs(contigs), **(asked or {})}
        spec = DesignSpec(num_designs=number, seed=seed, **keys)
        return plan_campaign(spec, options, CampaignSettings(**settings), weights)

    return plan

"""A campaign with a tiny network of random weights; published weights are not to be found."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from structdiff.campaign.plan import Campaign, CampaignSettings, plan_campaign
from structdiff.model.checkpoint import load_weights, save_weights
from structdiff.model.network import StructureNetwork, tiny
from structdiff.options import RunOptions, recommended_sampling
from structdiff.spec.contig_grammar import parse_contigs
from structdiff.spec.design import DesignSpec

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
def planned(weights_folder) -> Callable[..., Campaign]:
    """Plans a campaign of small designs around a part of the motif."""

    def plan(number: int = 3, *, contigs: str = "3/A168-172/3-4", seed: int = 0, **settings: object) -> Campaign:
        weights = load_weights(weights_folder)
        options = RunOptions(
            weights=weights_folder, relax=False, batch_size=2, device="cpu", sampling=recommended_sampling(weights)
        )
        spec = DesignSpec(motif=str(MOTIF), contigs=parse_contigs(contigs), num_designs=number, seed=seed)
        return plan_campaign(spec, options, CampaignSettings(**settings), weights)

    return plan

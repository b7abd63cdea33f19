"""Refolding with Boltz-2's weights: other weights than those that draw, and told so."""

from __future__ import annotations

import pytest

from structdiff.errors import InputError
from structdiff.model.boltz.config import config_from_hyper_parameters
from structdiff.model.boltz.published import SAMPLING
from structdiff.model.checkpoint import write_network
from structdiff.model.library import weights_sha256
from structdiff.published_weights.cache import network_folder
from tests.campaign.making import made
from tests.parity.boltz2_cases import filled_network, hyper_parameters


@pytest.fixture
def fetched() -> str:
    """A tiny network in the place of the published weights; its SHA-256."""
    network = filled_network(config_from_hyper_parameters(hyper_parameters()))
    write_network(network, network_folder("boltz2"), {"sampling": SAMPLING | {"steps": 3}, "recycles": 1}, half=False)
    return weights_sha256("boltz2")


def test_designs_are_refolded_by_other_weights_than_drew_them(planned, tmp_path, fetched):
    campaign = planned(2, refold="boltz2", judge="none")
    assert campaign.weights_hash["refold"] == fetched != campaign.weights_hash["backbone"]
    failures: list[str] = []
    results = made(campaign, tmp_path, failures=failures)
    assert not failures
    for each in results:
        assert each.columns["sc_rmsd"] > 1
        text = (tmp_path / "refolded" / f"{each.name}.cif").read_text()
        assert fetched in text
        assert "boltz2" in text


def test_weights_that_are_not_here_are_asked_for_before_anything_is_drawn(planned):
    with pytest.raises(InputError, match="structdiff weights fetch boltz2"):
        planned(1, refold="boltz2", judge="none")

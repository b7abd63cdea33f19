"""From BoltzGen's published file to a network that designs: a tiny one."""

from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path

import pytest
import torch

from structdiff.diffusion.sampler import SamplingConfig
from structdiff.errors import InputError
from structdiff.model.boltz.design_config import design_config
from structdiff.model.boltz.network import OF_DESIGNS, BoltzNetwork
from structdiff.model.boltz.published import RECYCLES, SAMPLING_OF_DESIGNS, fetch_network
from structdiff.model.library import load_named_weights
from structdiff.published_weights.catalogue import CATALOGUE
from tests.model.boltz.checkpoints import tiny_design_checkpoint
from tests.parity.boltzgen_cases import hyper_parameters, tiny_config


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch) -> Path:
    monkeypatch.setenv("STRUCTDIFF_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.mark.parametrize("name", ["boltzgen", "boltzgen-adherence"])
def test_from_the_published_file_to_a_network_by_name(name: str, tmp_path: Path) -> None:
    network = CATALOGUE.networks[name]
    path = tmp_path / network.file
    made = tiny_design_checkpoint(path)
    published = dataclasses.replace(network, sha256=hashlib.sha256(path.read_bytes()).hexdigest())
    folder = fetch_network(published, source=str(path))
    assert "Hannes Stärk" in (folder / "LICENSE").read_text()
    weights = load_named_weights(name)
    assert isinstance(weights.network, BoltzNetwork)
    assert weights.network.config == tiny_config()
    assert weights.network.abilities == OF_DESIGNS
    assert weights.network.confidence is None
    found, wanted = weights.network.state_dict(), made.state_dict()
    assert found.keys() == wanted.keys()
    assert all(torch.equal(found[each], tensor) for each, tensor in wanted.items())
    assert (weights.recycles, weights.sampling) == (RECYCLES, SAMPLING_OF_DESIGNS)
    assert weights.published["name"] == name


def test_sampling_is_boltzgens() -> None:
    config = SamplingConfig(**SAMPLING_OF_DESIGNS)  # type: ignore[arg-type]
    levels = config.levels()
    assert len(levels) == 501
    assert levels[0] == 2560
    assert levels[-2:] == [0.0064, 0]
    assert levels[250] == pytest.approx(9.1802, rel=1e-4)  # benchmarks/parity_boltzgen.py compares all of them


@pytest.mark.parametrize(
    ("part", "key", "value"),
    [
        (None, "use_miniformer", True), (None, "predict_res_type", True), (None, "inverse_fold", True),
        ("embedder_args", "add_ph_flag", True), ("embedder_args", "add_design_mask_flag", False),
        ("msa_args", "use_paired_feature", False), ("msa_args", "miniformer_blocks", True),
        ("score_model_args", "use_qk_norm", True), ("score_model_args", "tfmr_s", 48),
        ("token_distance_args", "use_token_distance_feats", False),
    ],
)  # fmt: skip
def test_what_is_not_honoured_is_refused(part: str | None, key: str, value: object) -> None:
    settings = hyper_parameters()
    (settings if part is None else settings[part])[key] = value
    with pytest.raises(InputError, match=f"{key}: .*with this setting alone"):
        design_config(settings)


def test_what_is_not_told_is_as_in_boltzgens_code() -> None:
    """Its own defaults: a miniformer, and no reading of pairs in the alignment."""
    settings = hyper_parameters()
    del settings["use_miniformer"]
    with pytest.raises(InputError, match="use_miniformer"):
        design_config(settings)
    del settings["token_distance_args"]["distance_gaussian_dim"]
    sizes = design_config(settings | {"use_miniformer": False}).known_distances
    assert sizes is not None
    assert sizes.bells == 32

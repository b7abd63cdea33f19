"""``structdiff predict`` of an affinity: what is said before, what is written, and a run that goes on."""

from __future__ import annotations

import pytest

from structdiff.affinity import Affinities
from structdiff.model.boltz.config import config_from_hyper_parameters
from structdiff.model.boltz.published import SAMPLING
from structdiff.model.checkpoint import write_network
from structdiff.output.tables import read_table
from structdiff.published_weights.cache import network_folder
from tests.parity.boltz2_affinity_cases import affinity_hyper_parameters
from tests.parity.boltz2_cases import filled_network, hyper_parameters

YAML = """version: 1
sequences:
- protein: {id: A, sequence: MKTAYIAKQRQIS, msa: empty}
- ligand: {id: L, ccd: GOL}
properties:
- affinity: {binder: L}
"""
FACTS = {"sampling": SAMPLING | {"steps": 3}, "recycles": 0}


@pytest.fixture
def tiny(tmp_path):
    """Weights that predict structures."""
    folder = tmp_path / "tiny2"
    write_network(filled_network(config_from_hyper_parameters(hyper_parameters())), folder, FACTS, half=False)
    return folder


@pytest.fixture
def fetched():
    """Weights of affinities, in the cache."""
    network = filled_network(config_from_hyper_parameters(affinity_hyper_parameters()))
    write_network(network, network_folder("boltz2-affinity"), FACTS, half=False)


def test_a_run_that_was_stopped_goes_on_with_the_same_affinities(command, tiny, fetched, tmp_path, monkeypatch):
    (tmp_path / "bound.yaml").write_text(YAML)
    asked = ("predict", "bound.yaml", "--weights", tiny, "--no-relax", "--samples", 2)
    code, shown, _ = command(*asked, "--out", "whole")
    assert code == 0
    assert "log10 IC50/μM" in shown
    sound, said = Affinities.of, []

    def stopped(self, structure, seed):
        said.append(seed)
        if len(said) == 2:
            raise KeyboardInterrupt
        return sound(self, structure, seed)

    with monkeypatch.context() as patch:
        patch.setattr(Affinities, "of", stopped)
        assert command(*asked)[0] == 130
    assert [each.name for each in (tmp_path / "predictions").glob("*.cif")] == ["bound_1.cif"]
    code, _, errors = command(*asked)
    assert (code, errors) == (0, ["1 of 2 structures of bound are in predictions already and are kept"])
    for name in ("bound_1.confidence.json", "bound_2.confidence.json", "predictions.csv", "bound_2.cif"):
        assert (tmp_path / "predictions" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    rows = read_table(tmp_path / "predictions" / "predictions.csv")
    assert shown.split().count(f"{float(rows[0]['affinity_binder_probability']):.2f}") == 2
    assert rows[0]["affinity_log10_ic50_um"] == rows[1]["affinity_log10_ic50_um"] != ""


def test_one_that_asks_for_no_affinity_is_another_run(command, tiny, fetched, tmp_path):
    (tmp_path / "bound.yaml").write_text(YAML)
    assert command("predict", "bound.yaml", "--weights", tiny, "--no-relax")[0] == 0
    (tmp_path / "bound.yaml").write_text(YAML.partition("properties")[0])
    code, _, errors = command("predict", "bound.yaml", "--weights", tiny, "--no-relax")
    assert code == 2
    assert "here from another run" in errors[0]


def test_what_is_asked_is_told_and_what_is_lacking_is_refused_first(command, weights, tiny, tmp_path):
    (tmp_path / "bound.yaml").write_text(YAML)
    (tmp_path / "plain.yaml").write_text(YAML.partition("properties")[0])
    code, shown, errors = command("predict", "plain.yaml", "bound.yaml", "--weights", tiny, "--no-relax")
    assert code == 2
    assert len(errors) == 1
    assert errors[0].startswith("error: bound.yaml: ")
    assert "structdiff weights fetch boltz2-affinity gets them" in errors[0]
    assert "1 of 2 inputs predicted" in shown
    code, _, errors = command("predict", "bound.yaml", "--weights", weights)
    assert code == 2
    assert "Boltz-2's weights alone" in errors[0]
    assert not list(tmp_path.rglob("bound_1*"))


def test_a_dry_run_names_the_ligand(command, tiny, fetched, tmp_path):
    (tmp_path / "bound.yaml").write_text(YAML)
    code, shown, errors = command("predict", "bound.yaml", "--weights", tiny, "--dry-run")
    assert (code, errors) == (0, [])
    assert "  affinity of L" in shown
    (tmp_path / "bound.yaml").write_text(YAML.partition("properties")[0])
    assert "affinity" not in command("predict", "bound.yaml", "--weights", tiny, "--dry-run")[1]

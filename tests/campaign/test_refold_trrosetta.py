"""Refolding by trRosetta: which chains follow its folds, and what a campaign keeps of that."""

from __future__ import annotations

import math
from types import SimpleNamespace

import pytest
import torch

from structdiff.campaign import refold_own
from structdiff.campaign.refold_trrosetta import TrRosettaRefolder
from structdiff.errors import InputError
from structdiff.features import chain_folds
from structdiff.options import RunOptions
from structdiff.published_weights import full_names
from structdiff.published_weights.cache import weights_file
from structdiff.spec.chain import ChainSpec
from structdiff.spec.complex import ComplexSpec
from structdiff.spec.template import TemplateSpec
from structdiff.trrosetta.folding import build_backbone
from structdiff.trrosetta.network import CLASSES, Expectation
from tests.campaign.making import made

CONTIGS = "6/A168-172/6"


@pytest.fixture
def helices(monkeypatch) -> list[int]:
    """Files in the place of the weights, and networks that expect helices; the lengths that they were asked for."""
    for name in full_names("trrosetta"):
        weights_file(name).parent.mkdir(parents=True, exist_ok=True)
        weights_file(name).write_bytes(name.encode())
    asked: list[int] = []

    def expect(alignment) -> Expectation:
        count = alignment.letters.shape[1]
        asked.append(count)
        far = {name: torch.zeros(count, count, classes) for name, classes in CLASSES.items()}
        far["distance"][..., 1:20] = 8.0
        return Expectation(**{name: value.log_softmax(-1) for name, value in far.items()})

    def helix(expected, **_):
        count = len(expected.distance)
        torsions = torch.tensor([-63.0, -43.0]).mul(math.pi / 180).expand(1, count, 2)
        return SimpleNamespace(backbone=torch.stack(build_backbone(torsions), 3)[0].transpose(1, 2))

    monkeypatch.setattr(chain_folds, "expect_aligned", expect)
    monkeypatch.setattr(chain_folds, "fold", helix)
    monkeypatch.setattr(chain_folds, "_TOLD", 0.0)
    chain_folds._folded.cache_clear()
    return asked


def test_new_proteins_follow_folds_and_targets_their_templates(monkeypatch):
    given: list[ComplexSpec] = []

    def predicted(complexes, **_):
        given.extend(complexes)
        return iter(())

    monkeypatch.setattr(refold_own.pipeline, "predict_each", predicted)
    chains = (
        ChainSpec(ids=("A",), kind="protein", sequence="MKVLACDEFGHI"),
        ChainSpec(ids=("B",), kind="protein", sequence="MKVLACDEFGHI"),
        ChainSpec(ids=("C",), kind="protein", sequence="MKVLA"),
        ChainSpec(ids=("D",), kind="dna", sequence="ACGTACGTACGT"),
    )
    spec = ComplexSpec(name="x", chains=chains, templates=(TemplateSpec(path="t.cif", chains=("A",)),))
    assert not list(TrRosettaRefolder(None, RunOptions(), seed=0, name="trrosetta").refold([spec], None))
    assert [chain.msa for chain in given[0].chains] == [(), ("self",), (), ()]


def test_a_campaign_keeps_what_was_refolded_and_by_what(planned, tmp_path, helices):
    campaign = planned(2, refold="trrosetta", judge="none", contigs=CONTIGS)
    failures: list[str] = []
    results = made(campaign, tmp_path, failures=failures)
    assert not failures
    assert helices == [17, 17]
    for each in results:
        assert each.columns["sc_rmsd"] >= 0
        lines = (tmp_path / "refolded" / f"{each.name}.cif").read_text().splitlines()
        assert any("refolder" in line and "trrosetta" in line for line in lines)


def test_weights_that_are_not_here_are_asked_for_before_anything_is_drawn(planned):
    with pytest.raises(InputError, match="structdiff weights fetch"):
        planned(1, refold="trrosetta", judge="none", contigs=CONTIGS)

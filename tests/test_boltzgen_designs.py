"""Designs by BoltzGen's network, tiny and of made-up parameters: all that is done around it."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

import structdiff
from structdiff.campaign.plan import plan_campaign
from structdiff.campaign.settings import CampaignSettings
from structdiff.chemistry.residues import RESTYPE_INDEX, RESTYPES
from structdiff.design_jobs import job_of
from structdiff.diffusion.sampler import SamplingConfig, sample_generator
from structdiff.engine import Engine
from structdiff.errors import InputError
from structdiff.features.collate import collate
from structdiff.model.boltz import denoiser as denoiser_module
from structdiff.model.boltz.published import SAMPLING_OF_DESIGNS
from structdiff.model.checkpoint import load_weights, write_network
from structdiff.model.library import DEFAULT_WEIGHTS, load_named_weights
from structdiff.options import RunOptions
from structdiff.spec.chain import ChainSpec
from structdiff.spec.complex import ComplexSpec
from structdiff.spec.design import DesignSpec
from tests.parity.boltzgen_cases import tiny_network

MOTIF = Path(__file__).parents[1] / "examples" / "5tpn_site_v.pdb"
SITE = {"motif": str(MOTIF), "contigs": "6-10/A163-181/6-10"}
STEPS = {"steps": 6}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("weights") / "tinygen"
    facts = {"sampling": SAMPLING_OF_DESIGNS | STEPS, "recycles": 1, "published": {"name": "boltzgen"}}
    write_network(tiny_network(), made, facts, half=False)
    return made


@pytest.fixture(scope="module")
def engine(folder):
    return Engine(load_weights(folder), device=torch.device("cpu"))


def drawn(folder, *, batch_size=4, relax=False, **asked):
    options = RunOptions(weights=folder, batch_size=batch_size, relax=relax)
    return list(structdiff.design(options=options, **asked))


def steps(alphas):
    """Å from each CA to the next."""
    return np.linalg.norm(np.diff(alphas, axis=0), axis=1)


def test_designs_are_the_same_alone_and_together(folder):
    together = drawn(folder, length=20, num_designs=3, batch_size=3)
    alone = drawn(folder, length=20, num_designs=3, batch_size=1)
    for one, other in zip(together, alone, strict=True):
        assert np.array_equal(one.structure.atoms.positions, other.structure.atoms.positions)
        assert one.sequences == other.sequences
    assert np.abs(alone[0].structure.atoms.positions - alone[1].structure.atoms.positions).max() > 1


def test_the_motif_is_held(folder):
    for made in drawn(folder, num_designs=2, relax=True, **SITE):
        verdict = next(each for each in made.verdicts if each.name.startswith("motif"))
        assert (verdict.met, verdict.reached) == (True, "0.00 Å RMSD")


def test_letters_are_those_that_the_atoms_spell(folder, monkeypatch):
    """The network's atoms spell what they spell; here they are read as tryptophans and prolines by turns."""

    def read(positions, open_):
        names = ["TRP", "PRO"] * open_.shape[1]
        logits = torch.zeros(*open_.shape, len(RESTYPES))
        for token, name in enumerate(names[: open_.shape[1]]):
            logits[:, token, RESTYPE_INDEX[name]] = 40.0
        assert positions.shape[2] == 14
        return logits * open_[..., None]

    monkeypatch.setattr(denoiser_module, "letter_logits", read)
    (made,) = drawn(folder, length=10)
    assert list(made.sequences.values()) == ["WP" * 5]


def test_only_a_designs_own_atoms_come_back(engine):
    job = job_of(DesignSpec(length=(12, 12)), 0, abilities=engine.network.abilities)
    sampling = SamplingConfig(**(SAMPLING_OF_DESIGNS | STEPS))
    (draw,) = engine.draw([job.features], [sample_generator(1, 0)], sampling)
    assert draw.positions.shape == (12, job.features.num_slots, 3)
    assert not draw.positions[~job.features.atom.mask.unflatten(0, (12, -1))].any()
    assert draw.positions[:, :4].abs().amin() > 0


def test_the_default_weights_say_how_sure_one_may_be(engine):
    job = job_of(DesignSpec(length=(12, 12)), 0, abilities=engine.network.abilities)
    sampling = SamplingConfig(**(SAMPLING_OF_DESIGNS | STEPS))
    (draw,) = engine.draw([job.features], [sample_generator(1, 0)], sampling)
    judge = Engine(load_named_weights(DEFAULT_WEIGHTS), device=engine.device)
    batch = collate([job.features])
    with torch.inference_mode():
        trunk = judge.network.trunk(batch, recycles=judge.weights.recycles)
        wanted = judge.network.confidence(batch, trunk, draw.positions[None])
    assert torch.allclose(draw.confidence.plddt, wanted.plddt[0], atol=1e-4)
    assert torch.allclose(draw.confidence.pae, wanted.pae[0], atol=1e-4)


@pytest.mark.parametrize("group", ["C3", "D2"])
def test_assemblies_are_symmetric(folder, group):
    (made,) = drawn(folder, length=16, symmetry=group, relax=True)
    symmetric = [each for each in made.verdicts if "symmetry" in each.name]
    assert symmetric
    assert all(each.met for each in symmetric)


def test_partial_diffusion_begins_with_the_structure(folder):
    """The nearer the noise the nearer the design, whatever the network has learnt."""
    source = structdiff.read_structure(MOTIF)
    numbers = source.residues.author_seq_id[source.atoms.residue]
    site = (source.atoms.name == "CA") & (numbers >= 163) & (numbers <= 181)
    wanted, away = steps(source.atoms.positions[site]), []
    for noise in (0.5, 40.0):
        (made,) = drawn(folder, motif=str(MOTIF), contigs="A163-181", noise=noise)
        found = steps(made.structure.atoms.positions[made.structure.atoms.name == "CA"])
        away.append(np.abs(found - wanted).mean())
    assert away[0] < away[1]


def test_a_fold_is_planned_where_one_is_named_alone(folder):
    abilities = load_weights(folder).network.abilities
    spec = DesignSpec(length=(60, 60))
    own, planned = (job_of(dataclasses.replace(spec, fold_plan=plan), 0, abilities=abilities).spec
                    for plan in ("auto", "ideal"))  # fmt: skip
    assert own.secondary_structure is None
    assert planned.secondary_structure is not None
    assert job_of(spec, 0).spec.secondary_structure is not None  # by the default weights


def test_it_predicts_and_scores_nothing(folder):
    complex_ = ComplexSpec(chains=(ChainSpec(ids=("A",), kind="protein", sequence="MKTAYIAK"),))
    with pytest.raises(InputError, match="predict no structures"):
        structdiff.predict(complex_, options=RunOptions(weights=folder))
    with pytest.raises(InputError, match="predict no structures"):
        structdiff.score(MOTIF, weights=folder)


def test_another_network_refolds_its_designs(folder, monkeypatch):
    spec, weights = DesignSpec(length=(20, 20)), load_weights(folder)
    options = RunOptions(weights=folder)
    settings = CampaignSettings(sequences=2, sequence_model="own", judge="none")
    campaign = plan_campaign(spec, options, settings, weights)
    assert campaign.settings.refold == "none"
    assert "refold" not in campaign.stages
    with pytest.raises(InputError, match=r"refold: .*predicts no structures"):
        plan_campaign(spec, options, dataclasses.replace(settings, refold="trrosetta"), weights)
    monkeypatch.setattr("structdiff.published_weights.is_present", lambda name: name == "boltz2")
    monkeypatch.setattr("structdiff.model.library.weights_sha256", lambda name: "0" * 64)
    assert plan_campaign(spec, options, settings, weights).settings.refold == "boltz2"

"""Predictions with Boltz-2's network, tiny and of made-up parameters: all that is done around it."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

import structdiff
from structdiff.errors import InputError
from structdiff.model.boltz.config import config_from_hyper_parameters
from structdiff.model.boltz.published import SAMPLING
from structdiff.model.checkpoint import write_network
from structdiff.options import RunOptions
from structdiff.spec.chain import ChainSpec, Modification
from structdiff.spec.complex import ComplexSpec, ContactSpec, Site
from tests.parity.boltz2_cases import filled_network, hyper_parameters

CHAINS = (
    ChainSpec(ids=("A",), kind="protein", sequence="MKTAYIAKQRQISFVKSHFS"),
    ChainSpec(ids=("B",), kind="protein", sequence="GSHMLEDPVDAF"),
    ChainSpec(ids=("L",), kind="ligand", ccd=("GOL",)),
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("weights") / "tiny2"
    network = filled_network(config_from_hyper_parameters(hyper_parameters()))
    write_network(network, made, {"sampling": SAMPLING | {"steps": 6}, "recycles": 1}, half=False)
    return made


def positions(found):
    return [each.structure.atoms.positions for each in found]


def test_samples_are_the_same_alone_and_together(folder):
    spec = ComplexSpec(chains=CHAINS)
    together = list(structdiff.predict(spec, samples=3, options=RunOptions(weights=folder, batch_size=3, relax=False)))
    alone = list(structdiff.predict(spec, samples=3, options=RunOptions(weights=folder, batch_size=1, relax=False)))
    for one, other in zip(positions(together), positions(alone), strict=True):
        assert np.array_equal(one, other)
    assert np.abs(positions(alone)[0] - positions(alone)[1]).max() > 1


def test_contacts_are_kept_and_nothing_is_docked(folder):
    contact = ContactSpec(token1=Site(chain="A", residue=3), token2=Site(chain="B", residue=5), max_distance=8.0)
    spec = ComplexSpec(chains=CHAINS, constraints=(contact,))
    (found,) = structdiff.predict(spec, options=RunOptions(weights=folder, sampling={"steps": 10}))
    asked = next(each for each in found.verdicts if each.name.startswith("contact"))
    assert asked.met
    assert found.provenance.sampling["recycles"] == 1
    assert not found.provenance.sampling["dock"]
    assert not found.docked.ligands


def test_a_written_structure_is_scored_by_its_own_alignment_alone(folder):
    (found,) = structdiff.predict(ComplexSpec(chains=CHAINS[:1]), options=RunOptions(weights=folder))
    scored = structdiff.score(found.structure, weights=folder)
    assert scored.mean_plddt == pytest.approx(found.confidence.mean_plddt, abs=0.01)


def test_modified_residues_are_one_token_and_have_one_score(folder):
    text = "MKTSYIAKQR"
    modified = dataclasses.replace(CHAINS[0], sequence=text, modifications=(Modification(position=4, ccd="SEP"),))
    (found,) = structdiff.predict(ComplexSpec(chains=(modified,)), options=RunOptions(weights=folder))
    plddt = found.confidence.plddt
    assert len(plddt) == len(text) - 1 + 10
    assert len(set(plddt[3:13].tolist())) == 1
    assert len(set(plddt.tolist())) > 5


def test_it_designs_nothing(folder):
    with pytest.raises(InputError, match="design none"):
        structdiff.design(length=30, options=RunOptions(weights=folder))

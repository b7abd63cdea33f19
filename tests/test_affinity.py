"""Affinities in predictions, by tiny networks of made-up parameters: what they depend on, what is refused."""

from __future__ import annotations

import dataclasses
import json
import warnings

import numpy as np
import pytest
import torch

import structdiff
from structdiff.affinity import Affinities, affinity_seconds, check_binder
from structdiff.complex_jobs import complex_job
from structdiff.errors import InputError
from structdiff.features.token_subset import token_subset
from structdiff.model.boltz.affinity_crop import MOST_TOKENS
from structdiff.model.boltz.config import config_from_hyper_parameters
from structdiff.model.boltz.published import SAMPLING
from structdiff.model.checkpoint import write_network
from structdiff.options import RunOptions
from structdiff.output.tables import read_table
from structdiff.pipeline import load_engine
from structdiff.published_weights.cache import network_folder
from structdiff.spec.chain import ChainSpec
from structdiff.spec.complex import ComplexSpec
from structdiff.structure.complex import build_complex
from tests.parity.boltz2_affinity_cases import affinity_hyper_parameters
from tests.parity.boltz2_cases import filled_network, hyper_parameters

PROTEIN = ChainSpec(ids=("A",), kind="protein", sequence="MKTAYIAKQRQISFVKSHFS")
SPEC = ComplexSpec(chains=(PROTEIN, ChainSpec(ids=("L",), kind="ligand", ccd=("GOL",))), affinity="L")
NEUTRAL = "affinity of L: ligands that the network has seen are neutral, as CC(=O)O is"
FACTS = {"sampling": SAMPLING | {"steps": 4}, "recycles": 1}


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def folder(cache):
    """Weights that predict structures; in the cache lie those of affinities."""
    made = cache / "tiny2"
    write_network(filled_network(config_from_hyper_parameters(hyper_parameters())), made, FACTS, half=False)
    return made


@pytest.fixture(autouse=True)
def fetched(cache, folder, monkeypatch):
    monkeypatch.setenv("STRUCTDIFF_CACHE", str(cache))
    there = network_folder("boltz2-affinity")
    if not there.exists():
        network = filled_network(config_from_hyper_parameters(affinity_hyper_parameters()))
        write_network(network, there, FACTS, half=False)
    return there


def options(folder, **more):
    return RunOptions(weights=folder, relax=False, **more)


def test_it_is_the_same_for_a_seed_whatever_is_drawn_beside_it(folder):
    together = list(structdiff.predict(SPEC, samples=2, options=options(folder, batch_size=2)))
    (alone,) = structdiff.predict(SPEC, samples=2, places=[1], options=options(folder))
    (other,) = structdiff.predict(SPEC, seed=1, options=options(folder))
    found = together[1].affinity
    assert together[0].affinity == found == alone.affinity  # all of a small complex is seen, wherever it lies
    assert found is not None
    assert other.affinity is not None
    assert found.log10_ic50 != other.affinity.log10_ic50
    first, second = found.members
    assert found.log10_ic50 == pytest.approx((first.log10_ic50 + second.log10_ic50) / 2)
    assert found.binder_probability == pytest.approx((first.binder_probability + second.binder_probability) / 2)
    assert first != second
    assert 0 < found.binder_probability < 1
    assert found.pic50_kcal_per_mol == pytest.approx((6 - found.log10_ic50) * 1.364)
    assert (found.binder, found.tokens) == ("L", 26)


def test_structures_are_those_of_a_run_without_it(folder):
    (asked,) = structdiff.predict(SPEC, options=options(folder))
    (plain,) = structdiff.predict(dataclasses.replace(SPEC, affinity=None), options=options(folder))
    assert np.array_equal(asked.structure.atoms.positions, plain.structure.atoms.positions)
    assert plain.affinity is None
    assert "affinity" not in plain.provenance.as_data()


def test_what_is_said_twice_is_computed_once(folder, monkeypatch):
    engine = load_engine(options(folder))
    job = complex_job(SPEC, abilities=engine.network.abilities)
    affinities, computed = Affinities(engine, job), []
    monkeypatch.setattr(affinities, "_computed", lambda rows, seed: computed.append((len(rows), seed)))
    for seed in (0, 0, 3):
        affinities.of(job.structure, seed)
    assert computed == [(26, 0), (26, 3)]


def test_of_a_large_complex_what_is_near_the_ligand_is_seen(folder):
    chains = [dataclasses.replace(PROTEIN, ids=(name,), sequence=PROTEIN.sequence * 8) for name in "AB"]
    spec = dataclasses.replace(SPEC, chains=(*chains, SPEC.chains[1]))
    engine = load_engine(options(folder))
    job = complex_job(spec, abilities=engine.network.abilities)
    structure, row = job.structure, len(job.structure.chains) - 1
    positions = np.zeros((len(structure.atoms), 3), np.float32)
    positions[:, 0] = structure.atoms.residue * 3.8
    ligand = structure.atom_chain == row
    found = []
    for end in (0.0, 600.0):
        positions[ligand] = np.array([[end, 3.0, 0.0]]) + np.arange(ligand.sum())[:, None]
        placed = structure.with_positions(positions)
        found.append(Affinities(engine, job).of(placed, 0))
    assert found[0].tokens == found[1].tokens == 206 < MOST_TOKENS
    assert found[0] != found[1]
    assert affinity_seconds(engine, job, 3) == pytest.approx(3 * affinity_seconds(engine, job, 1))


def test_of_a_small_complex_it_is_expected_to_be_computed_once(folder):
    engine = load_engine(options(folder))
    job = complex_job(SPEC, abilities=engine.network.abilities)
    assert affinity_seconds(engine, job, 3) == affinity_seconds(engine, job, 1) > 0


def test_it_is_written_and_told(folder, tmp_path):
    (found,) = structdiff.predict(SPEC, options=options(folder))
    structdiff.write_prediction(found, tmp_path, "x")
    data = json.loads((tmp_path / "x.confidence.json").read_text())
    written = data["affinity"]
    assert written == json.loads(json.dumps(found.affinity.as_data()))
    assert [*written] == ["binder", "log10_ic50_um", "binder_probability", "pic50_kcal_per_mol", "members", "tokens"]
    assert [[*each] for each in written["members"]] == [["log10_ic50_um", "binder_probability"]] * 2
    made = data["provenance"]["affinity"]
    assert (made["weights"], made["recycles"], made["samples"], made["sampling"]["steps"]) == (
        "boltz2-affinity",
        1,
        5,
        4,
    )
    assert len(made["weights_sha256"]) == 64
    (row,) = read_table(tmp_path / "predictions.csv")
    assert float(row["affinity_log10_ic50_um"]) == written["log10_ic50_um"]
    assert float(row["affinity_binder_probability"]) == written["binder_probability"]
    assert '"binder": "L"' in json.dumps(data["provenance"]["spec"]["properties"])


def test_other_weights_and_lacking_ones_are_refused_before_anything_is_computed(folder, fetched, tmp_path, monkeypatch):
    jobs: list[object] = []
    with pytest.raises(InputError, match=r"Boltz-2's weights alone .*weights fetch boltz2-affinity"):
        structdiff.predict(SPEC, options=RunOptions(), on_job=jobs.append)
    with pytest.raises(InputError, match=r"in structures that others predict .*allowed: boltz2"):
        structdiff.predict(SPEC, options=RunOptions(weights=fetched))
    monkeypatch.setenv("STRUCTDIFF_CACHE", str(tmp_path))
    with pytest.raises(InputError, match="structdiff weights fetch boltz2-affinity gets them"):
        structdiff.predict(SPEC, options=options(folder), on_job=jobs.append)
    network = filled_network(config_from_hyper_parameters(hyper_parameters()))
    write_network(network, network_folder("boltz2-affinity"), FACTS, half=False)
    with pytest.raises(InputError, match="these weights predict no affinities"):
        structdiff.predict(SPEC, options=options(folder), on_job=jobs.append)
    assert not jobs


def test_large_ligands_are_refused_and_those_that_are_rather_large_are_warned_of():
    def built(carbons: int):
        ligand = ChainSpec(ids=("L",), kind="ligand", smiles="C" * carbons)
        return build_complex(ComplexSpec(chains=(PROTEIN, ligand)))

    check_binder(built(56), "L")
    with pytest.warns(UserWarning, match="57 heavy atoms are more than the 56"):
        check_binder(built(57), "L")
    with pytest.warns(UserWarning, match="128 heavy atoms"):
        check_binder(built(128), "L")
    with pytest.raises(InputError, match=r"affinity: .*found 'L, of 129'; allowed: at most 128"):
        check_binder(built(129), "L")


def test_charges_that_the_network_has_not_seen_are_warned_of(folder):
    engine = load_engine(options(folder))
    for smiles in ("CC(=O)[O-]", "CC(=O)O", "C[N+](C)(C)C"):
        ligand = ChainSpec(ids=("L",), kind="ligand", smiles=smiles)
        spec = dataclasses.replace(SPEC, chains=(PROTEIN, ligand))
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            complex_job(spec, abilities=engine.network.abilities)
        assert [str(each.message) for each in told] == (
            ["affinity of L: ligands that the network has seen are neutral, as CC(=O)O is"]
            if smiles.endswith("-]")
            else []
        )


def test_features_of_some_tokens_are_those_of_a_structure_of_them_alone(folder):
    engine = load_engine(options(folder))
    whole = complex_job(SPEC, abilities=engine.network.abilities)
    alone = complex_job(dataclasses.replace(SPEC, chains=(PROTEIN,), affinity=None), abilities=engine.network.abilities)
    found = token_subset(whole.features, torch.arange(20))
    for group in ("token", "atom", "pair", "condition", "msa"):
        for name, value in vars(getattr(alone.features, group)).items():
            assert torch.equal(vars(getattr(found, group))[name], value), (group, name)

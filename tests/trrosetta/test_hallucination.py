"""Sequences made up by networks like trRosetta: surer than chance, around a site too, the same each time."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from structdiff.published_weights import is_present
from structdiff.trrosetta import hallucination, network
from structdiff.trrosetta.alignment import ALPHABET, alone
from structdiff.trrosetta.couplings import alignment_channels
from structdiff.trrosetta.geometry import classes_of, pair_geometry
from structdiff.trrosetta.hallucination import JUDGES, MAKERS, Site, hallucinate
from structdiff.trrosetta.network import NETWORKS, TrRosetta, expect_each, mean_expectation

needs_weights = pytest.mark.skipif(not is_present("trrosetta"), reason="structdiff weights fetch trrosetta")
RESIDUES = 24


@pytest.fixture
def networks(monkeypatch) -> tuple[TrRosetta, ...]:
    """Three shallow networks of random weights."""
    monkeypatch.setattr(network, "_BLOCKS", 2)
    torch.manual_seed(0)
    found = tuple(TrRosetta().eval().requires_grad_(False) for _ in range(3))
    monkeypatch.setattr(hallucination, "load_networks", lambda: found)
    hallucination._background.cache_clear()
    yield found
    hallucination._background.cache_clear()


@pytest.fixture(scope="module")
def helix() -> Site:
    """A helix of six residues in the middle of a chain."""
    turn = torch.arange(6) * 1.745
    ca = torch.stack([2.3 * turn.cos(), 2.3 * turn.sin(), 1.5 * torch.arange(6)], -1)
    n = ca + torch.tensor([0.3, -1.0, -1.0])
    places = (torch.arange(RESIDUES) >= 8) & (torch.arange(RESIDUES) < 14)
    return Site(places=places, letters="KWXLCM", n=n, ca=ca, cb=ca + torch.tensor([1.0, 1.0, -0.5]))


def _sureness(networks: tuple[TrRosetta, ...], sequence: str) -> float:
    letters = functional.one_hot(torch.tensor([ALPHABET.index(each) for each in sequence]), len(ALPHABET)).float()
    counted, usual = ~torch.eye(len(sequence), dtype=torch.bool), hallucination._background(len(sequence))
    found = 0.0
    for each in networks:
        answers = each(hallucination._channels(letters)[None])
        logs = {name: answer[0].log_softmax(-1) for name, answer in answers.items()}
        found += float(hallucination._divergence(logs, usual, counted)) / len(networks)
    return found


def _generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_a_sequence_is_seen_as_an_alignment_of_itself_is():
    letters = functional.one_hot(torch.tensor([ALPHABET.index(each) for each in "MKVLCA"]), len(ALPHABET)).float()
    given, _ = alignment_channels(alone("MKVLCA"))
    assert torch.allclose(hallucination._channels(letters), given, atol=1e-6)


def test_what_is_usual_depends_on_the_separation_alone(networks):
    usual = hallucination._background(RESIDUES)
    for name, own in usual.items():
        assert torch.equal(own[3, 9], own[10, 16]), name
        assert torch.allclose(own.exp().sum(-1), torch.ones(RESIDUES, RESIDUES), atol=1e-5)


def test_the_networks_are_surer_of_what_is_made_up_than_of_random_sequences(networks):
    made = hallucinate(RESIDUES, _generator())
    random = [
        "".join(ALPHABET[place] for place in torch.randint(0, 20, (RESIDUES,), generator=_generator(seed)).tolist())
        for seed in range(20)
    ]
    assert _sureness(networks, made) > max(_sureness(networks, each) for each in random)
    assert "C" not in made


def test_the_same_seed_makes_up_the_same_and_another_one_another(networks):
    first = hallucinate(RESIDUES, _generator())
    hallucination._background.cache_clear()
    with torch.inference_mode():
        assert hallucinate(RESIDUES, _generator()) == first
    assert hallucinate(RESIDUES, _generator(1)) != first


def test_a_site_keeps_its_letters_and_comes_nearer_to_its_shape(networks, helix, monkeypatch):
    steps: list[tuple[int, int]] = []
    made = hallucinate(RESIDUES, _generator(), helix, lambda *step: steps.append(step))
    assert (made[8:10], made[11:14]) == ("KW", "LCM")
    assert steps[-1] == (hallucination.STEPS_AROUND_MOTIF, hallucination.STEPS_AROUND_MOTIF)
    monkeypatch.setattr(hallucination, "_MOTIF", 0.0)
    careless = hallucinate(RESIDUES, _generator(), helix)
    asked = classes_of(pair_geometry(helix.n, helix.ca, helix.cb))

    def unlikeliness(sequence: str) -> float:
        letters = functional.one_hot(torch.tensor([ALPHABET.index(each) for each in sequence]), len(ALPHABET)).float()
        total = 0.0
        for each in networks:
            answers = each(hallucination._channels(letters)[None])
            for name, classes in asked.items():
                logs = answers[name][0, 8:14, 8:14].log_softmax(-1)
                total -= float(logs.gather(-1, classes[..., None])[~torch.eye(6, dtype=torch.bool)].mean())
        return total

    assert unlikeliness(made) < unlikeliness(careless)


@needs_weights
def test_networks_that_took_no_part_believe_it_too(monkeypatch):
    monkeypatch.setattr(hallucination, "STEPS", 18)
    made = hallucinate(36, _generator())
    shuffled = "".join(made[place] for place in torch.randperm(36, generator=_generator()).tolist())

    def near(sequence: str) -> float:
        each = dict(zip(NETWORKS, expect_each(sequence), strict=True))
        place = torch.arange(36)
        apart = (place[:, None] - place).abs() >= 6
        return float(mean_expectation([each[name] for name in JUDGES]).contact_probability[apart].mean())

    assert near(made) > 1.5 * near(shuffled)
    assert not set(MAKERS) & set(JUDGES)


def test_what_has_hardly_any_contacts_is_made_up_anew(networks, monkeypatch):
    descents, expected = [], iter([0.1, 0.3, 0.7])

    def descended(*_) -> torch.Tensor:
        descents.append(len(descents))
        return functional.one_hot(torch.full((RESIDUES,), len(descents)), len(ALPHABET)).float()

    monkeypatch.setattr(hallucination, "_descended", descended)
    monkeypatch.setattr(hallucination, "_contacts", lambda *_: next(expected))
    assert hallucinate(RESIDUES, _generator()) == ALPHABET[3] * RESIDUES
    expected = iter([0.1, 0.3, 0.2, 0.0])
    assert hallucinate(RESIDUES, _generator()) == ALPHABET[5] * RESIDUES
    assert len(descents) == 7


def test_contacts_are_those_of_residues_far_apart_in_the_sequence(networks, monkeypatch):
    near = torch.full((1, RESIDUES, RESIDUES, 37), -20.0)
    near[..., 12] = 20.0
    letters = functional.one_hot(torch.zeros(RESIDUES, dtype=torch.long), len(ALPHABET)).float()
    pairs = sum(RESIDUES - apart for apart in range(12, RESIDUES))
    assert hallucination._contacts((lambda _: {"distance": near},), letters) == pytest.approx(2 * pairs / RESIDUES)
    near[..., 13] = 40.0
    assert hallucination._contacts((lambda _: {"distance": near},), letters) == pytest.approx(0.0, abs=1e-5)

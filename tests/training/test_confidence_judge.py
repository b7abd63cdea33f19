"""What the confidence head learns from beside the training split, and how the better of two heads is told."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from structdiff.diffusion.sampler import SamplingConfig
from structdiff.errors import InputError
from structdiff.model.network import StructureNetwork, tiny
from structdiff.training import confidence_sets
from structdiff.training.batches import BatchConfig
from structdiff.training.confidence_judge import Judge
from structdiff.training.confidence_sets import validation_halves
from structdiff.training.confidence_streams import ConfidenceTraining, drawn_stream, mixed_streams, streams
from structdiff.training.dataset import StructureSet
from structdiff.training.folder import chain_sequences

SAMPLING = SamplingConfig(steps=2, solver="dpm-solver-2m")
CROPS = BatchConfig(crops=((32, 2, 1.0),))
SETTINGS = ConfidenceTraining(batches=CROPS, chain_crops=CROPS, validation_crops=CROPS, wrong_poses=1)


@pytest.fixture
def halves(data):
    return validation_halves(data)


def test_halves_share_no_structure_and_no_sequence(halves):
    learnt, judged = halves
    assert learnt.weight.any()
    assert judged.weight.any()
    assert not (learnt.weight * judged.weight).any()
    assert np.allclose(learnt.weight + judged.weight, StructureSet(learnt.path, "val").weight)
    sequences = [
        {one for row in np.flatnonzero(half.weight) for one in chain_sequences(half.structure(int(row)))}
        for half in halves
    ]
    assert not sequences[0] & sequences[1]


def test_a_split_of_one_group_judges_alone(data, structures, monkeypatch, capsys):
    monkeypatch.setattr(confidence_sets, "sequence_groups", lambda sequences: ["one"] * len(sequences))
    learnt, judged = validation_halves(data)
    assert judged.weight.any()
    assert not learnt.weight.any()
    found = mixed_streams(structures, learnt, SETTINGS, seed=0)
    assert [stream.batches.structures for stream in found] == [structures] * len(found)
    assert "too few structures" in capsys.readouterr().out


def test_structures_that_were_not_learnt_are_drawn_as_often_as_is_said(structures, halves):
    found = mixed_streams(structures, halves[0], replace(SETTINGS, unlearnt=0.25), seed=0)
    assert sum(stream.share for stream in found) == pytest.approx(1.0)
    assert sum(stream.share for stream in found if stream.batches.structures is halves[0]) == pytest.approx(0.25)
    rng = np.random.default_rng(0)
    drawn = [drawn_stream(found, rng).batches.structures is halves[0] for _ in range(2000)]
    assert np.mean(drawn) == pytest.approx(0.25, abs=0.03)
    assert len(mixed_streams(structures, halves[0], replace(SETTINGS, unlearnt=0.0), seed=0)) <= len(found) - 1


def test_the_judge_prefers_the_head_that_knows(structures):
    """A head that learns the structures to judge by is told from one that does not, and measuring repeats exactly."""
    torch.manual_seed(0)
    network = StructureNetwork(tiny())
    kinds = streams(structures, SETTINGS, seed=0)
    judge = Judge(network, kinds, SAMPLING, count=3, seed=0)
    assert [len(drawn) for _, drawn in judge.items] == [max(1, round(3 * stream.share)) for stream in kinds]
    before = judge.losses(network.confidence)
    assert judge.losses(network.confidence) == before
    assert set(before) == {stream.kind for stream in kinds} | {"all"}
    assert before["all"] == pytest.approx(sum(stream.share * before[stream.kind] for stream in kinds))
    with torch.no_grad():
        network.confidence.plddt[1].bias[:] = 0.0
        network.confidence.plddt[1].bias[-1] = 20.0  # sure that all is right, which the drawn ones are not
    assert judge.losses(network.confidence)["all"] > before["all"] + 1


@pytest.mark.parametrize(("name", "value"), [("unlearnt", 1.5), ("held_chains", -0.1), ("judge_rounds", 0)])
def test_settings_that_mean_nothing_are_refused(name, value):
    with pytest.raises(InputError, match=name):
        ConfidenceTraining(**{name: value})
    with pytest.raises(InputError, match="held_helices"):
        ConfidenceTraining(held_helices=0.7, held_chains=0.5)

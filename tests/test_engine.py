"""The engine does once what is the same for a whole batch."""

from __future__ import annotations

import pytest
import torch

from structdiff.complex_jobs import complex_job
from structdiff.device import check_memory, choose_device
from structdiff.diffusion.sampler import SamplingConfig, sample_generator
from structdiff.engine import Engine
from structdiff.errors import InputError, ResourceError
from structdiff.model.library import load_named_weights
from structdiff.spec.chain import ChainSpec
from structdiff.spec.complex import ComplexSpec

SAMPLING = SamplingConfig(steps=2, sigma_max=50.0)


@pytest.fixture(scope="module")
def engine():
    return Engine(load_named_weights("mini"), device=torch.device("cpu"))


def features(engine, sequence):
    spec = ComplexSpec(chains=(ChainSpec(ids=("A",), kind="protein", sequence=sequence),))
    return complex_job(spec).features


def seen_by_trunk(engine, items, **options):
    batches = []
    hook = engine.network.trunk.register_forward_hook(lambda _, __, out: batches.append(len(out.s_trunk)))
    try:
        draws = engine.draw(items, [sample_generator(1, index) for index in range(len(items))], SAMPLING, **options)
    finally:
        hook.remove()
    return draws, batches


def test_samples_of_one_request_share_the_trunk(engine):
    item = features(engine, "MKTAYIAK")
    together, batches = seen_by_trunk(engine, [item, item, item])
    assert batches == [1]
    for index, draw in enumerate(together):
        alone = engine.draw([item], [sample_generator(1, index)], SAMPLING)[0]
        assert torch.allclose(draw.positions, alone.positions, atol=1e-3)
        assert torch.allclose(draw.confidence.pae, alone.confidence.pae, atol=1e-3)
    assert (together[0].positions - together[1].positions).abs().max() > 0.1


def test_different_requests_have_their_own(engine):
    _, batches = seen_by_trunk(engine, [features(engine, "MKTAYIAK"), features(engine, "MKTAYIAW")])
    assert batches == [2]


def test_only_batches_of_several_are_advised_to_be_smaller(engine, monkeypatch):
    monkeypatch.setenv("STRUCTDIFF_MEMORY_GIB", "0.001")
    for samples, advised in ((1, False), (4, True)):
        with pytest.raises(ResourceError, match="400 tokens") as refused:
            check_memory(engine.network.config, 400, samples, engine.device)
        assert ("--batch-size" in str(refused.value)) == advised
        assert "GiB of main memory are free" in str(refused.value)


@pytest.mark.parametrize("name", ["cuda:1", "cuda:0,cuda:1", "0,1"])
def test_a_complex_on_one_of_several_devices_or_on_all_is_told_what_there_is(name):
    with pytest.raises(InputError, match="drawn on one device, and CUDA_VISIBLE_DEVICES says which"):
        choose_device(name)


def test_positions_are_finished_before_they_are_judged(engine):
    """Of the items that ask for it alone, and of the atoms that it sees."""
    job = complex_job(ComplexSpec(chains=(ChainSpec(ids=("A",), kind="protein", sequence="MKTAYIAK"),)))
    _, rows = job.constraints
    generators = [[sample_generator(1, index) for index in range(2)] for _ in range(2)]
    plain = engine.draw([job.features] * 2, generators[0], SAMPLING)
    apart = [
        None,
        (lambda positions: positions + torch.tensor([7.0, 0, 0]) * (torch.arange(len(positions)) > 30)[:, None], rows),
    ]
    drawn = engine.draw([job.features] * 2, generators[1], SAMPLING, finish=apart)
    assert torch.equal(drawn[0].positions, plain[0].positions)
    moved = (drawn[1].positions - plain[1].positions)[rows[:, 0], rows[:, 1], 0]
    assert torch.equal(moved > 3, torch.arange(len(rows)) > 30)
    assert torch.equal(drawn[0].confidence.pae, plain[0].confidence.pae)
    assert not torch.equal(drawn[1].confidence.pae, plain[1].confidence.pae)

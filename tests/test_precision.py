"""The trunk in bfloat16: near to float32, the same whatever is drawn beside it, and told in every record."""

from __future__ import annotations

import dataclasses
import warnings

import numpy as np
import pytest
import torch

import structdiff
from structdiff import precision
from structdiff.diffusion.sampler import sample_generator
from structdiff.engine import Engine
from structdiff.errors import InputError
from structdiff.model.checkpoint import write_network
from structdiff.model.library import load_named_weights
from structdiff.options import RunOptions
from structdiff.precision import SlowPrecisionWarning, check_precision
from tests.parity.boltzgen_cases import tiny_network
from tests.test_engine import SAMPLING, features

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(precision, "_is_slower", lambda: False)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("weights") / "tinygen"
    facts = {"sampling": {"steps": 4}, "recycles": 1, "published": {"name": "boltzgen"}}
    write_network(tiny_network(), made, facts, half=False)
    return made


def trunk_of(engine, item, asked):
    """Pairs that the trunk gives to the denoiser and to the confidence head, in their types."""
    seen = []
    hook = engine.network.confidence.register_forward_pre_hook(lambda _, args: seen.append(args[1].z_trunk))
    try:
        (draw,) = engine.draw([item], [sample_generator(1, 0)], SAMPLING, precision=asked)
    finally:
        hook.remove()
    return seen[0], draw


def test_the_trunk_alone_is_rounded_and_what_it_gives_is_near():
    engine = Engine(load_named_weights("mini"), device=CPU)
    item = features(engine, "MKTAYIAKQRQISFVKSHFSRQ")
    exact, draw = trunk_of(engine, item, "float32")
    rounded, other = trunk_of(engine, item, "bfloat16")
    assert exact.dtype == rounded.dtype == other.positions.dtype == other.confidence.pae.dtype == torch.float32
    off = (rounded - exact).square().mean().sqrt() / exact.std()
    assert 1e-5 < off < 0.02
    assert 0 < (other.positions - draw.positions).abs().max() < 1.0


@pytest.mark.parametrize("asked", ["float32", "bfloat16"])
def test_designs_are_the_same_alone_and_together_and_say_how_they_were_drawn(folder, asked):
    options = RunOptions(weights=folder, batch_size=3, relax=False, precision=asked)
    together = list(structdiff.design(contigs="20", num_designs=3, options=options))
    alone = structdiff.design(contigs="20", num_designs=3, options=dataclasses.replace(options, batch_size=1))
    for one, other in zip(together, alone, strict=True):
        assert np.array_equal(one.structure.atoms.positions, other.structure.atoms.positions)
        assert one.provenance.sampling.get("precision", "float32") == asked


def test_what_cannot_be_is_an_error_and_what_is_slower_is_told(monkeypatch):
    with pytest.raises(InputError, match=r"precision: unknown choice .*did you mean 'bfloat16'"):
        RunOptions(precision="bf16")
    with pytest.raises(InputError, match="no such precision here"):
        check_precision("bfloat16", torch.device("mps"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_precision("bfloat16", CPU)
        check_precision("float32", torch.device("mps"))
    monkeypatch.setattr(precision, "_is_slower", lambda: True)
    with pytest.warns(SlowPrecisionWarning, match="--precision float32 is quicker"):
        check_precision("bfloat16", CPU)
    check_precision("bfloat16", torch.device("cuda"))

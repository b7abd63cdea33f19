"""Batches that do not fit into memory are halved, and everything is drawn all the same."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from structdiff.diffusion.sampler import sample_generator
from structdiff.drawing import Wanted, _docking_generator, draw_all, is_out_of_memory
from structdiff.errors import ResourceError
from structdiff.model.abilities import Abilities
from structdiff.options import RunOptions


class Small:
    """An engine that can take two structures at a time."""

    def __init__(self, most: int, error: Exception) -> None:
        self.most, self.error, self.sizes = most, error, []
        self.device = torch.device("cpu")
        self.weights = SimpleNamespace(sampling={}, recycles=0)

    def draw(self, items, generators, *_, **__):
        if len(items) > self.most:
            raise self.error
        self.sizes.append(len(items))
        pairs = zip(items, generators, strict=True)
        return [(item, torch.rand(1, generator=generator).item()) for item, generator in pairs]


class PlainJob:
    """A job of which nothing but its number and length is known; whatever else is asked of it is not there."""

    def __init__(self, index: int, tokens: int = 9) -> None:
        self.features, self.contacts = SimpleNamespace(number=index, num_tokens=tokens, num_slots=14), []
        self.constraints = (), torch.zeros(0, 2)

    abilities = Abilities()

    def __getattr__(self, name: str) -> None:
        return None


def wanted(count: int):
    for index in range(count):
        yield Wanted(job=PlainJob(index), seed=3, index=index)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "error",
    [torch.OutOfMemoryError("CUDA out of memory"), ResourceError("9 GiB"), MemoryError(),
     RuntimeError("[enforce fail at alloc_cpu.cpp:119] DefaultCPUAllocator: can't allocate memory")],
    ids=lambda error: type(error).__name__,
)  # fmt: skip
def test_batches_are_halved(error, capsys) -> None:
    options = RunOptions(batch_size=8)
    engine = Small(2, error)
    drawn = list(draw_all(engine, wanted(7), 7, options))  # type: ignore[arg-type]
    assert engine.sizes == [2, 2, 2, 1]
    assert [each.draw[0].number for each in drawn] == list(range(7))
    alone = list(draw_all(Small(9, error), wanted(7), 7, options))  # type: ignore[arg-type]
    assert [each.draw[1] for each in drawn] == [each.draw[1] for each in alone]
    assert "going on with 2" in capsys.readouterr().err


def test_one_that_does_not_fit_alone_is_an_error() -> None:
    with pytest.raises(ResourceError, match="9 GiB"):
        list(draw_all(Small(0, ResourceError("9 GiB")), wanted(3), 3, RunOptions(batch_size=2)))  # type: ignore[arg-type]
    assert not is_out_of_memory(RuntimeError("a fault"))


@pytest.mark.parametrize(("device", "sizes"), [("cpu", [2, 1, 2, 1]), ("cuda", [4, 2])])
def test_on_the_cpu_only_structures_of_one_length_are_drawn_together(device, sizes) -> None:
    lengths = [9, 9, 8, 7, 7, 9]
    jobs = [PlainJob(index, tokens) for index, tokens in enumerate(lengths)]
    asked = [Wanted(job=job, seed=3, index=index) for index, job in enumerate(jobs)]  # type: ignore[arg-type]
    engine = Small(9, MemoryError())
    engine.device = torch.device(device)
    drawn = list(draw_all(engine, asked, 6, RunOptions(batch_size=4)))  # type: ignore[arg-type]
    assert engine.sizes == sizes
    assert [each.draw[0].number for each in drawn] == list(range(6))


def test_jobs_are_built_a_batch_ahead_only() -> None:
    built = []

    def counted():
        for each in wanted(10):
            built.append(each.index)
            yield each

    found = draw_all(Small(9, MemoryError()), counted(), 10, RunOptions(batch_size=2))  # type: ignore[arg-type]
    next(found)
    assert built == [0, 1]


def test_docking_has_random_numbers_of_its_own() -> None:
    """The same for the same seed, sample and draw, whatever else is drawn, and others than the drawing's."""

    def first_number(**asked):
        return torch.rand(1, generator=_docking_generator(Wanted(job=PlainJob(0), **asked))).item()  # type: ignore[arg-type]

    numbers = [first_number(seed=seed, index=index, draw=draw) for seed, index, draw in
               ((3, 0, 0), (3, 1, 0), (4, 0, 0), (3, 0, 1))]  # fmt: skip
    assert len({*numbers, torch.rand(1, generator=sample_generator(3, 0)).item()}) == 5
    assert first_number(seed=3, index=1, draw=0) == numbers[1]

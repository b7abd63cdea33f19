"""What a trial before the first step does with a device's memory, on a CPU that plays a GPU."""

from types import SimpleNamespace

import pytest
import torch

from structdiff.errors import InputError
from structdiff.training import trial as under_test
from structdiff.training.trial import Trial


class Batch(SimpleNamespace):
    def to(self, device):
        return self


def fitting(monkeypatch, room, size):
    """The size of the batch that is found where ``room`` structures fit."""

    def step(module, batch, context):
        if batch.size > room:
            raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(under_test, "_step", step)
    batches = SimpleNamespace(draw=lambda tokens, size, rng: Batch(size=size))
    module = SimpleNamespace(device="cpu", network=SimpleNamespace(zero_grad=lambda: None))
    return Trial(batches)._fitting(module, 64, size, None).size


def test_batches_that_do_not_fit_are_halved(monkeypatch):
    assert fitting(monkeypatch, 100, 32) == 32
    assert fitting(monkeypatch, 10, 32) == 8
    with pytest.raises(InputError, match="not even one"):
        fitting(monkeypatch, 0, 8)


def test_memory_is_left_for_what_the_trial_has_not(monkeypatch):
    """The optimiser's moments come after it: a batch that fills the device would fit there, and never in training."""
    allowed = []
    monkeypatch.setattr(torch.cuda, "set_per_process_memory_fraction", lambda share, device: allowed.append(share))

    def trial_that_fails():
        with under_test._less_memory(torch.device("cuda", 0)):
            assert allowed == [pytest.approx(0.92)]
            raise torch.OutOfMemoryError

    with pytest.raises(torch.OutOfMemoryError):
        trial_that_fails()
    assert allowed[1:] == [1.0]
    with under_test._less_memory(torch.device("cpu")):
        pass
    assert len(allowed) == 2

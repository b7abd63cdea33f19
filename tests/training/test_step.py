"""The training step as a GPU meets it: nothing that makes the host wait, complete graphs, the same results compiled."""

import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from structdiff import kernels
from structdiff.features.schema import Features
from structdiff.model.network import tiny
from structdiff.training.batches import BatchConfig, TrainingBatches
from structdiff.training.converter import convert_structures
from structdiff.training.dataset import StructureSet
from structdiff.training.module import TrainingModule
from structdiff.training.tasks import TaskMix
from tests.training.test_training import COLLECTION

#: Operators for which the host waits until the device has come so far: reads, results of unknown size, checked algebra.
_WAITING = {
    "_local_scalar_dense", "item", "is_nonzero", "nonzero", "masked_select", "unique_dim", "_unique2", "equal",
    "_linalg_svd", "_linalg_eigh", "linalg_qr", "_linalg_solve_ex", "_linalg_det", "linalg_inv_ex", "bincount",
}  # fmt: skip


class Watch(TorchDispatchMode):
    """Raises where the host would wait for the device, of which meta tensors take the place."""

    def __init__(self) -> None:
        super().__init__()
        self.seen = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        tensors = [x for x in torch.utils._pytree.tree_leaves((args, kwargs, out)) if isinstance(x, torch.Tensor)]
        devices = {x.device.type for x in tensors}
        if "meta" in devices:
            self.seen += 1
            name = func.__name__.split(".")[0]
            assert name not in _WAITING, f"the host waits for {func}"
            assert not ("cpu" in devices and any(x.device.type == "cpu" and x.dim() for x in tensors)), (
                f"{func} copies between host and device"
            )
            if name in ("index", "index_put_"):
                indices = torch.utils._pytree.tree_leaves(args[1])
                assert not any(isinstance(x, torch.Tensor) and x.dtype == torch.bool for x in indices), str(func)
        return out


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("set") / "set"
    convert_structures(COLLECTION, out, progress=False)
    return out


@pytest.fixture(scope="module")
def batch(data) -> Features:
    return TrainingBatches(StructureSet(data, "train"), BatchConfig(crops=((24, 2, 1.0),)), TaskMix(), seed=1).batch(0)


@pytest.fixture
def reference():
    kernels.set_mode("reference")
    yield
    kernels.set_mode(None)


def test_the_host_never_waits_for_the_device_in_a_step(batch, reference, monkeypatch):
    monkeypatch.setattr("structdiff.training.module._generator_on", lambda device, generator: _Meta())
    monkeypatch.setattr(torch, "autocast", lambda *settings, **more: nullcontext())  # there is none for meta tensors
    module = TrainingModule(tiny(), noise_levels=2, self_conditioning=1.0, recycles=1).to("meta")
    there = batch.map(lambda tensor: tensor.to("meta"))
    watch = Watch()
    with watch:
        loss = module.losses(module.network, there, torch.Generator().manual_seed(0))["loss"]
        loss.backward()
        module.configure_gradient_clipping(torch.optim.SGD(module.network.parameters()), 1.0)
        module.carry_average_on()
    assert watch.seen > 1000
    with pytest.raises(AssertionError, match="waits"), watch:
        torch.linalg.svd(torch.empty(2, 3, 3, device="meta"))
    with pytest.raises(AssertionError, match="copies"), watch:
        torch.ones(3).to("meta")


class _Meta(torch.Generator):
    """Stands for a generator on the device: torch has none for meta tensors."""

    @property
    def device(self):
        return torch.device("meta")


def test_blocks_of_a_kind_share_complete_graphs(data):
    # In a process of its own: the checks of shapes and types that tests turn on are nothing a compiler can read.
    program = str(Path(__file__).with_name("compiled_step.py"))
    done = subprocess.run([sys.executable, program, str(data)], capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr

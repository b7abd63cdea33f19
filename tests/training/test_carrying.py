"""Training state in few bytes: numbers come back as near as their bits allow, and a run goes on where it was."""

import numpy as np
import pytest
import torch

from structdiff.errors import InputError
from structdiff.model.network import tiny
from structdiff.training import carrying
from structdiff.training.batches import BatchConfig, TrainingBatches
from structdiff.training.converter import convert_structures
from structdiff.training.dataset import StructureSet
from structdiff.training.module import TrainingModule
from structdiff.training.step_settings import OptimiserConfig
from structdiff.training.tasks import TaskMix
from tests.training.test_training import COLLECTION


@pytest.mark.parametrize("bits", [8, 12, 16])
@pytest.mark.parametrize("shape", [(64, 3), (7, 5), (1, 1)])
def test_numbers_come_back_within_half_a_step_of_their_blocks_scale(bits, shape):
    values = torch.randn(shape, generator=torch.Generator().manual_seed(0)) * torch.logspace(-6, 3, shape[0])[:, None]
    again = carrying.restored(carrying.quantised(values, bits), values.shape, bits)
    largest = values.abs().max()
    step = 1.002 * largest / (2 ** (bits - 1) - 1)
    assert (again - values).abs().max() <= 0.51 * step
    assert torch.equal(carrying.restored(carrying.quantised(values * 0, bits), values.shape, bits), values * 0)
    small = torch.full((64, 2), 1e-3)
    small[0, 0] = 1.0  # only its own block is coarse
    assert (carrying.restored(carrying.quantised(small, bits), small.shape, bits) - small)[32:].abs().max() < 1e-5


def test_the_ladder_says_how_many_bytes_a_rung_takes():
    sizes = [rung.bytes(64_000_000) / 64e6 for rung in carrying.LADDER]
    assert sizes == sorted(sizes, reverse=True)
    values = torch.randn(1000, 64)
    for rung in carrying.LADDER:
        parts = carrying.quantised(values, rung.weights)
        size = sum(x.nbytes for x in parts.values())
        if rung.average:
            size += sum(x.nbytes for x in carrying.quantised(values, rung.average).values())
        assert size == pytest.approx(rung.bytes(64_000), rel=1e-3)


class Run:
    """A network that learns one batch, with the state that Lightning would save."""

    def __init__(self, batch) -> None:
        torch.manual_seed(0)
        config = OptimiserConfig(learning_rate=5e-3, warmup_steps=1, ema_decay=0.9)
        self.module = TrainingModule(tiny(), noise_levels=2, optimiser=config)
        self.batch, self.steps = batch, 0
        self.optimiser = self.module.configure_optimizers()["optimizer"]

    def learn(self, steps: int) -> list[float]:
        seen = []
        for _ in range(steps):
            draw = torch.Generator().manual_seed(self.steps % 4)
            loss = self.module.losses(self.module.network, self.batch, draw)["loss"]
            self.optimiser.zero_grad()
            loss.backward()
            self.optimiser.step()
            self.module.carry_average_on()
            self.steps += 1
            seen.append(float(loss.detach()))
        return seen

    def save(self, path) -> None:
        state = {"global_step": self.steps, "state_dict": self.module.state_dict(), "loops": {"x": {"a": 1}},
                 "optimizer_states": [self.optimiser.state_dict()], "lr_schedulers": [{"last_epoch": 3}]}  # fmt: skip
        torch.save(state, path / "last.ckpt")

    def load(self, path) -> None:
        state = torch.load(path / "last.ckpt", weights_only=True)
        self.module.load_state_dict(state["state_dict"])
        self.optimiser.load_state_dict(state["optimizer_states"][0])
        self.steps = state["global_step"]


def test_a_run_goes_on_from_its_pieces(tmp_path, monkeypatch):
    convert_structures(COLLECTION, tmp_path / "set", progress=False)
    structures = StructureSet(tmp_path / "set", "train")
    batch = TrainingBatches(structures, BatchConfig(crops=((16, 1, 1.0),)), TaskMix(), seed=1).batch(0)
    monkeypatch.setattr(carrying, "_PIECE", 50_000)
    run = Run(batch)
    first = run.learn(40)
    run.save(tmp_path)
    rung = carrying.pack(tmp_path, tmp_path / "packed", 5.0)
    assert rung == carrying.LADDER[0]
    pieces = sorted((tmp_path / "packed").iterdir())
    assert len(pieces) > 3
    assert all(piece.stat().st_size <= 50_000 for piece in pieces if piece.suffix != ".json")
    before = {name: tensor.clone() for name, tensor in run.module.state_dict().items()}
    assert carrying.unpack(tmp_path / "packed", tmp_path / "again") == 40

    other = Run(batch)
    other.load(tmp_path / "again")
    for name, tensor in other.module.state_dict().items():
        assert torch.allclose(tensor, before[name], atol=2e-4 * float(before[name].abs().max()) + 1e-6), name
    exact, carried = run.learn(20), other.learn(20)
    assert np.mean(exact) < 0.8 * np.mean(first[:20])
    assert np.mean(carried) == pytest.approx(np.mean(exact), rel=0.1)

    pieces[0].write_bytes(pieces[0].read_bytes()[:-1] + b"\0\0")
    with pytest.raises(InputError, match="damaged"):
        carrying.unpack(tmp_path / "packed", tmp_path / "broken")
    with pytest.raises(InputError, match="or more"):
        carrying.pack(tmp_path, tmp_path / "packed", 0.3)
    with pytest.raises(InputError, match="no packed"):
        carrying.unpack(tmp_path, tmp_path / "broken")

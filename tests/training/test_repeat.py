"""Weights are made again by what they record of their training."""

from __future__ import annotations

import json
import warnings
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import load_file

from structdiff.configuration import from_dict
from structdiff.errors import InputError, OutOfReachError, StructdiffError
from structdiff.model.checkpoint import load_weights, save_weights
from structdiff.training import repeat
from structdiff.training.confidence import train_confidence
from structdiff.training.history import parts_of, with_run
from structdiff.training.repeat import _scaled, main, repeat_training
from structdiff.training.run import TrainConfig, train
from structdiff.training.step_settings import OptimiserConfig
from tests.training.test_confidence import QUICK
from tests.training.test_training import COLLECTION, config_for, data  # noqa: F401  # a fixture

_ROOT = Path(__file__).parents[2]


def trained(config: TrainConfig) -> Path:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return train(config)


@pytest.fixture(scope="module")
def made(data, tmp_path_factory) -> Path:  # noqa: F811
    """Weights of three parts: two steps, three from them whose rate follows the steps, a head of two rounds."""
    out = tmp_path_factory.mktemp("made")
    first = trained(config_for(data, out / "first", max_steps=2, seed=4))
    save_weights(load_weights(first).network, first, training=load_weights(first).training, sampling={"steps": 9})
    falling = OptimiserConfig(learning_rate=2e-3, warmup_steps=1, decay_from=1, decay_steps=2)
    second = trained(config_for(data, out / "second", max_steps=3, seed=5, start_from=first, optimiser=falling))
    return train_confidence(second, data, out / "made", seed=1, threads=1, fresh=True, settings=QUICK)


def tensors(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "model.safetensors")


def test_a_run_hands_on_history_and_sampling(made):
    weights = load_weights(made)
    assert weights.sampling == {"steps": 9}
    assert weights.training["steps"] == 5
    assert [part["steps"] for part in parts_of(weights.training)] == [2, 3]
    assert [part["settings"]["seed"] for part in parts_of(weights.training)] == [4, 5]
    assert with_run(None, {"steps": 1}) == {"steps": 1}


def test_what_comes_out_again_is_the_same_and_the_command_goes_on(made, data, tmp_path, capsys):  # noqa: F811
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert main([str(made), str(data), str(tmp_path / "again")]) == 0
        assert f"weights written to {tmp_path / 'again' / 'weights'}" in capsys.readouterr().out
        again = tensors(tmp_path / "again" / "weights")
        for name, tensor in tensors(made).items():
            assert torch.equal(tensor, again[name]), name
        known, new = (load_weights(folder) for folder in (made, tmp_path / "again" / "weights"))
        assert new.sampling == known.sampling
        assert [part["steps"] for part in parts_of(new.training)] == [2, 3]
        # A part that was lost is made again; those that are there are not.
        before = (tmp_path / "again" / "part_1" / "last.ckpt").stat().st_mtime_ns
        for path in sorted((tmp_path / "again" / "part_2").rglob("*"), reverse=True):
            path.unlink() if path.is_file() else path.rmdir()
        repeat_training(made, data, tmp_path / "again")
    assert (tmp_path / "again" / "part_1" / "last.ckpt").stat().st_mtime_ns == before
    assert all(torch.equal(tensor, again[name]) for name, tensor in tensors(tmp_path / "again" / "weights").items())
    with pytest.raises(InputError, match="other length"):
        repeat_training(made, data, tmp_path / "again", share=0.5)


def test_weights_without_a_history_and_shares_that_are_none_are_refused(made, data, tmp_path, capsys):  # noqa: F811
    network = load_weights(made).network
    save_weights(network, tmp_path / "bare", training={"steps": 5})
    with pytest.raises(InputError, match="do not record"):
        repeat_training(tmp_path / "bare", data, tmp_path / "out")
    later = parts_of(load_weights(made).training)[1:]
    save_weights(network, tmp_path / "later", training={"steps": 3, "parts": later})
    with pytest.raises(InputError, match="do not record"):
        repeat_training(tmp_path / "later", data, tmp_path / "out")
    assert main([str(made), str(data), str(tmp_path / "out"), "--share", "2"]) == 2
    assert "share" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_share_too_small_to_draw_structures_after_is_told(made, data, tmp_path, capsys, monkeypatch):  # noqa: F811
    def thrown(*_: object, **__: object) -> None:
        raise OutOfReachError("20 steps of the solver threw atoms 1e+5 Å away; take more steps")

    monkeypatch.setattr(repeat, "train_confidence", thrown)
    monkeypatch.setattr(repeat, "train", lambda config: made)
    monkeypatch.setattr(repeat, "load_weights", lambda _: load_weights(made))
    assert main([str(made), str(data), str(tmp_path / "out"), "--share", "0.3"]) == 2
    told = capsys.readouterr().err
    assert "share: after 2 steps in all the network cannot draw structures" in told
    assert "found 0.3" in told
    assert "give a larger share" in told
    assert "take more steps" not in told


def test_designs_that_a_network_of_few_steps_cannot_draw_are_told(monkeypatch, tmp_path):
    def failed(*_: object, **__: object) -> None:
        raise StructdiffError("the designs were not drawn (see above)")

    monkeypatch.setattr(repeat, "draw_designs", failed)
    source = SimpleNamespace(path=tmp_path)
    config = TrainConfig(data=tmp_path, out=tmp_path, start_from=tmp_path)
    with pytest.raises(StructdiffError, match=r"not drawn .*; if atoms .* give a larger share than 0.01"):
        repeat._designs(tmp_path, config, {"designs": {}}, 0.01, source)


def test_limits_of_the_clock_become_limits_of_steps(tmp_path):
    config = TrainConfig(data=tmp_path, out=tmp_path, max_minutes=5, optimiser=OptimiserConfig(decay_share=0.4))
    scaled = _scaled(config, {"steps": 1000}, 0.1)
    assert scaled.max_steps == 100
    assert scaled.optimiser.warmup_steps == 30
    rates = [scaled.optimiser.rate(step) for step in (29, 60, 80, 100)]
    assert rates == pytest.approx([1.0, 1.0, 0.55, 0.1])


def test_the_history_of_the_default_weights_can_be_read():
    """All of their settings are still settings."""
    training = json.loads((_ROOT / "weights" / "mini" / "config.json").read_text())["training"]
    parts = parts_of(training)
    assert sum(part["steps"] for part in parts) == training["steps"]
    for part in parts:
        read = from_dict(TrainConfig, part["settings"])
        assert replace(read, max_steps=1).max_steps == 1
    assert parts[0]["settings"]["start_from"] is None
    assert training["confidence"]["rounds_in_all"] >= training["confidence"]["rounds"]

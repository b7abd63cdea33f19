"""Runs that are stopped, wherever it is, go on to the same weights; what was saved is never lost."""

from __future__ import annotations

import dataclasses
import errno
import json
import signal
from pathlib import Path

import pytest
import torch

from structdiff.errors import InputError, ResourceError, StructdiffError
from structdiff.training.converter import convert_structures
from structdiff.training.module import TrainingModule
from structdiff.training.run import RunRecorder, read_train_config, train
from structdiff.training.step_settings import OptimiserConfig
from structdiff.training.tasks import TaskMix
from tests.training.test_training import COLLECTION, config_for, run


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("set") / "set"
    convert_structures(COLLECTION, out, progress=False)
    return out


def averaged(out: Path) -> bytes:
    return (out / "weights" / "model.safetensors").read_bytes()


class _Killed(BaseException):
    """In place of a power cut: what was saved before is all that there is."""


def test_what_is_saved_on_the_way_has_the_average_of_its_step(data, tmp_path, monkeypatch):
    run(config_for(data, tmp_path / "whole", max_steps=4, save_minutes=0.0))
    kept = RunRecorder.save

    def save_and_die(self: RunRecorder, trainer, module) -> None:
        if trainer.global_step == 2 and not (tmp_path / "dead").exists():
            kept(self, trainer, module)
            (tmp_path / "dead").touch()
            monkeypatch.setattr(RunRecorder, "save", lambda *_: None)
            raise _Killed
        kept(self, trainer, module)

    monkeypatch.setattr(RunRecorder, "save", save_and_die)
    with pytest.raises(_Killed):
        run(config_for(data, tmp_path / "cut", max_steps=4, save_minutes=0.0))
    monkeypatch.setattr(RunRecorder, "save", kept)
    run(config_for(data, tmp_path / "cut", max_steps=4))
    assert averaged(tmp_path / "cut") == averaged(tmp_path / "whole")


def test_ctrl_c_in_the_midst_of_an_update_waits_for_its_end(data, tmp_path, monkeypatch):
    run(config_for(data, tmp_path / "whole", max_steps=3))
    follow = TrainingModule.carry_average_on

    def interrupted(self: TrainingModule) -> None:
        if self.global_step == 2:
            signal.raise_signal(signal.SIGINT)
        follow(self)

    monkeypatch.setattr(TrainingModule, "carry_average_on", interrupted)
    # A shell lets what it starts in the background ignore Ctrl-C, and tests may be started so.
    outside = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            run(config_for(data, tmp_path / "cut", max_steps=3))
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, outside)
    assert json.loads((tmp_path / "cut" / "run.json").read_text())["steps"] == 2
    monkeypatch.setattr(TrainingModule, "carry_average_on", follow)
    run(config_for(data, tmp_path / "cut", max_steps=3))
    assert averaged(tmp_path / "cut") == averaged(tmp_path / "whole")


def test_a_network_that_is_not_finite_takes_no_checkpoints_place(data, tmp_path, monkeypatch):
    run(config_for(data, tmp_path, max_steps=1))
    before = (tmp_path / "last.ckpt").read_bytes()
    monkeypatch.setattr(TrainingModule, "carry_average_on", lambda self: self.ema.requires_grad_(False).apply(
        lambda part: [parameter.fill_(float("nan")) for parameter in part.parameters(recurse=False)]))  # fmt: skip
    with pytest.raises(StructdiffError, match=r"not finite after step 2.*learning_rate"):
        run(config_for(data, tmp_path, max_steps=2))
    with pytest.raises(StructdiffError, match="not finite after step 2"):  # with the next line of the log
        run(dataclasses.replace(config_for(data, tmp_path, max_steps=1000), log_steps=2))
    assert (tmp_path / "last.ckpt").read_bytes() == before


def test_a_checkpoint_without_room_is_told_and_leaves_the_last_one(data, tmp_path, monkeypatch):
    run(config_for(data, tmp_path, max_steps=1))
    before = (tmp_path / "last.ckpt").read_bytes()

    def full(self, path, **_: object) -> None:
        Path(path).write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("pytorch_lightning.Trainer.save_checkpoint", full)
    with pytest.raises(ResourceError, match=r"last.ckpt: cannot be written: No space left"):
        run(config_for(data, tmp_path, max_steps=2))
    assert (tmp_path / "last.ckpt").read_bytes() == before
    assert not (tmp_path / "last.part").exists()


def test_other_settings_of_a_run_that_goes_on_are_told(data, tmp_path, capsys):
    run(config_for(data, tmp_path, max_steps=1))
    capsys.readouterr()
    run(config_for(data, tmp_path, max_steps=2, seed=5, save_minutes=3.0, tasks=TaskMix(nothing_told=0.5)))
    notes = [line for line in capsys.readouterr().out.splitlines() if line.startswith("note: ") and "goes on" in line]
    assert len(notes) == 1
    assert "from step 1 with other settings: seed 5 (0 before), tasks.nothing_told 0.5 (" in notes[0]
    assert "save_minutes" not in notes[0]
    run(config_for(data, tmp_path, max_steps=3, seed=5, tasks=TaskMix(nothing_told=0.5)))
    assert "other settings" not in capsys.readouterr().out


def test_other_settings_of_the_optimiser_are_those_that_it_goes_on_with(data, tmp_path):
    run(config_for(data, tmp_path, max_steps=2, optimiser=OptimiserConfig(warmup_steps=1)))
    changed = OptimiserConfig(learning_rate=1e-5, beta_1=0.8, beta_2=0.9, weight_decay=0.3, warmup_steps=1)
    before = torch.load(tmp_path / "last.ckpt", weights_only=True)["state_dict"]
    _, state = run(config_for(data, tmp_path, max_steps=3, optimiser=changed))
    (group,) = state["optimizer_states"][0]["param_groups"]
    assert (group["lr"], tuple(group["betas"]), group["weight_decay"]) == (1e-5, (0.8, 0.9), 0.3)
    moved = max(float((state["state_dict"][name] - value).abs().max()) for name, value in before.items()
                if name.startswith("network."))  # fmt: skip
    assert 0 < moved < 1e-4  # an update of Adam is about as large as the rate


def test_a_run_on_one_device_minds_no_tasks_of_a_slurm_job(data, tmp_path, monkeypatch):
    for name, value in {"NTASKS": "4", "JOB_NAME": "x", "JOB_ID": "7", "PROCID": "0", "LOCALID": "0"}.items():
        monkeypatch.setenv(f"SLURM_{name}", value)
    run(config_for(data, tmp_path, max_steps=1))
    assert json.loads((tmp_path / "run.json").read_text())["steps"] == 1


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ("max_steps: 0", "max_steps"),
        ("max_steps: -1", "max_steps"),
        ("max_minutes: 0", "max_minutes"),
        ("max_minutes: .nan", "max_minutes"),
        ("noise_levels: 0", "noise_levels"),
        ("log_steps: 0", "log_steps"),
        ("validate_steps: 0", "validate_steps"),
        ("workers: -1", "workers"),
        ("threads: 0", "threads"),
        ("recycles: -1", "recycles"),
        ("seed: -3", "seed"),
        ("self_conditioning: 2", "self_conditioning"),
        ("optimiser: {warmup_steps: -3}", r"optimiser\.warmup_steps"),
        ("optimiser: {decay_steps: 0}", r"optimiser\.decay_steps"),
        ("start_from: [mini]", "start_from: value of the wrong type"),
    ],
)
def test_settings_that_no_run_can_have_are_refused(tmp_path, settings, told):
    path = tmp_path / "run.yaml"
    path.write_text(f"data: data\nout: out\n{settings}\n")
    with pytest.raises(InputError, match=rf"run.yaml: {told}"):
        read_train_config(path)


def test_a_file_of_settings_that_is_no_text_is_told(tmp_path):
    (tmp_path / "run.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match=r"run.yaml"):
        read_train_config(tmp_path / "run.yaml")


def test_a_folder_that_cannot_be_made_is_told(data, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"file/out: out: cannot be made"):
        train(config_for(data, tmp_path / "file" / "out", max_steps=1))


def test_lightning_says_nothing_of_devices_and_products(data, tmp_path, caplog):
    run(config_for(data, tmp_path, max_steps=1))
    assert not [each for each in caplog.records if each.name.startswith(("pytorch_lightning", "lightning"))]

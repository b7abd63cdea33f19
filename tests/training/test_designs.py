"""Designs as training data."""

from __future__ import annotations

import json
import warnings
from dataclasses import replace
from pathlib import Path

import pytest
from safetensors.torch import load_file

from structdiff.configuration import to_dict
from structdiff.errors import InputError, StructdiffError
from structdiff.evaluation.backbone import Backbone
from structdiff.model.checkpoint import load_weights
from structdiff.training import designs as module
from structdiff.training.batches import BatchConfig, TrainingBatches
from structdiff.training.dataset import StructureSet
from structdiff.training.designs import DrawnDesigns, designs_set, draw_designs, recorded_designs
from structdiff.training.history import parts_of
from structdiff.training.repeat import repeat_training
from structdiff.training.run import train
from structdiff.training.tasks import TaskMix
from tests.inverse_folding.conftest import random_network
from tests.training.test_training import config_for, data  # noqa: F401  # a fixture

SETTINGS = DrawnDesigns(designs=4, residues="16-20", sequences=2, seed=5)


def from_an_untrained_network(patched: pytest.MonkeyPatch) -> None:
    patched.setattr(module, "load_network", random_network)
    patched.setattr("structdiff.inverse_folding.design.load_network", random_network)


@pytest.fixture(autouse=True)
def untrained(monkeypatch) -> None:
    from_an_untrained_network(monkeypatch)


@pytest.fixture(scope="module")
def drawn(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("designs") / "out"
    with pytest.MonkeyPatch.context() as patched:
        from_an_untrained_network(patched)
        draw_designs(out, SETTINGS, threads=1)
    return out


def test_each_design_is_there_once_whole_and_with_more_sequences(drawn):
    sets = [StructureSet(drawn / "set", split) for split in ("train", "val", "test")]
    assert sum(len(each) for each in sets) == SETTINGS.designs
    chains = designs_set(drawn)
    for index in range(len(chains)):
        own = chains.structure(index)
        assert 16 <= len(own.residues) <= 20
        assert Backbone.from_structure(own).bonded.sum() == len(own.residues) - 1
        assert chains.atoms_kind[index] == "all"
        assert chains.num_redesigned(index) == SETTINGS.sequences
        names = {tuple(chains.structure(index, redesigned=number).residues.name) for number in range(2)}
        assert tuple(own.residues.name) not in names


def test_a_second_call_draws_nothing_and_other_settings_are_refused(drawn, monkeypatch):
    monkeypatch.setattr(module.subprocess, "run", lambda *_, **__: pytest.fail("drawn again"))
    assert draw_designs(drawn, SETTINGS) == len(designs_set(drawn))
    assert replace(recorded_designs(drawn), weights_sha256="") == SETTINGS
    with pytest.raises(InputError, match="drawn otherwise") as caught:
        draw_designs(drawn, replace(SETTINGS, seed=6))
    assert caught.value.key == "seed"


def test_designs_that_were_not_drawn_are_an_error_and_no_set(tmp_path, monkeypatch, capsys):
    with pytest.raises(StructdiffError, match="not drawn"):
        draw_designs(tmp_path / "out", replace(SETTINGS, residues="none"))
    assert not (tmp_path / "out" / "set").exists()
    assert module.main([str(tmp_path / "out"), "--designs", "0"]) == 2
    assert "at least one" in capsys.readouterr().err
    with pytest.raises(InputError, match=r"structdiff\.training\.designs"):
        recorded_designs(tmp_path)
    (tmp_path / "designs.json").write_text(json.dumps(to_dict(SETTINGS) | {"colour": "red"}))
    with pytest.raises(InputError, match="colour"):
        recorded_designs(tmp_path)


def test_structures_are_drawn_from_the_designs_as_often_as_asked(drawn, data):  # noqa: F811
    natural, designs = StructureSet(data, "train"), designs_set(drawn)
    taken: list[str] = []
    for name, each in (("natural", natural), ("designs", designs)):
        plain = each.structure
        each.structure = lambda index, *, redesigned=None, name=name, plain=plain: (  # type: ignore[method-assign]
            taken.append(name) or plain(index, redesigned=redesigned)
        )
    for share, low, high in ((0.3, 0.1, 0.5), (1.0, 1, 1)):
        taken.clear()
        config = BatchConfig(crops=((16, 4, 1.0),), designs=share)
        batches = TrainingBatches(natural, config, TaskMix(), seed=1, designs=designs)
        for number in range(15):
            batches.batch(number)
        assert low <= taken.count("designs") / len(taken) <= high


def test_a_training_with_designs_is_recorded_and_repeated_with_others_like_them(drawn, data, tmp_path):  # noqa: F811
    tasks = TaskMix(weights={"predict": 1.0}, redesigned=0.5)
    config = replace(
        config_for(data, tmp_path / "run", max_steps=1),
        designs=drawn, tasks=tasks, batches=BatchConfig(crops=((16, 2, 1.0),), designs=0.5), threads=1,
    )  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        weights = train(config)
        (part,) = parts_of(load_weights(weights).training)
        assert part["designs"] == to_dict(recorded_designs(drawn))
        again = repeat_training(weights, data, tmp_path / "again")
    record = recorded_designs(tmp_path / "again" / "designs_1")
    assert record == replace(recorded_designs(drawn), weights_sha256=load_weights(weights).sha256)
    assert load_file(again / "model.safetensors").keys() == load_file(weights / "model.safetensors").keys()


def test_a_share_needs_a_set_and_a_set_a_share(drawn, data, tmp_path):  # noqa: F811
    config = config_for(data, tmp_path / "run", max_steps=1)
    for wrong in (replace(config, designs=drawn), replace(config, batches=BatchConfig(designs=0.5))):
        with pytest.raises(InputError, match="go together"):
            train(wrong)
    with pytest.raises(InputError, match=r"structdiff\.training\.designs"):
        train(replace(config, designs=tmp_path, batches=BatchConfig(designs=0.5)))

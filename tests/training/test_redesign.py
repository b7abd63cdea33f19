"""Designed sequences for a training set."""

from __future__ import annotations

import json
import shutil
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from structdiff.chemistry.residues import BACKBONE_ATOMS, PROTEIN_THREE_TO_ONE
from structdiff.errors import InputError
from structdiff.evaluation.backbone import Backbone
from structdiff.evaluation.oxygen import with_oxygen
from structdiff.structure.tables import ChainKind
from structdiff.training import redesign as module
from structdiff.training.batches import BatchConfig, TrainingBatches
from structdiff.training.converter import convert_structures
from structdiff.training.dataset import StructureSet
from structdiff.training.redesign import Redesign, redesign
from structdiff.training.repeat import repeat_training
from structdiff.training.run import TrainConfig, train
from structdiff.training.set_archive import pack, unpack
from structdiff.training.set_files import SPLITS
from structdiff.training.tasks import TaskMix
from tests.inverse_folding.conftest import random_network
from tests.training.test_training import config_for

COLLECTION = Path(__file__).parent / "data" / "collection"
SETTINGS = Redesign(seed=3, temperature=20.0)  # an untrained network has one favourite at a low one
PREDICT = {"predict": 1.0}
MOST = 3  # sequences of an entry, fewer than usual for speed


def few_from_an_untrained_network(patched: pytest.MonkeyPatch) -> None:
    patched.setattr("structdiff.inverse_folding.design.load_network", random_network)
    patched.setattr(module, "MOST", MOST)


@pytest.fixture(scope="module")
def plain(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("set") / "out"
    convert_structures(COLLECTION, out, progress=False)
    return out


@pytest.fixture(autouse=True)
def untrained(monkeypatch) -> None:
    few_from_an_untrained_network(monkeypatch)


@pytest.fixture(scope="module")
def data(plain, tmp_path_factory) -> Path:
    """The set with all sequences that entries may have."""
    out = tmp_path_factory.mktemp("redesigned") / "set"
    shutil.copytree(plain, out)
    with pytest.MonkeyPatch.context() as patched:
        few_from_an_untrained_network(patched)
        redesign(out, asked(out, MOST))
    return out


def asked(data: Path, sequences: int) -> Redesign:
    return replace(SETTINGS, done=sequences * len(StructureSet(data, "train")))


def is_amino_acid(structure) -> np.ndarray:
    protein = structure.chains.kind[structure.residues.chain] == ChainKind.PROTEIN
    return protein & np.isin(structure.residues.name, list(PROTEIN_THREE_TO_ONE))


def test_an_entry_has_its_own_backbone_under_the_designed_sequence(data):
    structures = StructureSet(data, "train")
    changed = 0
    for index in range(len(structures)):
        own, new = structures.structure(index), structures.structure(index, redesigned=0)
        other = own.residues.name != new.residues.name
        changed += int(other.sum())
        assert not (other & ~is_amino_acid(own)).any()
        assert (own.residues.label_seq_id == new.residues.label_seq_id).all()
        for row in range(len(own.residues)):
            mine, its = own.residue_atoms(row), new.residue_atoms(row)
            seen, left = own.atoms.resolved[mine], new.atoms.resolved[its]
            kept = np.isin(own.atoms.name[mine], BACKBONE_ATOMS) if other[row] else np.ones(len(seen), bool)
            assert own.atoms.name[mine][seen & kept].tolist() == new.atoms.name[its][left].tolist()
            assert (own.atoms.positions[mine][seen & kept] == new.atoms.positions[its][left]).all()
    assert changed > 0.8 * sum(int(is_amino_acid(structures.structure(i)).sum()) for i in range(len(structures)))


def test_copies_of_a_chain_get_the_same_sequence_and_the_two_sequences_differ(data):
    structures, copies = StructureSet(data, "train"), 0
    for index in range(len(structures)):
        first, second = (structures.structure(index, redesigned=number) for number in (0, 1))
        alike: dict[tuple[int, int], str] = {}
        for row in np.flatnonzero(is_amino_acid(first)).tolist():
            place = (
                int(first.chains.entity_id[first.residues.chain[row]]),
                int(first.residues.label_seq_id[row]),
            )
            copies += place in alike
            assert alike.setdefault(place, str(first.residues.name[row])) == first.residues.name[row]
        if len(alike) > 20:
            assert (first.residues.name != second.residues.name).any()
    assert copies > 0


def test_it_goes_on_where_it_stopped(plain, data, tmp_path, monkeypatch):
    out = tmp_path / "set"
    shutil.copytree(plain, out)
    monkeypatch.setattr(module, "_AT_ONCE", 100)
    monkeypatch.setattr(module, "_SAVED", 1)
    entries = len(StructureSet(out, "train"))
    clock = iter(range(1000))
    monkeypatch.setattr(module.time, "monotonic", lambda: 60.0 * next(clock))
    done = redesign(out, asked(out, MOST), minutes=3)
    assert 0 < done < entries
    partly = StructureSet(out, "train")
    assert sum(partly.num_redesigned(index) for index in range(entries)) <= done
    left = set(module.turns(partly)[0][done:].tolist()) - set(module.turns(partly)[0][:done].tolist())
    assert left
    assert all(partly.num_redesigned(index) == 0 for index in left)
    assert redesign(out, asked(out, MOST)) == MOST * entries
    assert (np.load(out / "redesigned.npy") == np.load(data / "redesigned.npy")).all()
    assert redesign(out, asked(out, 1)) == MOST * entries  # has more than asked: stays


def test_an_interruption_loses_nothing_that_was_drawn(plain, data, tmp_path, monkeypatch):
    out = tmp_path / "set"
    shutil.copytree(plain, out)
    monkeypatch.setattr(module, "_AT_ONCE", 100)
    drawn, own = [], module._draw

    def interrupted(*given) -> None:
        if len(drawn) == 3:
            raise KeyboardInterrupt
        drawn.append(own(*given))

    monkeypatch.setattr(module, "_draw", interrupted)
    with pytest.raises(KeyboardInterrupt):
        redesign(out, asked(out, MOST))
    assert module.recorded(out).done >= 3
    monkeypatch.setattr(module, "_draw", own)
    redesign(out, asked(out, MOST))
    assert (np.load(out / "redesigned.npy") == np.load(data / "redesigned.npy")).all()


def test_other_settings_and_sequences_of_another_set_are_refused(data, tmp_path):
    with pytest.raises(InputError, match="drawn otherwise"):
        redesign(data, replace(asked(data, 1), temperature=0.3))
    broken = tmp_path / "broken"
    shutil.copytree(data, broken)
    np.save(broken / "redesigned.npy", np.zeros((1, 3), np.uint8))
    with pytest.raises(InputError, match="another set"):
        StructureSet(broken, "train")
    record = json.loads((data / "redesigned.json").read_text())
    (broken / "redesigned.npy").write_bytes((data / "redesigned.npy").read_bytes())
    (broken / "redesigned.json").write_text(json.dumps(record | {"colour": "red"}))
    with pytest.raises(InputError, match="colour"):
        redesign(broken, asked(broken, 1))


def test_predictions_are_learnt_from_designed_sequences_as_often_as_asked(data):
    structures, drawn = StructureSet(data, "train"), []
    plain_structure = structures.structure
    structures.structure = lambda index, *, redesigned=None: (  # type: ignore[method-assign]
        drawn.append(redesigned) or plain_structure(index, redesigned=redesigned)
    )
    crops = BatchConfig(crops=((16, 4, 1.0),))
    for share, low, high in ((0.0, 0, 0), (0.5, 0.25, 0.65), (1.0, 0.8, 1)):  # some have no protein
        drawn.clear()
        batches = TrainingBatches(structures, crops, TaskMix(weights=PREDICT, redesigned=share), seed=1)
        for number in range(20):
            batches.batch(number)
        found = np.mean([each is not None for each in drawn])
        assert low <= found <= high
    assert {*range(MOST)} <= set(drawn) | {None} <= {*range(MOST), None}
    drawn.clear()
    design = TaskMix(weights={"motif": 1.0}, redesigned=1.0)
    TrainingBatches(structures, crops, design, seed=1).batch(0)
    assert set(drawn) == {None}


def test_held_out_entries_have_none_and_training_without_them_is_refused(plain, data, tmp_path):
    letters = StructureSet(data, "train").redesigned_letters()
    for split in SPLITS[1:]:
        held_out = StructureSet(data, split)
        assert all(not letters[:, held_out.residue_span(index)].any() for index in range(len(held_out)))
    config = TrainConfig(data=plain, out=tmp_path / "run", tasks=TaskMix(redesigned=0.5))
    with pytest.raises(InputError, match=r"structdiff\.training\.redesign"):
        train(config)


def test_an_archive_carries_them(data, tmp_path):
    pack(data, tmp_path / "data.set")
    unpack(tmp_path / "data.set", tmp_path / "again")
    one, other = (StructureSet(folder, "train").redesigned_letters() for folder in (data, tmp_path / "again"))
    assert (one == other).all()
    assert redesign(tmp_path / "again", asked(data, MOST)) == MOST * len(StructureSet(data, "train"))


def test_a_training_is_repeated_with_its_sequences(plain, data, tmp_path):
    config = replace(config_for(data, tmp_path / "run", max_steps=1), tasks=TaskMix(weights=PREDICT, redesigned=1.0))
    fresh = tmp_path / "fresh"
    shutil.copytree(plain, fresh)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        weights = train(config)
        again = repeat_training(weights, fresh, tmp_path / "again")
    one, other = (StructureSet(folder, "train").redesigned_letters() for folder in (data, fresh))
    assert one.any()
    assert (one == other).all()
    tensors = load_file(again / "model.safetensors")
    assert all(torch.equal(tensor, tensors[name]) for name, tensor in load_file(weights / "model.safetensors").items())


def test_the_command_says_what_is_wrong(data, tmp_path, capsys):
    assert module.main([str(tmp_path / "nothing")]) == 2
    assert "no training set" in capsys.readouterr().err
    assert module.main([str(data), "--sequences", "0"]) == 2
    assert "at least one" in capsys.readouterr().err
    assert module.main([str(data), "--seed", "3", "--temperature", "20", "--sequences", "20"]) == 0
    assert "sequences" in capsys.readouterr().out


def test_oxygens_are_placed_where_the_experiment_has_them(plain):
    structures, off = StructureSet(plain, "train"), []
    for index in range(len(structures)):
        own = structures.structure(index)
        oxygen = (own.atoms.name == "O") & is_amino_acid(own)[own.atoms.residue]
        bare = replace(own, atoms=replace(own.atoms, resolved=own.atoms.resolved & ~oxygen))
        new = with_oxygen(bare)
        both = np.flatnonzero(oxygen & own.atoms.resolved & new.atoms.resolved)
        assert (new.atoms.resolved | ~own.atoms.resolved).all()
        inside = np.zeros(len(own.residues), bool)
        protein = np.flatnonzero(own.chains.kind[own.residues.chain] == ChainKind.PROTEIN)
        inside[protein[:-1]] = Backbone.from_structure(own).bonded[1:]
        both = both[inside[own.atoms.residue[both]]]
        off.extend(np.linalg.norm(own.atoms.positions[both] - new.atoms.positions[both], axis=-1).tolist())
    assert len(off) > 500
    assert np.quantile(off, 0.95) < 0.2

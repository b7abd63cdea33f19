"""Structures with DNA and RNA are drawn as often as asked, around their nucleotides, and with other base pairs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from structdiff.errors import InputError
from structdiff.structure.base_pairs import base_letters, base_pairs
from structdiff.structure.tables import ChainKind
from structdiff.training.base_pairs import other_pairs
from structdiff.training.batches import BatchConfig, TrainingBatches
from structdiff.training.dataset import StructureSet
from structdiff.training.run import train
from structdiff.training.tasks import TaskMix
from tests.training.test_dataset import path  # noqa: F401
from tests.training.test_training import config_for

_NUCLEIC = (ChainKind.DNA, ChainKind.RNA)


@pytest.fixture(scope="module")
def structures(path):  # noqa: F811
    return StructureSet(path, "train")


def test_entries_with_nucleic_acids_are_known(path):  # noqa: F811
    for split in ("train", "val", "test"):
        own = StructureSet(path, split)
        for index in range(len(own)):
            assert own.nucleic[index] == np.isin(own.structure(index).chains.kind, _NUCLEIC).any()


def paired(structures):
    """The first entry with base pairs."""
    return next(i for i in np.flatnonzero(structures.nucleic) if len(base_pairs(structures.structure(i))))


def test_other_pairs_pair_and_keep_the_backbone(structures):
    index = paired(structures)
    own = structures.structure(index)
    pairs = base_pairs(own)
    new = structures.structure(index, nucleotides=other_pairs(own, np.random.default_rng(1)))
    changed = np.flatnonzero(new.residues.name != own.residues.name)
    assert len(changed) > 0
    assert set(changed.tolist()) <= set(pairs.ravel().tolist())
    letters = base_letters(new)
    for one, other in pairs.tolist():
        assert "".join(sorted(letters[one] + letters[other])).replace("U", "T") in ("AT", "CG", "GT")
    for residue in range(len(own.residues)):
        rows, before = new.residue_atoms(residue), own.residue_atoms(residue)
        names = new.atoms.name[rows][new.atoms.resolved[rows]].tolist()
        places = dict(zip(own.atoms.name[before].tolist(), own.atoms.positions[before], strict=True))
        kept = np.array([places[name] for name in names])
        assert np.array_equal(kept, new.atoms.positions[rows][new.atoms.resolved[rows]])
        if residue in changed:
            assert "C1'" in names
            assert not {"N1", "C2", "N3"} & set(names)


def test_nucleic_acids_are_drawn_as_often_as_asked(structures):
    taken = []
    plain = structures.structure
    for share, low, high in ((0.3, 0.1, 0.6), (1.0, 1, 1)):
        taken.clear()
        own = StructureSet(structures.path, "train")
        own.structure = lambda index, **more: taken.append(own.nucleic[index]) or plain(index, **more)  # noqa: B023
        batches = TrainingBatches(own, BatchConfig(crops=((16, 4, 1.0),), nucleic=share), TaskMix(), seed=2)
        kinds = [batches.batch(number).token.kind for number in range(10)]
        if share == 1.0:
            assert all(bool(np.isin(row.numpy(), _NUCLEIC).any()) for kind in kinds for row in kind)
            assert all(taken)
        else:
            assert low <= np.mean(taken) <= high
    same = TrainingBatches(structures, BatchConfig(nucleic=1.0), TaskMix(), seed=2)
    assert (same.batch(3).atom.positions == same.batch(3).atom.positions).all()


def test_a_set_without_nucleic_acids_is_an_error(path, tmp_path, monkeypatch):  # noqa: F811
    monkeypatch.setattr(StructureSet, "nucleic", property(lambda own: np.zeros(len(own), bool), lambda *_: None), False)
    config = replace(config_for(path, tmp_path / "run", max_steps=1), batches=BatchConfig(nucleic=0.5))
    with pytest.raises(InputError, match="no structure with DNA or RNA"):
        train(config)

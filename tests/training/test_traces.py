"""Entries of which one atom a residue is known: kept apart, predicted from their sequence, with distances to learn."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from structdiff.errors import InputError
from structdiff.geometry.virtual_cb import trace_cb
from structdiff.structure.tables import ChainKind
from structdiff.training import dataset
from structdiff.training.batches import BatchConfig, TrainingBatches
from structdiff.training.dataset import StructureSet
from structdiff.training.run import train
from structdiff.training.set_files import SPLITS, TRACES
from structdiff.training.targets import representatives
from structdiff.training.tasks import TaskMix
from tests.training.test_training import config_for, run

CROPS = BatchConfig(crops=((32, 2, 1.0),))


@pytest.fixture(scope="module")
def traces(data) -> StructureSet:
    return StructureSet(data, TRACES)


def test_traces_of_the_training_split_are_a_split_of_their_own(data, traces):
    assert traces.names == ["2pst"]
    assert traces.atoms_kind.tolist() == ["trace"]
    assert not any("2pst" in StructureSet(data, split).names for split in SPLITS)
    structure = traces.structure(0)
    assert len(structure.residues) == 61
    assert set(structure.atoms.name[structure.atoms.resolved]) == {"CA"}
    ca = structure.atoms.positions[structure.atoms.resolved]
    assert np.median(np.linalg.norm(np.diff(ca, axis=0), axis=1)) == pytest.approx(3.8, abs=0.1)


def test_sets_of_before_have_none(data, monkeypatch):
    plain = dataset.read_description
    without = {split: plain(data)["splits"][split] for split in SPLITS}
    monkeypatch.setattr(dataset, "read_description", lambda path: plain(path) | {"splits": without})
    assert len(StructureSet(data, TRACES)) == 0


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_they_are_drawn_as_often_as_asked_and_told_nothing(structures, traces, share):
    batches = TrainingBatches(structures, replace(CROPS, traces=share), TaskMix(), seed=4, traces=traces)
    found = []
    for batch in map(batches.batch, range(40)):
        lone = batch.atom.mask.sum(1) == batch.token.mask.sum(1)  # one atom a residue
        found += lone.tolist()
        told = batch.condition
        assert (told.sequence_known | ~batch.token.mask)[lone].all()
        assert not told.motif_group[lone].any()
        assert not told.secondary_structure[lone].any()
    assert np.mean(found) == pytest.approx(share, abs=0.15)


def test_cb_by_three_neighbouring_ca_is_where_it_was_seen(structures):
    """Of a mirror image it is far off: the hand is that of L-amino acids."""
    structure = structures.structure(structures.names.index("1orc"))
    atoms = structure.atoms
    ca, cb = (
        {int(atoms.residue[row]): atoms.positions[row] for row in np.flatnonzero(atoms.resolved & (atoms.name == name))}
        for name in ("CA", "CB")
    )
    rows = [row for row in cb if row - 1 in ca and row + 1 in ca]
    before, here, after, there = (
        torch.from_numpy(np.stack([place[row + step] for row in rows]))
        for place, step in ((ca, -1), (ca, 0), (ca, 1), (cb, 0))
    )
    assert len(rows) > 40
    assert (trace_cb(before, here, after) - there).norm(dim=-1).mean() < 0.35
    turn = torch.tensor([1.0, 1.0, -1.0])
    assert (trace_cb(before * turn, here * turn, after * turn) - there * turn).norm(dim=-1).mean() > 1.0


def test_residues_of_a_trace_have_distances_but_at_ends_and_gaps(structures):
    batch = TrainingBatches(structures, CROPS, TaskMix(weights={"predict": 1.0}), seed=1).batch(0)
    own, seen = representatives(batch)
    shape = (batch.num_tokens, batch.num_slots)
    resolved = batch.atom.resolved.unflatten(1, shape)
    alone = torch.zeros_like(resolved).scatter(2, batch.token.centre[..., None], value=True)
    atom = replace(batch.atom, resolved=(resolved & alone).flatten(1))
    trace, known = representatives(replace(batch, atom=atom))
    protein = (batch.token.kind == ChainKind.PROTEIN) & batch.token.standard & seen
    assert 0.6 < known[protein].float().mean() < 1
    assert (trace - own)[known & protein].norm(dim=-1).mean() < 0.4  # Å
    glycine = protein & (batch.token.representative == batch.token.centre)
    assert known[glycine].all()
    first = protein & ~glycine & torch.nn.functional.pad(batch.token.asym_id.diff(dim=1) != 0, (1, 0), value=True)
    assert not known[first].any()


def test_a_run_learns_from_them(data, tmp_path):
    config = replace(config_for(data, tmp_path / "run", max_steps=2), batches=replace(CROPS, traces=1.0))
    _, state = run(config)
    assert state["global_step"] == 2
    assert all(torch.isfinite(value).all() for value in state["state_dict"].values())


def test_a_set_without_traces_is_an_error(data, tmp_path, monkeypatch):
    monkeypatch.setattr(StructureSet, "__len__", lambda own: 0 if own.split == TRACES else len(own.names))
    config = replace(config_for(data, tmp_path / "run", max_steps=1), batches=replace(CROPS, traces=0.1))
    with pytest.raises(InputError, match=r"batches\.traces"):
        train(config)

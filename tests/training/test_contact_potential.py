"""Learning the potential of beads: what poses sum, what is seen in complexes, and that near poses come to be told."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from structdiff.docking.beads import BEAD_KINDS, Beads
from structdiff.docking.contact_potential import FARTHEST, KNOTS, STEP
from structdiff.structure.files import read_structure
from structdiff.training import contact_potential as learning

ZIPPER = Path(__file__).parents[2] / "examples" / "problems" / "zipper.pdb"
_KINDS = len(BEAD_KINDS)


@pytest.fixture
def pair(monkeypatch):
    monkeypatch.setattr(learning, "_ENTWINED", 9.0)  # helices of a zipper touch all along
    (found,) = learning.touching_pairs(read_structure(ZIPPER))
    return found


def dice() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def test_chains_that_touch_are_pairs_and_others_are_not(pair):
    structure = read_structure(ZIPPER)
    assert len(pair.still) > 60
    moved = structure.atoms.positions + np.where(structure.atom_chain == 1, 50.0, 0.0)[:, None].astype(np.float32)
    assert list(learning.touching_pairs(structure.with_positions(moved))) == []


def test_entries_are_those_that_a_pose_sums(pair):
    table = np.random.default_rng(0).normal(size=(_KINDS, _KINDS, KNOTS)).astype(np.float32)
    places = torch.from_numpy(pair.body.positions)[None]
    entry, count = learning._entries(pair, places)
    distance = torch.cdist(torch.from_numpy(pair.still.positions), places[0]).numpy()
    near = distance < FARTHEST - STEP / 2
    knots = np.round(distance / STEP).astype(int)
    exact = table[pair.still.kind[:, None], pair.body.kind[None], knots.clip(max=KNOTS - 1)][near].sum()
    assert count.tolist() == [near.sum()]
    assert table.reshape(-1)[entry.long().numpy()].sum() == pytest.approx(exact, rel=1e-4)


def test_the_zipper_is_held_by_its_leucines_in_its_own_statistics(pair):
    found = learning.statistical_potential([pair] * 8, dice())
    leucine = BEAD_KINDS.index("LEU")
    own = found[leucine, leucine]
    assert own.argmin() in (round(5.0 / STEP), round(5.5 / STEP))
    assert own.min() < -0.1
    assert own[round(4.0 / STEP)] > 0.02  # poses that touch at random are nearer now and then
    assert found == pytest.approx(found.transpose(1, 0, 2), abs=1e-6)


def test_equal_chains_have_two_right_poses(pair):
    assert len(learning._truths(pair)) == 2
    other = learning.TouchingPair(name="", still=pair.still, body=Beads(
        positions=pair.body.positions[1:], kind=pair.body.kind[1:], residue=pair.body.residue[1:]))  # fmt: skip
    assert len(learning._truths(other)) == 1


def test_near_poses_come_to_be_told_from_others(pair, monkeypatch):
    monkeypatch.setattr(learning, "_DECOYS", (40, 25))
    begun = np.zeros((_KINDS, _KINDS, KNOTS), np.float32)
    examples = learning.examples_of(pair, begun, dice())
    assert examples is not None
    assert examples.near >= 5
    assert len(examples.count) == examples.near + learning._BEST + learning._OTHERS
    before = float(learning._loss(torch.from_numpy(begun), examples))
    table = learning.learnt_table([examples] * 4, begun, epochs=4)
    assert float(learning._loss(torch.from_numpy(table), examples)) < 0.5 * before
    assert table == pytest.approx(table.transpose(1, 0, 2), abs=1e-6)


def test_a_table_is_written_as_docking_reads_it(tmp_path):
    table = np.random.default_rng(0).normal(size=(_KINDS, _KINDS, KNOTS)).astype(np.float32)
    learning.write_table(table, tmp_path / "table.npz")
    with np.load(tmp_path / "table.npz", allow_pickle=False) as stored:
        assert stored["table"] == pytest.approx(table, abs=2e-3)
        assert tuple(stored["kinds"].tolist()) == BEAD_KINDS


def test_what_cannot_be_learnt_is_one_error_before_the_work(data, tmp_path, capsys, monkeypatch):
    def said(*arguments: object) -> str:
        assert learning.main([str(each) for each in arguments]) == 2
        return capsys.readouterr().err

    out = tmp_path / "table.npz"
    assert "--pairs" in said(data, out, "--pairs", 0)
    assert "--epochs" in said(data, out, "--epochs", 0)
    assert "no such folder" in said(data, tmp_path / "nowhere" / "table.npz")
    monkeypatch.setattr(learning, "_MOST_OF_ENTRY", 0)
    assert "no pair of chains" in said(data, out)
    assert not out.exists()

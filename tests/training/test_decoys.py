"""Decoys: wrong in the way their kind is, right in all else, of every quality."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from structdiff.features.build import build_features
from structdiff.features.collate import collate
from structdiff.structure.files import read_structure
from structdiff.training.confidence_examples import compare
from structdiff.training.decoys import KINDS, decoy, examples

DATA = Path(__file__).parents[1] / "data"


@pytest.fixture(scope="module")
def batch():
    structures = [read_structure(DATA / name) for name in ("1orc.pdb.gz", "1o1z.cif.gz")]  # residues of the first lack
    return collate([build_features(structure, only_resolved=True) for structure in structures])


def drawn(batch, kind: str, seed: int = 0):
    return decoy(kind, examples(batch), 0, np.random.default_rng(seed))


def residues(batch):
    """Tokens of the first structure that are residues with a whole backbone."""
    mask = batch.atom.mask.unflatten(1, (batch.num_tokens, batch.num_slots))[0]
    return batch.token.standard[0] & mask[:, :3].all(-1)


@pytest.mark.parametrize("kind", KINDS)
def test_all_qualities_occur_and_a_seed_decides(batch, kind):
    assert torch.equal(drawn(batch, kind), drawn(batch, kind))
    many = torch.stack([drawn(batch, kind, seed) for seed in range(24)])
    assert torch.isfinite(many).all()
    truth = compare(batch.map(lambda tensor: tensor[:1]), many[None])
    lddt = (truth.lddt * truth.plddt_mask).sum(-1) / truth.plddt_mask.sum(-1)
    assert (lddt < 0.999).float().mean() > 0.8
    assert lddt.min() < 0.6
    assert lddt.max() > (0.4 if kind == "thread" else 0.85)


@pytest.mark.parametrize("kind", ["warp", "swing", "fragments", "thread"])
def test_residues_stay_as_they_are_but_for_noise(batch, kind):
    whole = residues(batch)
    before = batch.atom.positions.unflatten(1, (batch.num_tokens, batch.num_slots))[0][whole][:, :3]
    for seed in range(6):
        after = drawn(batch, kind, seed)[whole][:, :3]
        for one, other in ((0, 1), (1, 2)):
            lengths = [(each[:, one] - each[:, other]).norm(dim=-1) for each in (before, after)]
            assert torch.allclose(*lengths, atol=2e-3)
        assert (after - before).abs().max() > 0.05


def test_turned_bonds_leave_bonds_and_angles_as_they_are(batch):
    whole = residues(batch)
    before = batch.atom.positions.unflatten(1, (batch.num_tokens, batch.num_slots))[0][whole][:, :3]
    for seed in range(8):
        after = drawn(batch, "swing", seed)[whole][:, :3]
        chains = [each.flatten(0, 1) for each in (before, after)]
        for apart in (1, 2):  # bonds, and the distances across angles
            lengths = [(chain[apart:] - chain[:-apart]).norm(dim=-1) for chain in chains]
            assert torch.allclose(*lengths, atol=5e-3)

"""Chains that would pass through themselves are parted; sheets and helices are left as they are."""

import numpy as np
import torch

from structdiff.constraints.chain_spacing import ChainSpacing
from structdiff.constraints.ideal_pieces import ideal_helix, ideal_pair, ideal_strand


def spacing_of(residues, chain, held=None):
    backbone = np.arange(4 * residues).reshape(residues, 4)
    held = np.zeros(residues, bool) if held is None else held
    return ChainSpacing(backbone, chain, held, torch.arange(residues).repeat_interleave(4))


def nearest(positions, chain):
    alpha = positions.reshape(-1, 4, 3)[:, 1]
    apart = np.linalg.norm(alpha[:, None] - alpha[None], axis=-1)
    return apart[np.not_equal.outer(chain, chain)].min()


def crossing():
    """Two strands through each other at a right angle."""
    one = ideal_strand(7)
    one = one - one[3, 1]
    other = one @ np.array([[0.0, 1, 0], [-1, 0, 0], [0, 0, 1]]) + np.array([0.5, 0.3, 0.8])
    return np.concatenate([one, other]).reshape(1, -1, 3), np.repeat([0, 1], 7)


def test_strands_that_cross_are_parted():
    positions, chain = crossing()
    done = torch.from_numpy(positions)
    spacing = spacing_of(14, chain)
    assert nearest(positions, chain) < 1.5
    for _ in range(4):
        done = spacing.project(done, 1.0)
    assert nearest(done.numpy(), chain) > 3.9


def test_what_is_held_does_not_move():
    positions, chain = crossing()
    done = spacing_of(14, chain, held=chain == 0).project(torch.from_numpy(positions), 1.0).numpy()
    np.testing.assert_array_equal(done[:, :28], positions[:, :28])
    assert nearest(done, chain) > nearest(positions, chain)


def test_hydrogen_bonds_and_helices_are_not_touched():
    for parallel in (False, True):
        pair = torch.from_numpy(ideal_pair(6, parallel).reshape(1, -1, 3))
        assert torch.equal(spacing_of(12, np.repeat([0, 1], 6)).project(pair, 1.0), pair)
    helix = torch.from_numpy(ideal_helix(12).reshape(1, -1, 3))
    assert torch.equal(spacing_of(12, np.zeros(12, int)).project(helix, 1.0), helix)

"""New chains are moved out of what is kept whole, and to it."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from structdiff.constraints.ideal_pieces import ideal_helix
from structdiff.constraints.placed_atoms import PlacedAtoms
from structdiff.constraints.target_clearance import TargetClearance
from structdiff.structure.build import ChainSequence, build_structure
from structdiff.structure.tables import ChainKind

COUNT = 24
NOTHING = np.zeros((0, 3), np.float32)
SIGMA = 0.3  # Å of noise at which nothing is turned any more


def placed_chains(shift: tuple[float, float, float], *, held_part: bool = False) -> PlacedAtoms:
    """A helix A that is new and a helix B that is held, so far from A; held_part: some of A is held too."""
    chains = [ChainSequence(name=name, kind=ChainKind.PROTEIN, residues=("UNK",) * COUNT) for name in "AB"]
    structure = build_structure(chains)
    structure = structure.select(np.isin(structure.atoms.name, ("N", "CA", "C", "O")))
    helix = ideal_helix(COUNT).reshape(-1, 3)
    positions = np.concatenate([helix, helix + np.array(shift)]).astype(np.float32)
    held = np.repeat([0, 1], 4 * COUNT)
    held[:40] = int(held_part)
    return PlacedAtoms(
        structure=structure.with_positions(positions), new=np.repeat([True, False], COUNT), held=held.astype(np.int32)
    )


def positions_of(placed: PlacedAtoms) -> torch.Tensor:
    return torch.from_numpy(placed.structure.atoms.positions)[None]


def nearest(positions: torch.Tensor) -> torch.Tensor:
    """From each CA atom of A the nearest of B."""
    alphas = positions[0, 1::4]
    return torch.cdist(alphas[:COUNT], alphas[COUNT:]).amin(1)


@pytest.mark.parametrize("shift", [(1.0, 0.0, 0.0), (0.0, 3.0, 4.0), (2.0, -4.0, 0.0)])
def test_a_chain_that_stands_in_another_is_laid_against_it_whole(shift):
    placed = placed_chains(shift)
    before = positions_of(placed)
    after = TargetClearance(placed, NOTHING, []).project(before, SIGMA)
    assert nearest(before).min() < 5
    assert 5 < nearest(after).min() < 8
    assert (nearest(after) < 9).sum() >= 8
    assert torch.equal(after[:, 4 * COUNT :], before[:, 4 * COUNT :])
    moves = (after - before)[0, : 4 * COUNT]
    assert (moves - moves[:1]).abs().max() < 1e-4


def test_a_chain_that_is_far_away_is_brought_near():
    placed = placed_chains((25.0, 0.0, 0.0))
    after = TargetClearance(placed, NOTHING, []).project(positions_of(placed), SIGMA)
    assert (nearest(after) < 9).sum() >= 8
    assert nearest(after).min() > 5


def test_it_goes_to_the_side_of_what_is_to_be_touched():
    placed = placed_chains((1.0, 0.0, 0.0))
    end = np.arange(8 * COUNT - 4, 8 * COUNT)  # the last residue of B
    for rows in (end, end - 4 * COUNT + 4):  # and its first
        after = TargetClearance(placed, NOTHING, [rows]).project(positions_of(placed), SIGMA)
        assert torch.cdist(after[0, 1 : 4 * COUNT : 4], after[0, rows]).min() < 8.5


def test_what_a_crop_leaves_out_stands_in_the_way_wherever_the_motif_lies():
    placed = placed_chains((10.0, 0.0, 0.0))
    wall = placed.structure.atoms.positions[: 4 * COUNT] + np.array([-1.0, 0.5, 0.0], np.float32)
    turn = torch.linalg.qr(torch.from_numpy(np.random.default_rng(2).normal(size=(3, 3))))[0].float()
    turn = turn * torch.linalg.det(turn)
    moved = positions_of(placed) @ turn.T + 7
    after = TargetClearance(placed, wall, []).project(moved, SIGMA)
    laid = torch.from_numpy(wall) @ turn.T + 7
    assert torch.cdist(moved[0, 1 : 4 * COUNT : 4], laid).min() < 2
    assert torch.cdist(after[0, 1 : 4 * COUNT : 4], laid).min() > 3.5


def test_what_is_well_or_has_its_place_stays():
    alphas = ideal_helix(COUNT)[:, 1]
    across = np.linalg.svd(alphas - alphas.mean(0))[2][1]  # the axis is the first
    beside, part = placed_chains(tuple(10.0 * across)), placed_chains((1.0, 0.0, 0.0), held_part=True)
    inside = placed_chains((1.0, 0.0, 0.0))
    assert 6 < nearest(positions_of(beside)).min() < 8
    for placed, sigma in ((beside, SIGMA), (part, SIGMA), (inside, 0.1), (inside, 100.0)):
        before = positions_of(placed)
        assert torch.equal(TargetClearance(placed, NOTHING, []).project(before, sigma), before)
    assert TargetClearance(inside, NOTHING, []).energy(positions_of(inside)).tolist() == [0.0]

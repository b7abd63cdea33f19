"""The learnt potential of beads, and maps of it."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from structdiff.docking import maps
from structdiff.docking.beads import BEAD_KINDS, Beads
from structdiff.docking.contact_potential import FARTHEST, KNOTS, MOST, STEP, learnt_potential, potential_maps

RNG = np.random.default_rng(0)


def some_beads(count: int) -> Beads:
    return Beads(positions=(8 * RNG.normal(size=(count, 3))).astype(np.float32),
                 kind=RNG.integers(len(BEAD_KINDS), size=count), residue=np.arange(count))  # fmt: skip


def test_what_was_learnt_is_the_same_for_both_orders_and_keeps_beads_apart():
    table = learnt_potential()
    assert table.shape == (len(BEAD_KINDS), len(BEAD_KINDS), KNOTS)
    assert table == pytest.approx(table.transpose(1, 0, 2))
    assert (table[..., round(2.0 / STEP)] > 0.1).all()
    # Hydrophobic side chains are worth more to each other than charges of one kind.
    place = {name: number for number, name in enumerate(BEAD_KINDS)}
    near = table[..., round(6.0 / STEP)]
    assert near[place["LEU"], place["ILE"]] < -0.1 < near[place["LYS end"], place["LYS end"]]
    assert near[place["ASP"], place["ARG end"]] < near[place["ASP"], place["GLU end"]]


def test_a_map_holds_the_sum_over_all_beads():
    beads, table = some_beads(12), RNG.normal(size=(len(BEAD_KINDS),) * 2 + (KNOTS,)).astype(np.float32)
    table[..., -1] = 0.0
    found = potential_maps(beads, table)
    size = np.array(found.values.shape[1:])
    for _ in range(20):
        point = RNG.integers(size)
        place = found.origin.numpy() + point * found.spacing
        distance = np.linalg.norm(beads.positions - place, axis=1)
        knots = STEP * np.arange(KNOTS)
        for kind in (0, 7, 29):
            exact = sum(np.interp(each, knots, table[own, kind])
                        for each, own in zip(distance, beads.kind, strict=True) if each < FARTHEST)  # fmt: skip
            assert float(found.values[(kind, *point.tolist())]) == pytest.approx(exact, abs=0.5)


def test_nothing_is_worth_anything_far_away_and_no_bead_costs_more_than_so_much():
    beads = some_beads(5)
    found = potential_maps(beads, learnt_potential())
    at = torch.tensor([[[500.0, 0.0, 0.0], beads.positions[0].tolist()]])
    value, slope = found.read(at, torch.tensor([1, 1]))
    assert value[0, 0] == 0
    assert not slope[0, 0].any()
    assert value[0, 1] <= MOST


def test_of_a_box_with_too_many_points_they_lie_farther_apart(monkeypatch):
    beads = some_beads(5)
    fine = potential_maps(beads, learnt_potential())
    monkeypatch.setattr(maps, "MOST_POINTS", fine.values[0].numel())
    assert potential_maps(beads, learnt_potential()).spacing == fine.spacing
    monkeypatch.setattr(maps, "MOST_POINTS", 2000)
    coarse = potential_maps(beads, learnt_potential())
    assert coarse.spacing > 2.0
    assert coarse.values[0].numel() < 1.5 * 2000
    extent = coarse.spacing * (np.array(coarse.values.shape[1:]) - 1)
    assert (coarse.origin.numpy() + extent >= beads.positions.max(0) + FARTHEST).all()
    assert float(coarse.values.abs().max()) > 0.0

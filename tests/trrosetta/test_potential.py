"""The energy of a fold: the same as the sum over all pairs that its definition names."""

from __future__ import annotations

import math

import pytest
import torch

from structdiff.trrosetta.folding import build_backbone
from structdiff.trrosetta.geometry import pair_geometry
from structdiff.trrosetta.network import CLASSES, Expectation
from structdiff.trrosetta.potential import Held, Potential, ideal_cb

RESIDUES, STARTS = 18, 3


def interpolated(logs: torch.Tensor, place: float, *, wrap: bool) -> float:
    low = math.floor(place)
    first, second = (each % len(logs) if wrap else min(max(each, 0), len(logs) - 1) for each in (low, low + 1))
    return float(logs[first] + (place - low) * (logs[second] - logs[first]))


def by_definition(expected: Expectation, n, ca, c, reach: int) -> float:
    """One start, pair by pair."""
    pairs = pair_geometry(n, ca, ideal_cb(n, ca, c))
    total, count = 0.0, 0
    for i in range(RESIDUES):
        for j in range(RESIDUES):
            apart, gap = abs(i - j), float((ca[i] - ca[j]).norm())
            if i != j and apart >= 3:
                total += 2.0 * max(0.0, 3.6 - gap) ** 2
            if not 2 <= apart <= reach:
                continue
            count += 1
            chance = expected.distance[i, j].exp()
            distance = float(pairs.distance[i, j])
            if chance[1:].sum() >= 0.15:
                odds = (chance[1:] + 1e-4).log()
                odds = odds - odds[-1] - 1.57 * ((2.25 + 0.5 * torch.arange(36)) / 19.75).log()
                odds = torch.cat([odds, torch.zeros(1)])
                total -= interpolated(odds, min(max((distance - 2.25) / 0.5, 0), 36), wrap=False)
                total += 0.1 * max(0.0, distance - 20.0)
            if (near := float(chance[1:21].sum())) >= 0.5:
                turn = math.radians(15)
                for name, lowest in (("omega", -math.pi), ("theta", -math.pi)):
                    place = (float(getattr(pairs, name)[i, j]) - lowest) / turn - 0.5
                    total -= near * interpolated(getattr(expected, name)[i, j, 1:], place, wrap=True)
                place = min(max(float(pairs.phi[i, j]) / turn - 0.5, 0), 11)
                total -= near * interpolated(expected.phi[i, j, 1:], place, wrap=False)
    return total / count


@pytest.fixture
def expected() -> Expectation:
    generator = torch.Generator().manual_seed(3)
    logs = {name: 2.0 * torch.randn(RESIDUES, RESIDUES, count, generator=generator) for name, count in CLASSES.items()}
    logs["distance"][..., 0] += 4.0 * torch.randn(RESIDUES, RESIDUES, generator=generator)  # some pairs are far apart
    return Expectation(**{name: own.log_softmax(-1) for name, own in logs.items()})


@pytest.fixture
def torsions() -> torch.Tensor:
    return 1.5 * torch.randn(STARTS, RESIDUES, 2, generator=torch.Generator().manual_seed(4))


@pytest.mark.parametrize("reach", [4, 10, 10_000])
def test_the_energy_is_that_of_its_definition(expected, torsions, reach):
    n, ca, c = build_backbone(torsions)
    found = Potential(expected).energy(n, ca, c, reach)
    wanted = [by_definition(expected, n[row], ca[row], c[row], reach) for row in range(STARTS)]
    assert found.tolist() == pytest.approx(wanted, rel=1e-4)


def test_a_shape_that_is_kept_costs_nothing_and_one_that_is_not_its_mean_square(expected, torsions):
    n, ca, c = build_backbone(torsions)
    places = torch.zeros(RESIDUES, dtype=torch.bool)
    places[4:10] = True
    shape = torch.stack([n, ca, c], 2)[0, 4:10]
    free = Potential(expected).energy(n, ca, c, 10_000)
    held = Potential(expected, Held(places=places, backbone=shape)).energy(n, ca, c, 10_000) - free
    assert abs(float(held[0])) < 1e-4
    mine, given = (torch.cdist(own, own)[None].triu(1) for own in (torch.stack([n, ca, c], 2)[1, 4:10].flatten(0, 1),
                                                                  shape.flatten(0, 1)))  # fmt: skip
    assert float(held[1]) == pytest.approx(2.0 * float((mine - given).square().sum()) / (18 * 17 / 2), rel=1e-3)

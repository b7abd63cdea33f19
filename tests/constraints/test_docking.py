"""Pieces that are turned to where they have most contacts: beside their own copies, and beside what is kept."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from structdiff.constraints.docking import CLEARANCE, free_from, side_chains, spread_directions, spread_turns
from structdiff.constraints.ideal_pieces import ideal_helix
from structdiff.constraints.placed_atoms import PlacedAtoms
from structdiff.constraints.symmetry_docking import SymmetryDocking
from structdiff.constraints.target_clearance import TargetClearance
from structdiff.constraints.target_docking import Standing, better_placement
from structdiff.geometry.point_groups import helix, point_group
from structdiff.geometry.rotations import random_rotation, rotation_angle
from structdiff.structure.build import ChainSequence, build_structure
from structdiff.structure.tables import ChainKind

COUNT = 20


def trace_of_helix() -> torch.Tensor:
    """CA atoms of a helix about the origin."""
    trace = torch.from_numpy(ideal_helix(COUNT)[:, 1]).float()
    return trace - trace.mean(0)


def across() -> torch.Tensor:
    """The same helix turned by a right angle about an axis across it."""
    trace = trace_of_helix()
    axis = torch.linalg.svd(trace).Vh
    turn = torch.stack([axis[1], -axis[0], axis[2]])
    return trace @ axis.T @ turn


def standing(trace: torch.Tensor, **asked) -> Standing:
    whole = torch.ones(len(trace), dtype=torch.bool)
    return Standing(
        points=trace, clearance=torch.full((len(trace),), CLEARANCE), alphas=whole, **{"touched": [], **asked}
    )


def test_turns_are_spread_over_all_there_are():
    turns = spread_turns(400)
    assert torch.allclose(turns @ turns.mT, torch.eye(3).expand(400, 3, 3), atol=1e-5)
    assert torch.allclose(torch.linalg.det(turns), torch.ones(400), atol=1e-5)
    drawn = random_rotation(50, generator=torch.Generator().manual_seed(0))
    nearest = rotation_angle(turns[None] @ drawn[:, None].mT).amin(1)
    assert nearest.max() < np.radians(40)


def test_directions_are_spread_over_a_sphere():
    ways = spread_directions(100)
    assert torch.allclose(ways.norm(dim=-1), torch.ones(100), atol=1e-5)
    assert (ways @ ways.T - 2 * torch.eye(100)).max() < np.cos(np.radians(12))


def test_side_chains_of_a_helix_point_away_from_its_axis_and_ends_have_none():
    trace = trace_of_helix()
    axis = torch.linalg.svd(trace).Vh[0]
    sides = side_chains(trace)
    out = [(each - each @ axis[:, None] * axis).norm(dim=-1) for each in (sides, trace)]
    assert (out[0][1:-1] > out[1][1:-1] + 1.0).all()
    assert torch.equal(sides[[0, -1]], trace[[0, -1]])
    broken = trace.clone()
    broken[10:] += 20.0
    assert torch.equal(side_chains(broken)[[9, 10]], broken[[9, 10]])


def test_a_piece_is_free_where_it_just_touches():
    own, other = trace_of_helix(), across() + torch.tensor([1.0, 2.0, 0.0])
    along = torch.tensor([0.6, 0.0, 0.8])
    far = free_from(own, other, along)
    assert torch.cdist(own + far * along, other).min() == pytest.approx(CLEARANCE, abs=1e-3)
    assert torch.cdist(own + (far + 3.0) * along, other).min() > CLEARANCE
    assert torch.isinf(free_from(own, other, torch.zeros(3)))
    assert free_from(own + 50.0, other, torch.ones(3)) == 0


@pytest.mark.parametrize(
    "group", [point_group(name) for name in ("C2", "C5", "D2", "T")] + [helix(5, rise=12.0, twist=0.9)],
    ids=lambda group: group.name,
)  # fmt: skip
def test_copies_of_a_unit_touch_and_are_joined_and_no_better_place_is_left(group):
    docking = SymmetryDocking(group, torch.device("cpu"))
    begun = trace_of_helix() + torch.tensor([30.0, 5.0, 8.0])
    pose = docking.better(begun)
    assert pose is not None
    found = (begun - begun.mean(0)) @ pose.turn.T + pose.middle
    rotations, translations = (torch.from_numpy(each).float() for each in group.relatives)
    apart = torch.stack([torch.cdist(found, found @ r.T + t) for r, t in zip(rotations, translations, strict=True)])
    assert apart.min() > CLEARANCE - 0.01
    assert group.joined((apart.flatten(1).amin(1) < 10.0).numpy())
    assert (apart < 10.0).sum() >= 40
    assert docking.better(found) is None
    little = docking.better(begun, nearby=True)
    assert little is None or rotation_angle(little.turn) < 0.5


def test_contacts_of_what_does_not_count_join_no_copies():
    docking = SymmetryDocking(point_group("C3"), torch.device("cpu"))
    beside = torch.randn(30, 3, generator=torch.Generator().manual_seed(0)) + torch.tensor([0.0, 7.0, 0.0])
    begun = torch.cat([trace_of_helix(), beside]) + torch.tensor([30.0, 5.0, 8.0])
    counted = torch.arange(len(begun)) < COUNT

    def pairs(pose) -> int:
        found = (begun - begun.mean(0)) @ pose.turn.T + pose.middle
        images = found @ torch.from_numpy(docking.group.relatives[0][0]).float().T
        assert torch.cdist(found, images).min() > CLEARANCE - 0.01
        return int((torch.cdist(found[counted], images[counted]) < 10.0).sum())

    assert pairs(docking.better(begun, counted)) > 1.5 * pairs(docking.better(begun))


def test_a_piece_is_laid_along_what_is_kept():
    target, begun = trace_of_helix(), across() + torch.tensor([0.0, 0.0, 14.0])
    found = better_placement(begun, standing(target))
    assert found is not None
    laid = (begun - begun.mean(0)) @ found.turn.T + found.middle
    assert torch.cdist(laid, target).min() > CLEARANCE - 0.01
    assert (torch.cdist(laid, target) < 10.0).sum() > 1.5 * (torch.cdist(begun, target) < 10.0).sum()
    assert better_placement(laid, standing(target)) is None
    little = better_placement(begun, standing(target), nearby=True)
    assert little is not None
    assert rotation_angle(little.turn) < 0.5 < rotation_angle(found.turn)


def test_it_reaches_what_is_to_be_touched_and_stays_off_what_is_not():
    target, begun = trace_of_helix(), across() + torch.tensor([0.0, 0.0, 14.0])
    for touched, avoided in ((0, COUNT - 1), (COUNT - 1, 0)):
        found = better_placement(
            begun, standing(target, touched=[target[touched, None]], avoided=[target[avoided, None]])
        )
        assert found is not None
        laid = (begun - begun.mean(0)) @ found.turn.T + found.middle
        assert torch.cdist(laid, target[touched, None]).min() < 8.5
        assert torch.cdist(laid, target[avoided, None]).min() > 7.5


def _placed(kind: ChainKind) -> PlacedAtoms:
    """A new helix A across a held chain B: a helix of alanines, or so many ligands."""
    names = ("UNK",) * COUNT if kind == ChainKind.PROTEIN else ("HOH",) * COUNT
    structure = build_structure([ChainSequence(name="A", kind=ChainKind.PROTEIN, residues=("UNK",) * COUNT),
                                 ChainSequence(name="B", kind=kind, residues=names)])  # fmt: skip
    structure = structure.select(np.isin(structure.atoms.name, ("N", "CA", "C", "O")))
    own = structure.atoms.residue < COUNT
    positions = np.zeros((len(own), 3), np.float32)
    turn = np.linalg.svd(ideal_helix(COUNT)[:, 1] - ideal_helix(COUNT)[:, 1].mean(0)).Vh
    turned = (ideal_helix(COUNT).reshape(-1, 3) @ turn.T @ np.array([[0, 1, 0], [-1, 0, 0], [0, 0, 1]]))[: own.sum()]
    positions[own] = turned + [0, 0, 14.0]
    other = (ideal_helix(COUNT) - ideal_helix(COUNT).mean((0, 1))) @ turn.T
    positions[~own] = other.reshape(-1, 3) if kind == ChainKind.PROTEIN else other[:, 1]
    held = np.where(own, 0, 1).astype(np.int32)
    return PlacedAtoms(structure=structure.with_positions(positions), new=np.repeat([True, False], COUNT), held=held)


def test_new_chains_are_turned_at_some_noise_and_beside_polymers_alone():
    placed = _placed(ChainKind.PROTEIN)
    before = torch.from_numpy(placed.structure.atoms.positions)[None]
    clearance = TargetClearance(placed, np.zeros((0, 3), np.float32), [])
    assert clearance.docks
    own = placed.held == 0

    def turned(sigma: float) -> float:
        after = clearance.project(before, sigma)
        assert torch.equal(after[:, ~own], before[:, ~own])
        moves = (after - before)[0, own]
        return float((moves - moves[:1]).abs().max())

    assert turned(8.0) > turned(3.0) > 1.0
    assert turned(0.3) < 1e-3
    assert not TargetClearance(_placed(ChainKind.LIGAND), np.zeros((0, 3), np.float32), []).docks

"""Ligands that are bent, turned and moved: what stays as it is, and how an energy changes with it."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from structdiff.docking.placement import torsions_of
from structdiff.docking.search import moved
from structdiff.geometry.torsions import wrapped
from tests.docking.examples import from_smiles, ligand

LIGANDS = ("ATP", "BTN", "HEM", "BNZ")


def case(code, poses=3):
    molecule = ligand(code)
    torsions = torsions_of(molecule)
    places = torch.from_numpy(molecule.atoms.positions).double().expand(poses, -1, -1)
    angles = 2 * torch.rand(poses, len(torsions), generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    return molecule, torsions, places, angles


def distances(positions):
    return torch.cdist(positions, positions, compute_mode="donot_use_mm_for_euclid_dist")


@pytest.mark.parametrize("code", LIGANDS)
def test_turning_keeps_bonds_and_angles(code):
    molecule, torsions, places, angles = case(code)
    count = len(molecule.atoms)
    bonded = np.zeros((count, count), bool)
    bonded[molecule.bonds.atom_1, molecule.bonds.atom_2] = True
    bonded |= bonded.T
    near = torch.from_numpy(bonded | (bonded.astype(int) @ bonded > 0))
    change = (distances(torsions.turned(places, angles)) - distances(places)).abs()
    assert change[:, near].max() < 1e-9
    assert len(torsions) == 0 or change.max() > 0.1


@pytest.mark.parametrize("code", LIGANDS)
def test_pairs_are_those_whose_distance_turning_changes(code):
    _, torsions, places, angles = case(code, 5)
    change = (distances(torsions.turned(places, angles)) - distances(places)).abs().amax(0)
    pairs = torch.zeros(change.shape, dtype=torch.bool)
    pairs[torsions.pairs[:, 0], torsions.pairs[:, 1]] = True
    assert (change[pairs] > 1e-6).all()
    far = torch.tensor(bonds_apart(ligand(code)) > 3)
    assert torch.equal(pairs, ((change > 1e-6) & far).triu(1))


def bonds_apart(molecule):
    """How many bonds lie between atoms, 4 for more than three."""
    count = len(molecule.atoms)
    step = np.eye(count, dtype=bool)
    bonded = step.copy()
    bonded[molecule.bonds.atom_1, molecule.bonds.atom_2] = bonded[molecule.bonds.atom_2, molecule.bonds.atom_1] = True
    apart = np.full((count, count), 4)
    for number in range(4):
        apart[step & (apart == 4)] = number
        step = step.astype(int) @ bonded > 0
    return apart


def test_a_torsion_turns_by_its_angle():
    molecule = from_smiles("OCCO")
    torsions = torsions_of(molecule)
    places = torch.from_numpy(molecule.atoms.positions).double()[None]
    ((one, other),) = torsions.axes.tolist()
    assert {one, other} == {1, 2}
    before, after = (dihedral(each[0]) for each in (places, torsions.turned(places, torch.tensor([[0.7]]).double())))
    # By the right hand about the axis that leads to what turns.
    assert (after - before + np.pi) % (2 * np.pi) - np.pi == pytest.approx(0.7)


def dihedral(points):
    first, axis, last = points[1:] - points[:-1]
    one, other = torch.linalg.cross(first, axis), torch.linalg.cross(axis, last)
    return torch.atan2((torch.linalg.cross(one, other) * axis).sum() / axis.norm(), (one * other).sum()).item()


@pytest.mark.parametrize("code", LIGANDS)
def test_slopes_agree_with_finite_differences(code):
    _, torsions, places, _ = case(code, 1)
    gradient = torch.randn(places.shape, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    for number, slope in enumerate(torsions.slopes(places, gradient)[0].tolist()):
        ends = []
        for step in (1e-5, -1e-5):
            angles = torch.zeros(1, len(torsions), dtype=torch.float64)
            angles[0, number] = step
            ends.append(float((torsions.turned(places, angles) * gradient).sum()))
        assert (ends[0] - ends[1]) / 2e-5 == pytest.approx(slope, rel=1e-5, abs=1e-5)


def test_moved_shifts_and_turns_about_the_middle():
    _, torsions, places, _ = case("BTN", 2)
    by = torch.zeros(2, 6 + len(torsions), dtype=torch.float64)
    by[0, :3] = torch.tensor([1.0, -2.0, 3.0])
    by[1, 5] = np.pi / 2
    found = moved(torsions, places, by)
    assert torch.allclose(found[0], places[0] + by[0, :3], atol=1e-9)
    middle = places[1].mean(0)
    x, y, z = (places[1] - middle).unbind(-1)
    assert torch.allclose(found[1] - middle, torch.stack([-y, x, z], -1), atol=1e-9)


def test_one_atom_has_nothing_that_turns():
    torsions = torsions_of(ligand("ZN"))
    assert len(torsions) == 0
    places = torch.ones(2, 1, 3)
    assert torch.equal(torsions.turned(places, torch.zeros(2, 0)), places)
    assert torsions.slopes(places, places).shape == (2, 0)


@pytest.mark.parametrize("code", LIGANDS)
def test_turning_adds_to_the_angles(code):
    _, torsions, places, angles = case(code)
    found = torsions.angles(torsions.turned(places, angles)) - torsions.angles(places)
    assert wrapped(found - angles).abs().max() < 1e-6 if len(torsions) else found.shape == (3, 0)

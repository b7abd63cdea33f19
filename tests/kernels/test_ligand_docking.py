"""Poses of a ligand that go downhill, and their maps: the native kernel against PyTorch's, in a real pocket."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from structdiff import kernels
from structdiff.docking import search
from structdiff.docking.asked_contacts import AskedContacts
from structdiff.docking.search import Landscape, descended, found_poses
from structdiff.docking.torsions import Torsions
from structdiff.evaluation.ligand_atom_types import AtomTypes
from structdiff.features.requests import Proximity
from structdiff.kernels import libraries, ligand_docking
from structdiff.kernels.native import KernelError
from tests.docking.examples import chromophore, exact, landscape, shaken
from tests.kernels.contract import in_mode, levels_here, needs_native

POSES = 19  # no multiple of any vector's width


def contacts(structure, rows):
    """A contact that is met, one that is not, and one to avoid."""
    others = np.setdiff1d(np.arange(len(structure.atoms)), rows)
    there = np.isin(np.arange(len(structure.atoms)), others)
    asked = [
        Proximity(name="near", first=rows, second=others[100:120], bound=3.0),
        Proximity(name="far", first=rows[:1], second=others[500:501], bound=4.0),
        Proximity(name="avoid", first=rows, second=others[300:310], bound=12.0, avoid=True),
    ]
    return AskedContacts.of(asked, rows, structure.atoms.positions, there)


@pytest.fixture(params=["free", "asked", "rigid", "atoms"])
def case(request):
    """A landscape, and poses about where the ligand lies, some of which leave the grid."""
    structure, rows = chromophore()
    asked = contacts(structure, rows) if request.param == "asked" else None
    made = landscape(structure, rows, half=6.0, asked=asked)
    if request.param == "rigid":
        torsions = Torsions.of(np.full(len(rows), 6), np.zeros((0, 2), np.int64), np.zeros(0, np.int64))
        made = replace(made, torsions=torsions, inner=torsions.kinds(AtomTypes.of(structure).rows(rows)))
    if request.param == "atoms":
        made = exact(structure, rows, made)
    poses = shaken(structure, rows, POSES)
    poses[3:6] += torch.tensor([9.0, 0.0, -9.0])
    return made, poses


of_maps = pytest.mark.parametrize("case", ["free", "asked", "rigid"], indirect=True)


def both(made: Landscape, work):
    """By the kernel and by PyTorch; a landscape keeps what it was first asked with."""
    return (in_mode(mode, lambda: work(replace(made))) for mode in ("native", "reference"))


@needs_native
def test_it_is_told():
    assert in_mode("native", lambda: kernels.status()["ligand_docking"]).startswith("cpu: native")
    assert "as asked for" in in_mode("reference", lambda: kernels.status()["ligand_docking"])


@needs_native
def test_maps_agree():
    structure, rows = chromophore()
    ours, theirs = (
        in_mode(mode, lambda: landscape(structure, rows, half=5.0).receptor) for mode in ("native", "reference")
    )
    assert torch.equal(ours.origin, theirs.origin)
    assert ours.values.shape == theirs.values.shape
    assert torch.allclose(ours.values, theirs.values, rtol=1e-4, atol=2e-4)


@needs_native
def test_energy_and_gradient_agree(case):
    made, poses = case
    ours, theirs = both(made, lambda own: own(poses))
    assert torch.allclose(ours[0], theirs[0], rtol=1e-4, atol=1e-3)
    assert (ours[1] - theirs[1]).abs().max() < 1e-4 * theirs[1].abs().max()


@of_maps
@needs_native
def test_softer_energy_agrees(case):
    made, poses = case
    ours, theirs = both(made, lambda own: own.softened(0.5)(poses)[0])
    assert torch.allclose(ours, theirs, rtol=1e-4, atol=1e-3)
    assert (ours < made(poses)[0]).any()


@needs_native
@pytest.mark.parametrize("steps", [0, 1, 3])
def test_descent_agrees(case, steps):
    made, poses = case
    ours, theirs = both(made, lambda own: descended(own, poses, steps))
    assert torch.allclose(ours[1], theirs[1], rtol=1e-3, atol=1e-2)
    assert torch.allclose(ours[0], theirs[0], atol=5e-3)


@needs_native
def test_a_long_descent_ends_as_low(case):
    made, poses = case
    ours, theirs = both(made, lambda own: descended(own, poses, 60)[1])
    before = made(poses)[0]
    for each in (ours, theirs):
        assert (each <= before + 1e-4).all()
    assert ours.mean() == pytest.approx(theirs.mean().item(), abs=0.1 * float((before - theirs).mean()))


@needs_native
def test_energy_is_that_of_the_poses_that_are_given_back(case):
    made, poses = case
    found, energy = descended(made, poses, 20)
    assert torch.allclose(made(found)[0], energy, rtol=1e-5, atol=1e-4)


@needs_native
def test_one_and_two_threads_give_the_same_bits(case):
    structure, rows = chromophore()
    made, poses = case

    def work():
        return landscape(structure, rows, half=5.0).receptor.values, *made(poses), *descended(made, poses, 10)

    one = work()
    torch.set_num_threads(2)
    try:
        two = work()
    finally:
        torch.set_num_threads(1)
    assert all(torch.equal(x, y) for x, y in zip(one, two, strict=True))


@needs_native
def test_what_else_is_in_the_batch_changes_nothing(case):
    made, poses = case
    energy, _ = made(poses)
    alone = torch.cat([made(poses[number : number + 1])[0] for number in range(POSES)])
    assert torch.equal(energy, alone)


@needs_native
def test_other_types_and_strides(case):
    made, poses = case
    expected = made(poses)
    for given in (poses.double(), poses.transpose(1, 2).contiguous().transpose(1, 2)):
        assert all(torch.equal(x, y) for x, y in zip(made(given), expected, strict=True))


@needs_native
def test_poses_that_are_no_numbers_do_not_harm_the_others(case):
    made, poses = case
    expected, _ = made(poses)
    poses[2, 0], poses[7] = torch.nan, torch.inf
    found, _ = made(poses)
    sound = torch.ones(POSES, dtype=torch.bool)
    sound[[2, 7]] = False
    assert torch.equal(found[sound], expected[sound])
    assert not (found[~sound] < found[sound].max()).any()


@of_maps
def test_without_a_library_pytorch_does_the_work(case, monkeypatch):
    made, poses = case
    places = poses.mean(1)[:1]
    expected = in_mode("reference", lambda: replace(made)(poses))
    monkeypatch.setattr(libraries, "load", lambda device: None)
    monkeypatch.setattr(search, "_ROUNDS", 2)
    assert not ligand_docking.available()
    assert all(torch.equal(x, y) for x, y in zip(replace(made)(poses), expected, strict=True))
    assert len(found_poses(replace(made), poses, places, 4, torch.Generator().manual_seed(0))[0]) == 4
    with pytest.raises(KernelError, match="ligand_docking"):
        in_mode("native", ligand_docking.available)


@needs_native
@pytest.mark.parametrize("level", levels_here())
def test_every_instruction_set_agrees(level, case, monkeypatch):
    made, poses = case
    structure, rows = chromophore()

    def work():
        return landscape(structure, rows, half=5.0).receptor.values, *replace(made)(poses), *descended(made, poses, 2)

    expected = work()
    library, problem = libraries._opened(libraries.cpu_library(level))
    assert library is not None, problem
    monkeypatch.setattr(libraries, "load", lambda device: library)
    ligand_docking._function.cache_clear()
    try:
        for ours, other in zip(work(), expected, strict=True):
            assert (ours - other).abs().max() < 1e-3 * max(1.0, float(other.abs().max()))
    finally:
        ligand_docking._function.cache_clear()

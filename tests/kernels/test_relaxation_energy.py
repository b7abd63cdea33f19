"""Relaxation's energy and neighbours: the native kernel against numpy's, on real structures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from structdiff.constraints.descent import Descent
from structdiff.constraints.relaxation import relax
from structdiff.constraints.stereochemistry import Stereochemistry
from structdiff.kernels import relaxation_energy
from structdiff.structure.files import read_structure
from tests.kernels.contract import in_mode, needs_native

DATA = Path(__file__).parent.parent / "evaluation" / "data"
pytestmark = needs_native


@pytest.fixture(params=["1crn.pdb", "2zta.pdb"], scope="module")
def case(request):
    structure = read_structure(DATA / request.param)
    structure = structure.select(structure.atoms.resolved)
    held = np.zeros(len(structure.atoms), bool)
    held[:20] = True
    return structure, Stereochemistry.from_structure(structure, held=held), held


def shaken(structure, by=0.3):
    positions = structure.atoms.positions.astype(np.float64)
    return positions + np.random.default_rng(1).normal(scale=by, size=positions.shape)


def descent(case):
    structure, model, held = case
    anchor = structure.atoms.positions.astype(np.float64)
    cis = model.cis_prolines(torch.from_numpy(anchor)[None])[0].numpy()
    made = Descent(model, anchor, ~held, cis)
    made.contact_weight = 0.7
    return made


def test_energy_and_gradient_agree(case):
    ours, theirs = (in_mode(mode, lambda: descent(case)(shaken(case[0]))) for mode in ("native", "reference"))
    assert ours[0] == pytest.approx(theirs[0], rel=1e-12)
    assert np.abs(ours[1] - theirs[1]).max() < 1e-10 * np.abs(theirs[1]).max()
    assert (ours[1][:20] == 0).all()


def test_gradient_agrees_with_finite_differences(case):
    made, positions = in_mode("native", lambda: descent(case)), shaken(case[0], 0.1)
    direction = np.random.default_rng(2).normal(size=positions.shape)
    direction[:20] = 0
    energies = [made(positions + step * direction)[0] for step in (1e-6, -1e-6)]
    slope = float(np.vdot(made(positions)[1], direction))
    assert (energies[0] - energies[1]) / 2e-6 == pytest.approx(slope, rel=1e-5)


def test_neighbours_agree(case):
    _, model, _ = case
    sites = model.repulsion.with_virtual(torch.from_numpy(shaken(case[0]))[None])[0].numpy()
    ours, theirs = (in_mode(mode, lambda: model.repulsion.neighbours(sites)) for mode in ("native", "reference"))
    assert len(ours[0]) > 100
    assert np.array_equal(ours[0], theirs[0])
    assert np.allclose(ours[1], theirs[1], rtol=1e-14)


def test_neighbours_of_far_flung_sites():
    positions = np.array([[0.0, 0, 0], [1e7, 0, 0], [1e7, 2.0, 0], [0, 0, -1e7]])
    flags = tuple(np.full(4, flag) for flag in (False, False, True))
    found = relaxation_energy.neighbours(
        positions, np.full(4, 1.7), flags, np.zeros(0, np.int64), (0.3, 0.35, 2.0), 0.6
    )
    assert found is not None
    assert found[0].tolist() == [[1, 2]]
    assert found[1] == pytest.approx([3.1])
    positions[0, 0] = np.nan
    assert (
        relaxation_energy.neighbours(positions, np.full(4, 1.7), flags, np.zeros(0, np.int64), (0.0, 0.0, 2.0), 0.0)
        is None
    )


def test_more_neighbours_than_room_is_kept_for():
    positions = np.random.default_rng(0).normal(size=(80, 3))
    flags = tuple(np.full(80, flag) for flag in (False, False, True))
    found = relaxation_energy.neighbours(
        positions, np.full(80, 3.0), flags, np.zeros(0, np.int64), (0.3, 0.35, 2.0), 0.6
    )
    assert found is not None
    close = np.linalg.norm(positions[:, None] - positions[None], axis=-1) < 6.3
    assert len(found[0]) == np.triu(close, 1).sum() > 16 * 80


def test_step_bounds_agree(case):
    positions = shaken(case[0])
    ours, theirs = (in_mode(mode, lambda: descent(case).settle(positions, 3)) for mode in ("native", "reference"))
    assert np.abs(ours - theirs).max() < 1e-9


def test_relaxed_structures_agree(case):
    structure, model, held = case
    positions = torch.from_numpy(shaken(structure))[None]
    ours, theirs = (
        in_mode(mode, lambda: relax(structure, positions, held=torch.from_numpy(held), stereochemistry=model).positions)
        for mode in ("native", "reference")
    )
    assert (ours - theirs).abs().max() < 1e-3

"""Maps of a receptor against exact sums."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from structdiff.docking.maps import OUTSIDE, Maps, build_maps, grid_size, kinds_of
from structdiff.evaluation.ligand_atom_types import AtomTypes
from structdiff.evaluation.vinardo import Kinds, energy
from tests.docking.examples import chromophore
from tests.kernels.contract import in_mode, needs_native


@pytest.fixture(scope="module")
def case():
    structure, rows = chromophore()
    others = np.setdiff1d(np.arange(len(structure.atoms)), rows)
    types = AtomTypes.of(structure)
    return structure.atoms.positions.astype(np.float64), types, rows, others


def exact(points, own, receptor, types):
    """What an atom is worth at each point, of all atoms there are."""
    distance = np.linalg.norm(points[:, None] - receptor[None], axis=-1)
    each = AtomTypes(**{name: np.broadcast_to(value, distance.shape) for name, value in vars(own).items()})
    every = AtomTypes(**{name: np.broadcast_to(value, distance.shape) for name, value in vars(types).items()})
    return energy(torch.from_numpy(distance), Kinds.of(each, every)).sum(1).numpy()


@pytest.mark.parametrize("mode", [pytest.param("native", marks=needs_native), "reference"])
def test_points_are_exact_sums(case, mode):
    positions, types, rows, others = case
    kinds, kind = kinds_of(types.rows(rows))
    low = positions[rows].mean(0) - 4.0
    maps = in_mode(mode, lambda: build_maps(kinds, positions[others], types.rows(others), low, low + 8.0))
    assert maps.values.shape == (len(kinds.radius), *grid_size(low, low + 8.0))
    random = np.random.default_rng(0)
    place = np.stack([random.integers(size, size=200) for size in maps.values.shape[1:]], -1)
    points = maps.origin.numpy().astype(np.float64) + 0.4 * place
    for number in np.unique(kind).tolist():
        expected = exact(points, kinds.rows(np.array([number])), positions[others], types.rows(others))
        found = maps.values[number][tuple(place.T)].numpy()
        assert found == pytest.approx(np.minimum(expected, 100.0), rel=1e-4, abs=2e-3)  # cut off beyond 7 Å


def test_kinds_of_atoms(case):
    _, types, rows, _ = case
    own = types.rows(rows)
    kinds, kind = kinds_of(own)
    for name in ("radius", "hydrophobic", "donor", "acceptor"):
        assert getattr(kinds, name)[kind].tolist() == getattr(own, name).tolist()
    assert len(kinds.radius) < len(rows)


@pytest.fixture
def sloping():
    """Of a linear field reading between points is exact."""
    x, y, z = (0.5 * torch.arange(size) for size in (6, 8, 10))
    values = torch.stack([1 + 2 * x[:, None, None] - y[None, :, None] + 3 * z, torch.full((6, 8, 10), 5.0)])
    return Maps(values=values, origin=torch.tensor([10.0, 20.0, 30.0]), spacing=0.5)


def test_reading_between_points(sloping):
    positions = torch.tensor([[[10.3, 21.1, 31.7], [11.0, 20.2, 30.0]]])
    value, gradient = sloping.read(positions, torch.tensor([0, 1]))
    assert value[0].tolist() == pytest.approx([1 + 0.6 - 1.1 + 5.1, 5.0], abs=1e-4)
    assert gradient[0, 0].tolist() == pytest.approx([2, -1, 3], abs=1e-3)
    assert gradient[0, 1].tolist() == pytest.approx([0, 0, 0], abs=1e-3)


def test_reading_beyond_the_border(sloping):
    inside, outside = torch.tensor([[[10.0, 21.0, 31.0]]]), torch.tensor([[[7.0, 21.0, 31.0]]])
    kind = torch.tensor([1])
    value, gradient = sloping.read(outside, kind)
    assert value.item() == pytest.approx(sloping.read(inside, kind)[0].item() + OUTSIDE * 9.0, rel=1e-5)
    assert gradient[0, 0].tolist() == pytest.approx([-60, 0, 0], abs=1e-3)


def test_reading_at_the_last_point_and_far_away(sloping):
    value, gradient = sloping.read(torch.tensor([[[12.5, 23.5, 34.5], [1e4, -1e4, 0.0]]]), torch.tensor([0, 0]))
    assert value[0, 0].item() == pytest.approx(1 + 5 - 3.5 + 13.5, abs=0.01)
    assert bool(value.isfinite().all() & gradient.isfinite().all())


def test_no_atom_costs_more_than_the_most(sloping):
    low = Maps(values=sloping.values, origin=sloping.origin, spacing=0.5, most=2.0)
    value, gradient = low.read(torch.tensor([[[10.3, 21.1, 31.7]]]), torch.tensor([1]))
    assert value.item() == pytest.approx(2.0)
    assert gradient.abs().max() == 0

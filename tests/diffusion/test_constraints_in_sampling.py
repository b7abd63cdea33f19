"""Constraints while sampling: held atoms are exact, energies shift the distribution by the amount theory says."""

import math

import pytest
import torch

from structdiff.diffusion.constraint_protocol import followed_energy
from structdiff.diffusion.sampler import SamplingConfig, sample, sample_generator
from structdiff.diffusion.solvers import SOLVERS
from structdiff.errors import StructdiffError
from structdiff.geometry.superposition import superposition


def gaussian(spread):
    def denoise(positions, sigma, previous):
        return positions * spread**2 / (spread**2 + sigma[:, None, None] ** 2)

    return denoise


def draw(denoise, mask, constraints, **knobs):
    generators = [sample_generator(3, index) for index in range(mask.shape[0])]
    return sample(denoise, mask, generators=generators, constraints=constraints, config=SamplingConfig(**knobs))


class Held:
    """The first atoms stay where the reference has them."""

    def __init__(self, reference):
        self.reference = reference

    def project(self, positions, sigma):
        return torch.cat([self.reference.expand(positions.shape[0], -1, 3), positions[:, len(self.reference) :]], 1)

    def energy(self, positions):
        return positions.new_zeros(positions.shape[0])


class HeldShape(Held):
    """The first atoms keep the reference's shape, wherever they are."""

    def project(self, positions, sigma):
        here = positions[:, : len(self.reference)]
        reference = self.reference.expand_as(here)
        return torch.cat([superposition(reference, here).apply(reference), positions[:, 4:]], 1)


class Pull:
    """A constant force on every atom; energies in kT."""

    def __init__(self, force):
        self.force = force

    def project(self, positions, sigma):
        return positions

    def energy(self, positions):
        return -(self.force * positions).sum((-1, -2))


class Spring(Pull):
    def energy(self, positions):
        return 0.5 * self.force * positions.square().sum((-1, -2))


REFERENCE = torch.tensor([[1.0, 2.0, 3.0], [-4.0, 0.5, 0.25], [0.1, -7.0, 2.0], [3.0, 3.0, -3.0]])


@pytest.mark.parametrize("solver", SOLVERS)
def test_held_atoms_end_exactly_where_they_are_held(solver):
    mask = torch.ones(2, 9, dtype=torch.bool)
    found = draw(gaussian(16.0), mask, Held(REFERENCE), steps=20, solver=solver, centre=False)
    assert torch.equal(found[:, :4], REFERENCE.expand(2, 4, 3))
    assert found[:, 4:].std() > 3


@pytest.mark.parametrize("augment", [False, True])
def test_a_held_shape_survives_centring_and_random_turns(augment):
    mask = torch.ones(3, 9, dtype=torch.bool)
    found = draw(gaussian(16.0), mask, HeldShape(REFERENCE), steps=20, augment=augment)
    expected = torch.cdist(REFERENCE, REFERENCE).expand(3, 4, 4)
    assert torch.allclose(torch.cdist(found[:, :4], found[:, :4]), expected, atol=1e-4)


def test_noisy_positions_stay_consistent_with_held_atoms():
    # At level sigma a held atom must be its reference plus noise of that size: no more, no less.
    seen = []

    def denoise(positions, sigma, previous):
        seen.append((sigma[0].item(), (positions - reference).std().item()))
        return torch.zeros_like(positions)

    reference = torch.randn(4000, 3, generator=torch.Generator().manual_seed(0)) * 10
    mask = torch.ones(1, 4000, dtype=torch.bool)
    draw(denoise, mask, Held(reference), steps=15, solver="ancestral", centre=False)
    # In the first step the noise is around 0, where the reference is not yet known.
    for sigma, spread in seen[1:]:
        assert spread == pytest.approx(sigma, rel=0.05)


@pytest.mark.parametrize("weight", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("solver", ["heun", "ancestral"])
def test_a_constant_force_shifts_the_mean_by_variance_times_force(solver, weight):
    # exp(-weight · energy) times N(0, s²) is N(weight · s² · force, s²).
    spread, force = 2.0, 0.75
    knobs = {"steps": 100, "solver": solver, "centre": False, "energy_spread": spread, "energy_max_step": math.inf}
    mask = torch.ones(2, 5000, dtype=torch.bool)
    free = draw(gaussian(spread), mask, None, **knobs)
    pulled = draw(gaussian(spread), mask, Pull(force), energy_weight=weight, **knobs)
    assert free.mean().abs().item() < 4 * spread / math.sqrt(free.numel())
    # With the same seed every atom is shifted, and by the same amount: mean and spread are both right.
    assert torch.allclose(pulled - free, torch.full_like(free, weight * spread**2 * force), atol=0.01)


def test_a_spring_narrows_the_distribution():
    # The exact answer is 1 / (1/s² + k); following the gradient at the prediction is first order in k.
    spread, stiffness = 2.0, 0.02
    knobs = {"steps": 80, "solver": "heun", "centre": False, "energy_spread": spread, "energy_max_step": math.inf}
    mask = torch.ones(2, 5000, dtype=torch.bool)
    free = draw(gaussian(spread), mask, None, **knobs).var()
    held = draw(gaussian(spread), mask, Spring(stiffness), **knobs).var()
    assert (held / free).item() == pytest.approx(1 / (1 + stiffness * spread**2), abs=0.01)


def test_no_atom_moves_farther_than_allowed():
    positions = torch.tensor([[[1.0, 0, 0], [0, 0, 0.001], [0, 0, 0]]])
    moved = followed_energy(Spring(1e6), positions, 5.0, weight=1.0, spread=3.0, max_step=0.25)
    assert torch.allclose(moved - positions, torch.tensor([[[-0.25, 0, 0], [0, 0, -0.25], [0, 0, 0]]]))


def test_energies_work_inside_inference_mode():
    mask = torch.ones(1, 6, dtype=torch.bool)
    outside = draw(gaussian(4.0), mask, Pull(1.0), steps=5)
    with torch.inference_mode():
        inside = draw(gaussian(4.0), mask, Pull(1.0), steps=5)
    assert torch.equal(inside, outside)


def test_an_energy_that_breaks_is_named():
    class Broken(Pull):
        def energy(self, positions):
            return (positions.sum((-1, -2)) * 0).sqrt() * float("nan")

    with pytest.raises(StructdiffError, match=r"gradient of a constraint's energy .* step 1 of 5 \(sigma 4608 Å"):
        draw(gaussian(4.0), torch.ones(1, 6, dtype=torch.bool), Broken(1.0), steps=5)

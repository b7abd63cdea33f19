"""The sampler against distributions known in closed form: orders of convergence, variances, mixtures, guidance.

For Gaussian data of spread s the best denoiser is x s² / (s² + sigma²), and the deterministic path multiplies x by
sqrt((s² + sigma_end²) / (s² + sigma_start²)).
"""

import dataclasses
import functools
import itertools
import math

import pytest
import torch

from structdiff.diffusion.guidance import guided
from structdiff.diffusion.sampler import SamplingConfig, sample, sample_generator
from structdiff.diffusion.schedule import noise_levels
from structdiff.diffusion.solvers import DPMSolver2M, Euler, Heun, Step

SPREAD = 16.0


def gaussian(spread=SPREAD, mean=0.0):
    def denoise(positions, sigma, previous):
        level = sigma[:, None, None] ** 2
        return (positions * spread**2 + mean * level) / (spread**2 + level)

    return denoise


def two_points(distance, share):
    """Data: every coordinate is +distance with probability ``share``, else -distance."""

    def denoise(positions, sigma, previous):
        level = sigma[:, None, None] ** 2
        odds = 2 * distance * positions / level + math.log(share / (1 - share))
        return distance * torch.tanh(odds / 2)

    return denoise


def draw(denoise, config, *, samples=2, atoms=20000, constraints=None, seed=0):
    mask = torch.ones(samples, atoms, dtype=torch.bool)
    generators = [sample_generator(seed, index) for index in range(samples)]
    config = dataclasses.replace(config, centre=False)
    return sample(denoise, mask, generators=generators, config=config, constraints=constraints)


def end_of_path(solver, steps, evaluate, start, **schedule):
    """Where a deterministic solver ends in float64, at sigma_min rather than 0."""
    levels = noise_levels(steps, **schedule)[:-1]
    positions, last = start, None
    for sigma, sigma_next in itertools.pairwise(levels):
        result = solver.step(
            Step(
                positions=positions, sigma=sigma, sigma_next=sigma_next,
                evaluate=evaluate, draw_noise=lambda: pytest.fail("drew noise"), last=last,
            )
        )  # fmt: skip
        positions, last = result.positions, result.estimate
    return positions


@pytest.mark.parametrize(("solver", "order"), [(Euler(), 1), (Heun(), 2), (DPMSolver2M(), 2)])
def test_order_of_convergence_on_gaussian_data(solver, order):
    assert solver.order == order
    high, low = 160.0, 0.01
    exact = math.sqrt((SPREAD**2 + low**2) / (SPREAD**2 + high**2)) * high
    start = torch.tensor([high], dtype=torch.float64)
    steps = [100, 200, 400, 800]
    errors = [
        abs(
            end_of_path(
                solver, n, lambda x, sigma: x * SPREAD**2 / (SPREAD**2 + sigma**2), start,
                sigma_max=high, sigma_min=low, rho=7.0,
            ).item() - exact
        )
        for n in steps
    ]  # fmt: skip
    slopes = [math.log2(coarse / fine) for coarse, fine in itertools.pairwise(errors)]
    assert slopes == pytest.approx([order] * 3, abs=0.12), (errors, slopes)


def one_apart(x, sigma):
    """The best denoiser of data at +1 and -1 Å."""
    return torch.tanh(x / sigma**2)


@functools.lru_cache
def fine_path():
    """A path through the field of two points has no simple formula: a very fine one stands for it."""
    start = torch.tensor([2.0, -7.0, 11.0], dtype=torch.float64)
    schedule = {"sigma_max": 10.0, "sigma_min": 0.3, "rho": 3.0}
    return start, schedule, end_of_path(Heun(), 8001, one_apart, start, **schedule)


@pytest.mark.parametrize(("solver", "order"), [(Euler(), 1), (Heun(), 2), (DPMSolver2M(), 2)])
def test_order_of_convergence_where_the_denoiser_is_not_linear(solver, order):
    start, schedule, exact = fine_path()
    errors = [(end_of_path(solver, n + 1, one_apart, start, **schedule) - exact).norm().item() for n in (200, 400, 800)]
    slopes = [math.log2(coarse / fine) for coarse, fine in itertools.pairwise(errors)]
    assert slopes == pytest.approx([order] * 2, abs=0.15), (errors, slopes)


@pytest.mark.parametrize("solver", ["euler", "heun", "dpm-solver-2m"])
def test_deterministic_solvers_follow_the_exact_path_to_the_end(solver):
    config = SamplingConfig(steps=400, solver=solver)
    found = draw(gaussian(), config, samples=1, atoms=500)
    noise = torch.randn(500, 3, generator=sample_generator(0, 0))
    exact = noise * config.sigma_max * SPREAD / math.sqrt(SPREAD**2 + config.sigma_max**2)
    assert (found[0] - exact).norm() / exact.norm() < {"euler": 0.03, "heun": 2e-4, "dpm-solver-2m": 1e-3}[solver]


@pytest.mark.parametrize(
    "config",
    [
        SamplingConfig(steps=300, solver="ancestral"),
        SamplingConfig(steps=300, solver="stochastic", churn=0.02, noise_scale=1.0, step_scale=1.0),
        SamplingConfig(steps=150, solver="heun", churn=0.2),
    ],
)
def test_random_solvers_reproduce_mean_variance_and_independence(config):
    found = draw(gaussian(mean=3.0), config).flatten()
    count = found.numel()
    assert found.mean().item() == pytest.approx(3.0, abs=4 * SPREAD / math.sqrt(count))
    # Four standard errors of a variance, and 3 % for the finite number of steps.
    assert found.var().item() == pytest.approx(SPREAD**2, rel=4 * math.sqrt(2 / count) + 0.03)
    kurtosis = ((found - found.mean()) / found.std()).pow(4).mean().item()
    assert kurtosis == pytest.approx(3, abs=4 * math.sqrt(24 / count))
    shuffled = found.view(2, -1)
    assert torch.corrcoef(shuffled)[0, 1].abs().item() < 4 / math.sqrt(count / 2)


@pytest.mark.parametrize("knobs", [{}, {"churn": 0.3, "noise_scale": 0.8, "step_scale": 1.2, "churn_min_sigma": 5.0}])
def test_alphafold_sampler_has_exactly_the_variance_its_algorithm_implies(knobs):
    config = SamplingConfig(steps=40, **knobs)
    churn, floor = config.churn or 0.8, config.churn_min_sigma or 1.0
    noise_scale, step_scale = config.noise_scale or 1.003, config.step_scale or 1.5
    levels = noise_levels(40)
    variance = levels[0] ** 2
    # AlphaFold 3, Algorithm 18, line by line, for one coordinate of Gaussian data.
    for sigma, sigma_next in itertools.pairwise(levels):
        gamma = churn if sigma_next > floor else 0.0
        raised = sigma * (gamma + 1)
        variance += noise_scale**2 * (raised**2 - sigma**2)
        slope = (1 - SPREAD**2 / (SPREAD**2 + raised**2)) / raised
        factor = 1 + (step_scale if sigma_next > 0 else 1.0) * (sigma_next - raised) * slope
        variance *= factor**2
    found = draw(gaussian(), config).flatten()
    assert found.var().item() == pytest.approx(variance, rel=4 * math.sqrt(2 / found.numel()))


def test_lower_noise_scale_and_longer_steps_narrow_the_distribution():
    wide = draw(gaussian(), SamplingConfig(steps=60, step_scale=1.0, noise_scale=1.0)).var()
    assert draw(gaussian(), SamplingConfig(steps=60, step_scale=1.0, noise_scale=0.8)).var() < 0.8 * wide
    assert draw(gaussian(), SamplingConfig(steps=60, step_scale=1.5, noise_scale=1.0)).var() < 0.8 * wide


@pytest.mark.parametrize(
    "config",
    [
        SamplingConfig(steps=100, solver="euler"),
        SamplingConfig(steps=60, solver="heun"),
        SamplingConfig(steps=100, solver="dpm-solver-2m"),
        SamplingConfig(steps=200, solver="ancestral"),
        SamplingConfig(steps=200, solver="stochastic", churn=0.05, noise_scale=1.0, step_scale=1.0),
    ],
    ids=lambda config: config.solver,
)
def test_two_point_mixture_has_its_modes_and_their_weights(config):
    found = draw(two_points(10.0, 0.3), config, atoms=5000).flatten()
    assert ((found.abs() - 10).abs() < 1e-3).float().mean().item() > 0.9999
    share = (found > 0).float().mean().item()
    assert share == pytest.approx(0.3, abs=4 * math.sqrt(0.21 / found.numel()) + 0.01)


def test_guidance_on_gaussians_gives_the_sharpened_distribution():
    # Unconditional N(0, s²), conditional N(4, s²): with weight g the score is that of N(4 g, s²).
    for weight in (0.0, 0.5, 1.0, 2.5):
        denoise = guided(gaussian(2.0), {"motif": gaussian(2.0, mean=4.0)}, weight)
        found = draw(denoise, SamplingConfig(steps=60, solver="heun"), atoms=5000).flatten()
        assert found.mean().item() == pytest.approx(4 * weight, abs=4 * 2 / math.sqrt(found.numel()) + 0.01)
        assert found.std().item() == pytest.approx(2.0, rel=0.03)


def test_two_conditions_are_weighed_apart():
    conditional = {"motif": gaussian(2.0, mean=4.0), "burial": gaussian(2.0, mean=-10.0)}
    denoise = guided(gaussian(2.0), conditional, {"motif": 1.5, "burial": 0.5})
    found = draw(denoise, SamplingConfig(steps=60, solver="heun"), atoms=5000)
    assert found.mean().item() == pytest.approx(1.5 * 4 - 0.5 * 10, abs=0.06)

"""The sampling loop: reproducible whatever the batch and padding, guarded, observable, and its settings checked."""

import itertools
import math

import pytest
import torch

from structdiff.diffusion.sampler import SamplingConfig, sample, sample_generator
from structdiff.diffusion.schedule import noise_levels
from structdiff.diffusion.solvers import SOLVERS, Step, Stochastic
from structdiff.diffusion.trajectory import Trajectory
from structdiff.errors import InputError, StructdiffError
from structdiff.geometry.superposition import superposed, superposed_rmsd


def lattice(positions, sigma, previous):
    """A denoiser that works atom by atom, so that any change of a result comes from the sampler itself."""
    return 8 * torch.sin(positions / (8 + sigma[:, None, None]))


def draw(denoise, sizes, width=None, *, seed=7, indices=None, **knobs):
    width = width or max(sizes)
    mask = torch.arange(width) < torch.tensor(sizes)[:, None]
    generators = [sample_generator(seed, index) for index in (indices or range(len(sizes)))]
    return sample(denoise, mask, generators=generators, config=SamplingConfig(**{"steps": 12, **knobs}))


@pytest.mark.parametrize("augment", [False, True])
@pytest.mark.parametrize("solver", SOLVERS)
def test_same_seed_same_structure_alone_in_a_batch_and_padded(solver, augment):
    batch = draw(lattice, [30, 11, 30, 5], solver=solver, augment=augment)
    for index, size in enumerate([30, 11, 30, 5]):
        alone = draw(lattice, [size], indices=[index], solver=solver, augment=augment)
        padded = draw(lattice, [size], 64, indices=[index], solver=solver, augment=augment)
        assert torch.equal(alone[0], batch[index, :size])
        assert torch.equal(padded[0, :size], alone[0])
        assert (padded[0, size:] == 0).all()
        assert (batch[index, size:] == 0).all()
    assert (batch[0] - batch[2]).abs().max() > 0.1


def test_holes_in_the_mask_are_padding_too():
    mask = torch.ones(1, 20, dtype=torch.bool)
    mask[0, [0, 7, 8, 19]] = False
    config = SamplingConfig(steps=9)
    holed = sample(lattice, mask, generators=[sample_generator(7, 0)], config=config)
    assert torch.equal(holed[0, mask[0]], draw(lattice, [16], steps=9)[0])


def test_what_the_denoiser_says_about_padding_does_not_matter():
    def careless(positions, sigma, previous):
        result = lattice(positions, sigma, previous)
        result[:, 5:] = float("nan")
        return result

    assert torch.equal(draw(careless, [5], 9)[0, :5], draw(lattice, [5])[0])


def test_seeds_and_indices_give_unlike_samples():
    drawn = {(seed, index): sample_generator(seed, index).initial_seed() for seed in range(40) for index in range(40)}
    assert len(set(drawn.values())) == 1600
    first, second = (torch.randn(20000, generator=sample_generator(*key)) for key in ((1, 2), (2, 1)))
    assert torch.corrcoef(torch.stack([first, second]))[0, 1].abs() < 4 / math.sqrt(20000)
    # Documented, so it may not change: files name only seed and index.
    assert sample_generator(0, 0).initial_seed() == 2844413650525469406
    assert sample_generator(0, 0, 0).initial_seed() == 2844413650525469406
    again = {sample_generator(seed, index, draw).initial_seed() for seed, index in drawn for draw in (1, 11)}
    assert len(again | set(drawn.values())) == 4800
    with pytest.raises(InputError, match="draw"):
        sample_generator(0, 0, -1)


def test_centring_keeps_the_noisy_positions_centred():
    offsets = []

    def denoise(positions, sigma, previous):
        offsets.append(positions[0, :6].double().mean(0).norm().item() / (1 + sigma[0].item()))
        return lattice(positions, sigma, previous) + 40

    draw(denoise, [6], 9, solver="euler", centre=True)
    assert max(offsets) < 1e-5
    offsets.clear()
    draw(denoise, [6], 9, solver="euler", centre=False)
    assert max(offsets) > 0.05


def test_equivariant_denoiser_random_turns_move_but_do_not_change_the_structure():
    shape = torch.randn(10, 3, generator=torch.Generator().manual_seed(1)) * 6

    def denoise(positions, sigma, previous):
        return superposed(shape.expand_as(positions), positions)

    plain, turned = (draw(denoise, [10], augment=augment) for augment in (False, True))
    assert superposed_rmsd(plain[0], shape) < 1e-3
    assert superposed_rmsd(turned[0], shape) < 1e-3
    assert (plain - turned).abs().max() > 1


@pytest.mark.parametrize("solver", ["euler", "heun", "dpm-solver-2m"])
def test_random_turns_change_no_distance_under_an_equivariant_denoiser(solver):
    def shrink(positions, sigma, previous):
        # Best for Gaussian data around its own centre; solvers that remember must turn what they remember.
        centre = positions.mean(1, keepdim=True)
        return centre + (positions - centre) * 64 / (64 + sigma[:, None, None] ** 2)

    plain, turned = (draw(shrink, [10], solver=solver, augment=augment) for augment in (False, True))
    assert (plain - turned).abs().max() > 1
    assert torch.allclose(torch.cdist(plain, plain), torch.cdist(turned, turned), rtol=1e-4)


def test_self_conditioning_gets_the_last_prediction_in_the_current_frame():
    shape = torch.randn(10, 3, generator=torch.Generator().manual_seed(1)) * 6
    shape = shape - shape.mean(0)
    seen = []

    def denoise(positions, sigma, previous):
        # The first prediction is a shape; later ones repeat whatever came back, wherever it was turned to.
        seen.append(previous)
        return shape.expand_as(positions) if previous is None else previous

    found = draw(denoise, [10], augment=True, steps=6)
    assert seen[0] is None
    assert all(superposed_rmsd(previous[0], shape) < 1e-4 for previous in seen[1:])
    assert superposed_rmsd(found[0], shape) < 1e-4
    assert (seen[1] - seen[2]).abs().max() > 1


@pytest.mark.parametrize(("solver", "evaluations"), [("heun", 2 * 12 - 1), ("euler", 12), ("dpm-solver-2m", 12)])
def test_evaluations_and_levels(solver, evaluations):
    levels = []

    def denoise(positions, sigma, previous):
        levels.append(sigma.tolist())
        return lattice(positions, sigma, previous)

    draw(denoise, [4, 4], solver=solver)
    assert len(levels) == evaluations
    assert levels[0] == [2560.0, 2560.0]
    assert levels[-1] == pytest.approx([0.0064, 0.0064])


def test_callback_and_trajectory():
    seen, trajectory = [], Trajectory(every=5)
    found = sample(
        lattice, torch.ones(2, 3, dtype=torch.bool), generators=[sample_generator(1, i) for i in range(2)],
        config=SamplingConfig(steps=12, solver="euler"), trajectory=trajectory,
        on_step=lambda step, steps, positions: seen.append((step, steps, positions.clone())),
    )  # fmt: skip
    assert [entry[:2] for entry in seen] == [(step, 12) for step in range(1, 13)]
    assert [snapshot.step for snapshot in trajectory.snapshots] == [5, 10, 12]
    assert trajectory.snapshots[-1].sigma == 0
    for snapshot in trajectory.snapshots:
        assert torch.equal(snapshot.positions, seen[snapshot.step - 1][2])
    assert torch.equal(trajectory.snapshots[-1].positions, found)
    assert torch.equal(trajectory.snapshots[-1].denoised, found)


def test_starting_from_a_known_structure_varies_it():
    start = torch.randn(2, 50, 3, generator=torch.Generator().manual_seed(0)) * 10

    def flat(positions, sigma, previous):
        return positions

    generators = [sample_generator(1, i) for i in range(2)]
    config = SamplingConfig(steps=3, solver="euler", sigma_max=2.0, sigma_min=0.1, centre=False)
    found = sample(flat, torch.ones(2, 50, dtype=torch.bool), generators=generators, config=config, start=start)
    assert (found - start).std().item() == pytest.approx(2.0, rel=0.15)


def test_nan_is_named_by_step_level_and_sample():
    def breaks(positions, sigma, previous):
        result = lattice(positions, sigma, previous)
        if sigma[0] < 100:
            result[1, 2] = float("nan")
        return result

    with pytest.raises(StructdiffError, match=r"denoiser's prediction is not finite in step 7 of 12 .*sample 1\)"):
        draw(breaks, [4, 4])


def test_atoms_thrown_out_of_reach_are_an_error_and_no_structure():
    def flings(positions, sigma, previous):
        return positions * 10.0

    with pytest.raises(StructdiffError, match=r"12 steps of the .* solver threw atoms .* Å away .*take more steps"):
        draw(flings, [4, 4])


def test_a_sample_without_atoms_stays_empty_and_a_batch_without_samples_is_refused():
    found = draw(lattice, [0, 6])
    assert (found[0] == 0).all()
    assert torch.equal(found[1], draw(lattice, [6], indices=[1])[0])
    with pytest.raises(InputError, match="no sample"):
        sample(lattice, torch.ones(0, 5, dtype=torch.bool), generators=[])


@pytest.mark.parametrize(
    ("knobs", "message"),
    [
        ({"steps": 0}, "steps: must be a whole number"),
        ({"steps": 2.5}, "steps: must be a whole number"),
        ({"steps": True}, "steps: must be a whole number"),
        ({"solver": "hean"}, "did you mean 'heun'"),
        ({"churn": -0.1}, "churn: out of range"),
        ({"churn": math.nan}, "churn: out of range"),
        ({"churn": "much"}, "churn: out of range"),
        ({"churn": 0.5, "solver": "euler"}, "allowed: with solver stochastic, heun"),
        ({"noise_scale": 0.9, "solver": "dpm-solver-2m"}, "noise_scale: solver 'dpm-solver-2m' has no such knob"),
        ({"noise_scale": 3.0}, "noise_scale: out of range"),
        ({"step_scale": 0.0}, "step_scale: out of range"),
        ({"sigma_max": 0.001}, "sigma_max: must be a noise level in Å above sigma_min"),
        ({"sigma_max": math.inf}, "sigma_max"),
        ({"sigma_max": "160"}, "sigma_max: must be a number"),
        ({"sigma_min": 0.0}, "sigma_min"),
        ({"rho": 0.5}, "rho"),
        ({"augment": True, "centre": False}, "augment: random turns need centred positions"),
        ({"energy_weight": -1.0}, "energy_weight"),
        ({"energy_spread": 0.0}, "energy_spread"),
        ({"energy_max_step": 0.0}, "energy_max_step"),
    ],
)
def test_settings_that_make_no_sense_are_refused(knobs, message):
    with pytest.raises(InputError, match=message):
        SamplingConfig(**knobs)


def test_generators_must_fit_the_samples():
    mask = torch.ones(2, 3, dtype=torch.bool)
    one = sample_generator(0, 0)
    for generators in ([], [one], [one, one]):
        with pytest.raises(InputError, match="one generator of its own for each of 2 samples"):
            sample(lattice, mask, generators=generators)
    for bad in ((-1, 0), (0, -1), (1.5, 0), (True, 0)):
        with pytest.raises(InputError, match="must be a whole number"):
            sample_generator(*bad)
    with pytest.raises(InputError, match="every"):
        Trajectory(every=0)


def test_long_steps_go_a_tenth_beyond_the_prediction_at_most() -> None:
    denoised, positions = torch.zeros(1, 4, 3), torch.ones(1, 4, 3)

    def landed(sigma_next: float) -> float:
        step = Step(
            positions=positions, sigma=10.0, sigma_next=sigma_next,
            evaluate=lambda _positions, _sigma: denoised, draw_noise=lambda: torch.zeros_like(positions),
        )  # fmt: skip
        return float(Stochastic(churn=0.0, step_scale=1.5).step(step).positions[0, 0, 0])

    assert landed(7.0) == pytest.approx(0.55)
    assert landed(3.5) == pytest.approx(0.025)
    assert landed(0.5) == pytest.approx(-0.1)  # -0.425 were it as long as asked


def turning(truth, by):
    """A denoiser that knows the truth, and turns it a little more each time it is asked."""
    state = {"turn": torch.eye(3)}

    def denoise(positions, sigma, previous):
        state["turn"] = state["turn"] @ by
        return (truth @ state["turn"].T).expand(positions.shape)

    return denoise


def test_predictions_that_turn_are_laid_on_what_they_were_made_from():
    truth = 10 * torch.randn(20, 3, generator=torch.Generator().manual_seed(1))
    angle = torch.tensor(2.2)
    by = torch.tensor([[angle.cos(), -angle.sin(), 0.0], [angle.sin(), angle.cos(), 0.0], [0.0, 0.0, 1.0]])
    mask = torch.ones(1, 20, dtype=torch.bool)

    def way(align):
        seen = []
        config = SamplingConfig(steps=12, solver="euler", align=align)
        sample(
            turning(truth, by), mask, generators=[sample_generator(3, 0)], config=config,
            on_step=lambda step, steps, positions: seen.append(positions[0].clone()),
        )  # fmt: skip
        return [float((one - other).norm()) for one, other in zip(seen[-4:], seen[-3:], strict=False)]

    assert max(way(align=True)[1:]) < 1
    assert min(way(align=False)) > 10


def _turning(positions, sigma, previous):
    """Says where positions belong, but turned and shifted: a network whose frame wanders."""
    closer = 40 * torch.sin(positions / (40 + sigma[:, None, None]))
    return closer[..., [1, 2, 0]] + 3.0


def test_aligned_steps_are_those_of_boltz():
    """There the noisy positions are laid on each prediction, and the step goes on from them."""
    levels = noise_levels(60)
    mask = torch.ones(1, 20, dtype=torch.bool)
    seen = []
    config = SamplingConfig(steps=60, churn=0.0, align=True)
    sample(
        _turning, mask, generators=[sample_generator(7, 0)], config=config, on_step=lambda *step: seen.append(step[2])
    )
    positions = levels[0] * torch.randn(1, 20, 3, generator=sample_generator(7, 0))
    for found, (sigma, sigma_next) in zip(seen[:-1], itertools.pairwise(levels), strict=False):
        positions = positions - positions.mean(1, keepdim=True)
        denoised = _turning(positions, torch.tensor([sigma]), None)
        noisy = superposed(positions, denoised)
        positions = noisy + 1.5 * (sigma_next - sigma) * (noisy - denoised) / sigma
        assert superposed_rmsd(found[0], positions[0]) < 1e-4 * max(1.0, sigma_next)
        positions = found  # the frames differ, and this denoiser knows its own

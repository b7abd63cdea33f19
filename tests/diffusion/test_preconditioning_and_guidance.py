"""Scalings, schedule and guidance weights against the papers' formulas."""

import itertools
import math

import pytest
import torch

from structdiff.diffusion.guidance import guidance_shares, guided
from structdiff.diffusion.preconditioning import Preconditioning
from structdiff.diffusion.schedule import noise_levels
from structdiff.errors import InputError


def test_network_input_and_target_have_variance_one_at_every_noise_level():
    scaling, generator = Preconditioning(), torch.Generator().manual_seed(0)
    for level in (0.01, 1.0, 16.0, 300.0, 2560.0):
        truth = 16 * torch.randn(1, 40000, 3, generator=generator, dtype=torch.float64)
        noisy = truth + level * torch.randn(1, 40000, 3, generator=generator, dtype=torch.float64)
        sigma = torch.tensor([level], dtype=torch.float64)
        assert scaling.network_input(noisy, sigma).std().item() == pytest.approx(1, rel=0.01)
        target = (truth - scaling.c_skip(sigma) * noisy) / scaling.c_out(sigma)
        assert target.std().item() == pytest.approx(1, rel=0.01)
        assert torch.allclose(scaling.denoised(noisy, target, sigma), truth)
        # The weighted loss on positions is the plain loss on the network's output.
        assert (scaling.loss_weight(sigma) * scaling.c_out(sigma) ** 2).item() == pytest.approx(1)


def test_an_untrained_network_that_says_zero_is_the_best_linear_denoiser():
    scaling, sigma = Preconditioning(), torch.tensor([0.5, 16.0, 1000.0])
    noisy = torch.randn(3, 5, 3, generator=torch.Generator().manual_seed(0))
    expected = noisy * (256 / (256 + sigma**2))[:, None, None]
    assert torch.allclose(scaling.denoised(noisy, torch.zeros(3, 5, 3), sigma), expected)


def test_c_noise_and_training_levels():
    scaling = Preconditioning()
    assert scaling.c_noise(torch.tensor([16.0, 16 * math.e**4])).tolist() == pytest.approx([0.0, 1.0])
    drawn = scaling.draw_sigma(50000, generator=torch.Generator().manual_seed(0))
    logs = (drawn / 16).log()
    assert logs.mean().item() == pytest.approx(-1.2, abs=4 * 1.5 / math.sqrt(50000))
    assert logs.std().item() == pytest.approx(1.5, rel=0.02)
    for wrong in ({"sigma_data": 0.0}, {"log_std": -1.0}):
        with pytest.raises(InputError):
            Preconditioning(**wrong)


@pytest.mark.parametrize("steps", [1, 2, 3, 20, 200])
def test_schedule_of_alphafold_3(steps):
    levels = noise_levels(steps)
    assert len(levels) == steps + 1
    assert levels[0] == 2560
    assert levels[-1] == 0
    assert all(high > low for high, low in itertools.pairwise(levels))
    if steps > 1:
        assert levels[-2] == 0.0064
        at = 1 / (steps - 1)
        assert levels[1] == pytest.approx(16 * (160 ** (1 / 7) + at * (4e-4 ** (1 / 7) - 160 ** (1 / 7))) ** 7)


class Constant:
    def __init__(self, value):
        self.value, self.calls = value, 0

    def __call__(self, positions, sigma, previous):
        self.calls += 1
        return torch.full_like(positions, self.value)


@pytest.mark.parametrize(
    ("weights", "expected", "calls"),
    [
        ({"a": 0.0, "b": 0.0}, 1.0, (1, 0, 0)),
        ({"a": 1.0, "b": 0.0}, 10.0, (0, 1, 0)),
        ({"a": 0.0, "b": 1.0}, 100.0, (0, 0, 1)),
        ({"a": 0.7, "b": 0.3}, 37.0, (0, 1, 1)),
        ({"a": 2.0, "b": 0.0}, 19.0, (1, 1, 0)),
        ({"a": 2.0, "b": 0.5}, 1 + 2 * 9 + 0.5 * 99, (1, 1, 1)),
        ({"a": -0.5, "b": 0.0}, 1 - 0.5 * 9, (1, 1, 0)),
        (0.5, 1 + 0.5 * 9 + 0.5 * 99, (0, 1, 1)),
    ],
)
def test_guidance_mixes_and_asks_only_whom_it_needs(weights, expected, calls):
    plain, a, b = Constant(1.0), Constant(10.0), Constant(100.0)
    result = guided(plain, {"a": a, "b": b}, weights)(torch.zeros(1, 2, 3), torch.ones(1), None)
    assert result.unique().tolist() == pytest.approx([expected], rel=1e-6)
    assert (plain.calls, a.calls, b.calls) == calls


def test_weight_one_hands_back_the_conditional_denoiser_itself():
    plain, conditional = Constant(1.0), Constant(2.0)
    assert guided(plain, {"motif": conditional}, 1.0) is conditional
    assert guided(plain, {"motif": conditional}, 0.0) is plain
    assert guided(plain, {}, 3.0) is plain


def test_wrong_weights_are_refused():
    with pytest.raises(InputError, match="did you mean 'motif'"):
        guidance_shares(["motif"], {"motive": 1.0})
    with pytest.raises(InputError, match=r"guidance\.motif: must be a finite number"):
        guidance_shares(["motif"], {"motif": math.nan})
    with pytest.raises(InputError, match="no weight for condition 'burial'"):
        guidance_shares(["motif", "burial"], {"motif": 1.0})


def test_a_dilated_schedule_takes_more_steps_in_the_middle():
    even, dilated = noise_levels(501), noise_levels(501, dilation=2.5)
    assert dilated == sorted(dilated, reverse=True)
    assert (dilated[0], dilated[-2:]) == (even[0], even[-2:])
    begin, end = even[300], even[400]  # 60 and 80 % of the way
    assert sum(end < level <= begin for level in even) == 100
    assert sum(end < level <= begin for level in dilated) == pytest.approx(250, abs=1)
    with pytest.raises(InputError, match=r"dilation: .*1 to less than 5"):
        noise_levels(50, dilation=5.0)

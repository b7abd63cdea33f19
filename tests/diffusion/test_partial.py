"""Partial diffusion begins at the level that is asked for, with the steps that are left from there."""

from __future__ import annotations

import pytest

from structdiff.diffusion.partial import partial_sampling
from structdiff.diffusion.sampler import SamplingConfig
from structdiff.diffusion.schedule import noise_levels
from structdiff.errors import InputError


def test_steps_are_those_that_the_schedule_has_left():
    config = SamplingConfig(steps=50, solver="euler")
    levels = noise_levels(50)
    found = partial_sampling(config, sigma=levels[30])
    assert found.sigma_max == levels[30]
    assert found.steps == 20


def test_a_share_of_the_steps_is_the_level_there():
    config = SamplingConfig(steps=40, solver="euler")
    levels = noise_levels(40)
    assert partial_sampling(config, share=0.25).sigma_max == levels[30]
    assert partial_sampling(config, share=1.0).sigma_max == levels[0]
    assert partial_sampling(config, share=0.25).steps == 10


def test_noise_that_the_solver_adds_is_counted():
    config = SamplingConfig(steps=40, solver="stochastic", churn=0.8)
    assert partial_sampling(config, sigma=9.0).sigma_max == pytest.approx(5.0)
    # Where no noise is added back any more, nothing is taken off.
    assert partial_sampling(config, sigma=1.0).sigma_max == 1.0


@pytest.mark.parametrize("sigma", [1e-9, 1e9])
def test_levels_that_the_schedule_does_not_have(sigma):
    with pytest.raises(InputError, match="noise"):
        partial_sampling(SamplingConfig(), sigma=sigma)

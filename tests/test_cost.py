"""The model of cost: more of anything never costs less, and the numbers are of the right size."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from structdiff.cost import docking_seconds, estimated_cost, estimated_memory, machine_factor, pieces_seconds
from structdiff.engine import guidance_passes
from structdiff.model.network import mini, tiny

sizes = st.integers(10, 2000)


@given(tokens=sizes, samples=st.integers(1, 16), passes=st.integers(1, 4))
def test_more_never_costs_less(tokens: int, samples: int, passes: int) -> None:
    here = estimated_cost(mini(), tokens, samples, steps=10, passes=passes)
    assert here.memory > 2e8  # the program itself
    assert here.seconds > 0
    for more in (
        estimated_cost(mini(), tokens + 10, samples, steps=10, passes=passes),
        estimated_cost(mini(), tokens, samples + 1, steps=10, passes=passes),
        estimated_cost(mini(), tokens, samples, steps=10, passes=passes + 1),
    ):
        assert more.memory >= here.memory
        assert more.seconds >= here.seconds
    without = estimated_cost(mini(), tokens, samples, steps=10, passes=passes, relax=False)
    assert without.seconds <= here.seconds
    assert here.seconds == pytest.approx(here.trunk + 10 * here.step + here.relax)
    prediction = estimated_cost(mini(), tokens, samples, steps=10, passes=passes, prediction=True)
    assert without.seconds < prediction.seconds < here.seconds  # designs are relaxed more than once


def test_memory_grows_with_the_square_of_the_tokens_and_with_the_network() -> None:
    small, large = (estimated_memory(mini(), tokens, 1) for tokens in (500, 1000))
    assert 3 < large / small < 4.2
    assert estimated_memory(tiny(), 500, 1) < small / 2
    assert machine_factor() > 0


@given(work=st.lists(st.floats(0, 1e9), min_size=3, max_size=3), atoms=st.integers(5, 100))
def test_pieces_that_are_asked_to_touch_cost_more_and_larger_ligands_too(work: list[float], atoms: int) -> None:
    most = np.array(work)
    asked, unasked = (pieces_seconds(most, asked=each) for each in (True, False))
    assert 0 <= unasked <= asked <= pieces_seconds(most + 1e6, asked=True)
    assert 0 < docking_seconds(atoms, 50) < docking_seconds(atoms + 1, 50) < docking_seconds(atoms + 1, 100)


def test_guidance_asks_several_times() -> None:
    assert guidance_passes(1.0, ["motif"]) == 1
    assert guidance_passes(2.0, []) == 1
    assert guidance_passes(2.0, ["motif"]) == 2
    assert guidance_passes({"motif": 2.0}, ["motif", "hotspots"]) == 4

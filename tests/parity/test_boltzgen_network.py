"""With the same parameters and inputs, our network of BoltzGen computes what its own does (parity_boltzgen.py)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.parity.boltz2_cases import own_outputs
from tests.parity.boltzgen_cases import draw_design_inputs, tiny_network

GOLDEN = Path(__file__).parents[1] / "golden" / "boltz" / "designs.npz"


@pytest.fixture(scope="module")
def found():
    return own_outputs(tiny_network(), draw_design_inputs())


@pytest.mark.parametrize("name", ["s_inputs", "s", "z", "denoised"])
def test_outputs_are_those_of_boltzgen(found, name):
    with np.load(GOLDEN, allow_pickle=False) as golden:
        wanted = golden[name]
    assert np.abs(wanted).max() > 0.1, "the golden numbers must be able to tell"
    np.testing.assert_allclose(found[name].numpy(), wanted, rtol=1e-4, atol=1e-4)

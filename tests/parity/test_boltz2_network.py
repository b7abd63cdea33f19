"""With the same parameters and inputs, our Boltz-2 computes what Boltz's does (benchmarks/parity_boltz2.py)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from structdiff.model.boltz.config import config_from_hyper_parameters
from tests.parity.boltz2_cases import draw_boltz_inputs, filled_network, hyper_parameters, own_outputs

GOLDEN = Path(__file__).parents[1] / "golden" / "boltz" / "network.npz"


@pytest.fixture(scope="module")
def found():
    network = filled_network(config_from_hyper_parameters(hyper_parameters()))
    return own_outputs(network, draw_boltz_inputs())


@pytest.mark.parametrize("name", ["s_inputs", "s", "z", "denoised", "plddt", "pae", "pde"])
def test_outputs_are_those_of_boltz(found, name):
    with np.load(GOLDEN, allow_pickle=False) as golden:
        wanted = golden[name]
    assert np.abs(wanted).max() > 0.1, "the golden numbers must be able to tell"
    np.testing.assert_allclose(found[name].numpy(), wanted, rtol=1e-4, atol=1e-4)

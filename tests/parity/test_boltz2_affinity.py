"""With the same parameters, our affinity modules say what Boltz's do (benchmarks/parity_boltz2_affinity.py)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from structdiff.model.boltz.config import config_from_hyper_parameters
from tests.parity.boltz2_affinity_cases import affinity_hyper_parameters, draw_affinity_inputs, own_affinities
from tests.parity.boltz2_cases import filled_network

GOLDEN = Path(__file__).parents[1] / "golden" / "boltz" / "affinity.npz"


@pytest.fixture(scope="module")
def found():
    network = filled_network(config_from_hyper_parameters(affinity_hyper_parameters()))
    return own_affinities(network, *draw_affinity_inputs())


@pytest.mark.parametrize("name", ["log10_ic50_1", "binder_logit_1", "log10_ic50_2", "binder_logit_2"])
def test_affinities_are_those_of_boltz(found, name):
    with np.load(GOLDEN, allow_pickle=False) as golden:
        wanted = golden[name]
    assert np.abs(wanted).min() > 0.01, "the golden numbers must be able to tell"
    np.testing.assert_allclose(found[name].numpy(), wanted, rtol=1e-4, atol=1e-5)

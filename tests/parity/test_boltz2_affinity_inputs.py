"""What is seen and said of a complex is what Boltz sees and says (benchmarks/parity_boltz2_affinity_inputs.py)."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest

from structdiff.model.boltz.config import config_from_hyper_parameters
from tests.parity.boltz2_affinity_cases import (
    COMPLEXES,
    affinity_hyper_parameters,
    affinity_job,
    complex_file,
    own_ensemble,
    seen_of,
)
from tests.parity.boltz2_cases import filled_network

GOLDEN = Path(__file__).parents[1] / "golden" / "boltz" / "affinity_inputs.npz"


@pytest.mark.parametrize("name", COMPLEXES)
def test_what_is_seen_and_said_is_as_in_boltz(name, tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a SMILES string whose atoms Boltz calls otherwise
        job = affinity_job(complex_file(name, tmp_path))
    with np.load(GOLDEN, allow_pickle=False) as golden:
        wanted = {key.partition(".")[2]: golden[key] for key in golden.files if key.startswith(f"{name}.")}
    assert np.array_equal(seen_of(job).tokens, wanted["seen"])
    assert wanted["seen"].all() == (name == "whole")
    network = filled_network(config_from_hyper_parameters(affinity_hyper_parameters()))
    found = {key: value.numpy() for key, value in own_ensemble(network, job).items()}
    for key, value in found.items():
        np.testing.assert_allclose(value, wanted[key], rtol=1e-4, atol=1e-5)
    assert found.keys() == {"iptm", "value1", "value2", "probability1", "probability2"}
    assert np.ptp(wanted["iptm"]) > 0.001, "the best structure must be told from the others"
    assert wanted["value"] == pytest.approx((wanted["value1"] + wanted["value2"]) / 2, abs=1e-6)
    assert wanted["probability"] == pytest.approx((wanted["probability1"] + wanted["probability2"]) / 2, abs=1e-6)

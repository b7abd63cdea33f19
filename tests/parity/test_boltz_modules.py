"""With the same parameters, our trunk modules compute what Boltz-2's do (numbers from benchmarks/parity_boltz.py)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.parity.boltz_cases import CASES, TINY

GOLDEN = Path(__file__).parents[1] / "golden" / "boltz" / "trunk_modules.npz"


@pytest.mark.parametrize("name", CASES)
def test_module_agrees_with_boltz(name):
    with np.load(GOLDEN, allow_pickle=False) as golden:
        expected = [golden[key] for key in golden.files if key.rsplit(".", 1)[0] == name]
    outputs = CASES[name].outputs(TINY)
    assert len(expected) == len(outputs)
    for ours, theirs in zip(outputs, expected, strict=True):
        assert np.abs(theirs).max() > 0.1, "the golden numbers must be able to tell"
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-5)

"""Acids and bases are told in their neutral form; what cannot be neutral stays as it is."""

from __future__ import annotations

import pytest

from structdiff.chemistry.neutral_form import neutral_smiles


@pytest.mark.parametrize(
    ("smiles", "neutral"),
    [
        ("CC(=O)[O-]", "CC(=O)O"),
        ("C[NH3+]", "CN"),
        ("OC(=O)C", None),
        ("C[N+](C)(C)C", None),
        ("CC(C)[N+](=O)[O-]", None),
        ("C[N+](C)(C)CC([O-])=O", None),
    ],
)
def test_what_boltz_makes_of_charges(smiles, neutral):
    """The same as the boltz package (2.2.1) makes of them."""
    assert neutral_smiles(smiles) == neutral

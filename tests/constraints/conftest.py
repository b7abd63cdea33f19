"""Structures that several tests of this folder use."""

from __future__ import annotations

import pytest

from tests.constraints.real_structures import resolved


@pytest.fixture(scope="module")
def crambin():
    return resolved("evaluation/data/1crn.pdb")


@pytest.fixture(scope="module")
def duplex():
    return resolved("data/1bna.pdb.gz")

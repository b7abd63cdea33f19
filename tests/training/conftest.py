"""A small collection of real structures, as a training set."""

from __future__ import annotations

from pathlib import Path

import pytest

from structdiff.training.converter import convert_structures
from structdiff.training.dataset import StructureSet

COLLECTION = Path(__file__).parent / "data" / "collection"


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("set") / "out"
    convert_structures(COLLECTION, out, progress=False)
    return out


@pytest.fixture(scope="module")
def structures(data) -> StructureSet:
    """The training split of it."""
    return StructureSet(data, "train")

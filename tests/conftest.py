"""For all tests: shapes of tensors are checked as types, and one thread a process, as tests run side by side."""

from __future__ import annotations

import pytest
import torch
from jaxtyping import install_import_hook

#: Where arguments and results are tensors whose shapes are written down. Not checked are the packages of plain data,
#: where NumPy's numbers stand for Python's, and what the tests of wrong input call with wrong types.
SHAPES_CHECKED = ("geometry", "kernels", "nn", "model", "features", "confidence", "inverse_folding")

# Before any of them is imported.
install_import_hook([f"structdiff.{name}" for name in SHAPES_CHECKED], "beartype.beartype")


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)

"""For all tests: shapes are checked as types, and one thread a process, since tests run side by side."""

from __future__ import annotations

import pytest
import torch
from jaxtyping import install_import_hook

# Before anything of structdiff is imported: calls with arrays of wrong shape or type then fail.
install_import_hook("structdiff", "beartype.beartype")


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)

"""The CUDA kernels compiled for the host, once a session."""

from __future__ import annotations

import fcntl
import os

import pytest

from tests.kernels.emulation.build import build, opened


@pytest.fixture(scope="session")
def emulation_folder(tmp_path_factory):
    """Where the library and the objects that it is made of are."""
    # Processes that share the tests out (pytest -n) share one build.
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "emulation"
    folder.mkdir(exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "libemulation.so").exists():
            build(folder)
    return folder


@pytest.fixture(scope="session")
def library(emulation_folder):
    return opened(emulation_folder / "libemulation.so")

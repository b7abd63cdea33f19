"""Whose threads the kernels run on: PyTorch's where those are OpenMP's, else their own; the bits are the same."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import torch

from structdiff import kernels
from structdiff.kernels import libraries
from tests.kernels.contract import native_only, needs_native  # noqa: F401

ROOT = Path(__file__).parents[2]
needs_openmp = pytest.mark.skipif(libraries.team() is None, reason="PyTorch is here without OpenMP")

_START = """
import os, signal, threading, torch
from structdiff import kernels
torch.set_num_threads(2)
generator = torch.Generator().manual_seed(0)
q, k, v = torch.randn(3, 1, 40, 40, 2, 8, generator=generator)
bias = torch.randn(1, 2, 40, 40, generator=generator)
large = torch.randn(1 << 20, generator=generator)
def tasks():
    return len(os.listdir("/proc/self/task"))
def attend():
    return kernels.triangle_attention(q, k, v, bias)
large.exp()
"""
_FORKS = """
child = os.fork()
if child == 0:
    signal.alarm(60)
    os._exit(not torch.equal(attend(), expected))
assert os.waitpid(child, 0)[1] == 0
"""


def run(program: str) -> None:
    """In a process of its own."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", _START + program]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120, check=False)
    assert done.returncode == 0, done.stderr


@pytest.fixture
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@needs_native
@needs_openmp
@pytest.mark.skipif(sys.platform != "linux", reason="counts threads as Linux shows them")
def test_kernels_start_no_threads_beside_those_of_pytorch():
    run("before = tasks(); attend(); assert tasks() == before, (before, tasks())")


@needs_native
@needs_openmp
def test_own_threads_and_those_of_pytorch_give_the_same_bits(native_only, two_threads):  # noqa: F811
    q, k, v = torch.randn(3, 1, 40, 40, 2, 8)
    bias = torch.randn(1, 2, 40, 40)
    shared = kernels.triangle_attention(q, k, v, bias)
    library = libraries.load("cpu")
    assert library is not None
    libraries.share_threads(library, None)
    try:
        own = kernels.triangle_attention(q, k, v, bias)
    finally:
        libraries.share_threads(library, libraries.team())
    assert torch.equal(shared, own)


@needs_native
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork()")
def test_a_child_computes_as_its_parent_does():
    run("expected = attend()\n" + _FORKS)


@needs_native
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork()")
def test_a_child_that_opens_the_library_itself_computes():
    # As if the parent had not called a kernel before.
    run("""
from structdiff.kernels import native
kernels.set_mode("reference"); expected = attend(); kernels.set_mode(None)
child = os.fork()
if child == 0:
    signal.alarm(60)
    kernels.set_mode("native")
    os._exit(not torch.allclose(attend(), expected, atol=1e-5))
assert os.waitpid(child, 0)[1] == 0
""")


@needs_native
def test_callers_in_several_threads(native_only, two_threads):  # noqa: F811
    q, k, v = torch.randn(3, 1, 40, 40, 2, 8)
    bias = torch.randn(1, 2, 40, 40)
    expected = kernels.triangle_attention(q, k, v, bias)
    found = []

    def call() -> None:
        found.extend(torch.equal(kernels.triangle_attention(q, k, v, bias), expected) for _ in range(20))

    threads = [threading.Thread(target=call) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [True] * 60

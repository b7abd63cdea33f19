"""The compiled libraries say what they were made of."""

import shutil
from pathlib import Path

import pytest

from structdiff.kernels import libraries, native
from tests.kernels.contract import needs_native


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """Sources of which no library was made, beside the package."""
    sources = Path(__file__).parents[2] / "csrc"
    shutil.copytree(sources, tmp_path / "csrc", ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(libraries, "_SOURCES", tmp_path / "csrc")
    libraries.outdated.cache_clear()
    yield tmp_path / "csrc"
    libraries.outdated.cache_clear()


@needs_native
def test_sources_that_changed_after_the_library_was_built_are_told(checkout):
    library = libraries.load("cpu")
    assert library is not None
    (checkout / "common" / "abi.h").write_text("// another contract\n")
    assert libraries.outdated("cpu")
    assert "not of the present csrc/: install again" in native.where("triangle_attention")
    # So is an operator that came after the library.
    came_later = native.where("operator_to_come")
    assert came_later.startswith("cpu: reference (PyTorch), since the library is not of the present csrc/: install")


@needs_native
def test_a_library_without_its_sources_beside_it_is_not_doubted(checkout):
    shutil.rmtree(checkout)
    assert not libraries.outdated("cpu")
    assert "install again" not in native.where("triangle_attention")


def test_the_sources_of_one_device_do_not_make_the_other_ones_library_old(checkout):
    import runpy

    def hashes():
        told = runpy.run_path(str(checkout / "source_hash.py"))["source_hash"]
        return told("cpu"), told("cuda")

    before = hashes()
    (checkout / "common" / "new.cu").write_text("// a kernel\n")
    cpu, cuda = hashes()
    assert cpu == before[0]
    assert cuda != before[1]


def test_a_library_that_cannot_be_opened_is_told(tmp_path, caplog):
    """The run goes on with PyTorch, and nothing said why it was slow."""
    broken = tmp_path / "libstructdiff_cpu_x86_64_v2.so"
    broken.write_text("half a file")
    library, problem = libraries._opened(broken)
    assert library is None
    assert problem is not None
    assert caplog.messages == [f"{problem}; PyTorch runs in place of native kernels"]

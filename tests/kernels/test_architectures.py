"""What the CUDA kernels are compiled for."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest


@pytest.fixture
def architectures(tmp_path, monkeypatch):
    """What is chosen on a machine whose nvidia-smi says so."""
    path = Path(__file__).parents[2] / "csrc" / "build_kernels.py"
    spec = importlib.util.spec_from_file_location("build_kernels_under_test", path)
    assert spec is not None
    assert spec.loader is not None
    build = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, build)
    spec.loader.exec_module(build)
    monkeypatch.delenv("STRUCTDIFF_CUDA_ARCHITECTURES", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")

    def chosen(said):
        program = tmp_path / "nvidia-smi"
        program.write_text("#!/bin/sh\n" + "".join(f"echo {line}\n" for line in said))
        program.chmod(0o755)
        return build.cuda_architectures()

    return chosen


@pytest.mark.parametrize(
    ("said", "chosen"),
    [
        (["9.0", "9.0"], [("90a", "sm_90a")]),
        (["8.0", "9.0", "7.5"], [("80", "sm_80"), ("90a", "sm_90a")]),
        (["7.5"], [("80", "sm_80"), ("80", "compute_80")]),
    ],
)
def test_hopper_is_compiled_with_the_instructions_that_only_it_has(architectures, said, chosen):
    assert architectures(said) == chosen

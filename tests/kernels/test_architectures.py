"""What the kernels are compiled for."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest


@pytest.fixture
def build(monkeypatch):
    """The script that builds, as a module."""
    path = Path(__file__).parents[2] / "csrc" / "build_kernels.py"
    spec = importlib.util.spec_from_file_location("build_kernels_under_test", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, module)
    monkeypatch.syspath_prepend(path.parent)  # for the modules beside it
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def architectures(build, tmp_path, monkeypatch):
    """What is chosen on a machine whose nvidia-smi says so."""
    monkeypatch.delenv("STRUCTDIFF_CUDA_ARCHITECTURES", raising=False)
    monkeypatch.delenv("STRUCTDIFF_CUDA", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")

    def says(name, lines):
        program = tmp_path / name
        program.write_text("#!/bin/sh\n" + "".join(f"echo {line}\n" for line in lines))
        program.chmod(0o755)
        return str(program)

    def chosen(said, known=()):
        says("nvidia-smi", said)
        monkeypatch.setenv("NVCC", says("nvcc", known))
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


@pytest.mark.parametrize(
    ("said", "chosen"),
    [
        (["12.0"], [("80", "compute_80")]),
        (["8.9", "12.0"], [("89", "sm_89"), ("80", "compute_80")]),
        (["9.0"], [("90a", "sm_90a")]),
    ],
)
def test_gpus_that_are_newer_than_the_compiler_take_ptx(architectures, said, chosen):
    """Of an nvcc before 12.8, say: it refuses the name, and there were no kernels for CUDA at all."""
    assert architectures(said, ["sm_80", "sm_86", "sm_89", "sm_90"]) == chosen


def test_libraries_are_those_of_the_machine_that_is_built_for(build, monkeypatch, tmp_path):
    def libraries():
        return {each.library for each in build.cpu_compilations(["c++"], tmp_path, strict=False)}

    monkeypatch.setattr(build.platform, "machine", lambda: "x86_64")
    monkeypatch.delenv("_PYTHON_HOST_PLATFORM", raising=False)
    assert libraries() == {f"libstructdiff_cpu_x86_64_v{level}.so" for level in (2, 3, 4)}
    monkeypatch.setenv("_PYTHON_HOST_PLATFORM", "linux-aarch64")
    assert libraries() == {"libstructdiff_cpu_arm64.so"}
    monkeypatch.setattr(build.platform, "machine", lambda: "AMD64")
    monkeypatch.setenv("_PYTHON_HOST_PLATFORM", "")
    assert build.machine() == "x86_64"

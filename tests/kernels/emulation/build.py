"""The CUDA kernels compiled for the host: the sources of csrc/, with tests/kernels/emulation/ in the place of a GPU."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

HERE = Path(__file__).parent
SOURCES = HERE.parents[2] / "csrc"
FLAGS = ["-std=c++17", "-fPIC", "-Wall", "-Wextra", "-Werror", "-Wno-unknown-pragmas"]


def compiler() -> str | None:
    return shutil.which(os.environ.get("CXX", "g++"))


def compile_unit(unit: Path, target: Path, sources: Path = SOURCES) -> Path:
    """One object file; what it includes is taken from ``sources``."""
    # Kernels are compiled quickly, the machine that runs them well: most of the time is spent in it.
    level = "-O1" if unit.parent == HERE else "-O0"
    command = [
        compiler() or "g++",
        *FLAGS,
        level,
        f"-I{sources}",
        f"-I{HERE.parent}",
        "-x",
        "c++",
        "-c",
        unit,
        "-o",
        target,
    ]
    subprocess.run(command, check=True)
    return target


def link(objects: list[Path], library: Path) -> Path:
    subprocess.run([compiler() or "g++", "-shared", *objects, "-o", library], check=True)
    return library


def build(folder: Path) -> Path:
    """Compiles and links; returns the library. The objects stay beside it."""
    units = [*sorted(SOURCES.glob("*/*.cu")), *sorted(HERE.glob("*.cpp"))]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        objects = list(pool.map(lambda unit: compile_unit(unit, folder / f"{unit.parent.name}_{unit.stem}.o"), units))
    return link(objects, folder / "libemulation.so")


def sabotaged(
    folder: Path, target: Path, file: str, right: str, wrong: str, unit: str = "triangle_attention/cuda_hopper.cu"
) -> Path:
    """The library of ``build(folder)`` with one mistake put into what ``unit`` is compiled of, in ``target``."""
    sources = target / "csrc"
    shutil.copytree(SOURCES, sources, ignore=shutil.ignore_patterns("*.cpp", "*.py", "*.md"))
    path = sources / file
    text = path.read_text()
    assert text.count(right) == 1, f"{file} has {text.count(right)} times: {right}"
    path.write_text(text.replace(right, wrong))
    changed = compile_unit(sources / unit, target / "changed.o", sources)
    others = [path for path in folder.glob("*.o") if path.stem != unit.replace("/", "_").removesuffix(".cu")]
    # First, since of functions that several objects hold the first one is taken.
    return link([changed, *others], target / "libsabotaged.so")


def opened(path: Path) -> ctypes.CDLL:
    library = ctypes.CDLL(str(path))
    library.structdiff_emulation_take_fault.restype = ctypes.c_char_p
    library.structdiff_emulation_launches.restype = ctypes.c_int64
    return library

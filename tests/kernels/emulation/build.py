"""The CUDA kernels compiled for the host: the sources of csrc/, with tests/kernels/emulation/ in the place of a GPU."""

from __future__ import annotations

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


def build(folder: Path) -> Path:
    """Compiles and links; returns the library."""
    units = [*sorted(SOURCES.glob("*/*.cu")), *sorted(HERE.glob("*.cpp"))]

    def compiled(unit: Path) -> Path:
        target = folder / f"{unit.parent.name}_{unit.stem}.o"
        command = [
            compiler() or "g++",
            *FLAGS,
            f"-I{SOURCES}",
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

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        objects = list(pool.map(compiled, units))
    library = folder / "libemulation.so"
    subprocess.run([compiler() or "g++", "-shared", *objects, "-o", library], check=True)
    return library

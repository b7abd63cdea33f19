"""Compiles csrc/ into shared libraries inside structdiff/kernels/, with nothing but the compilers that are there.

One library for each level of the processor (structdiff/kernels/libraries.py picks one at run time), and one for CUDA
where there is nvcc. What cannot be compiled is left out with a line that says so: the operators then run in PyTorch.

Environment: CXX the C++ compiler, CXXFLAGS more flags; STRUCTDIFF_NATIVE=0 builds nothing; STRUCTDIFF_CUDA=0 leaves out
CUDA, NVCC is its compiler, STRUCTDIFF_CUDA_ARCHITECTURES its architectures: "all", or some (80;90a, say). By default
those of the GPUs in this machine; where there are none 80 and its PTX, which every later GPU takes; for those that nvcc
does not know yet PTX.
"""

from __future__ import annotations

import os
import platform
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from setuptools import Command
from source_hash import SOURCES, source_hash

PACKAGE = Path("structdiff") / "kernels"
CUDA_LIBRARY = "libstructdiff_cuda.so"

# Not -march=x86-64-v3: compilers before GCC 11 and Clang 12 do not know it.
_V2 = ["-msse4.2", "-mssse3", "-mpopcnt", "-mcx16"]
_V3 = [*_V2, "-mavx2", "-mfma", "-mf16c", "-mbmi", "-mbmi2", "-mlzcnt", "-mmovbe"]
_V4 = [*_V3, "-mavx512f", "-mavx512bw", "-mavx512cd", "-mavx512dq", "-mavx512vl", "-mprefer-vector-width=512"]
_LEVELS = {
    "x86_64": {"x86_64_v2": _V2, "x86_64_v3": _V3, "x86_64_v4": _V4},
    "arm64": {"arm64": []},
}
_FLAGS = ["-std=c++17", "-O3", "-fPIC", "-fvisibility=hidden", "-fno-math-errno", "-fno-trapping-math", "-pthread"]
_WARNINGS = ["-Wall", "-Wextra"]

# Beside them PTX of compute_80, for what is newer. Each takes as long to compile as the first.
_ARCHITECTURES = ("80", "86", "89", "90a", "100", "120")


@dataclass(frozen=True)
class Compilation:
    """One object file: the command that makes it, and the library that it goes into."""

    library: str
    source: Path
    object_file: Path
    command: list[str]


def machine() -> str:
    """The processor's family, by the names used here; what is unknown stays as the system says it.

    That of another machine where _PYTHON_HOST_PLATFORM names one ("linux-aarch64"), as builds for other machines do.
    """
    name = os.environ.get("_PYTHON_HOST_PLATFORM", "").rpartition("-")[2].lower() or platform.machine().lower()
    return {"amd64": "x86_64", "aarch64": "arm64"}.get(name, name)


def compiler() -> list[str] | None:
    """The C++ compiler's command, or None where there is none or none is wanted."""
    if os.environ.get("STRUCTDIFF_NATIVE") == "0" or sys.platform == "win32" or machine() not in _LEVELS:
        return None
    asked = os.environ.get("CXX")
    configured = sysconfig.get_config_var("CXX")
    candidates = [asked] if asked else [configured, "g++", "clang++", "c++"]
    for candidate in filter(None, candidates):
        words = shlex.split(candidate)
        if shutil.which(words[0]):
            return words[:1] if candidate == configured else words
    return None


def has_compiler() -> bool:
    """Whether anything native will be built."""
    return compiler() is not None


def nvcc() -> str | None:
    """The CUDA compiler, or None where there is none or none is wanted."""
    if os.environ.get("STRUCTDIFF_CUDA") == "0":
        return None
    home = os.environ.get("CUDA_HOME") or os.environ.get("CUDA_PATH") or "/usr/local/cuda"
    return shutil.which(os.environ.get("NVCC", "nvcc")) or shutil.which(str(Path(home) / "bin" / "nvcc"))


def cpu_compilations(command: list[str], folder: Path, *, strict: bool) -> Iterator[Compilation]:
    """Every C++ source at every level of this processor."""
    flags = [*_FLAGS, *_WARNINGS, *(["-Werror"] if strict else []), *shlex.split(os.environ.get("CXXFLAGS", ""))]
    flags += [f"-I{SOURCES}", f'-DSTRUCTDIFF_SOURCE_HASH="{source_hash("cpu")}"']
    for level, level_flags in _LEVELS[machine()].items():
        for source in sorted(SOURCES.glob("*/*.cpp")):
            object_file = folder / f"{level}_{source.parent.name}_{source.stem}.o"
            full = [*command, *flags, *level_flags, "-c", str(source), "-o", str(object_file)]
            yield Compilation(f"libstructdiff_cpu_{level}.so", source, object_file, full)


def cuda_architectures() -> list[tuple[str, str]]:
    """What to compile for: the virtual architecture, and the real one or PTX."""
    asked = os.environ.get("STRUCTDIFF_CUDA_ARCHITECTURES", "")
    if asked and asked != "all":
        return [(each, f"sm_{each}") for each in asked.replace(",", ";").split(";")]
    ptx = ("80", "compute_80")
    if not asked and (here := _architectures_here()):
        known = _architectures_of_compiler()
        taken = [(each, f"sm_{each}") for each in here if not known or each.rstrip("a") in known]
        return taken if len(taken) == len(here) else [*taken, ptx]
    return [*((each, f"sm_{each}") for each in (_ARCHITECTURES if asked else ("80",))), ptx]


def _architectures_here() -> list[str]:
    """Those of this machine's GPUs, as far as the kernels run on them."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return []
    command = [program, "--query-gpu=compute_cap", "--format=csv,noheader"]
    said = subprocess.run(command, capture_output=True, text=True, check=False)
    found = {line.strip().replace(".", "") for line in said.stdout.splitlines() if said.returncode == 0}
    # Instructions of Hopper alone (wgmma) are in 9.0a only.
    usable = sorted((each for each in found if each.isdigit() and int(each) >= 80), key=int)
    return ["90a" if each == "90" else each for each in usable]


def _architectures_of_compiler() -> set[str]:
    """Those that nvcc knows, nothing where it does not say: a GPU may be newer than it, and takes PTX then."""
    command = nvcc()
    if command is None:
        return set()
    said = subprocess.run([command, "--list-gpu-code"], capture_output=True, text=True, check=False)
    return {line.strip().removeprefix("sm_") for line in said.stdout.split() if said.returncode == 0}


def cuda_compilations(command: str, folder: Path, *, strict: bool) -> Iterator[Compilation]:
    """Every CUDA source, for all architectures in one object."""
    flags = [f"-gencode=arch=compute_{each},code={code}" for each, code in cuda_architectures()]
    flags += ["-std=c++17", "-O3", "-Xcompiler=-fPIC,-fvisibility=hidden", "-cudart=static", f"-I{SOURCES}"]
    flags += [f'-DSTRUCTDIFF_SOURCE_HASH="{source_hash("cuda")}"', *(["-Werror=all-warnings"] if strict else [])]
    for source in sorted(SOURCES.glob("*/*.cu")):
        object_file = folder / f"cuda_{source.parent.name}_{source.stem}.o"
        full = [command, *flags, "-c", str(source), "-o", str(object_file)]
        yield Compilation(CUDA_LIBRARY, source, object_file, full)


def run_commands(compilations: list[Compilation]) -> dict[str, str]:
    """Runs them side by side; returns what the compiler said for each library that failed."""
    failed: dict[str, str] = {}

    def compiled(each: Compilation) -> None:
        result = subprocess.run(each.command, capture_output=True, text=True, check=False)
        if result.returncode:
            failed[each.library] = f"{shlex.join(each.command)}\n{result.stderr.strip()}"
        elif result.stderr.strip():
            print(result.stderr.strip(), file=sys.stderr)

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    with ThreadPoolExecutor(cores) as pool:
        list(pool.map(compiled, compilations))
    return failed


def link_command(library: str, objects: list[str], target: Path) -> list[str]:
    """The command that makes a library of its objects."""
    if library == CUDA_LIBRARY:
        return [nvcc() or "nvcc", "-shared", "-cudart=static", *objects, "-o", str(target)]
    return [*(compiler() or []), "-shared", "-pthread", *objects, "-o", str(target)]


class BuildKernels(Command):
    """Compiles csrc/ into the package (a step of ``build``)."""

    description = "compile the native kernels"
    user_options = [
        ("inplace", "i", "put the libraries into the source tree"),
        ("strict", None, "warnings and failures are errors"),
    ]
    boolean_options = ["inplace", "strict"]
    editable_mode = False

    def initialize_options(self) -> None:
        """Sets the defaults."""
        self.build_lib: str | None = None
        self.inplace = False
        self.strict = False

    def finalize_options(self) -> None:
        """Takes the folder of the build from ``build``."""
        self.set_undefined_options("build_py", ("build_lib", "build_lib"))

    def _folder(self) -> Path:
        return PACKAGE if self.inplace or self.editable_mode else Path(str(self.build_lib)) / PACKAGE

    def run(self) -> None:
        """Compiles and links every library, each apart from the others' failures."""
        folder, started = self._folder(), time.monotonic()
        folder.mkdir(parents=True, exist_ok=True)
        command, cuda = compiler(), nvcc()
        if command is None:
            self._say("no C++ compiler: the operators run in PyTorch, slower; install one and install again")
            if self.strict:
                raise SystemExit("no C++ compiler")
            return
        with tempfile.TemporaryDirectory() as temporary:
            objects = Path(temporary)
            work = list(cpu_compilations(command, objects, strict=self.strict))
            if cuda is not None:
                work = [*cuda_compilations(cuda, objects, strict=self.strict), *work]
            failed = run_commands(work)
            for library in dict.fromkeys(each.library for each in work):
                if library not in failed:
                    self._link(library, [str(each.object_file) for each in work if each.library == library], failed)
        self._report(failed, time.monotonic() - started)

    def _link(self, library: str, objects: list[str], failed: dict[str, str]) -> None:
        # Written beside and moved into place: a program that runs keeps the library that it has open.
        partial = self._folder() / f"{library}.partial"
        result = subprocess.run(link_command(library, objects, partial), capture_output=True, text=True, check=False)
        if result.returncode:
            failed[library] = result.stderr.strip()
        else:
            partial.replace(self._folder() / library)
            self._say(f"built {self._folder() / library}")

    def _report(self, failed: dict[str, str], seconds: float) -> None:
        for library, message in failed.items():
            self._say(f"{library} could not be built; its operators run in PyTorch:\n{message}")
        self._say(f"kernels done in {seconds:.0f} s")
        if failed and self.strict:
            raise SystemExit("kernels could not be built")

    def _say(self, text: str) -> None:
        print(f"structdiff: {text}", file=sys.stderr, flush=True)

    def get_outputs(self) -> list[str]:
        """The libraries that were built."""
        return [str(path) for path in sorted(self._folder().glob("libstructdiff_*.so"))]

    def get_output_mapping(self) -> dict[str, str]:
        """Nothing is copied from the source tree."""
        return {}

    def get_source_files(self) -> list[str]:
        """What a source distribution must hold."""
        return [str(path) for path in sorted(SOURCES.rglob("*")) if path.is_file() and "__pycache__" not in path.parts]

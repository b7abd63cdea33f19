"""Registers and spills of every CUDA kernel, as ptxas reports them: the table in docs/kernels.md.

    python csrc/cuda_registers.py [80 90a ...] [--logs FOLDER]

Compiles the CUDA sources for each architecture with warnings as errors, as are serialized wgmma products. With --logs,
what ptxas said is kept in that folder, and what lies there already is read instead of compiling again. Needs binutils
(c++filt).
"""

from __future__ import annotations

import argparse
import re
import subprocess
import tempfile
from pathlib import Path

from build_kernels import SOURCES, nvcc

_ENTRY = re.compile(r"Compiling entry function '(\w+)'")
_SPILLS = re.compile(r"(\d+) bytes spill stores, (\d+) bytes spill loads")
_REGISTERS = re.compile(r"Used (\d+) registers")


def kernel_name(mangled: str) -> str:
    """``Forward<bfloat16, 32>`` of a mangled name."""
    plain = subprocess.run(["c++filt", mangled], capture_output=True, text=True, check=True).stdout
    inside = re.search(r"entry<(.*)>\(", plain.replace("structdiff::gpu::", ""))
    return inside[1].strip() if inside else mangled


def report(source: Path, architecture: str, logs: Path) -> dict[str, tuple[int, int]]:
    """Registers of a thread, and spilled bytes (stored and loaded), by kernel."""
    log = logs / f"{source.parent.name}_{source.stem}.{architecture}.log"
    if not log.exists():
        flags = ["-std=c++17", "-O3", f"-I{SOURCES}", "-Werror=all-warnings", "-Xptxas=-v"]
        target = f"-gencode=arch=compute_{architecture},code=sm_{architecture}"
        with tempfile.TemporaryDirectory() as folder:
            command = [nvcc() or "nvcc", *flags, target, "-c", str(source), "-o", f"{folder}/x.o"]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
        log.write_text(done.stdout + done.stderr)
    # ptxas only remarks on it, but a product of a warpgroup that is waited for at once costs half the speed.
    if "wgmma.mma_async instructions are serialized" in log.read_text():
        raise SystemExit(f"{source}, {architecture}: products of warpgroups are serialized, see {log}")
    found, name, spilled = {}, "", 0
    for line in log.read_text().splitlines():
        if entry := _ENTRY.search(line):
            name = kernel_name(entry[1])
        elif spills := _SPILLS.search(line):
            spilled = int(spills[1]) + int(spills[2])
        elif registers := _REGISTERS.search(line):
            found[name] = int(registers[1]), spilled
    return found


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("architectures", nargs="*", default=["80", "90a"])
    parser.add_argument("--logs", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        logs = options.logs or Path(temporary)
        logs.mkdir(parents=True, exist_ok=True)
        rows: dict[str, dict[str, str]] = {}
        for source in sorted(SOURCES.glob("*/*.cu")):
            for architecture in options.architectures:
                for name, (registers, spilled) in report(source, architecture, logs).items():
                    text = f"{registers} ({spilled} B spilled)" if spilled else str(registers)
                    rows.setdefault(name, {})[architecture] = text
    print("| kernel | " + " | ".join(f"sm_{each}" for each in options.architectures) + " |")
    print("|---" * (len(options.architectures) + 1) + "|")
    for name, row in sorted(rows.items()):
        print(f"| {name} | " + " | ".join(row.get(each, "") for each in options.architectures) + " |")


if __name__ == "__main__":
    main()

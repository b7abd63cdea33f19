"""Time and peak memory of whole commands on this machine, each in a process of its own.

    python benchmarks/cost.py [--json OUT] [--repeats 3]

Two processor cores are assumed; compare only figures of one run.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
_SEQUENCE = (
    "MKTAYIAKQRQISFVKSHFSRQLEERLGLIEVQAPILSRVGDGTQDNLSGAEKAVQVKVKALPDAQFEVVHSLAKWKRQTLGQHDFSAGEGLYTHMKALRPDEDRLSPL"
    "HSVYVDQWDWE"
)

COMMANDS = {
    "design, motif, 4 x 55-65 residues": [
        "design", "--motif", str(ROOT / "examples/5tpn_site_v.pdb"), "--contigs", "10-40/A163-181/10-40",
        "--length", "55-65", "--num-designs", "4",
    ],
    "design, unconditional, 4 x 100 residues": ["design", "--contigs", "100", "--num-designs", "4"],
    "predict, protein + DNA + ligand": ["predict", str(ROOT / "examples/metj.fasta")],
    "predict, protein of 256 residues": ["predict", "256.fasta"],
}  # fmt: skip


def measure(arguments: list[str]) -> tuple[float, float]:
    """Wall seconds and peak memory (MiB) of one command."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "256.fasta").write_text(f">A|protein\n{(_SEQUENCE * 3)[:256]}\n")
        command = [sys.executable, "-m", "structdiff", *arguments, "--out", "out", "--quiet"]
        with open(os.devnull, "w") as nothing:
            began = time.monotonic()
            process = subprocess.Popen(command, cwd=folder, stdout=nothing)
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            if process.returncode:
                raise SystemExit(f"failed ({process.returncode}): {' '.join(command)}")
        return time.monotonic() - began, usage.ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    results = {"machine": f"{platform.machine()}, {os.cpu_count()} cores", "commands": {}}
    for name, arguments in COMMANDS.items():
        runs = [measure(arguments) for _ in range(options.repeats)]
        seconds, memory = zip(*runs, strict=True)
        row = {
            "seconds_median": round(statistics.median(seconds), 1),
            "seconds_range": [round(min(seconds), 1), round(max(seconds), 1)],
            "peak_mib": round(max(memory)),
        }
        results["commands"][name] = row
        print(f"{name}: {row['seconds_median']} s ({row['seconds_range'][0]} to {row['seconds_range'][1]}), "
              f"{row['peak_mib']} MiB", flush=True)  # fmt: skip
    if options.json:
        options.json.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()

"""How much a campaign gets done: designs an hour, one worker against two, and what the manifest costs.

    OMP_NUM_THREADS=1 python benchmarks/campaign.py [--designs 4] [--steps 10] [--json benchmarks/results/campaign.json]

Designs of 100 residues from nothing, by the command, once with --workers 1 and once with --workers 2, start of the
processes included; refolding and judging are left out, as their time is that of the predictor. Beside it stands what
the machine itself gains from a second process. The manifest's share is the time of its calls (taking work, recording
it) for a row, beside the time of a design. Rows are listed as ``structdiff campaign status`` lists them, and with
their results. Run it on a machine that does nothing else.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from structdiff.campaign.manifest import Manifest
from structdiff.campaign.work import NewWork
from structdiff.structure.files import write_atomically

RESIDUES = 100


def designed(workers: int, given: argparse.Namespace) -> float:
    """Seconds that the command takes."""
    with tempfile.TemporaryDirectory() as folder:
        command = [
            sys.executable, "-m", "structdiff", "design", "--length", str(RESIDUES), "-n", str(given.designs),
            "--steps", str(given.steps), "--batch-size", "1", "--refold", "none", "--judge", "none",
            "--sequence-model", "own", "--workers", str(workers), "--out", folder, "--quiet",
        ]  # fmt: skip
        began = time.perf_counter()
        subprocess.run(command, check=True)
        return time.perf_counter() - began


def machine_ratio(seconds: float = 3.0) -> float:
    """Products of matrices that two processes of one thread do, in times of what one does: cores may share a lot."""
    code = (f"import time, torch; torch.set_num_threads(1); a = torch.ones(384, 384); n, t = 0, time.time() + {seconds}"
            "\nwhile time.time() < t: a @ a; n += 1\nprint(n)")  # fmt: skip

    def done(count: int) -> int:
        runs = [subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) for _ in range(count)]
        return sum(int(run.communicate()[0]) for run in runs)

    return done(2) / done(1)


def manifest_seconds(rows: int) -> tuple[float, float, float]:
    """Seconds for each row that is taken and recorded; of listing all states, and all results, of that many rows."""
    asked = {"spec": {"contigs": "100"}, "seed": 0}
    result = {"columns": {f"c{place}": 1.0 for place in range(30)}, "verdicts": [], "sequences": {}, "note": ""}
    with tempfile.TemporaryDirectory() as folder, Manifest(folder) as manifest:
        manifest.add(
            NewWork(run="d", stage="backbone", name=f"d_{number}", number=number, seed=0, asked=asked)
            for number in range(rows)
        )
        began, done = time.perf_counter(), 0
        while done < min(rows, 400):
            for work in manifest.claim(4):
                manifest.finish(work, result, 1.0)
                done += 1
        each = (time.perf_counter() - began) / done
        began = time.perf_counter()
        assert sum(1 for _ in manifest.rows(results=False)) == rows
        manifest.counts()
        states = time.perf_counter() - began
        began = time.perf_counter()
        assert sum(1 for _ in manifest.rows()) == rows
        return each, states, time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--designs", type=int, default=4)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    one, two = (designed(workers, given) for workers in (1, 2))
    each, states, everything = manifest_seconds(given.rows)
    per_hour = {f"workers={count}": round(3600 * given.designs / took) for count, took in ((1, one), (2, two))}
    found: dict[str, Any] = {
        "cores": os.cpu_count(), "threads": os.environ.get("OMP_NUM_THREADS", "all"), "residues": RESIDUES,
        "designs": given.designs, "steps": given.steps,
        "designs_per_hour": per_hour,
        "ratio": round(one / two, 2), "ratio_of_matrix_products": round(machine_ratio(), 2),
        "manifest_ms_per_row": round(1000 * each, 3),
        "manifest_share": round(each / (one / given.designs), 6),
        "rows": given.rows, "seconds_to_list_states": round(states, 3), "seconds_to_list_results": round(everything, 3),
    }  # fmt: skip
    print(json.dumps(found, indent=1))
    if given.json:
        write_atomically(given.json, json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()

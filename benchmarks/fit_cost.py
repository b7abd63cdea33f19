"""Fits the model of time and peak memory (structdiff/cost.py) to measurements on this machine, and checks it.

    python benchmarks/fit_cost.py                fits, writes structdiff/data/cost.json, prints how well it fits
    python benchmarks/fit_cost.py --check        measures other sizes and prints how far the written model is off

Fits are measured in one process, whose peak memory is reset in between (Linux); checks in a process each. Times are
those of the processor, so that other programs do little harm; with OMP_NUM_THREADS=1 they are exact.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from scipy.optimize import nnls

ROOT = Path(__file__).resolve().parent.parent
MOTIF = ROOT / "examples" / "5tpn_site_v.pdb"
#: tokens, structures at once, sampling steps, guidance, relaxed in the end
FITTED = [
    (60, 1, 2, 1, 1), (60, 4, 2, 1, 0), (60, 4, 6, 1, 0), (120, 1, 2, 1, 1), (120, 4, 2, 1, 0), (200, 2, 2, 2, 0),
    (200, 1, 4, 1, 0), (300, 1, 2, 1, 0), (300, 2, 2, 1, 0),
]  # fmt: skip
CHECKED = [(80, 4, 4, 1, 1), (160, 3, 2, 1, 0), (250, 2, 2, 1, 0), (150, 2, 2, 2, 0)]


def measure(tokens: int, samples: int, steps: int, guidance: float, relax: int) -> dict[str, float]:
    """In this process: base and peak of resident memory (bytes), seconds of the draw and all after it."""
    import psutil
    import torch

    from structdiff import pipeline
    from structdiff.cost import product_seconds
    from structdiff.options import RunOptions, recommended_sampling
    from structdiff.output.files import write_design
    from structdiff.spec.contig_grammar import parse_contigs
    from structdiff.spec.design import DesignSpec

    options = RunOptions(batch_size=samples, guidance=guidance, device="cpu", relax=bool(relax))
    engine = pipeline.load_engine(options)
    sampling = recommended_sampling(engine.weights, steps=steps)
    options = dataclasses.replace(options, sampling=sampling)
    free = tokens - 19
    spec = DesignSpec(motif=str(MOTIF), contigs=parse_contigs(f"{free // 2}/A163-181/{free - free // 2}"),
                      num_designs=samples)  # fmt: skip
    base = psutil.Process().memory_info().rss
    product = product_seconds()
    Path("/proc/self/clear_refs").write_text("5")  # the peak so far is forgotten
    began = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        for number, each in enumerate(pipeline.design(spec, options=options, engine=engine)):
            write_design(each, folder, f"d_{number}")
    seconds = (time.process_time() - began) / torch.get_num_threads()  # other programs may be running
    lines = Path("/proc/self/status").read_text().splitlines()
    peak = 1024 * int(next(line for line in lines if line.startswith("VmHWM")).split()[1])
    return {"base": base, "peak": peak, "seconds": seconds, "product": product}


def measured(case: tuple) -> dict[str, float]:
    """The same in a process of its own."""
    command = [sys.executable, __file__, "--one", *map(str, case)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    return json.loads(done.stdout.splitlines()[-1])


def fit(cases: list[tuple], found: list[dict[str, float]]) -> dict:
    """Non-negative least squares of relative errors."""
    from structdiff.cost import drawn_terms, memory_terms, relax_terms, step_terms
    from structdiff.model.network import mini

    program = found[0]["base"]
    rows = np.array([memory_terms(mini(), n, b, 2 if g != 1 else 1) for n, b, _, g, _ in cases])
    peaks = np.array([each["peak"] for each in found])
    memory, _ = nnls(rows / peaks[:, None], (peaks - program) / peaks)
    times = np.array([each["seconds"] for each in found])
    rows = np.array([
        np.r_[steps * step_terms(n, b, 2 if g != 1 else 1), drawn_terms(n, b), relax * relax_terms(n, b)]
        for n, b, steps, g, relax in cases
    ])  # fmt: skip
    seconds, _ = nnls(rows / times[:, None], np.ones(len(times)))
    return {
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, {os.environ.get('OMP_NUM_THREADS', 'all')} threads",
        "program": program,
        "memory": memory.tolist(),
        "step": seconds[:3].tolist(),
        "drawn": seconds[3:6].tolist(),
        "relax": seconds[6:].tolist(),
        "product_seconds": float(np.median([each["product"] for each in found])),
    }


def report(cases: list[tuple], found: list[dict[str, float]]) -> float:
    """Prints measured and estimated, and gives the largest relative error of memory."""
    from structdiff.cost import estimated_cost, machine_factor
    from structdiff.model.network import mini

    worst = 0.0
    print("tokens  batch  steps  guidance  relax   memory MiB  estimated   off     seconds  estimated   off")
    for (n, b, steps, g, relax), each in zip(cases, found, strict=True):
        cost = estimated_cost(mini(), n, b, steps=steps, passes=2 if g != 1 else 1, relax=bool(relax))
        seconds = cost.seconds / machine_factor()
        off, late = cost.memory / each["peak"] - 1, seconds / each["seconds"] - 1
        worst = max(worst, abs(off))
        print(f"{n:6} {b:6} {steps:6} {g:9} {relax:6} {each['peak'] / 2**20:12.0f} {cost.memory / 2**20:10.0f} "
              f"{off:+6.1%} "
              f"{each['seconds']:10.2f} {seconds:10.2f} {late:+6.1%}")  # fmt: skip
    print(f"memory: off by at most {worst:.1%}")
    return worst


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--one", nargs=5, type=float, help=argparse.SUPPRESS)
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    if options.one:
        tokens, samples, steps, guidance, relax = options.one
        print(json.dumps(measure(int(tokens), int(samples), int(steps), guidance, int(relax))))
        return
    cases = CHECKED if options.check else FITTED
    if not options.check:
        measure(*cases[0])  # what is loaded once is no part of the cost of a structure
    found = [measured(case) if options.check else measure(*case) for case in cases]
    if not options.check:
        path = ROOT / "structdiff" / "data" / "cost.json"
        known = json.loads(path.read_text())  # what fit_complex_cost.py wrote stays
        path.write_text(json.dumps(known | fit(cases, found), indent=1) + "\n")
        from structdiff import cost

        cost._fitted.cache_clear()
    raise SystemExit(0 if report(cases, found) < 0.2 or not options.check else 1)


if __name__ == "__main__":
    main()

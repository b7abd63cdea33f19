"""Fits what Boltz-2's network costs (structdiff/cost_boltz.py) to runs of it on this machine.

    OMP_NUM_THREADS=1 python benchmarks/fit_boltz_cost.py            measures, prints and writes the factors

Boltz-2's widths with fewer blocks and random parameters: time and memory do not ask what the numbers are. Each case is
a process of its own; times are those of the processor, so that other programs do little harm.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
from scipy.optimize import nnls

ROOT = Path(__file__).resolve().parent.parent
#: residues, structures at once, rows of the alignment
CASES = [(64, 1, 1), (128, 1, 1), (128, 4, 1), (128, 1, 1024), (256, 1, 1), (256, 2, 1), (384, 1, 1)]
_SEQUENCE = "MKTAYIAKQRQISFVKSHFSRQLEERLGLIEVQAPILSRVGDGTQDNLSGAEKAVQVKVKALPDAQFEVV" * 6


def network():
    """Boltz-2's widths, two blocks of the Pairformer and the confidence module, one of the MSA module."""
    import torch

    from structdiff.model.boltz.config import BoltzConfig
    from structdiff.model.boltz.network import BoltzNetwork

    full = BoltzConfig()
    config = replace(
        full, pairformer=replace(full.pairformer, blocks=2), msa=replace(full.msa, blocks=1),
        confidence=replace(full.confidence, blocks=2),
    )  # fmt: skip
    torch.manual_seed(1)
    return BoltzNetwork(config).eval().requires_grad_(False)


def measure(tokens: int, samples: int, rows: int) -> dict[str, float]:
    """In this process: seconds of trunk and confidence, of a step; bytes beside program and weights."""
    import psutil
    import torch

    from structdiff.complex_jobs import complex_job
    from structdiff.cost import product_seconds
    from structdiff.features.collate import collate
    from structdiff.spec.chain import ChainSpec
    from structdiff.spec.complex import ComplexSpec

    made = network()
    with tempfile.TemporaryDirectory() as folder:
        path, sequence = Path(folder) / "a.a3m", _SEQUENCE[:tokens]
        rng = np.random.default_rng(1)
        drawn = ("".join(rng.choice(list("ACDEFGHIKLMNPQRSTVWY"), tokens)) for _ in range(rows - 1))
        path.write_text("".join(f">{row}\n{each}\n" for row, each in enumerate([sequence, *drawn])))
        chain = ChainSpec(ids=("A",), kind="protein", sequence=sequence, msa=(str(path),))
        job = complex_job(ComplexSpec(chains=(chain,)), abilities=made.abilities)
    one, many = collate([job.features]), collate([job.features] * samples)
    base, product = psutil.Process().memory_info().rss, product_seconds()
    Path("/proc/self/clear_refs").write_text("5")  # the peak so far is forgotten
    with torch.inference_mode():
        began = time.process_time()
        trunk = made.trunk(one)
        condition = made.denoiser.condition(one, trunk).repeat(samples)
        told = time.process_time() - began
        positions, level = torch.randn(samples, many.atom.mask.shape[1], 3), torch.full((samples,), 4.0)
        began = time.process_time()
        for _ in range(3):
            made.denoiser(condition, positions, level, None)
        step = (time.process_time() - began) / 3
        wide = replace(
            trunk, **{name: getattr(trunk, name).expand(samples, *getattr(trunk, name).shape[1:])
                      for name in ("s_inputs", "s_trunk", "z_trunk")}
        )  # fmt: skip
        began = time.process_time()
        made.confidence(many, wide, positions.unflatten(1, (tokens, -1)))
        judged = time.process_time() - began
    lines = Path("/proc/self/status").read_text().splitlines()
    peak = 1024 * int(next(line for line in lines if line.startswith("VmHWM")).split()[1])
    return {"trunk": told + judged, "step": step, "memory": peak - base, "product": product}


def main() -> None:
    """Measures all cases and writes the factors."""
    if len(sys.argv) > 1:
        print(json.dumps(measure(*map(int, sys.argv[1:]))))
        return
    from structdiff import cost_boltz
    from structdiff.cost import _MATRIX

    command = [sys.executable, __file__]
    found = [
        json.loads(subprocess.run([*command, *map(str, case)], capture_output=True, text=True, check=True).stdout)
        for case in CASES
    ]
    config = network().config
    ratios: dict[str, list[float]] = {"trunk": [], "step": []}
    for (tokens, samples, rows), each in zip(CASES, found, strict=True):
        rate = _MATRIX**3 / each["product"]
        trunk = cost_boltz.trunk_products(config, tokens, recycles=0, rows=rows)
        trunk += samples * cost_boltz.confidence_products(config, tokens)
        ratios["trunk"].append(each["trunk"] * rate / trunk)
        ratios["step"].append(each["step"] * rate / (samples * cost_boltz.step_products(config, tokens)))
    factors = {name: float(np.median(own)) for name, own in ratios.items()}
    terms = np.array([cost_boltz.memory_terms(config, *case) for case in CASES])
    peaks = np.array([each["memory"] for each in found])
    memory, _ = nnls(terms / peaks[:, None], np.ones(len(peaks)))
    factors["memory"] = memory.tolist()
    for case, each, trunk, step, own in zip(CASES, found, ratios["trunk"], ratios["step"], terms, strict=True):
        mebibytes, estimated = each["memory"] / 2**20, own @ memory / 2**20 + cost_boltz.ANY
        print(f"{case}: trunk and confidence {each['trunk']:.2f} s (times products {trunk:.2f}), step "
              f"{each['step']:.2f} s ({step:.2f}), {mebibytes:.0f} MiB, estimated {estimated:.0f}")  # fmt: skip
    (ROOT / "structdiff" / "data" / cost_boltz.COST_FILE).write_text(json.dumps(factors, indent=1) + "\n")
    print(factors)


if __name__ == "__main__":
    main()

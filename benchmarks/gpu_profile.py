"""What each kernel waits for, by Nsight Compute: one call of each operator, forward and backward, every launch a row.

python benchmarks/gpu_profile.py calls       # what is profiled; gpu_sections.py runs it under ncu
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Callable
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parents[1]))  # the machine may have nothing installed but PyTorch

from gpu_agreement import Case, draw, mode, triangle_weights

from structdiff import kernels
from structdiff.kernels import native

#: Of a launch: the metric of Nsight Compute and what it is called here.
METRICS = {
    "gpu__time_duration.sum": "time",
    "sm__inst_executed.avg.per_cycle_active": "instructions a clock",
    "sm__warps_active.avg.pct_of_peak_sustained_active": "occupancy, %",
    "launch__registers_per_thread": "registers",
    "sm__inst_executed_pipe_xu.avg.pct_of_peak_sustained_active": "exponentials and conversions, % of peak",
    "sm__pipe_tensor_cycles_active.avg.pct_of_peak_sustained_active": "tensor cores, % of peak",
    "l1tex__data_pipe_lsu_wavefronts_mem_shared.avg.pct_of_peak_sustained_elapsed": "shared memory, % of peak",
    "lts__throughput.avg.pct_of_peak_sustained_elapsed": "second-level cache, % of peak",
    "dram__throughput.avg.pct_of_peak_sustained_elapsed": "memory, % of peak",
}


def attention(rows: int, tokens: int, heads: int, channels: int, dtype: torch.dtype) -> Callable[[], object]:
    case = Case(rows=rows, queries=tokens, keys=tokens, heads=heads, channels=channels, hidden=0)
    inputs = draw(case, dtype, torch.device("cuda"))
    leaves = [inputs[x].detach().requires_grad_() for x in ("q", "k", "v", "bias")]
    return lambda: torch.autograd.grad(kernels.triangle_attention(*leaves, inputs["mask"]), leaves, inputs["grad"])


def multiplication(batch: int, tokens: int, channels: int, hidden: int) -> Callable[[], object]:
    device, dtype = torch.device("cuda"), torch.bfloat16
    z = torch.randn((batch, tokens, tokens, channels), device=device).to(dtype).requires_grad_()
    mask = torch.ones(z.shape[:3], dtype=torch.bool, device=device)
    weights = [x.detach().requires_grad_() for x in triangle_weights(channels, hidden, dtype, device)]
    grad = torch.randn_like(z)
    return lambda: torch.autograd.grad(kernels.triangle_multiplication(z, mask, *weights, True), [z, *weights], grad)


def calls() -> None:
    """Large ones of a trunk, and those of a training step of 40 crops of 64 tokens with 16 noisy samples each."""
    native.CHECKED_DEVICES.clear()
    work = [
        attention(512, 512, 4, 32, torch.bfloat16),
        multiplication(1, 512, 128, 128),
        attention(640, 64, 8, 16, torch.bfloat16),
        multiplication(40, 64, 64, 32),
    ]
    runtime = torch.cuda.cudart()
    with mode("native"):
        for call in work:
            call()
            torch.cuda.synchronize()
            runtime.cudaProfilerStart()
            call()
            torch.cuda.synchronize()
            runtime.cudaProfilerStop()


def rows(text: str) -> list[dict[str, str]]:
    """Each launch, as ``ncu --csv --page raw`` writes them: a line of names, one of units, then the numbers."""
    lines = [line for line in text.splitlines() if line.startswith('"')]
    if len(lines) < 3:
        return []
    names, units, *launches = csv.reader(lines)
    found = []
    for launch in launches:
        given = dict(zip(names, zip(launch, units, strict=True), strict=True))
        row = {"kernel": given["Kernel Name"][0]}
        for metric, name in METRICS.items():
            value, unit = given.get(metric, ("", ""))
            row[name] = f"{value} {unit}".strip() if metric.startswith("gpu__time") else value
        found.append(row)
    return found


if __name__ == "__main__":
    if sys.argv[1:] != ["calls"]:
        sys.exit(__doc__)
    calls()

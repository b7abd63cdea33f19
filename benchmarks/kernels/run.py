"""How fast the native kernels are beside PyTorch: interleaved in one run, as ratios, median and spread.

    python benchmarks/kernels/run.py --device cpu [--threads 2] [--sizes 128,256] [--operators triangle_attention]
    python benchmarks/kernels/run.py --memory 768       peak memory of triangle attention, forward and backward
    python benchmarks/kernels/run.py --table            what was saved, as in docs/kernels.md
    python benchmarks/kernels/run.py --whole 64,128     whole commands design and predict, native over reference

Contestants: ``native``; ``reference``, what runs without a compiler; ``eager``, the definition in plain PyTorch, which
writes every score to memory; ``sdpa``, torch's fused attention; of triangle multiplication, ``eager`` is the module as
OpenFold writes it (planes, then a matrix product) and ``einsum`` as Boltz does (channels last); of pair convolutions,
``eager`` is torch's own layers, channels first. ``--clock cpu`` counts the processor's time in place of the wall's, for
a machine that does other work. ``--save`` replaces the rows of this device and machine in
benchmarks/reference_results.csv.
"""

from __future__ import annotations

import argparse
import csv
import math
import os
import platform
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.functional import conv2d, elu, instance_norm, layer_norm, linear, scaled_dot_product_attention

from structdiff import kernels
from structdiff.kernels import libraries

RESULTS = Path(__file__).resolve().parent.parent / "reference_results.csv"
COLUMNS = ("device", "operator", "case", "pass", "against", "times_as_fast", "lowest", "highest", "milliseconds",
           "threads", "clock", "machine", "torch")  # fmt: skip
CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}
_EAGER_AT_MOST = 384

Contestant = Callable[..., Tensor]


@dataclass(frozen=True)
class Case:
    """One operator at one size: leaf tensors, and who computes it from them."""

    operator: str
    name: str
    leaves: list[Tensor]
    contestants: dict[str, Contestant]


def eager_attention(q: Tensor, k: Tensor, v: Tensor, bias: Tensor) -> Tensor:
    """By the book."""
    logits = torch.einsum("bijhc,bikhc->bihjk", q, k) / math.sqrt(q.shape[-1]) + bias[:, None]
    return torch.einsum("bihjk,bikhc->bijhc", logits.softmax(-1), v)


def sdpa_attention(q: Tensor, k: Tensor, v: Tensor, bias: Tensor) -> Tensor:
    """Torch's own; the bias is a view for every row."""
    q, k, v = (x[0].transpose(1, 2) for x in (q, k, v))
    return scaled_dot_product_attention(q, k, v, attn_mask=bias.expand(len(q), -1, -1, -1)).transpose(1, 2)[None]


def triangle_attention(size: int, heads: int, channels: int, device: str) -> Case:
    """As in the pair table's blocks: bias with heads last."""
    q, k, v = (torch.randn(1, size, size, heads, channels, device=device) for _ in range(3))
    bias = torch.randn(1, size, size, heads, device=device).permute(0, 3, 1, 2)
    who: dict[str, Contestant] = {"native": kernels.triangle_attention, "reference": kernels.triangle_attention}
    if size <= _EAGER_AT_MOST:
        who |= {"sdpa": sdpa_attention, "eager": eager_attention}
    return Case("triangle_attention", f"N {size}, {heads} x {channels}", [q, k, v, bias], who)


def attention_pair_bias(size: int, heads: int, channels: int, device: str, *, samples: int, shared: bool) -> Case:
    """As in the denoiser: several samples, each with a bias of its own, or all with one."""
    q, k, v = (torch.randn(samples, size, heads, channels, device=device) for _ in range(3))
    bias = torch.randn(1 if shared else samples, size, size, heads, device=device).permute(0, 3, 1, 2)

    def sdpa(q: Tensor, k: Tensor, v: Tensor, bias: Tensor) -> Tensor:
        q, k, v = (x.transpose(1, 2) for x in (q, k, v))
        return scaled_dot_product_attention(q, k, v, attn_mask=bias).transpose(1, 2)

    who = {"native": kernels.attention_pair_bias, "reference": kernels.attention_pair_bias, "sdpa": sdpa}
    name = f"{samples} x {size} tokens, {heads} x {channels}{', one bias' if shared else ''}"
    return Case("attention_pair_bias", name, [q, k, v, bias], who)


def eager_multiplication(
    z: Tensor, n1: Tensor, b1: Tensor, p1: Tensor, g1: Tensor, n2: Tensor, b2: Tensor, p2: Tensor, g2: Tensor,
    *, einsum: bool,
) -> Tensor:  # fmt: skip
    """The outgoing module by the book, mask included."""
    x = layer_norm(z, z.shape[-1:], n1, b1)
    edges = linear(x, p1) * linear(x, g1).sigmoid() * z.new_ones(*z.shape[:3], 1)
    a, b = edges.chunk(2, -1)
    if einsum:
        product = torch.einsum("bikd,bjkd->bijd", a, b)
    else:
        product = (a.permute(0, 3, 1, 2) @ b.permute(0, 3, 2, 1)).permute(0, 2, 3, 1)
    return linear(layer_norm(product, n2.shape, n2, b2), p2) * linear(x, g2).sigmoid()


def triangle_multiplication(size: int, channels: int, hidden: int, device: str) -> Case:
    """The whole module, outgoing."""
    c, h = channels, hidden
    shapes = [(c,), (c,), (2 * h, c), (2 * h, c), (h,), (h,), (c, h), (c, c)]
    weights = [torch.randn(shape, device=device) / math.sqrt(shape[-1]) for shape in shapes]
    mask = torch.ones(1, size, size, dtype=torch.bool, device=device)

    def compute(z: Tensor, *weights: Tensor) -> Tensor:
        return kernels.triangle_multiplication(z, mask, *weights, True)

    leaves = [torch.randn(1, size, size, c, device=device), *weights]
    who: dict[str, Contestant] = {
        "native": compute,
        "reference": compute,
        "eager": partial(eager_multiplication, einsum=False),
        "einsum": partial(eager_multiplication, einsum=True),
    }
    return Case("triangle_multiplication", f"N {size}, {c}, hidden {h}", leaves, who)


def pair_convolution(size: int, dilation: int, device: str) -> Case:
    """As in trRosetta: 64 channels; the table is added to what comes of it."""
    weight = torch.randn(3, 3, 64, 64, device=device) / 24
    gain, shift = torch.rand(64, device=device) + 0.5, torch.randn(64, device=device)
    x = torch.randn(1, size, size, 64, device=device)
    taps = weight.permute(3, 2, 0, 1).contiguous()

    def compute(x: Tensor, planes: Tensor) -> Tensor:
        return kernels.pair_convolution(x, weight, gain, shift, x, dilation=dilation)

    def eager(x: Tensor, planes: Tensor) -> Tensor:
        turned = conv2d(planes, taps, padding=dilation, dilation=dilation)
        return elu(planes + instance_norm(turned, weight=gain, bias=shift), inplace=True)

    who = {"native": compute, "reference": compute, "eager": eager}
    planes = x.permute(0, 3, 1, 2).contiguous()
    return Case("pair_convolution", f"N {size}, dilation {dilation}", [x, planes], who)


OPERATORS: dict[str, Callable[[int, str], list[Case]]] = {
    "triangle_attention": lambda size, device: [
        triangle_attention(size, 4, 32, device), triangle_attention(size, 2, 16, device)
    ],
    "attention_pair_bias": lambda size, device: [
        attention_pair_bias(size, 8, 32, device, samples=4, shared=False),
        attention_pair_bias(size, 16, 24, device, samples=8, shared=True),
        attention_pair_bias(size, 16, 64, device, samples=8, shared=True),
    ],
    "triangle_multiplication": lambda size, device: [
        triangle_multiplication(size, 128, 128, device), triangle_multiplication(size, 64, 32, device)
    ],
    "pair_convolution": lambda size, device: [
        pair_convolution(size, 1, device), pair_convolution(size, 4, device), pair_convolution(size, 16, device)
    ],
}  # fmt: skip


def seconds(case: Case, who: str, backward: bool, clock: Callable[[], float]) -> float:
    """Of one forward pass, or of one backward pass."""
    kernels.set_mode("reference" if who == "reference" else "native" if who == "native" else None)
    leaves = [x.detach().requires_grad_(backward) for x in case.leaves]
    on_gpu = leaves[0].is_cuda
    start = clock()
    out = case.contestants[who](*leaves)
    if backward:
        grad = torch.ones_like(out)
        if on_gpu:
            torch.cuda.synchronize()
        start = clock()
        out.backward(grad)
    if on_gpu:
        torch.cuda.synchronize()
    return clock() - start


def compare(case: Case, backward: bool, repeats: int, clock: Callable[[], float]) -> dict[str, list[float]]:
    """Seconds of every contestant, one after the other, several times over; the first round is not counted."""
    taken: dict[str, list[float]] = {who: [] for who in case.contestants}
    for repeat in range(repeats + 1):
        for who in case.contestants:
            once = seconds(case, who, backward, clock)
            if repeat:
                taken[who].append(once)
    kernels.set_mode(None)
    return taken


def report(case: Case, passed: str, taken: dict[str, list[float]], options: argparse.Namespace) -> list[dict]:
    """A line for each rival, printed and returned."""
    rows = []
    native_ms = statistics.median(taken["native"]) * 1e3
    for who, times in taken.items():
        if who == "native":
            continue
        ratios = [theirs / ours for theirs, ours in zip(times, taken["native"], strict=True)]
        rows.append({
            "device": options.device, "operator": case.operator, "case": case.name, "pass": passed, "against": who,
            "times_as_fast": f"{statistics.median(ratios):.2f}", "lowest": f"{min(ratios):.2f}",
            "highest": f"{max(ratios):.2f}", "milliseconds": f"{native_ms:.2f}", "threads": options.threads,
            "clock": options.clock, "machine": f"{platform.machine()} {libraries.cpu_level()}",
            "torch": torch.__version__,
        })  # fmt: skip
        print("  ".join(f"{rows[-1][name]!s:>{width}}" for name, width in _WIDTHS.items()), flush=True)
    return rows


_WIDTHS = {"operator": 24, "case": 34, "pass": 8, "against": 9, "times_as_fast": 6, "lowest": 6, "highest": 6,
           "milliseconds": 9}  # fmt: skip


def save(rows: list[dict]) -> None:
    """Replaces the rows of the same device, operator, case, pass, rival and machine; keeps all others."""
    key = (*COLUMNS[:5], "machine")
    fresh = {tuple(row[name] for name in key) for row in rows}
    kept: list[dict] = []
    if RESULTS.exists():
        with RESULTS.open(newline="") as file:
            kept = [row for row in csv.DictReader(file) if tuple(row[name] for name in key) not in fresh]
    with RESULTS.open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows([*kept, *rows])


def saved_tables(device: str) -> None:
    """The saved rows of a device: for each machine a table for each operator, a row for each case and pass."""
    with RESULTS.open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["device"] == device]
    for machine in dict.fromkeys(row["machine"] for row in rows):
        print(f"\n{machine}")
        _tables([row for row in rows if row["machine"] == machine])


def _tables(rows: list[dict[str, str]]) -> None:
    """One machine's."""
    for operator in dict.fromkeys(row["operator"] for row in rows):
        own = [row for row in rows if row["operator"] == operator]
        rivals = [
            name for name in ("eager", "einsum", "sdpa", "reference") if any(row["against"] == name for row in own)
        ]
        print(f"\n| {operator} | pass | ms | " + " | ".join(f"against {name}" for name in rivals) + " |")
        print("|---" * (3 + len(rivals)) + "|")
        for case, passed in sorted({(row["case"], row["pass"]) for row in own}, key=_by_case):
            one = {row["against"]: row for row in own if (row["case"], row["pass"]) == (case, passed)}
            taken = float(next(iter(one.values()))["milliseconds"])
            cells = [case, passed, f"{taken:.0f}" if taken >= 100 else f"{taken:.3g}"]
            print("| " + " | ".join([*cells, *(_spread(one.get(name)) for name in rivals)]) + " |")


def _by_case(pair: tuple[str, str]) -> tuple[bool, tuple[int, ...], str]:
    """Forward first, then by the sizes that the case is called by, the widest first."""
    numbers = [int(number) for number in re.findall(r"\d+", pair[0])]
    widest = -numbers[-1]
    return pair[1] == "backward", (numbers[1] if "tokens" in pair[0] else numbers[0], widest), pair[0]


def _spread(row: dict[str, str] | None) -> str:
    if row is None:
        return ""
    ratio, low, high = (float(row[name]) for name in ("times_as_fast", "lowest", "highest"))
    return f"{ratio:.2g} ({low:.2g} to {high:.2g})"


def peak_memory(size: int) -> None:
    """What triangle attention needs beside its inputs, outputs and gradients, in this process."""
    case = triangle_attention(size, 4, 32, "cpu")
    mebibyte = 2**20

    def peak() -> float:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**10 if sys.platform == "linux" else mebibyte)

    tensors = sum(x.numel() * x.element_size() for x in case.leaves) / mebibyte
    start = peak()
    leaves = [x.requires_grad_() for x in case.leaves]
    out = kernels.triangle_attention(*leaves)
    forward = peak()
    out.backward(torch.ones_like(out))
    print(f"N {size}, 4 x 32: inputs {tensors:.0f} MiB; peak grows by {forward - start:.0f} MiB forward (the output is "
          f"{tensors / 3.03:.0f}) and {peak() - start:.0f} in all; one table of scores in eager PyTorch: "
          f"{4 * size**3 * 4 / mebibyte:.0f} MiB")  # fmt: skip


_SEQUENCE = (
    "MKTAYIAKQRQISFVKSHFSRQLEERLGLIEVQAPILSRVGDGTQDNLSGAEKAVQVKVKALPDAQFEVVHSLAKWKRQTLGQHDFSAGEGLYTHMKALRPDEDRLSPL"
)


def whole_commands(sizes: list[int], repeats: int, clock: str) -> None:
    """Time of ``design`` and ``predict`` with native kernels over that with references, start of Python included."""
    command = [sys.executable, "-c", "import sys; from structdiff.cli.main import main; sys.exit(main())"]
    for size in sizes:
        for name in ("design", "predict"):
            ratios, last = [], {}
            for _ in range(repeats):
                for mode in ("native", "reference"):
                    last[mode] = _whole(command, name, size, mode, clock)
                ratios.append(last["native"] / last["reference"])
            print(f"{name} {size}: native / reference {statistics.median(ratios):.2f} ({min(ratios):.2f} to "
                  f"{max(ratios):.2f}), last {last['native']:.1f} s ({clock})", flush=True)  # fmt: skip


def _whole(command: list[str], name: str, size: int, mode: str, clock: str) -> float:
    with tempfile.TemporaryDirectory() as folder:
        fasta = Path(folder) / "x.fasta"
        fasta.write_text(f">A|protein\n{(_SEQUENCE * (size // len(_SEQUENCE) + 1))[:size]}\n")
        # Without the judge: where its weights are, it would be three quarters of the time.
        design = ["design", "--contigs", str(size), "--judge", "none"]
        asked = design if name == "design" else ["predict", str(fasta)]
        began = _children_time(clock)
        done = subprocess.run([*command, *asked, "--out", f"{folder}/out", "--kernels", mode, "--no-relax", "-q"],
                              capture_output=True, text=True, check=False, env=os.environ)  # fmt: skip
        if done.returncode:
            raise SystemExit(done.stderr)
        return _children_time(clock) - began


def _children_time(clock: str) -> float:
    """Seconds of the wall's clock, or those that processors spent on children that have ended."""
    if clock == "wall":
        return time.perf_counter()
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    return spent.ru_utime + spent.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--operators", default=",".join(OPERATORS))
    parser.add_argument("--sizes", default="64,128,256")
    parser.add_argument("--passes", default="forward,backward")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--clock", default="wall", choices=CLOCKS)
    parser.add_argument("--save", action="store_true")
    parser.add_argument("--table", action="store_true")
    parser.add_argument("--memory", type=int)
    parser.add_argument("--whole")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if options.table:
        return saved_tables(options.device)
    if options.memory:
        return peak_memory(options.memory)
    if options.whole:
        return whole_commands([int(size) for size in options.whole.split(",")], options.repeats, options.clock)
    torch.manual_seed(0)
    print("  ".join(f"{name:>{width}}" for name, width in _WIDTHS.items()))
    for operator in options.operators.split(","):
        for size in map(int, options.sizes.split(",")):
            for case in OPERATORS[operator](size, options.device):
                for passed in options.passes.split(","):
                    taken = compare(case, passed == "backward", options.repeats, CLOCKS[options.clock])
                    rows = report(case, passed, taken, options)
                    if options.save:
                        save(rows)
    return None


if __name__ == "__main__":
    main()

"""Times of operators on a GPU, side by side: CUDA graphs replayed in turns, so that all see the same clocks."""

from __future__ import annotations

import statistics
import subprocess
import time
from collections.abc import Callable

import torch
from gpu_agreement import Case, draw, has_special, mode, special_kernels, triangle_weights
from torch import Tensor
from torch.nn import functional

from structdiff import kernels
from structdiff.kernels import native

Call = Callable[[], object]
_ROUNDS, _QUICK_ROUNDS = 15, 2
#: Largest table of scores that a library which writes it is given, in bytes.
_LARGEST_TABLE = 16 << 30
#: Where libraries that compile or tune for each size are asked too: it takes them long.
_COMPILED_SIZES = (512,)


class Replayed:
    """A call as a CUDA graph of a few repetitions; on a CPU the call itself."""

    def __init__(self, call: Call, device: torch.device) -> None:
        self.call, self.device, self.graph = call, device, None
        if device.type != "cuda":
            self.repeats = 1
            call()
            return
        side = torch.cuda.Stream(device)
        side.wait_stream(torch.cuda.current_stream(device))
        with torch.cuda.stream(side):
            for _ in range(3):
                call()
            begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
            begin.record()
            call()
            end.record()
        torch.cuda.current_stream(device).wait_stream(side)
        torch.cuda.synchronize(device)
        # About 2 ms a replay: the events' own error is some microseconds.
        self.repeats = max(1, min(50, int(2 / max(begin.elapsed_time(end), 1e-3))))
        self.graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self.graph):
            for _ in range(self.repeats):
                call()

    def milliseconds(self) -> float:
        """Of one call."""
        if self.graph is None:
            began = time.perf_counter()
            self.call()
            return 1e3 * (time.perf_counter() - began)
        begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        begin.record()
        self.graph.replay()
        end.record()
        torch.cuda.synchronize(self.device)
        return begin.elapsed_time(end) / self.repeats


def in_turns(calls: dict[str, Call], device: torch.device, quick: bool) -> dict[str, object]:
    """Median, least and largest time of each call in ms; what fails says why."""
    ready: dict[str, Replayed] = {}
    out: dict[str, object] = {}
    for name, call in calls.items():
        try:
            ready[name] = Replayed(call, device)
        except Exception as problem:  # a peer's own failure must not end the run
            out[name] = f"failed: {type(problem).__name__}: {problem}".splitlines()[0][:160]
            if device.type == "cuda":
                torch.cuda.synchronize(device)
    times: dict[str, list[float]] = {name: [] for name in ready}
    for _ in range(_QUICK_ROUNDS if quick else _ROUNDS):
        for name, replayed in ready.items():
            times[name].append(replayed.milliseconds())
    for name, found in times.items():
        out[name] = {"median_ms": statistics.median(found), "least_ms": min(found), "largest_ms": max(found)}
    return out


def clocks() -> str:
    """What nvidia-smi says of clocks, temperature and power now."""
    query = "--query-gpu=clocks.sm,clocks.mem,temperature.gpu,power.draw"
    try:
        command = ["nvidia-smi", query, "--format=csv,noheader"]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return "unknown"


def _native(name: str, call: Call, *, special: bool = True) -> Call:
    def run() -> object:
        with mode(name), special_kernels(special):
            return call()

    return run


def attention_calls(n: int, device: torch.device, dtype: torch.dtype) -> dict[str, Call]:
    """Triangle attention of N x N, 4 heads of 32, by every library that is here."""
    case = Case(rows=n, queries=n, keys=n, hidden=0)
    inputs = draw(case, dtype, device)
    q, k, v, bias, mask = (inputs[x] for x in ("q", "k", "v", "bias", "mask"))
    flat = [x.flatten(0, 1).transpose(1, 2).contiguous() for x in (q, k, v)]  # [i, head, j, channel]
    contiguous = bias.contiguous()
    element = torch.finfo(dtype).bits // 8

    def attend() -> object:
        return kernels.triangle_attention(q, k, v, bias, mask)

    calls: dict[str, Call] = {"structdiff": _native("native", attend)}
    if has_special(device):
        calls["structdiff, kernel for every GPU"] = _native("native", attend, special=False)
    if case.rows * case.heads * n * n * element <= _LARGEST_TABLE:
        calls["torch SDPA"] = _native("reference", attend)
        table = contiguous.expand(n, -1, -1, -1)
        calls["torch SDPA, contiguous, bias expanded"] = lambda: functional.scaled_dot_product_attention(
            *flat, attn_mask=table
        )
    if device.type != "cuda":
        return calls
    if n in _COMPILED_SIZES:
        calls["torch FlexAttention"] = _flex(flat, contiguous[0])
        calls |= _trifast_forward(q, k, v, contiguous, mask)
    try:
        from cuequivariance_torch import triangle_attention as cuequivariance

        grouped = [x.transpose(2, 3).contiguous() for x in (q, k, v)]
        peers_bias, peers_mask = contiguous[:, None], mask[:, :, None, None]
        calls["cuEquivariance"] = lambda: cuequivariance(*grouped, peers_bias, mask=peers_mask, scale=32**-0.5)
    except Exception:
        calls["cuEquivariance"] = _not_here
    return calls


def _trifast_forward(q: Tensor, k: Tensor, v: Tensor, bias: Tensor, mask: Tensor) -> dict[str, Call]:
    try:
        from trifast import triangle_attention as trifast
    except Exception:
        return {"trifast": _not_here}
    heads_first = [x.permute(0, 3, 1, 2, 4).contiguous() for x in (q, k, v)]
    return {"trifast": lambda: trifast(*heads_first, bias, ~mask)}


def _not_here() -> object:
    raise ImportError("not installed here")


def _flex(flat: list[Tensor], bias: Tensor) -> Call:
    from torch.nn.attention.flex_attention import flex_attention

    compiled = torch.compile(flex_attention, dynamic=False)

    def biased(score: Tensor, b: Tensor, h: Tensor, query: Tensor, key: Tensor) -> Tensor:
        return score + bias[h, query, key]

    return lambda: compiled(*flat, score_mod=biased)


def both_directions(n: int, device: torch.device, dtype: torch.dtype) -> dict[str, Call]:
    """Triangle attention forward and backward."""
    case = Case(rows=n, queries=n, keys=n, hidden=0)
    inputs = draw(case, dtype, device)
    leaves = [inputs[x].detach().requires_grad_() for x in ("q", "k", "v", "bias")]
    grad, mask = inputs["grad"], inputs["mask"]

    def run() -> object:
        return torch.autograd.grad(kernels.triangle_attention(*leaves, mask), leaves, grad)

    calls: dict[str, Call] = {"structdiff": _native("native", run)}
    if case.heads * n**3 * 4 <= _LARGEST_TABLE // 4:
        calls["torch SDPA"] = _native("reference", run)
    if device.type != "cuda":
        return calls
    try:
        from cuequivariance_torch import triangle_attention as cuequivariance

        grouped = [x.detach().transpose(2, 3).contiguous().requires_grad_() for x in leaves[:3]]
        peers_bias = leaves[3].detach().contiguous()[:, None].requires_grad_()
        peers_grad, peers_mask = grad.transpose(2, 3).contiguous(), mask[:, :, None, None]

        def peer() -> object:
            out = cuequivariance(*grouped, peers_bias, mask=peers_mask, scale=32**-0.5)
            return torch.autograd.grad(out, [*grouped, peers_bias], peers_grad)

        calls["cuEquivariance"] = peer
    except Exception:
        calls["cuEquivariance"] = _not_here
    if n in _COMPILED_SIZES:
        calls |= _trifast_both(leaves, mask, grad)
    return calls


def _trifast_both(leaves: list[Tensor], mask: Tensor, grad: Tensor) -> dict[str, Call]:
    try:
        from trifast import triangle_attention as trifast
    except Exception:
        return {"trifast": _not_here}
    heads_first = [x.detach().permute(0, 3, 1, 2, 4).contiguous().requires_grad_() for x in leaves[:3]]
    bias = leaves[3].detach().contiguous().requires_grad_()
    own_grad = grad.permute(0, 3, 1, 2, 4).contiguous()
    return {"trifast": lambda: torch.autograd.grad(trifast(*heads_first, bias, ~mask), [*heads_first, bias], own_grad)}


def multiplication_calls(n: int, device: torch.device, dtype: torch.dtype) -> dict[str, Call]:
    """Triangle multiplication, 128 channels, outgoing, from the layer norm to the gate."""
    generator = torch.Generator(device).manual_seed(0)
    z = torch.randn((1, n, n, 128), generator=generator, device=device).to(dtype)
    mask = torch.ones((1, n, n), dtype=torch.bool, device=device)
    weights = triangle_weights(128, 128, dtype, device)

    def run() -> object:
        with torch.no_grad():
            return kernels.triangle_multiplication(z, mask, *weights, True)

    calls: dict[str, Call] = {"structdiff": _native("native", run), "torch": _native("reference", run)}
    if device.type != "cuda":
        return calls
    try:
        from cuequivariance_torch import triangle_multiplicative_update as cuequivariance

        names = ("norm_in_weight", "norm_in_bias", "p_in_weight", "g_in_weight")
        names += ("norm_out_weight", "norm_out_bias", "p_out_weight", "g_out_weight")
        given = dict(zip(names, weights, strict=True))

        def peer() -> object:
            with torch.no_grad():
                return cuequivariance(z, direction="outgoing", mask=mask.to(dtype), **given)

        calls["cuEquivariance"] = peer
    except Exception:
        calls["cuEquivariance"] = _not_here
    return calls


#: FLOP of the matrix products, times N to the third, for 4 heads of 32 or 128 channels.
KINDS: dict[str, tuple[Callable[[int, torch.device, torch.dtype], dict[str, Call]], float, tuple[int, ...]]] = {
    "triangle attention, forward": (attention_calls, 512, (256, 1024, 128, 384, 768, 512)),
    "triangle attention, forward and backward": (both_directions, 512 + 1280, (256, 128, 768, 512)),
    "triangle multiplication, forward": (multiplication_calls, 256, (256, 512, 1024, 128)),
}


def times(device: torch.device, quick: bool, report: Callable[[dict[str, object]], None]) -> dict[str, object]:
    """All kinds at all sizes; ``report`` is told after each size."""
    native.CHECKED_DEVICES.clear()  # a wrong kernel's time is worth knowing; gpu_agreement says that it is wrong
    out: dict[str, object] = {}
    dtype = torch.bfloat16 if device.type == "cuda" else torch.float32
    for kind, n in [(kind, n) for kind, (_, _, sizes) in KINDS.items() for n in ((16, 33) if quick else sizes)]:
        make, flop, _ = KINDS[kind]
        before = clocks()
        found = in_turns(make(n, device, dtype), device, quick)
        for name, time_of_one in found.items():
            if name.startswith("structdiff") and isinstance(time_of_one, dict):
                time_of_one["tflops"] = flop * n**3 / time_of_one["median_ms"] / 1e9
        rows = out.setdefault(kind, {})
        rows[str(n)] = found | {"clocks before": before, "clocks after": clocks()}  # type: ignore[index]
        report(out)
        if device.type == "cuda":
            torch.cuda.empty_cache()
    return out

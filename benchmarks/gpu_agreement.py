"""The native kernels on a GPU, compared with float64, with PyTorch in the same type, and with themselves."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from structdiff import kernels
from structdiff.kernels import native
from structdiff.kernels.triangle_attention import _HOPPER

DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}
#: How much larger the native kernel's error may be than PyTorch's, and an error that is no matter in any case.
ALLOWED_RATIO, NO_MATTER = 3.0, {"float32": 2e-6, "float16": 1e-3, "bfloat16": 8e-3}
NAMES = ("out", "q", "k", "v", "bias")


@dataclass(frozen=True, kw_only=True)
class Case:
    """Sizes of one triangle attention."""

    batch: int = 1
    rows: int = 7
    queries: int = 33
    keys: int = 33
    heads: int = 4
    channels: int = 32
    hidden: float = 0.3
    strided: bool = False
    shared_by_samples: bool = False


CASES = [
    *(Case(channels=channels) for channels in range(8, 129, 8)),
    Case(rows=1, queries=1, keys=1, hidden=0),
    Case(queries=129, keys=129, strided=True),
    Case(batch=2, queries=5, keys=200),
    Case(rows=64, queries=256, keys=256, channels=16),
    Case(rows=128, queries=128, keys=128),
    *(Case(rows=7, queries=n, keys=n, channels=channels) for n in (33, 70, 190, 330) for channels in (16, 32, 64)),
    Case(rows=16, queries=300, keys=300, heads=16, channels=48, shared_by_samples=True),
    Case(rows=5, queries=77, keys=77, channels=24, shared_by_samples=True),
]


#: Few and small ones: both widths of the kernel made for Hopper, several stages, strides, batches, rows that share.
QUICK_CASES = [
    Case(rows=3, channels=32),
    Case(rows=4, queries=200, keys=330, heads=2),
    Case(batch=2, rows=3, queries=70, keys=70, heads=2, channels=40, strided=True),
    CASES[-1],
]


@contextlib.contextmanager
def mode(name: str) -> Iterator[None]:
    before = kernels.mode()
    kernels.set_mode(name)
    try:
        yield
    finally:
        kernels.set_mode(before)


@contextlib.contextmanager
def special_kernels(wanted: bool) -> Iterator[None]:
    """With kernels made for one GPU, unless the environment leaves them out, or those for every GPU only."""
    native.set_special(None if wanted else False)
    try:
        yield
    finally:
        native.set_special(None)


def has_special(device: torch.device) -> bool:
    """Whether this GPU has kernels of its own, and the environment does not leave them out."""
    return device.type == "cuda" and native.special() and torch.cuda.get_device_capability(device) == (9, 0)


def _kernels_of(device: torch.device, dtype: torch.dtype) -> tuple[bool, ...]:
    """With and without kernels made for one GPU, where there are any."""
    return (True, False) if has_special(device) and dtype != torch.float32 else (True,)


def draw(case: Case, dtype: torch.dtype, device: torch.device, seed: int = 0) -> dict[str, Tensor]:
    generator = torch.Generator(device).manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator, device=device, dtype=torch.float32).to(dtype)

    b, i, h, c = case.batch, case.rows, case.heads, case.channels
    q, k, v = (normal(b, i, n, h, c) for n in (case.queries, case.keys, case.keys))
    if case.strided:  # the ending node's views
        q, k, v = (x.transpose(1, 2).contiguous().transpose(1, 2) for x in (q, k, v))
    mask = torch.rand((b, i, case.keys), generator=generator, device=device) >= case.hidden
    if case.hidden:
        mask[:, 0] = False
    bias = normal(b, case.keys, case.queries, h).permute(0, 3, 2, 1)
    return {"q": q, "k": k, "v": v, "bias": bias, "mask": mask, "grad": normal(b, i, case.queries, h, c)}


def attend(inputs: dict[str, Tensor], shared_by_samples: bool) -> list[Tensor]:
    """The output and the gradients of q, k, v, bias."""
    leaves = [inputs[name].detach().requires_grad_() for name in NAMES[1:]]
    if shared_by_samples:
        q, k, v = (x[0] for x in leaves[:3])
        out = kernels.attention_pair_bias(q, k, v, leaves[3], inputs["mask"][0])[None]
    else:
        out = kernels.triangle_attention(*leaves, inputs["mask"])
    return [out.detach(), *torch.autograd.grad(out, leaves, inputs["grad"])]


def exact(inputs: dict[str, Tensor]) -> list[Tensor]:
    """The same by its definition, in float64."""
    q, k, v, bias = leaves = [inputs[name].detach().double().requires_grad_() for name in NAMES[1:]]
    scores = torch.einsum("bijhd,bikhd->bihjk", q, k) / math.sqrt(q.shape[-1]) + bias[:, None]
    mask = inputs["mask"]
    alive = mask.any(-1)
    scores = torch.where(alive[:, :, None, None, None], scores, 0 * scores.detach())
    scores = scores.masked_fill(~(mask | ~alive[..., None])[:, :, None, None], -math.inf)
    out = torch.einsum("bihjk,bikhd->bijhd", scores.softmax(-1), v)
    return [out.detach(), *torch.autograd.grad(out, leaves, inputs["grad"].double())]


def error(found: Tensor, wanted: Tensor) -> float:
    """Root mean square of the difference over that of what is wanted; infinite where there is no number.

    What is next to nothing beside the inputs, which are of size 1, counts as its own size: so does the gradient of a
    logit that is alone.
    """
    size = wanted.square().mean().sqrt()
    relative = (found.double() - wanted).square().mean().sqrt() / (size if size > 1e-6 else 1.0)
    return relative.item() if relative.isfinite() else math.inf


def attention_agreement(device: torch.device, case: Case) -> list[dict[str, object]]:
    """One row a type and kernel: errors of the native kernel and of PyTorch, and whether twice gave the same bits.

    On a GPU that has kernels of its own, those for every GPU are compared too.
    """
    rows = []
    for name, dtype in DTYPES.items():
        inputs = draw(case, dtype, device)
        wanted = exact(inputs)
        with mode("reference"):
            plain = attend(inputs, case.shared_by_samples)
        torch_errors = {key: error(x, y) for key, x, y in zip(NAMES, plain, wanted, strict=True)}
        for special in _kernels_of(device, dtype):
            with mode("native"), special_kernels(special):
                found = attend(inputs, case.shared_by_samples)
                again = attend(inputs, case.shared_by_samples)
            errors = {key: error(x, y) for key, x, y in zip(NAMES, found, wanted, strict=True)}
            good = all(errors[x] <= max(ALLOWED_RATIO * torch_errors[x], NO_MATTER[name]) for x in NAMES)
            same = all(torch.equal(x, y) for x, y in zip(found, again, strict=True))
            row = {"operator": "pair bias" if case.shared_by_samples else "triangle attention", "dtype": name}
            row |= {"kernels": "as chosen" if special else "for every GPU", "case": repr(case)}
            rows.append(row | {"errors": errors, "torch": torch_errors, "good": good, "same_bits": same})
    return rows


def triangle_weights(c_z: int, c_hidden: int, dtype: torch.dtype, device: torch.device) -> list[Tensor]:
    generator = torch.Generator(device).manual_seed(1)
    shapes = [(c_z,), (c_z,), *[(2 * c_hidden, c_z)] * 2, (c_hidden,), (c_hidden,), (c_z, c_hidden), (c_z, c_z)]
    weights = (torch.randn(shape, generator=generator, device=device) / c_z**0.5 for shape in shapes)
    return [x.to(dtype) for x in weights]


def update_and_gradients(
    update: Callable[[Tensor, Tensor, list[Tensor], bool], Tensor],
    inputs: tuple[Tensor, Tensor, list[Tensor]],
    outgoing: bool,
) -> dict[str, Tensor]:
    """The update of (z, mask, weights) and the gradients of z and of each weight, as ``update`` gives them."""
    z, mask, weights = inputs
    leaves = [x.detach().requires_grad_() for x in (z, *weights)]
    out = update(leaves[0], mask, leaves[1:], outgoing)
    grad = torch.randn(out.shape, generator=torch.Generator(z.device).manual_seed(2), device=z.device)
    gradients = torch.autograd.grad(out, leaves, grad.to(z.dtype).to(out.dtype))
    return dict(
        zip(("out", "z", *(f"weight {i}" for i in range(len(weights)))), (out.detach(), *gradients), strict=True)
    )


def exact_update(z: Tensor, mask: Tensor, weights: list[Tensor], outgoing: bool) -> Tensor:
    z, weights = z.double(), [x.double() for x in weights]
    x = functional.layer_norm(z, z.shape[-1:], weights[0], weights[1], 1e-5)
    edges = functional.linear(x, weights[2]) * functional.linear(x, weights[3]).sigmoid() * mask[..., None]
    a, b = edges.chunk(2, -1)
    product = torch.einsum("zikc,zjkc->zijc" if outgoing else "zkic,zkjc->zijc", a, b)
    product = functional.layer_norm(product, product.shape[-1:], weights[4], weights[5], 1e-5)
    return functional.linear(product, weights[6]) * functional.linear(x, weights[7]).sigmoid()


def _update(z: Tensor, mask: Tensor, weights: list[Tensor], outgoing: bool) -> Tensor:
    return kernels.triangle_multiplication(z, mask, *weights, outgoing)


def multiplication_agreement(device: torch.device, sizes: list[tuple[int, int, int]]) -> list[dict[str, object]]:
    """One row a size, direction and type."""
    rows = []
    for n, c_z, c_hidden in sizes:
        for name, dtype in DTYPES.items():
            generator = torch.Generator(device).manual_seed(n)
            z = torch.randn((1, n, n, c_z), generator=generator, device=device).to(dtype)
            mask = torch.rand((1, n, n), generator=generator, device=device) >= 0.2
            weights = triangle_weights(c_z, c_hidden, dtype, device)
            for outgoing in (True, False):
                inputs = (z, mask, weights)
                wanted = update_and_gradients(exact_update, inputs, outgoing)
                with mode("reference"):
                    by_torch = update_and_gradients(_update, inputs, outgoing)
                plain = {key: error(by_torch[key], wanted[key]) for key in wanted}
                for special in _kernels_of(device, dtype):
                    with mode("native"), special_kernels(special):
                        found, again = (update_and_gradients(_update, inputs, outgoing) for _ in range(2))
                    errors = {key: error(found[key], wanted[key]) for key in wanted}
                    good = all(errors[key] <= max(ALLOWED_RATIO * plain[key], NO_MATTER[name]) for key in wanted)
                    same = all(torch.equal(found[key], again[key]) for key in wanted)
                    row = {"operator": "triangle multiplication", "dtype": name, "errors": errors, "torch": plain}
                    row |= {"case": f"n={n} c_z={c_z} c_hidden={c_hidden} outgoing={outgoing}"}
                    row |= {"kernels": "as chosen" if special else "for every GPU"}
                    rows.append(row | {"good": good, "same_bits": same})
    return rows


def graph_agreement(device: torch.device) -> dict[str, bool]:
    """Whether a CUDA graph replayed with other inputs, and another stream, give the bits of an ordinary call."""
    case = Case(queries=65, keys=65)
    first, second = (draw(case, torch.bfloat16, device, seed) for seed in (0, 1))
    with mode("native"):
        wanted = kernels.triangle_attention(*(second[x] for x in NAMES[1:]), second["mask"])
        side = torch.cuda.Stream(device)
        side.wait_stream(torch.cuda.current_stream(device))
        with torch.cuda.stream(side):
            other = kernels.triangle_attention(*(second[x] for x in NAMES[1:]), second["mask"])
        torch.cuda.current_stream(device).wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            captured = kernels.triangle_attention(*(first[x] for x in NAMES[1:]), first["mask"])
        for name in (*NAMES[1:], "mask"):
            first[name].copy_(second[name])
        graph.replay()
        torch.cuda.synchronize(device)
    return {"another stream": torch.equal(other, wanted), "CUDA graph": torch.equal(captured, wanted)}


def agreement(
    device: torch.device,
    quick: bool,
    report: Callable[[dict[str, object]], None],
    *,
    graphs: bool = True,
    operators: tuple[str, ...] = ("attention", "multiplication"),
) -> dict[str, object]:
    """Everything above, and how many rows were not good; ``report`` is told again and again how far it is."""
    # Here errors are measured: a kernel that its own check would give up is to be seen too.
    native.CHECKED_DEVICES.clear()
    cases = QUICK_CASES if quick else CASES
    sizes = [(9, 32, 32)] if quick else [(1, 32, 32), (33, 64, 32), (65, 128, 128), (130, 128, 128), (40, 256, 256)]
    work = [lambda case=case: attention_agreement(device, case) for case in cases if "attention" in operators]
    if "multiplication" in operators:
        work += [lambda size=size: multiplication_agreement(device, [size]) for size in sizes]
    rows: list[dict[str, object]] = []
    out: dict[str, object] = {}
    for step in work:
        rows += step()
        wrong = [row for row in rows if not row["good"]]
        out = {"rows": len(rows), "wrong": len(wrong), "first wrong": wrong[:5], "all": rows}
        out["not the same bits twice"] = sum(not row["same_bits"] for row in rows)
        report(out)
    if device.type == "cuda" and graphs:
        out |= graph_agreement(device)
    if has_special(device) and "attention" in operators:
        out["the kernel made for this GPU runs"] = special_runs(device)
    return out


def special_runs(device: torch.device) -> bool:
    """Whether a plain call really goes to the kernel that was made for this GPU."""
    inputs = draw(Case(hidden=0), torch.bfloat16, device)
    q, k, v = (inputs[x] for x in ("q", "k", "v"))
    with mode("native"):
        return _HOPPER(device, q, k, v, inputs["bias"], inputs["mask"], 1.0, torch.empty_like(q), None)

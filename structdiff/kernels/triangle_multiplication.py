"""Triangle multiplication: every edge (i, j) of the pair table is updated from the two other sides of its triangles."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from structdiff.kernels import result_memory
from structdiff.kernels.native import Kernel, available
from structdiff.kernels.registration import once, register_gradient, register_operator, unobserved
from structdiff.kernels.self_check import Problem, SelfCheck
from structdiff.typing import Bool, Float


def triangle_multiplication(
    z: Float[Tensor, "batch n n c_z"],
    mask: Bool[Tensor, "batch n n"],
    norm_in_weight: Float[Tensor, " c_z"],
    norm_in_bias: Float[Tensor, " c_z"],
    project_in_weight: Float[Tensor, "two_c_hidden c_z"],
    gate_in_weight: Float[Tensor, "two_c_hidden c_z"],
    norm_out_weight: Float[Tensor, " c_hidden"],
    norm_out_bias: Float[Tensor, " c_hidden"],
    project_out_weight: Float[Tensor, "c_z c_hidden"],
    gate_out_weight: Float[Tensor, "c_z c_z"],
    outgoing: bool,
    eps: float = 1e-5,
) -> Float[Tensor, "batch n n c_z"]:
    """Updates each edge (i, j) from the edges that i and j share with every third token k.

    Outgoing combines (i, k) with (j, k), incoming (k, i) with (k, j). Edges outside ``mask`` contribute nothing. The
    whole update is one operator, from the first layer norm to the gated projection. The first half of
    ``project_in_weight`` and ``gate_in_weight`` makes the first edge, the second half the second. Inputs may have any
    strides; the output is contiguous and of z's dtype, which under autocast on a GPU is autocast's. AlphaFold 3,
    Algorithms 12 and 13.
    """
    z = _as_autocast_has_it(z)
    weights = [norm_in_weight, norm_in_bias, project_in_weight, gate_in_weight]
    weights += [norm_out_weight, norm_out_bias, project_out_weight, gate_out_weight]
    differentiated = torch.is_grad_enabled() and any(x.requires_grad for x in (z, *weights))
    if differentiated and z.device.type != "cpu" and not available(z.device.type):
        return reference(z, mask, weights, outgoing, eps)  # autograd keeps what the formula would compute again
    if not unobserved(z, mask, *weights):
        return _operator(z, mask, weights, outgoing, eps)
    if differentiated:
        return _Differentiated.apply(outgoing, eps, z, mask, *weights)
    return _compute(z, mask, weights, outgoing, eps)


def _as_autocast_has_it(z: Tensor) -> Tensor:
    # Autocast does not look into the operator. Residual streams are float32, in which products take six times as long.
    # CPUs compute in float32 in any case.
    if z.device.type != "cuda" or z.dtype != torch.float32 or not torch.is_autocast_enabled("cuda"):
        return z
    return z.to(torch.get_autocast_dtype("cuda"))


def reference(z: Tensor, mask: Tensor, weights: list[Tensor], outgoing: bool, eps: float) -> Tensor:
    """The definition in PyTorch, which runs on every device and in every dtype."""
    norm_in_weight, norm_in_bias, project_in, gate_in, norm_out_weight, norm_out_bias, project_out, gate_out = weights
    batch, n = z.shape[:2]
    x = functional.layer_norm(z, z.shape[-1:], norm_in_weight, norm_in_bias, eps)
    # Channels first, straight out of the projection: the sum over k is then one dense matrix product a channel, which
    # on a CPU is 25 times faster than the same sum with channels last.
    rows = x.flatten(1, 2).mT
    projected = torch.bmm(project_in.expand(batch, -1, -1), rows)
    edges = projected * torch.bmm(gate_in.expand(batch, -1, -1), rows).sigmoid()
    first, second = (edges * mask.flatten(1)[:, None]).unflatten(-1, (n, n)).chunk(2, dim=1)
    product = (first @ second.mT if outgoing else first.mT @ second).permute(0, 2, 3, 1)
    product = functional.layer_norm(product, norm_out_weight.shape, norm_out_weight, norm_out_bias, eps)
    return functional.linear(product, project_out) * functional.linear(x, gate_out).sigmoid()


def reference_backward(
    grad: Tensor, z: Tensor, mask: Tensor, weights: list[Tensor], outgoing: bool, eps: float
) -> list[Tensor]:
    """Gradients of z and of the weights, from that of the output; what the forward pass knew is computed again."""
    norm_in_weight, norm_in_bias, project_in, gate_in, norm_out_weight, norm_out_bias, project_out, gate_out = weights
    norm, norm_backward = torch.native_layer_norm, torch.ops.aten.native_layer_norm_backward
    n, shape_in, shape_out = z.shape[1], list(norm_in_weight.shape), list(norm_out_weight.shape)
    x, *moments_in = norm(z, shape_in, norm_in_weight, norm_in_bias, eps)
    rows, exists = x.flatten(1, 2), mask.flatten(1)[..., None]
    projected, gate = rows @ project_in.mT, (rows @ gate_in.mT).sigmoid()
    a, b = (projected * gate * exists).mT.unflatten(-1, (n, n)).chunk(2, 1)
    product = (a @ b.mT if outgoing else a.mT @ b).permute(0, 2, 3, 1).contiguous()
    y, *moments_out = norm(product, shape_out, norm_out_weight, norm_out_bias, eps)
    open_ = (x @ gate_out.mT).sigmoid()
    by_out = grad * open_
    by_open = grad * (y @ project_out.mT) * open_ * (1 - open_)
    by_product, *by_norm_out = norm_backward(
        by_out @ project_out, product, shape_out, *moments_out, norm_out_weight, norm_out_bias, [True] * 3
    )
    by_product = by_product.permute(0, 3, 1, 2)
    pair = (by_product @ b, by_product.mT @ a) if outgoing else (b @ by_product.mT, a @ by_product)
    by_edges = torch.cat(pair, 1).flatten(2).mT * exists
    by_projected, by_gate = by_edges * gate, by_edges * projected * gate * (1 - gate)
    by_x = by_open @ gate_out + (by_projected @ project_in + by_gate @ gate_in).unflatten(1, (n, n))
    by_z, *by_norm_in = norm_backward(by_x, z, shape_in, *moments_in, norm_in_weight, norm_in_bias, [True] * 3)

    def by_weight(left: Tensor, right: Tensor) -> Tensor:
        return left.reshape(-1, left.shape[-1]).mT @ right.reshape(-1, right.shape[-1])

    first = [*by_norm_in, by_weight(by_projected, rows), by_weight(by_gate, rows)]
    return [by_z, *first, *by_norm_out, by_weight(by_out, y), by_weight(by_open, x)]


def _check_inputs(kind: tuple[Any, ...]) -> tuple[Tensor, Tensor, list[Tensor], Tensor]:
    """z, mask, weights and the output's gradient on the CPU, for the self check."""
    dtype, c_z, c_hidden, _ = kind
    generator = torch.Generator("cpu").manual_seed(1)

    def normal(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator, dtype=torch.float64, device="cpu")

    shapes = [(c_z,), (c_z,), *[(2 * c_hidden, c_z)] * 2, (c_hidden,), (c_hidden,), (c_z, c_hidden), (c_z, c_z)]
    weights = [normal(*shape) / shape[-1] ** 0.5 if len(shape) == 2 else 1 + normal(*shape) / 4 for shape in shapes]
    mask = torch.rand((1, _CHECK_TOKENS, _CHECK_TOKENS), generator=generator, device="cpu") >= 0.3
    z, grad = (normal(1, _CHECK_TOKENS, _CHECK_TOKENS, c_z).to(dtype) for _ in range(2))
    return z, mask, [x.to(dtype) for x in weights], grad


def _forward_problem(device: torch.device, kind: tuple[Any, ...]) -> Problem:
    z, mask, weights, _ = _check_inputs(kind)
    expected = reference(z.double(), mask, [x.double() for x in weights], kind[3], _CHECK_EPS)
    out = torch.full(z.shape, torch.nan, dtype=z.dtype, device=device)
    placed = (z.to(device), mask.to(device), [x.to(device) for x in weights])
    return Problem(arguments=(*placed, kind[3], _CHECK_EPS, out), outputs=[out], expected=[expected])


def _backward_problem(device: torch.device, kind: tuple[Any, ...]) -> Problem:
    z, mask, weights, grad = _check_inputs(kind)
    exact = [x.double() for x in weights]
    expected = reference_backward(grad.double(), z.double(), mask, exact, kind[3], _CHECK_EPS)
    sums = torch.promote_types(z.dtype, torch.float32)
    grads = [torch.full(x.shape, torch.nan, dtype=sums, device=device) for x in weights]
    grad_z = torch.full(z.shape, torch.nan, dtype=z.dtype, device=device)
    placed = (grad.to(device), z.to(device), mask.to(device), [x.to(device) for x in weights])
    arguments = (*placed, kind[3], _CHECK_EPS, grad_z, grads)
    return Problem(arguments=arguments, outputs=[grad_z, *grads], expected=expected)


_CHECK_TOKENS, _CHECK_EPS = 37, 1e-5
_CHECK_KINDS = tuple(
    (dtype, c_z, c_hidden, outgoing)
    for dtype in (torch.float32, torch.float16, torch.bfloat16)
    for c_z, c_hidden in ((64, 32), (128, 128))
    for outgoing in (True, False)
)
_FORWARD = Kernel(
    "triangle_multiplication_forward",
    "tttidt",
    workspace=(0, 2),
    check=SelfCheck(
        kind=lambda x: (x[0].dtype, x[0].shape[-1], len(x[2][4]), bool(x[3])),
        problem=_forward_problem,
        kinds=_CHECK_KINDS,
    ),
)
_BACKWARD = Kernel(
    "triangle_multiplication_backward",
    "ttttidtt",
    workspace=(1, 3),
    check=SelfCheck(
        kind=lambda x: (x[1].dtype, x[1].shape[-1], len(x[3][4]), bool(x[4])),
        problem=_backward_problem,
        kinds=_CHECK_KINDS,
    ),
)


def _compute(z: Tensor, mask: Tensor, weights: list[Tensor], outgoing: bool, eps: float) -> Tensor:
    table, exists, factors = _plain(z, mask, weights)
    out = result_memory.new_empty(table, z.shape)
    if not _FORWARD(z.device, table, exists, factors, outgoing, eps, out):
        out = reference(table, mask, factors, outgoing, eps)
    return _dense(out, z.dtype)


def _compute_backward(
    grad: Tensor, z: Tensor, mask: Tensor, weights: list[Tensor], outgoing: bool, eps: float
) -> list[Tensor]:
    table, exists, factors = _plain(z, mask, weights)
    grad = _dense(grad, table.dtype)
    sums = torch.promote_types(table.dtype, torch.float32)
    grads = [result_memory.new_empty(table, table.shape), *(torch.empty_like(x, dtype=sums) for x in factors)]
    if not _BACKWARD(z.device, grad, table, exists, factors, outgoing, eps, grads[0], grads[1:]):
        grads = reference_backward(grad, table, mask, factors, outgoing, eps)
    return [_dense(x, given.dtype) for x, given in zip(grads, (z, *weights), strict=True)]


def _like(z: Tensor, *rest: Any) -> Tensor:
    return z.new_empty(z.shape)


def _like_backward(grad: Tensor, z: Tensor, mask: Tensor, weights: list[Tensor], *rest: Any) -> list[Tensor]:
    return [x.new_empty(x.shape) for x in (z, *weights)]


def _keep(ctx: Any, inputs: tuple, output: Tensor) -> None:
    z, mask, weights, ctx.outgoing, ctx.eps = inputs
    ctx.save_for_backward(z, mask, *weights)


def _gradients(ctx: Any, grad: Tensor) -> tuple[Any, ...]:
    z, mask, *weights = ctx.saved_tensors
    by_whom: Any = _compute_backward if unobserved(grad) else _backward_operator
    grad_z, *grad_weights = by_whom(grad, z, mask, weights, ctx.outgoing, ctx.eps)
    return grad_z, None, grad_weights, None, None


_differentiate = once("triangle_multiplication", _gradients)


class _Differentiated(torch.autograd.Function):
    """The operator and its gradient, beside PyTorch's dispatcher."""

    @staticmethod
    def forward(ctx: Any, outgoing: bool, eps: float, z: Tensor, mask: Tensor, *weights: Tensor) -> Tensor:
        ctx.outgoing, ctx.eps = outgoing, eps
        ctx.save_for_backward(z, mask, *weights)
        return _compute(z, mask, list(weights), outgoing, eps)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Any, ...]:
        grad_z, _, grad_weights, *_ = _differentiate(ctx, grad)
        return None, None, grad_z, None, *grad_weights


_operator = register_operator(
    "triangle_multiplication(Tensor z, Tensor mask, Tensor[] weights, bool outgoing, float eps) -> Tensor",
    _compute,
    _like,
)
_backward_operator = register_operator(
    "triangle_multiplication_backward(Tensor grad, Tensor z, Tensor mask, Tensor[] weights, bool outgoing, float eps) "
    "-> Tensor[]",
    _compute_backward,
    _like_backward,
)
register_gradient("triangle_multiplication", _differentiate, _keep)


def _plain(z: Tensor, mask: Tensor, weights: list[Tensor]) -> tuple[Tensor, Tensor, list[Tensor]]:
    """As the kernels take them: contiguous; on a CPU also at least float32, since it has no quick half precision."""
    dtype = torch.promote_types(z.dtype, torch.float32) if z.device.type == "cpu" else z.dtype
    return _dense(z, dtype), mask.contiguous(), [_dense(x, dtype) for x in weights]


def _dense(x: Tensor, dtype: torch.dtype) -> Tensor:
    return (x if x.dtype == dtype else x.to(dtype)).contiguous()  # `to` takes as long where there is nothing to do

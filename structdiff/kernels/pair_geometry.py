"""How all pairs of tokens lie to each other: biases for attention, and messages between tokens."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from structdiff.kernels.native import Kernel, KernelError, mode
from structdiff.kernels.registration import once, register_gradient, register_operator
from structdiff.typing import Bool, Float

_FORWARD = Kernel("pair_geometry_forward", "tddttt")
_BACKWARD = Kernel("pair_geometry_backward", "ttttddt")
_CHANNEL_STEP = 16
_DIFFERENTIABLE: tuple[int, ...] = (0, 2, 3, 4, 6, 7, 8, 9, 10)  # of the operator's tables: all but previous and mask
_SOFTENING = 1.0  # Å; direction vectors fade below this distance, where they would jump


@dataclass(frozen=True, kw_only=True)
class PairReading:
    """The weights that read a pair, and sizes: attention biases, heads, messages, the basis of distances.

    read [c, 2 centres + 3 dots] reads distance, previous distance and dot products; hidden [c, c]; out
    [biases + heads + messages, c]. largest, spacing (Å): of the basis, see ``structdiff.nn.binning.DistanceBasis``.
    """

    read: Tensor
    hidden: Tensor
    hidden_bias: Tensor
    out: Tensor
    out_bias: Tensor
    heads: int
    messages: int
    largest: float
    spacing: float


def pair_geometry(
    centre: Float[Tensor, "batch n 3"],
    previous: Float[Tensor, "batch n 3"],
    probes: Float[Tensor, "batch n 3 four_dots"],
    z: Float[Tensor, "groups n n c"],
    shift: Float[Tensor, "batch c"],
    mask: Bool[Tensor, "batch n"],
    reading: PairReading,
) -> tuple[Float[Tensor, "batch biases n n"], Float[Tensor, "batch n heads c"], Float[Tensor, "batch n 3 messages"]]:
    """Reads every pair of tokens through two layers; gives attention biases, and what each token gathers from all.

    A pair (i, j) shows its distance (Å) now and in the previous prediction, its direction against vectors of both
    tokens, and z. The layers' output is a bias for every attention head, softmax weights over j, and lengths; weighed,
    the hidden features add up to the second result and the directions times lengths to the third. Tokens outside
    ``mask`` are hidden behind a bias of -1e9. z may have fewer entries than the batch: each then serves several samples
    in a row. ``previous`` is a constant. csrc/pair_geometry/contract.h has the formulas.
    """
    r = reading
    weights = [r.read, r.hidden, r.hidden_bias, r.out, r.out_bias]
    tables = [centre, previous.detach(), probes, z, shift, mask, *weights]
    if not _is_native(z):
        return reference(tables, r.heads, r.messages, r.largest, r.spacing)
    bias, gathered, arrows = _operator(tables, r.heads, r.messages, r.largest, r.spacing)
    return bias, gathered, arrows


def _is_native(z: Tensor) -> bool:
    fits = z.device.type == "cpu" and z.dtype == torch.float32 and z.shape[-1] % _CHANNEL_STEP == 0
    # A compiler must not look into the loader; where native kernels are insisted on, the operator says what is missing.
    return fits and (torch.compiler.is_compiling() or _FORWARD.available("cpu") or mode() == "native")


def reference(
    tables: list[Tensor], heads: int, messages: int, largest: float, spacing: float
) -> tuple[Tensor, Tensor, Tensor]:
    """The definition in PyTorch, which runs on every device and in every dtype."""
    centre, previous, probes, z, shift, mask, read, hidden_weight, hidden_bias, out_weight, out_bias = tables
    arrow = centre[:, None] - centre[:, :, None]
    distance = torch.sqrt(arrow.square().sum(-1) + 1e-6)
    direction = arrow / (distance + _SOFTENING)[..., None]
    centres = (read.shape[1] - 3 * probes.shape[-1] // 4) // 2
    read_now, read_before, read_dots = read.split([centres, centres, read.shape[1] - 2 * centres], -1)
    # Not by |a|² + |b|² - 2ab, torch's choice for many points, which loses the digits of short distances.
    before = torch.cdist(previous, previous, compute_mode="donot_use_mm_for_euclid_dist")
    hidden = (
        functional.linear(_basis(distance, centres, largest, spacing), read_now)
        + functional.linear(_basis(before, centres, largest, spacing), read_before)
        + functional.linear(_dots(probes, direction), read_dots)
        + shift[:, None, None]
        + z.repeat_interleave(len(centre) // len(z), 0)
    )
    hidden = functional.silu(functional.linear(functional.silu(hidden), hidden_weight, hidden_bias))
    sizes = [len(out_bias) - heads - messages, heads, messages]
    bias, logits, radial = functional.linear(hidden, out_weight, out_bias).split(sizes, -1)
    hide = (~mask)[:, None, None] * -1e9
    weight = torch.softmax(logits.transpose(2, 3) + hide, -1)
    radial = (weight.transpose(2, 3)[..., None] * radial.unflatten(-1, (heads, -1))).flatten(-2)
    return bias.permute(0, 3, 1, 2) + hide, weight @ hidden, direction.transpose(2, 3) @ radial


def _basis(distance: Tensor, centres: int, largest: float, spacing: float) -> Tensor:
    top = math.log1p(largest / spacing)
    place = torch.log1p(distance.clamp(max=largest) / spacing)[..., None]
    at = torch.linspace(0.0, top, centres, dtype=place.dtype, device=place.device)
    return torch.exp(-0.5 * ((place - at) * ((centres - 1) / top)).square())


def _dots(probes: Tensor, direction: Tensor) -> Tensor:
    """Each pair's direction against vectors of both ends, and the vectors of both ends against each other."""
    own, other, left, right = probes.chunk(4, -1)
    to_own = direction @ own
    to_other = (direction.transpose(1, 2) @ other).transpose(1, 2)
    mutual = torch.einsum("bicd,bjcd->bijd", left, right)
    return torch.cat([to_own, to_other, mutual], -1)


def _compute(
    tables: list[Tensor], heads: int, messages: int, largest: float, spacing: float
) -> tuple[Tensor, Tensor, Tensor]:
    bias, gathered, arrows = _like(tables, heads, messages, largest, spacing)
    if _FORWARD(tables[0].device, _plain(tables), largest, spacing, bias, gathered, arrows):
        return bias, gathered, arrows
    bias, gathered, arrows = reference(tables, heads, messages, largest, spacing)
    return bias.contiguous(), gathered.contiguous(), arrows.contiguous()


def _like(
    tables: list[Tensor], heads: int, messages: int, largest: float, spacing: float
) -> tuple[Tensor, Tensor, Tensor]:
    z, biases = tables[3], tables[10].shape[0] - heads - messages
    (batch, n, _), c = tables[0].shape, z.shape[-1]
    return (
        z.new_empty((batch, biases, n, n)),
        z.new_empty((batch, n, heads, c)),
        z.new_empty((batch, n, 3, messages)),
    )


def _plain(tables: list[Tensor]) -> list[Tensor]:
    return [x.contiguous() for x in tables]


_operator = register_operator(
    "pair_geometry(Tensor[] tables, int heads, int messages, float largest, float spacing) -> (Tensor, Tensor, Tensor)",
    _compute,
    _like,
)


def _compute_backward(
    grads: list[Tensor], tables: list[Tensor], heads: int, messages: int, largest: float, spacing: float
) -> list[Tensor]:
    plain = _plain(tables)
    found = [torch.empty_like(plain[place]) for place in _DIFFERENTIABLE]
    if not _BACKWARD(tables[0].device, *_plain(grads), plain, largest, spacing, found):
        raise KernelError("pair_geometry_backward: no memory for the gradients")
    return found


def _like_backward(grads: list[Tensor], tables: list[Tensor], *rest: Any) -> list[Tensor]:
    return [tables[place].new_empty(tables[place].shape) for place in _DIFFERENTIABLE]


def _keep(ctx: Any, inputs: tuple, output: tuple[Tensor, ...]) -> None:
    tables, *ctx.sizes = inputs
    ctx.save_for_backward(*tables)


def _gradients(ctx: Any, *grads: Tensor) -> tuple[Any, ...]:
    tables = list(ctx.saved_tensors)
    if _BACKWARD.available("cpu"):
        found = _backward_operator(list(grads), tables, *ctx.sizes)
    else:  # the kernels were switched off in between
        with torch.enable_grad():
            again = [x.detach().requires_grad_(place in _DIFFERENTIABLE) for place, x in enumerate(tables)]
            outputs = reference(again, *ctx.sizes)
        found = torch.autograd.grad(outputs, [again[place] for place in _DIFFERENTIABLE], grads)
    by_table = dict(zip(_DIFFERENTIABLE, found, strict=True))
    return [by_table.get(place) for place in range(len(tables))], None, None, None, None


_backward_operator = register_operator(
    "pair_geometry_backward(Tensor[] grads, Tensor[] tables, int heads, int messages, float largest, float spacing) "
    "-> Tensor[]",
    _compute_backward,
    _like_backward,
)
register_gradient("pair_geometry", once("pair_geometry", _gradients), _keep)

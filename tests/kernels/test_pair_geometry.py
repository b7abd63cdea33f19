"""The denoiser's view of all pairs against its definition in float64: results, gradients, sizes, threads."""

from __future__ import annotations

import importlib

import pytest
import torch
from torch.testing import assert_close

from structdiff import kernels
from structdiff.kernels.pair_geometry import PairReading, pair_geometry, reference
from structdiff.nn.binning import DistanceBasis
from tests.kernels.contract import compiles, native_only, needs_native  # noqa: F401

MODULE = importlib.import_module("structdiff.kernels.pair_geometry")
LARGEST, SPACING = 600.0, 2.0
HEADS, MESSAGES, BIASES, DOTS, CENTRES = 4, 8, 6, 3, 10


def draw(n, batch=4, groups=2, c=16):
    generator = torch.Generator().manual_seed(n)

    def normal(*shape, spread=1.0):
        return spread * torch.randn(shape, generator=generator)

    mask = torch.rand((batch, n), generator=generator) > 0.3
    mask[0] = n == 1  # one sample without any token
    mask[:, 0] |= torch.arange(batch) > 0
    width, outs = 2 * CENTRES + 3 * DOTS, BIASES + HEADS + MESSAGES
    weights = [normal(c, width, spread=width**-0.5), normal(c, c, spread=c**-0.5), normal(c, spread=0.3)]
    weights += [normal(outs, c, spread=c**-0.5), normal(outs, spread=0.3)]
    tables = [normal(batch, n, 3, spread=9.0), normal(batch, n, 3, spread=9.0), normal(batch, n, 3, 4 * DOTS)]
    return [*tables, normal(groups, n, n, c), normal(batch, c), mask, *weights]


def call(tables):
    reading = PairReading(**dict(zip(("read", "hidden", "hidden_bias", "out", "out_bias"), tables[6:], strict=True)),
                          heads=HEADS, messages=MESSAGES, largest=LARGEST, spacing=SPACING)  # fmt: skip
    return pair_geometry(*tables[:6], reading)


def definition(tables):
    return reference(tables, HEADS, MESSAGES, LARGEST, SPACING)


def results(function, tables):
    """Outputs (the bias apart from what hides masked tokens), and gradients."""
    tables = [x.detach().clone().requires_grad_(x.is_floating_point() and place != 1) for place, x in enumerate(tables)]
    bias, gathered, arrows = function(tables)
    outputs = [torch.where(tables[5][:, None, None], bias, 0.0), gathered, arrows]
    generator = torch.Generator().manual_seed(5)
    grads = [torch.randn(x.shape, generator=generator).to(x.dtype) for x in outputs]
    leaves = [x for x in tables if x.requires_grad]
    return [x.detach() for x in outputs] + list(torch.autograd.grad(outputs, leaves, grads))


def wide(tables):
    return [x.double() if x.is_floating_point() else x for x in tables]


@needs_native
@pytest.mark.parametrize(("n", "groups"), [(1, 4), (7, 2), (33, 1), (70, 2)])
def test_no_more_than_three_times_as_wrong_as_pytorch(n, groups, native_only):  # noqa: F811
    tables = draw(n, groups=groups)
    truth = results(definition, wide(tables))
    for place, (ours, theirs, exact) in enumerate(
        zip(results(call, tables), results(definition, tables), truth, strict=True)
    ):
        least = torch.finfo(torch.float32).eps * max(1.0, exact.abs().max().item())
        error, allowed = ((x.double() - exact).abs().max().item() for x in (ours, theirs))
        assert error <= 3 * max(allowed, least), place


@needs_native
def test_masked_tokens_are_hidden(native_only):  # noqa: F811
    tables = draw(9)
    bias, gathered, arrows = call(tables)
    assert (bias.masked_select(~tables[5][:, None, None]) < -9e8).all()
    changed = [*tables]
    changed[0] = torch.where(tables[5][..., None], tables[0], 55.0)
    seen = tables[5].clone()
    seen[0] = False  # where nothing exists, everything is seen alike
    for after, before in zip(call(changed)[1:], (gathered, arrows), strict=True):
        assert_close(after[seen], before[seen], rtol=1e-5, atol=1e-5)


@needs_native
def test_samples_that_share_z_are_as_with_their_own_copies(native_only):  # noqa: F811
    shared = draw(12, groups=2)
    copied = [*shared]
    copied[3] = shared[3].repeat_interleave(2, 0)
    ours, expected = results(call, shared), results(call, copied)
    for place, (a, b) in enumerate(zip(ours, expected, strict=True)):
        b = b.unflatten(0, (2, 2)).sum(1) if place == 5 else b  # the gradient of z
        assert_close(a, b, rtol=1e-4, atol=1e-4)


@needs_native
def test_any_strides(native_only):  # noqa: F811
    tables = draw(8)
    turned = [x.mT.contiguous().mT if x.dim() > 1 else x for x in tables]
    for a, b in zip(results(call, turned), results(call, tables), strict=True):
        assert torch.equal(a, b)


@needs_native
def test_one_and_two_threads_give_the_same_bits(native_only):  # noqa: F811
    tables = draw(70)
    one = results(call, tables)
    torch.set_num_threads(2)
    try:
        two = results(call, tables)
    finally:
        torch.set_num_threads(1)
    assert all(torch.equal(a, b) for a, b in zip(one, two, strict=True))


def test_the_basis_is_that_of_the_other_layers():
    distance = torch.linspace(0, 700, 300, dtype=torch.float64)
    expected = DistanceBasis(CENTRES, largest=LARGEST, scale=SPACING).double()(distance)
    assert_close(MODULE._basis(distance, CENTRES, LARGEST, SPACING), expected, rtol=1e-5, atol=1e-6)


def test_gradients_agree_with_finite_differences():
    tables = wide(draw(3))
    tables[5][0] = True  # beside 1e9 finite differences are lost
    tables = [x.requires_grad_(x.is_floating_point() and place != 1) for place, x in enumerate(tables)]
    assert torch.autograd.gradcheck(lambda *given: call(list(given))[1:], tables, fast_mode=True)


def test_known_to_pytorch_as_it_is():
    tables = draw(5)
    tables = [x.requires_grad_(x.is_floating_point() and place != 1) for place, x in enumerate(tables)]
    operator = torch.ops.structdiff.pair_geometry.default
    # Gradients through all of it are the matter of the tests above: this one compares NaN-free results alone.
    torch.library.opcheck(operator, (tables, HEADS, MESSAGES, LARGEST, SPACING),
                          test_utils=("test_schema", "test_faketensor", "test_autograd_registration"))  # fmt: skip


def test_kernels_switched_off_between_forward_and_backward():
    tables = [x.requires_grad_(x.is_floating_point() and place != 1) for place, x in enumerate(draw(6))]
    outputs = call(tables)[1:]
    kernels.set_mode("reference")
    try:
        found = torch.autograd.grad([x.sum() for x in outputs], tables[:1])
    finally:
        kernels.set_mode(None)
    again = call(tables)[1:]
    assert_close(found, torch.autograd.grad([x.sum() for x in again], tables[:1]), rtol=1e-4, atol=1e-5)


def test_widths_that_no_kernel_takes_run_in_pytorch():
    tables = draw(4, c=12)
    for a, b in zip(call(tables), definition(tables), strict=True):
        assert_close(a, b)


def test_compiles_in_one_graph():
    compiles(
        "import torch\n"
        "from structdiff.kernels.pair_geometry import PairReading, pair_geometry\n"
        "g = torch.Generator().manual_seed(0)\n"
        "def normal(*shape): return torch.randn(shape, generator=g)\n"
        "rest = [normal(16, 29) / 5, normal(16, 16) / 4, normal(16), normal(18, 16) / 4, normal(18)]\n"
        "mask = torch.ones(2, 7, dtype=torch.bool)\n"
        "def step(centre, z, probes, shift):\n"
        "    reading = PairReading(read=rest[0], hidden=rest[1], hidden_bias=rest[2], out=rest[3], out_bias=rest[4],\n"
        "                          heads=4, messages=8, largest=600.0, spacing=2.0)\n"
        "    return sum(x.square().sum() for x in pair_geometry(centre, centre, probes, z, shift, mask, reading))\n"
        "inputs = [normal(2, 7, 3), normal(2, 7, 7, 16), normal(2, 7, 3, 12), normal(2, 16)]\n"
        "inputs = [x.requires_grad_() for x in inputs]\n"
        "compiled = torch.compile(step, backend='aot_eager', fullgraph=True)\n"
        "expected = torch.autograd.grad(step(*inputs), inputs)\n"
        "for a, b in zip(torch.autograd.grad(compiled(*inputs), inputs), expected):\n"
        "    torch.testing.assert_close(a, b)\n"
    )


@needs_native
def test_second_derivatives_are_refused_in_words(native_only):  # noqa: F811
    tables = [x.requires_grad_(x.is_floating_point() and place != 1) for place, x in enumerate(draw(7))]
    found = torch.autograd.grad(call(tables)[1].sum(), [tables[0]], create_graph=True)
    with pytest.raises(RuntimeError, match=r"pair_geometry of structdiff\.kernels has no second derivatives"):
        found[0].square().sum().backward()

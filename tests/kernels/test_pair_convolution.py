"""Half residual blocks on tables of pairs: the shared contract, and dilations, sizes, and whose gradients there are."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional
from torch.testing import assert_close

from structdiff import kernels
from structdiff.kernels.pair_convolution import EPSILON, pair_convolution
from tests.kernels.contract import OperatorContract, compiles, native_only, needs_native, reference_only  # noqa: F401


def draw(rows, columns, *, channels=(32, 16), batch=2, residual=True, dilation=2):
    generator = torch.Generator().manual_seed(rows)

    def normal(*shape):
        return torch.randn(shape, generator=generator)

    into, out = channels
    return {
        "x": normal(batch, rows, columns, into) + 0.5,
        "weight": normal(3, 3, into, out) / (9 * into) ** 0.5,
        "gain": normal(out) + 1.0,
        "shift": normal(out),
        "residual": normal(batch, rows, columns, out) if residual else None,
        "dilation": dilation,
    }


def definition(x, weight, gain, shift, residual, dilation):
    """By torch's own layers, channels first."""
    planes, taps = x.permute(0, 3, 1, 2).contiguous(), weight.permute(3, 2, 0, 1).contiguous()
    c = functional.conv2d(planes, taps, padding=dilation, dilation=dilation).contiguous()
    mean = c.mean((2, 3), keepdim=True)
    scale = ((c - mean).square().mean((2, 3), keepdim=True) + EPSILON).rsqrt()
    z = ((c - mean) * scale).permute(0, 2, 3, 1) * gain + shift
    return functional.elu(z if residual is None else z + residual)


class TestPairConvolution(OperatorContract):
    name = "pair_convolution"
    sizes = (2, 7, 33, 65)

    def draw(self, size, *, hidden=0.3):
        return draw(size, size + 1, residual=hidden is not None)

    def definition(self, **inputs):
        return definition(**inputs)

    def leaves(self, inputs):
        given = {name: x.detach().clone() if isinstance(x, torch.Tensor) else x for name, x in inputs.items()}
        return {name: x.requires_grad_() if name in ("x", "residual") and x is not None else x
                for name, x in given.items()}  # fmt: skip

    def error(self, found, truth):
        # In the mean: the largest of some thousands is as large by chance as by the algorithm.
        return (found.double() - truth).square().mean().sqrt().item()

    def opcheck_arguments(self, inputs):
        return (*inputs.values(), True)


@needs_native
@pytest.mark.parametrize("dilation", [1, 3, 8, 16, 40, 2**31 - 1])
@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (1, 9), (5, 4), (37, 50)])
def test_any_dilation_and_any_table(dilation, rows, columns, native_only):  # noqa: F811
    inputs = draw(rows, columns, dilation=dilation)
    wide = {name: x.double() if isinstance(x, torch.Tensor) else x for name, x in inputs.items()}
    if dilation > 40:  # too far for torch's own padding, and as far as any beyond the table
        wide["dilation"] = 60
    assert_close(pair_convolution(**inputs).double(), definition(**wide), rtol=1e-4, atol=1e-4)


@needs_native
def test_samples_know_nothing_of_each_other(native_only):  # noqa: F811
    inputs = draw(12, 12, batch=3)
    together = pair_convolution(**inputs)
    for sample in range(3):
        alone = inputs | {name: inputs[name][sample : sample + 1] for name in ("x", "residual")}
        assert torch.equal(pair_convolution(**alone)[0], together[sample])


@needs_native
def test_a_large_mean_costs_no_digits_of_the_variance(native_only):  # noqa: F811
    inputs = draw(20, 20, residual=False)
    inputs["x"] = inputs["x"] + 100.0
    wide = {name: x.double() if isinstance(x, torch.Tensor) else x for name, x in inputs.items()}
    inside = slice(2, -2)
    ours, exact = pair_convolution(**inputs).double(), definition(**wide)
    assert_close(ours[:, inside, inside], exact[:, inside, inside], rtol=2e-3, atol=2e-3)


def test_weights_that_ask_for_gradients_get_them():
    inputs = draw(6, 7)
    given = {name: x.requires_grad_() for name, x in inputs.items() if isinstance(x, torch.Tensor)}
    found = torch.autograd.grad(pair_convolution(**inputs).square().sum(), list(given.values()))
    expected = torch.autograd.grad(definition(**inputs).square().sum(), list(given.values()))
    for name, ours, theirs in zip(given, found, expected, strict=True):
        assert_close(ours, theirs, rtol=1e-3, atol=1e-3, msg=name)


def test_kernels_switched_off_between_forward_and_backward():
    inputs = draw(9, 8)
    x = inputs["x"].requires_grad_()
    out = pair_convolution(**inputs)
    kernels.set_mode("reference")
    try:
        (found,) = torch.autograd.grad(out.square().sum(), x)
    finally:
        kernels.set_mode(None)
    (expected,) = torch.autograd.grad(pair_convolution(**inputs).square().sum(), x)
    assert_close(found, expected, rtol=1e-4, atol=1e-4)


def test_widths_that_no_kernel_takes_run_in_pytorch():
    inputs = draw(6, 5, channels=(12, 20))
    assert_close(pair_convolution(**inputs), definition(**inputs))


def test_compiles_in_one_graph():
    compiles(
        "import torch\n"
        "from structdiff.kernels import pair_convolution\n"
        "g = torch.Generator().manual_seed(0)\n"
        "x = torch.randn(1, 9, 9, 16, generator=g)\n"
        "w, one = torch.randn(3, 3, 16, 16, generator=g) / 12, torch.ones(16)\n"
        "call = lambda x: pair_convolution(x, w, one, one, x, dilation=2)\n"
        "compiled = torch.compile(call, fullgraph=True, backend='aot_eager')\n"
        "a, b = x.clone().requires_grad_(), x.clone().requires_grad_()\n"
        "torch.testing.assert_close(compiled(a), call(b))\n"
        "compiled(a).sum().backward(); call(b).sum().backward()\n"
        "torch.testing.assert_close(a.grad, b.grad)\n"
    )

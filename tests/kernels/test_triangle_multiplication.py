"""Triangle multiplication against its definition, written as one sum over k, in float64."""

from __future__ import annotations

import sys

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn.functional import layer_norm
from torch.testing import assert_close

from structdiff import kernels
from structdiff.kernels import triangle_multiplication
from tests.kernels.contract import OperatorContract, compiles, native_only, needs_native, reference_only  # noqa: F401

WEIGHTS = (
    "norm_in_weight", "norm_in_bias", "project_in_weight", "gate_in_weight", "norm_out_weight", "norm_out_bias",
    "project_out_weight", "gate_out_weight",
)  # fmt: skip


def draw(n=5, c_z=32, c_hidden=16, batch=2, hidden=0.3):
    generator = torch.Generator().manual_seed(2)

    def normal(*shape, spread=1.0, mean=0.0):
        return mean + spread * torch.randn(shape, generator=generator)

    mask = torch.rand((batch, n, n), generator=generator) > (hidden or 0.0)
    weights = (
        *(normal(c_z, spread=0.2, mean=1.0), normal(c_z, spread=0.2)),
        *(normal(2 * c_hidden, c_z, spread=c_z**-0.5), normal(2 * c_hidden, c_z, spread=c_z**-0.5)),
        *(normal(c_hidden, spread=0.2, mean=1.0), normal(c_hidden, spread=0.2)),
        *(normal(c_z, c_hidden, spread=c_hidden**-0.5), normal(c_z, c_z, spread=c_z**-0.5)),
    )
    return {"z": normal(batch, n, n, c_z), "mask": mask, **dict(zip(WEIGHTS, weights, strict=True))}


def by_definition(z, mask, outgoing, **weights):
    w_in, b_in, project_in, gate_in, w_out, b_out, project_out, gate_out = weights.values()
    x = layer_norm(z, z.shape[-1:], w_in, b_in)
    edges = (x @ project_in.T) * (x @ gate_in.T).sigmoid() * mask[..., None]
    a, b = edges.tensor_split(2, dim=-1)
    product = torch.einsum("bikc,bjkc->bijc" if outgoing else "bkic,bkjc->bijc", a, b)
    return (layer_norm(product, w_out.shape, w_out, b_out) @ project_out.T) * (x @ gate_out.T).sigmoid()


class Contract(OperatorContract):
    name = "triangle_multiplication"
    outgoing: bool

    def draw(self, size, *, hidden=0.3):
        return draw(size, batch=2 if size < 100 else 1, hidden=hidden) | {"outgoing": self.outgoing}

    def definition(self, **inputs):
        return by_definition(**inputs)

    def opcheck_arguments(self, inputs):
        return inputs["z"], inputs["mask"], [inputs[name] for name in WEIGHTS], self.outgoing, 1e-5


@needs_native
def test_a_mask_of_other_sizes_is_left_to_pytorch():
    """A native kernel would read past its end."""
    inputs = draw(hidden=0)
    weights = [inputs[name] for name in WEIGHTS]

    def update(*sizes):  # not by the function, whose annotations the tests check
        mask = torch.ones(sizes, dtype=torch.bool)
        return torch.ops.structdiff.triangle_multiplication(inputs["z"], mask, weights, True, 1e-5)

    assert_close(update(1, 1, 1), update(2, 5, 5), rtol=1e-4, atol=1e-4)
    with pytest.raises(RuntimeError, match="size"):
        update(2, 5, 4)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_under_autocast_a_gpu_multiplies_in_half_precision(dtype, monkeypatch):
    """Without a GPU: fake tensors. The pair table, a sum over layers, is float32 under autocast."""
    monkeypatch.setattr(sys.modules[kernels.triangle_multiplication.__module__], "available", lambda device: True)
    before = torch.get_autocast_dtype("cuda")
    torch.set_autocast_enabled("cuda", True)  # torch.autocast declines without a GPU
    torch.set_autocast_dtype("cuda", dtype)
    try:
        with FakeTensorMode():
            inputs = {name: torch.empty(x.shape, dtype=x.dtype, device="cuda") for name, x in draw().items()}
            out = kernels.triangle_multiplication(**inputs, outgoing=True)
    finally:
        torch.set_autocast_enabled("cuda", False)
        torch.set_autocast_dtype("cuda", before)
    assert out.dtype == dtype


class TestOutgoing(Contract):
    outgoing = True


class TestIncoming(Contract):
    outgoing = False


@needs_native
@pytest.mark.parametrize(("c_z", "c_hidden"), [(64, 32), (128, 128), (256, 64)])
def test_widths_of_the_networks(c_z, c_hidden):
    inputs = draw(20, c_z, c_hidden, batch=1)
    for outgoing in (True, False):
        contract = TestOutgoing()
        expected = contract.results(by_definition, {k: v.double() if v.is_floating_point() else v
                                                    for k, v in inputs.items()} | {"outgoing": outgoing})  # fmt: skip
        kernels.set_mode("native")
        try:
            found = contract.results(contract.call, inputs | {"outgoing": outgoing})
        finally:
            kernels.set_mode(None)
        for name, exact in expected.items():
            assert_close(found[name].double(), exact, rtol=1e-4, atol=2e-5 * exact.abs().max().item())


def test_widths_that_no_kernel_takes_run_in_pytorch():
    inputs = draw(6, 12, 5)
    assert_close(triangle_multiplication(**inputs, outgoing=True), by_definition(**inputs, outgoing=True),
                 rtol=1e-4, atol=1e-5)  # fmt: skip


def test_edges_outside_the_mask_change_nothing():
    inputs = draw(9)
    hidden = ~inputs["mask"]
    out = triangle_multiplication(**inputs, outgoing=True)
    changed = inputs | {"z": inputs["z"] + 7 * torch.randn_like(inputs["z"]) * hidden[..., None]}
    assert_close(triangle_multiplication(**changed, outgoing=True)[~hidden], out[~hidden], rtol=1e-6, atol=1e-6)


def test_compiles_in_one_graph():
    compiles(
        "import torch\n"
        "from structdiff.kernels import triangle_multiplication as f\n"
        "def step(z, w):\n"
        "    mask = torch.ones(1, 9, 9, dtype=torch.bool)\n"
        "    norm, square, wide = torch.ones(16), w[:16], w\n"
        "    return f(z, mask, norm, norm, wide, wide, norm, norm, square, square, True).square().sum()\n"
        "z = torch.randn(1, 9, 9, 16, requires_grad=True)\n"
        "w = torch.randn(32, 16, requires_grad=True)\n"
        "compiled = torch.compile(step, backend='aot_eager', fullgraph=True)\n"
        "expected = torch.autograd.grad(step(z, w), (z, w))\n"
        "found = torch.autograd.grad(compiled(z, w), (z, w))\n"
        "for a, b in zip(found, expected): torch.testing.assert_close(a, b)\n"
    )

"""Triangle attention against its definition."""

from __future__ import annotations

import math

import pytest
import torch
from torch.testing import assert_close

from structdiff.kernels import triangle_attention
from structdiff.kernels.triangle_attention import _fused
from tests.kernels.contract import OperatorContract, compiles, native_only, needs_native, reference_only  # noqa: F401


def draw(rows=3, queries=5, keys=5, heads=2, channels=16, batch=2, hidden: float | None = 0.3):
    generator = torch.Generator().manual_seed(0)

    def normal(*shape):
        return torch.randn(shape, generator=generator)

    mask = None
    if hidden is not None:
        mask = torch.rand((batch, rows, keys), generator=generator) >= hidden
        mask[:, 0] = False  # a row with no key at all
        mask[:, -1, : keys // 2 + 1] = True
        mask[:, -1, keys // 2 + 1 :] = False
    return {
        "q": normal(batch, rows, queries, heads, channels),
        "k": normal(batch, rows, keys, heads, channels),
        "v": normal(batch, rows, keys, heads, channels),
        "bias": normal(batch, heads, queries, keys),
        "mask": mask,
    }


def by_definition(q, k, v, bias, mask, scale=None):
    scale = 1 / math.sqrt(q.shape[-1]) if scale is None else scale
    logits = torch.einsum("bijhc,bikhc->bihjk", q, k) * scale + bias[:, None]
    if mask is not None:
        there = mask[:, :, None, None]
        # Without keys, the logits are taken for equal.
        logits = torch.where(there.any(-1, keepdim=True), logits.masked_fill(~there, -torch.inf), 0.0)
    return torch.einsum("bihjk,bikhc->bijhc", logits.softmax(-1), v)


class TestTriangleAttention(OperatorContract):
    name = "triangle_attention"

    def draw(self, size, *, hidden=0.3):
        return draw(rows=min(size, 5), queries=size, keys=size, hidden=hidden)

    def definition(self, **inputs):
        return by_definition(**inputs)

    def opcheck_arguments(self, inputs):
        return (*inputs.values(), 0.5, True)

    @needs_native
    @pytest.mark.parametrize("channels", [1, 8, 24, 29, 32, 48, 64, 128])
    def test_every_number_of_channels(self, channels, native_only):  # noqa: F811
        inputs = draw(rows=2, queries=9, keys=20, channels=channels, heads=3)
        ours, truth = self.results(self.call, inputs), self.results(self.definition, inputs)
        for name, expected in truth.items():
            assert_close(ours[name], expected, rtol=2e-5, atol=2e-5)

    @needs_native
    @pytest.mark.parametrize("heads", [1, 2, 3, 7, 16])
    def test_bias_with_heads_last(self, heads, native_only):  # noqa: F811
        inputs = draw(rows=2, queries=19, keys=19, heads=heads)
        inputs["bias"] = inputs["bias"].permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2)
        assert_close(triangle_attention(**inputs), by_definition(**inputs), rtol=1e-5, atol=1e-5)

    @needs_native
    @pytest.mark.parametrize("size", [1.0, 300.0, 3e6, 1e12, 1e30])
    def test_logits_of_any_size(self, size, native_only):  # noqa: F811
        # They rise and fall over more keys than are weighed at once.
        inputs = draw(rows=2, queries=40, keys=150, hidden=None, batch=1)
        inputs["bias"] = inputs["bias"] + size * torch.linspace(-1, 1, 150).roll(40)
        expected = by_definition(**{name: None if x is None else x.double() for name, x in inputs.items()})
        assert_close(triangle_attention(**inputs), expected.float(), rtol=1e-4, atol=1e-4 + 1e-7 * min(size, 1e3))

    @needs_native
    def test_keys_that_all_have_the_lowest_bias_take_part_alike(self, native_only):  # noqa: F811
        inputs = draw(rows=2, queries=9, keys=150, hidden=None)
        inputs["bias"] = torch.full_like(inputs["bias"], torch.finfo(torch.float32).min).requires_grad_()
        out = triangle_attention(**inputs)
        assert_close(out, inputs["v"].mean(2, keepdim=True).expand_as(out))
        (slope,) = torch.autograd.grad(out.sum(), inputs["bias"])
        assert slope.isfinite().all()

    @needs_native
    def test_infinite_bias_hides_keys(self, native_only):  # noqa: F811
        inputs = draw(rows=2, queries=9, keys=150, hidden=None)
        inputs["bias"][..., 3:140:2] = -torch.inf
        inputs["bias"][0, 0, 4] = -torch.inf  # nothing is left
        ours, expected = triangle_attention(**inputs), by_definition(**inputs)
        assert_close(ours, expected, rtol=1e-5, atol=1e-5, equal_nan=True)
        assert ours[0, :, 4, 0].isnan().all()
        assert ours[0, :, 5].isfinite().all()

    @needs_native
    def test_float32_bias_beside_half_precision(self, native_only):  # noqa: F811
        inputs = draw()
        inputs |= {name: inputs[name].bfloat16() for name in ("q", "k", "v")}
        ours = self.results(self.call, inputs)
        assert ours["bias"].dtype == torch.float32
        widened = {name: x.float() if x.is_floating_point() else x for name, x in inputs.items()}
        assert_close(ours["output"].float(), by_definition(**widened), rtol=1e-2, atol=1e-2)


def test_scale_is_used():
    inputs = draw()
    assert_close(triangle_attention(**inputs, scale=0.1), by_definition(**inputs, scale=0.1), rtol=1e-5, atol=1e-5)


def test_row_without_keys_gives_the_mean_of_v():
    inputs = draw()
    out = triangle_attention(**inputs)
    assert_close(out[:, 0], inputs["v"][:, 0].mean(1, keepdim=True).expand_as(out[:, 0]))


def test_masked_keys_change_nothing():
    inputs = draw()
    hidden = ~inputs["mask"]
    hidden[:, 0] = False
    changed = inputs | {name: inputs[name].masked_fill(hidden[..., None, None], 1e6) for name in ("k", "v")}
    assert torch.equal(triangle_attention(**changed), triangle_attention(**inputs))


def test_bias_shared_by_a_batch_without_copies():
    inputs = draw()
    shared = inputs | {"bias": inputs["bias"][:1].expand(2, -1, -1, -1)}
    copied = inputs | {"bias": inputs["bias"][:1].repeat(2, 1, 1, 1)}
    contract = TestTriangleAttention()
    expected = contract.results(by_definition, copied)
    leaf = inputs["bias"][:1].clone().requires_grad_()
    out = triangle_attention(**shared | {"bias": leaf.expand(2, -1, -1, -1)})
    assert_close(out, expected["output"], rtol=1e-5, atol=1e-5)
    generator = torch.Generator().manual_seed(3)
    out.backward(torch.randn(out.shape, generator=generator))
    assert_close(leaf.grad, expected["bias"].sum(0, keepdim=True), rtol=1e-4, atol=1e-4)


def test_accelerator_path_agrees_too():
    inputs = draw()
    assert_close(_fused(**inputs, scale=0.5), by_definition(**inputs, scale=0.5), rtol=1e-5, atol=1e-5)


def test_compiles_in_one_graph():
    compiles(
        "import torch\n"
        "from structdiff.kernels import attention_pair_bias, triangle_attention\n"
        "def both(q, bias):\n"
        "    x = triangle_attention(q, q, q, bias)\n"
        "    return attention_pair_bias(x[:, 0], x[:, 1], x[:, 2], bias).sum()\n"
        "q = torch.randn(1, 9, 9, 2, 8, requires_grad=True)\n"
        "bias = torch.randn(1, 2, 9, 9, requires_grad=True)\n"
        "compiled = torch.compile(both, backend='aot_eager', fullgraph=True)\n"
        "expected = torch.autograd.grad(both(q, bias), (q, bias))\n"
        "found = torch.autograd.grad(compiled(q, bias), (q, bias))\n"
        "for a, b in zip(found, expected): torch.testing.assert_close(a, b)\n"
    )

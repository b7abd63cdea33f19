"""Triangle attention against its definition, written out, in float64."""

from __future__ import annotations

import math
import sys

import pytest
import torch
from torch.testing import assert_close

from structdiff import kernels
from structdiff.kernels.triangle_attention import _fused, triangle_attention

# The package exports the function under the module's own name.
MODULE = sys.modules["structdiff.kernels.triangle_attention"]


def draw(batch=2, rows=3, queries=5, keys=5, heads=2, channels=4, dtype=torch.float64, hidden=0.3):
    generator = torch.Generator().manual_seed(0)

    def normal(*shape):
        return torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype)

    mask = torch.rand((batch, rows, keys), generator=generator) >= hidden
    mask[:, 0] = False  # a row with no key at all
    mask[:, -1] = True
    return {
        "q": normal(batch, rows, queries, heads, channels),
        "k": normal(batch, rows, keys, heads, channels),
        "v": normal(batch, rows, keys, heads, channels),
        "bias": normal(batch, heads, queries, keys),
        "mask": mask,
    }


def by_definition(q, k, v, bias, mask, scale=None):
    """Loops over rows and heads; only the existing keys enter."""
    scale = 1 / math.sqrt(q.shape[-1]) if scale is None else scale
    q, k, v, bias = (x.double() for x in (q, k, v, bias))
    out = torch.empty_like(q)
    for b in range(q.shape[0]):
        for i in range(q.shape[1]):
            keys = mask[b, i]
            for h in range(q.shape[3]):
                if not keys.any():
                    out[b, i, :, h] = v[b, i, :, h].mean(0)
                    continue
                logits = scale * q[b, i, :, h] @ k[b, i, keys, h].T + bias[b, h][:, keys]
                out[b, i, :, h] = logits.softmax(-1) @ v[b, i, keys, h]
    return out


# The error of one rounding, times what a sum over some ten terms of order one needs.
TOLERANCE = {torch.float64: 1e-12, torch.float32: 2e-6, torch.float16: 4e-3, torch.bfloat16: 3e-2}


@pytest.mark.parametrize("dtype", TOLERANCE)
def test_agrees_with_its_definition(dtype):
    inputs = draw(dtype=dtype)
    out = triangle_attention(**inputs)
    assert out.dtype == dtype
    assert_close(out.double(), by_definition(**inputs), rtol=0, atol=TOLERANCE[dtype])


@pytest.mark.parametrize(("rows", "queries", "keys"), [(1, 1, 1), (7, 7, 7), (2, 33, 33), (3, 5, 2), (1, 129, 129)])
def test_odd_sizes(rows, queries, keys):
    inputs = draw(rows=rows, queries=queries, keys=keys)
    assert_close(triangle_attention(**inputs), by_definition(**inputs), rtol=0, atol=1e-12)


def test_scale_is_used():
    inputs = draw()
    assert_close(triangle_attention(**inputs, scale=0.1), by_definition(**inputs, scale=0.1), rtol=0, atol=1e-12)


def test_row_without_keys_gives_the_mean_of_v():
    inputs = draw(dtype=torch.float32)
    out = triangle_attention(**inputs)
    assert_close(out[:, 0], inputs["v"][:, 0].mean(1, keepdim=True).expand_as(out[:, 0]))


def test_masked_keys_change_nothing():
    inputs = draw()
    hidden = ~inputs["mask"]
    hidden[:, 0] = False
    changed = inputs | {name: inputs[name].masked_fill(hidden[..., None, None], 1e6) for name in ("k", "v")}
    assert torch.equal(triangle_attention(**changed), triangle_attention(**inputs))


def test_any_strides_in_contiguous_out():
    inputs = draw(rows=5)
    strided = {name: inputs[name].transpose(1, 2).contiguous().transpose(1, 2) for name in ("q", "k", "v")}
    strided["bias"] = inputs["bias"].permute(0, 3, 2, 1).contiguous().permute(0, 3, 2, 1)
    strided["mask"] = inputs["mask"].mT.contiguous().mT
    out = triangle_attention(**strided)
    assert out.is_contiguous()
    assert_close(out, by_definition(**inputs), rtol=0, atol=1e-12)


def test_scores_split_into_blocks_change_nothing(monkeypatch):
    inputs = draw(rows=7, queries=6, keys=6)
    whole = triangle_attention(**inputs)
    monkeypatch.setattr(MODULE, "_SCORES_IN_CACHE", 2 * 2 * 36)  # two rows at a time
    assert_close(triangle_attention(**inputs), whole, rtol=0, atol=1e-14)


def leaves(inputs):
    return {name: x.requires_grad_() if x.is_floating_point() else x for name, x in inputs.items()}


@pytest.mark.parametrize("block", [1 << 20, 30], ids=["one block", "a block a row"])
def test_gradients_agree_with_finite_differences(block, monkeypatch):
    monkeypatch.setattr(MODULE, "_SCORES_IN_CACHE", block)
    inputs = leaves(draw(batch=1, queries=3, keys=3, channels=2))
    assert torch.autograd.gradcheck(triangle_attention, tuple(inputs.values()))


def test_gradients_through_strided_inputs_and_grad():
    inputs = leaves(draw(rows=5))
    transposed = [inputs[name].transpose(1, 2) for name in ("q", "k", "v")]
    args = (*transposed, inputs["bias"], inputs["mask"].mT)
    plain = [x.detach().clone().requires_grad_() if x.is_floating_point() else x.clone() for x in args]
    triangle_attention(*args).transpose(1, 2).sum().backward()
    by_definition(*plain).sum().backward()
    for name, theirs in zip(("q", "k", "v"), plain, strict=False):
        assert_close(inputs[name].grad.transpose(1, 2), theirs.grad, rtol=0, atol=1e-12)
    assert_close(inputs["bias"].grad, plain[3].grad, rtol=0, atol=1e-12)


def test_accelerator_path_agrees_too():
    inputs = draw(dtype=torch.float32)
    out = _fused(**inputs, scale=0.5)
    assert_close(out.double(), by_definition(**inputs, scale=0.5), rtol=0, atol=2e-6)


def test_package_exports_the_operator():
    assert kernels.triangle_attention is triangle_attention
    assert kernels.status()["triangle_attention"] == "reference (PyTorch)"

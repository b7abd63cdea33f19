"""Attention with pair bias against its definition in float64."""

from __future__ import annotations

import pytest
import torch
from torch.testing import assert_close

from structdiff.kernels import attention_pair_bias


def draw(tokens=7, dtype=torch.float64):
    generator = torch.Generator().manual_seed(1)
    q, k, v = (torch.randn((2, tokens, 3, 4), generator=generator, dtype=torch.float64).to(dtype) for _ in range(3))
    bias = torch.randn((2, 3, tokens, tokens), generator=generator, dtype=torch.float64).to(dtype)
    mask = torch.rand((2, tokens), generator=generator) > 0.3
    mask[0] = False
    mask[1, 0] = True
    return q, k, v, bias, mask


def by_definition(q, k, v, bias, mask, scale=0.5):
    q, k, v, bias = (x.double() for x in (q, k, v, bias))
    weights = torch.einsum("bihd,bjhd->bhij", q, k) * scale + bias
    weights = weights.exp() * mask[:, None, None]
    weights = torch.where(mask.any(-1)[:, None, None, None], weights, torch.ones_like(weights))
    return torch.einsum("bhij,bjhd->bihd", weights / weights.sum(-1, keepdim=True), v)


@pytest.mark.parametrize(("dtype", "atol"), [(torch.float64, 1e-12), (torch.float32, 2e-6), (torch.bfloat16, 3e-2)])
@pytest.mark.parametrize("tokens", [1, 7, 33])
def test_agrees_with_its_definition(dtype, atol, tokens):
    inputs = draw(tokens, dtype)
    out = attention_pair_bias(*inputs)
    assert out.dtype == dtype
    assert out.is_contiguous()
    assert_close(out.double(), by_definition(*inputs), rtol=0, atol=atol)


def test_masked_tokens_change_nothing():
    q, k, v, bias, mask = draw()
    hidden = (~mask[1:])[..., None, None]
    changed = (q[1:], k[1:].masked_fill(hidden, 1e6), v[1:].masked_fill(hidden, -1e6), bias[1:], mask[1:])
    assert torch.equal(attention_pair_bias(*changed), attention_pair_bias(q[1:], k[1:], v[1:], bias[1:], mask[1:]))


def test_gradients_agree_with_finite_differences():
    inputs = [x[1:, :3] if x.dim() == 4 and i < 3 else x for i, x in enumerate(draw(3))]
    inputs[3], inputs[4] = inputs[3][1:], inputs[4][1:]
    inputs = [x.clone().requires_grad_() if x.is_floating_point() else x for x in inputs]
    assert torch.autograd.gradcheck(attention_pair_bias, tuple(inputs))

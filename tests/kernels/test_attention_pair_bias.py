"""Attention with pair bias against its definition."""

from __future__ import annotations

import math

import pytest
import torch
from torch.testing import assert_close

from structdiff.kernels import attention_pair_bias
from structdiff.kernels.attention_pair_bias import _fused
from tests.kernels.contract import OperatorContract, native_only, needs_native, reference_only  # noqa: F401


def draw(tokens=7, batch=3, heads=3, channels=16, hidden: float | None = 0.3, shared=False):
    generator = torch.Generator().manual_seed(1)
    q, k, v = (torch.randn((batch, tokens, heads, channels), generator=generator) for _ in range(3))
    bias = torch.randn((1 if shared else batch, heads, tokens, tokens), generator=generator)
    mask = None
    if hidden is not None:
        mask = torch.rand((batch, tokens), generator=generator) > hidden
        mask[0] = False
        mask[1:, 0] = True
    return {"q": q, "k": k, "v": v, "bias": bias, "mask": mask}


def by_definition(q, k, v, bias, mask, scale=None):
    scale = 1 / math.sqrt(q.shape[-1]) if scale is None else scale
    logits = torch.einsum("bihd,bjhd->bhij", q, k) * scale + bias
    if mask is not None:
        there = mask[:, None, None]
        logits = torch.where(there.any(-1, keepdim=True), logits.masked_fill(~there, -torch.inf), 0.0)
    return torch.einsum("bhij,bjhd->bihd", logits.softmax(-1), v)


class TestAttentionPairBias(OperatorContract):
    name = "attention_pair_bias"

    def draw(self, size, *, hidden=0.3):
        return draw(size, hidden=hidden)

    def definition(self, **inputs):
        return by_definition(**inputs)

    def opcheck_arguments(self, inputs):
        return (*inputs.values(), 0.5, True)


class TestSharedBias(TestAttentionPairBias):
    """Samples of one trunk, which have their bias in common."""

    def draw(self, size, *, hidden=0.3):
        return draw(size, hidden=hidden, shared=True)


@needs_native
@pytest.mark.parametrize("channels", [8, 24, 29, 48, 64])
def test_every_number_of_channels(channels, native_only):  # noqa: F811
    inputs = draw(21, channels=channels)
    assert_close(attention_pair_bias(**inputs), by_definition(**inputs), rtol=1e-5, atol=1e-5)


def test_masked_tokens_change_nothing():
    inputs = draw()
    hidden = ~inputs["mask"]
    hidden[0] = False
    changed = inputs | {
        "k": inputs["k"].masked_fill(hidden[..., None, None], 1e6),
        "v": inputs["v"].masked_fill(hidden[..., None, None], -1e6),
    }
    assert torch.equal(attention_pair_bias(**changed), attention_pair_bias(**inputs))


def test_accelerator_path_agrees_too():
    inputs = draw()
    assert_close(_fused(**inputs, scale=0.5), by_definition(**inputs, scale=0.5), rtol=1e-5, atol=1e-5)

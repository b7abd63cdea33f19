"""The building blocks against the formulas of the AlphaFold 3 supplement."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn
from torch.nn.functional import layer_norm, silu
from torch.testing import assert_close

from structdiff.nn.attention import AttentionPairBias
from structdiff.nn.dropout import SharedDropout
from structdiff.nn.embedding import FourierEmbedding, NoiseEmbedding
from structdiff.nn.initialisation import linear
from structdiff.nn.msa import OuterProductMean, PairWeightedAveraging
from structdiff.nn.normalisation import AdaptiveLayerNorm, ConditionGate
from structdiff.nn.rowwise import RowwiseLinear
from structdiff.nn.transition import ConditionedTransition, Transition
from structdiff.nn.triangle import TriangleAttention, TriangleMultiplication


@torch.no_grad()
def randomised(module: nn.Module) -> nn.Module:
    generator = torch.Generator().manual_seed(3)
    for parameter in module.parameters():
        parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.5)
    return module.double().eval()


def normal(*shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape)), dtype=torch.float64)


def bare(x):
    return layer_norm(x, x.shape[-1:])


def test_adaptive_layer_norm():
    norm = randomised(AdaptiveLayerNorm(4, 3))
    x, condition = normal(5, 4), normal(5, 3)
    c = bare(condition) * norm.norm_condition.weight
    expected = (c @ norm.scale.weight.T + norm.scale.bias).sigmoid() * bare(x) + c @ norm.shift.weight.T
    assert_close(norm(x, condition), expected)


def test_conditioned_transition():
    block = randomised(ConditionedTransition(4, 3))
    x, condition = normal(5, 4), normal(5, 3)
    y = block.norm(x, condition)
    y = (silu(y @ block.project_gate.weight.T) * (y @ block.project_up.weight.T)) @ block.project_out.weight.T
    gate = block.condition_gate.gate
    assert_close(block(x, condition), (condition @ gate.weight.T + gate.bias).sigmoid() * y)


def attention_by_hand(block, x, pair_bias):
    heads = block.heads
    q = (x @ block.project_q.weight.T + block.project_q.bias).unflatten(-1, (heads, -1))
    k, v = ((x @ p.weight.T).unflatten(-1, (heads, -1)) for p in (block.project_k, block.project_v))
    weights = (torch.einsum("bihd,bjhd->bhij", q, k) / math.sqrt(q.shape[-1]) + pair_bias).softmax(-1)
    gathered = torch.einsum("bhij,bjhd->bihd", weights, v).flatten(-2)
    return ((x @ block.gate.weight.T).sigmoid() * gathered) @ block.project_out.weight.T


@pytest.mark.parametrize("c_condition", [None, 3])
def test_attention_pair_bias(c_condition):
    block = randomised(AttentionPairBias(8, 4, heads=2, c_condition=c_condition))
    s, z, condition = normal(2, 5, 8), normal(2, 5, 5, 4), normal(2, 5, 3)
    z_norm = bare(z) * block.norm_pair.weight + block.norm_pair.bias
    pair_bias = (z_norm @ block.project_bias.weight.T).permute(0, 3, 1, 2)
    assert_close(block.pair_bias(z), pair_bias)
    mask = torch.ones(2, 5, dtype=torch.bool)
    if c_condition is None:
        expected = attention_by_hand(block, block.norm(s), pair_bias)
        assert_close(block(s, pair_bias, mask), expected)
    else:
        gate = (condition @ block.condition_gate.gate.weight.T + block.condition_gate.gate.bias).sigmoid()
        expected = gate * attention_by_hand(block, block.norm(s, condition), pair_bias)
        assert_close(block(s, pair_bias, mask, condition), expected)


def test_attention_refuses_heads_that_do_not_divide():
    with pytest.raises(ValueError, match="3 heads do not divide 8 channels"):
        AttentionPairBias(8, 4, heads=3)


def test_attention_insists_on_its_condition():
    mask = torch.ones(1, 2, dtype=torch.bool)
    bias = torch.zeros(1, 2, 2, 2)
    with pytest.raises(ValueError, match="condition"):
        AttentionPairBias(8, 4, heads=2, c_condition=3)(torch.zeros(1, 2, 8), bias, mask)
    with pytest.raises(ValueError, match="condition"):
        AttentionPairBias(8, 4, heads=2)(torch.zeros(1, 2, 8), bias, mask, torch.zeros(1, 2, 3))


def test_ending_attention_is_the_starting_one_on_the_transposed_table():
    start = randomised(TriangleAttention(4, heads=2, head_dim=3, starting=True))
    end = TriangleAttention(4, heads=2, head_dim=3, starting=False).double().eval()
    end.load_state_dict(start.state_dict())
    z, mask = normal(2, 5, 5, 4), normal(2, 5, 5) > -0.5
    assert_close(end(z, mask), start(z.transpose(1, 2), mask.mT).transpose(1, 2))


def test_incoming_multiplication_is_the_outgoing_one_on_the_transposed_table():
    outgoing = randomised(TriangleMultiplication(4, c_hidden=3, outgoing=True))
    incoming = TriangleMultiplication(4, c_hidden=3, outgoing=False).double().eval()
    incoming.load_state_dict(outgoing.state_dict())
    z, mask = normal(2, 5, 5, 4), normal(2, 5, 5) > -0.5
    # Transposing the input swaps the ends of each edge but the output's edge (i, j) stays, so the gate is the only
    # part that has to be undone: shut it off by making it constant.
    for module in (outgoing, incoming):
        nn.init.zeros_(module.gate_out.weight)
    assert_close(incoming(z, mask), outgoing(z.transpose(1, 2), mask.mT))


def test_outer_product_mean_averages_over_sequences_that_have_both():
    block = randomised(OuterProductMean(4, 6, c_hidden=3))
    m, mask = normal(1, 3, 2, 4), torch.tensor([[[True, True], [True, False], [False, False]]])
    x = bare(m) * block.norm.weight + block.norm.bias
    a, b = x @ block.project_a.weight.T, x @ block.project_b.weight.T
    # Pair (0, 0) exists in sequences 0 and 1, pair (0, 1) in sequence 0 only.
    both = (torch.outer(a[0, 0, 0], b[0, 0, 0]) + torch.outer(a[0, 1, 0], b[0, 1, 0])) / 2
    assert_close(block(m, mask)[0, 0, 0], block.project_out(both.flatten()))
    assert_close(block(m, mask)[0, 0, 1], block.project_out(torch.outer(a[0, 0, 0], b[0, 0, 1]).flatten()))


def test_pair_weighted_averaging():
    block = randomised(PairWeightedAveraging(4, 3, heads=2, head_dim=5))
    m, z = normal(2, 3, 6, 4), normal(2, 6, 6, 3)
    mask = torch.ones(2, 6, 6, dtype=torch.bool)
    mask[..., -1] = False
    x, y = block.norm(m), block.norm_pair(z)
    weights = block.project_bias(y)[:, :, :-1].softmax(2)
    values = (x @ block.project_v.weight.T).unflatten(-1, (2, 5))[:, :, :-1]
    averaged = torch.einsum("bijh,bsjhd->bsihd", weights, values).flatten(-2)
    expected = ((x @ block.gate.weight.T).sigmoid() * averaged) @ block.project_out.weight.T
    assert_close(block(m, z, mask), expected)


def test_fourier_embedding_is_saved_and_not_trained():
    torch.manual_seed(0)
    embedding = FourierEmbedding(5)
    assert not list(embedding.parameters())
    assert set(embedding.state_dict()) == {"weight", "bias"}
    x = torch.tensor([0.3, -1.0])
    assert_close(embedding(x)[1, 2], torch.cos(2 * math.pi * (embedding.bias[2] - embedding.weight[2])))


def test_noise_embedding_tells_noise_levels_apart():
    torch.manual_seed(0)
    a, b, again = NoiseEmbedding(8)(torch.tensor([0.1, 0.11, 0.1]))
    assert torch.equal(a, again)
    assert (a - b).abs().max() > 0.01


@pytest.mark.parametrize("axis", [1, 2])
def test_shared_dropout_drops_the_same_features_along_its_axis_and_keeps_the_mean(axis):
    torch.manual_seed(0)
    x = torch.ones(2, 30, 30, 20)
    dropped = SharedDropout(0.25, shared_axis=axis).train()(x)
    assert torch.equal(dropped, dropped.select(axis, 0).unsqueeze(axis).expand_as(x))
    assert dropped.unique().tolist() == pytest.approx([0, 4 / 3])
    assert dropped.mean().item() == pytest.approx(1, abs=0.05)


def test_shared_dropout_passes_through_in_evaluation_and_at_rate_zero():
    x = torch.ones(1, 3, 3, 2)
    assert SharedDropout(0.5, shared_axis=1).eval()(x) is x
    assert SharedDropout(0.0, shared_axis=1).train()(x) is x
    with pytest.raises(ValueError, match="dropout rate"):
        SharedDropout(1.0, shared_axis=1)


def test_weights_start_with_the_promised_variance():
    torch.manual_seed(0)
    for start, variance in (("lecun", 1 / 256), ("normal", 1 / 256), ("glorot", 2 / 768)):
        assert linear(256, 512, start=start).weight.var().item() == pytest.approx(variance, rel=0.05)
    assert linear(256, 512).weight.abs().max() <= 2.001 / 16 / 0.8796
    assert not linear(4, 5, start="zero", bias=True).weight.any()
    assert not linear(4, 5, bias=True).bias.any()


def test_fresh_blocks_pass_their_input_through():
    z, mask = normal(1, 4, 4, 6).float(), torch.ones(1, 4, 4, dtype=torch.bool)
    for update in (
        Transition(6)(z),
        TriangleMultiplication(6, c_hidden=5, outgoing=True)(z, mask),
        TriangleAttention(6, heads=2, head_dim=3, starting=False)(z, mask),
    ):
        assert not update.any()
    gate = ConditionGate(6, 3)
    assert_close(gate(z, torch.zeros(1, 4, 4, 3)), z * torch.sigmoid(torch.tensor(-2.0)))


@pytest.mark.parametrize("bias", [True, False])
def test_rows_of_a_rowwise_layer_do_not_know_of_each_other(bias):
    layer, rows = RowwiseLinear(24, 40, bias=bias).eval(), torch.randn(33, 24)
    together = layer(rows)
    for count in (1, 2, 3, 5, 8, 32):
        assert torch.equal(layer(rows[:count]), together[:count])
    torch.testing.assert_close(together, torch.nn.functional.linear(rows, layer.weight, layer.bias))
    assert layer(rows[0]).shape == (40,)
    assert layer(rows[:0]).shape == (0, 40)
    torch.testing.assert_close(layer.train()(rows), together)

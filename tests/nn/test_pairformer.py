"""What must hold for the Pairformer and the MSA module whatever their weights."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from structdiff.model.msa_module import MSAConfig, MSAModule
from structdiff.model.pairformer import PairConfig, PairformerConfig, PairformerStack, PairStack

SIZES = {"c_z": 8, "triangle_heads": 2, "triangle_head_dim": 4, "c_hidden_mul": 6, "dropout": 0.0}
TOKENS, PADDED = 6, 9


@torch.no_grad()
def randomised(module: nn.Module) -> nn.Module:
    """Every branch of the residuals carries something, unlike in a fresh module."""
    generator = torch.Generator().manual_seed(4)
    for name, parameter in module.named_parameters():
        noise = torch.randn(parameter.shape, generator=generator)
        parameter.copy_(
            noise * parameter.shape[1] ** -0.5 if parameter.dim() == 2 else float("norm" in name) + 0.1 * noise
        )
    return module.eval()


@pytest.fixture
def pairformer():
    return randomised(PairformerStack(PairformerConfig(blocks=2, c_s=12, heads=3, **SIZES)))


@pytest.fixture
def msa_module():
    return randomised(MSAModule(MSAConfig(blocks=2, c_m=10, msa_dropout=0.0, **SIZES), c_msa=5, c_s_inputs=12))


def draw(tokens=TOKENS, dtype=torch.float32):
    generator = torch.Generator().manual_seed(5)
    s = torch.randn((2, tokens, 12), generator=generator).to(dtype)
    z = torch.randn((2, tokens, tokens, 8), generator=generator).to(dtype)
    msa = torch.randn((2, 4, tokens, 5), generator=generator).to(dtype)
    return s, z, msa


def masks(tokens=TOKENS, existing=TOKENS):
    mask = torch.zeros(2, tokens, dtype=torch.bool)
    mask[:, :existing] = True
    return mask, mask[:, :, None] & mask[:, None]


def msa_mask_of(mask):
    rows = torch.tensor([True, True, True, False])
    return rows[None, :, None] & mask[:, None]


def test_padding_changes_nothing(pairformer, msa_module):
    s, z, msa = draw(PADDED)
    mask, pair_mask = masks(PADDED, existing=TOKENS)
    n = slice(TOKENS)
    bare_mask, bare_pair_mask = masks()
    s_padded, z_padded = pairformer(s, z, mask, pair_mask)
    s_bare, z_bare = pairformer(s[:, n], z[:, n, n], bare_mask, bare_pair_mask)
    assert_close(s_padded[:, n], s_bare, rtol=1e-5, atol=1e-5)
    assert_close(z_padded[:, n, n], z_bare, rtol=1e-5, atol=1e-5)
    z_padded = msa_module(z, s, msa, msa_mask_of(mask), pair_mask)
    z_bare = msa_module(z[:, n, n], s[:, n], msa[:, :, n], msa_mask_of(bare_mask), bare_pair_mask)
    assert_close(z_padded[:, n, n], z_bare, rtol=1e-5, atol=1e-5)


def test_padding_gets_finite_gradients_only(pairformer):
    s, z, _ = (x.requires_grad_() for x in draw(PADDED))
    mask, pair_mask = masks(PADDED, existing=TOKENS)
    s_out, z_out = pairformer(s, z, mask, pair_mask)
    (s_out[mask].square().sum() + z_out[pair_mask].square().sum()).backward()
    assert torch.equal(z.grad[~pair_mask], torch.zeros_like(z.grad[~pair_mask]))
    assert torch.equal(s.grad[~mask], torch.zeros_like(s.grad[~mask]))
    assert all(parameter.grad.isfinite().all() for parameter in pairformer.parameters())


def test_missing_sequences_change_nothing(msa_module):
    s, z, msa = draw()
    mask, pair_mask = masks()
    with_missing = msa_module(z, s, msa, msa_mask_of(mask), pair_mask)
    without = msa_module(z, s, msa[:, :3], mask[:, None].expand(-1, 3, -1), pair_mask)
    assert_close(with_missing, without, rtol=1e-5, atol=1e-5)


def test_order_of_sequences_changes_nothing(msa_module):
    s, z, msa = draw()
    mask, pair_mask = masks()
    existing = mask[:, None].expand(-1, 4, -1)
    once = msa_module(z, s, msa, existing, pair_mask)
    assert_close(msa_module(z, s, msa[:, [2, 0, 3, 1]], existing, pair_mask), once, rtol=1e-5, atol=1e-5)


def test_permuted_tokens_give_the_permuted_output(pairformer, msa_module):
    s, z, msa = draw()
    mask, pair_mask = masks(existing=5)
    order = torch.tensor([3, 0, 5, 1, 4, 2])
    s_p, z_p, msa_p = s[:, order], z[:, order][:, :, order], msa[:, :, order]
    mask_p, pair_mask_p = mask[:, order], pair_mask[:, order][:, :, order]
    s_out, z_out = pairformer(s, z, mask, pair_mask)
    s_out_p, z_out_p = pairformer(s_p, z_p, mask_p, pair_mask_p)
    assert_close(s_out_p, s_out[:, order], rtol=1e-5, atol=1e-5)
    assert_close(z_out_p, z_out[:, order][:, :, order], rtol=1e-5, atol=1e-5)
    z_out = msa_module(z, s, msa, msa_mask_of(mask), pair_mask)
    z_out_p = msa_module(z_p, s_p, msa_p, msa_mask_of(mask_p), pair_mask_p)
    assert_close(z_out_p, z_out[:, order][:, :, order], rtol=1e-5, atol=1e-5)


def test_batch_mates_change_nothing(pairformer):
    s, z, _ = draw()
    mask, pair_mask = masks(existing=5)
    s_both, z_both = pairformer(s, z, mask, pair_mask)
    s_one, z_one = pairformer(s[1:], z[1:], mask[1:], pair_mask[1:])
    assert_close(s_both[1:], s_one, rtol=1e-5, atol=1e-5)
    assert_close(z_both[1:], z_one, rtol=1e-5, atol=1e-5)


def test_every_token_reaches_every_pair(pairformer):
    s, z, _ = draw()
    mask, pair_mask = masks()
    _, z_out = pairformer(s, z, mask, pair_mask)
    z[:, 2, 4, 0] += 1  # not all channels alike: the layer norm takes that out
    _, moved = pairformer(s, z, mask, pair_mask)
    assert ((moved - z_out).abs().amax(-1) > 1e-4).all()


def test_single_precision_is_near_double(pairformer):
    s, z, _ = draw()
    mask, pair_mask = masks(existing=5)
    single = pairformer(s, z, mask, pair_mask)
    double = pairformer.double()(s.double(), z.double(), mask, pair_mask)
    for a, b in zip(single, double, strict=True):
        assert b.dtype == torch.float64
        assert_close(a.double(), b, rtol=1e-5, atol=1e-5)


def test_bfloat16_autocast_runs_near_float32(pairformer, msa_module):
    s, z, msa = draw()
    mask, pair_mask = masks(existing=5)
    expected = (*pairformer(s, z, mask, pair_mask), msa_module(z, s, msa, msa_mask_of(mask), pair_mask))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        outputs = (*pairformer(s, z, mask, pair_mask), msa_module(z, s, msa, msa_mask_of(mask), pair_mask))
        loss = sum(x.float().square().mean() for x in outputs)
    loss.backward()
    for a, b, exists in zip(outputs, expected, (mask, pair_mask, pair_mask), strict=True):
        assert a.dtype == torch.float32, "the residual stream keeps single precision"
        error = (a - b)[exists].square().mean().sqrt() / b[exists].square().mean().sqrt()
        assert 1e-5 < error < 0.03
    assert all(
        p.grad.isfinite().all() for p in (*pairformer.parameters(), *msa_module.parameters()) if p.grad is not None
    )


def test_checkpointing_changes_neither_output_nor_gradients(pairformer):
    s, z, _ = draw()
    mask, pair_mask = masks(existing=5)

    def run(checkpointing):
        pairformer.train().zero_grad()
        pairformer.checkpointing = checkpointing
        out, _ = pairformer(s, z, mask, pair_mask)
        out[mask].square().sum().backward()
        return out, [p.grad.clone() for p in pairformer.parameters()]

    kept, recomputed = run(False), run(True)
    assert torch.equal(kept[0], recomputed[0])
    assert all(torch.equal(a, b) for a, b in zip(kept[1], recomputed[1], strict=True))


def test_dropout_acts_in_training_only():
    stack = randomised(PairStack(PairConfig(**(SIZES | {"dropout": 0.5})), blocks=1))
    _, z, _ = draw()
    _, pair_mask = masks()
    torch.manual_seed(0)
    assert torch.equal(stack(z, pair_mask), stack(z, pair_mask))
    stack.train()
    assert not torch.allclose(stack(z, pair_mask), stack(z, pair_mask))


def test_pair_stack_is_the_pairformer_without_tokens(pairformer):
    stack = PairStack(PairConfig(**SIZES), blocks=2).eval()
    for ours, theirs in zip(stack.blocks, pairformer.blocks, strict=True):
        ours.load_state_dict(theirs.pair.state_dict())
    s, z, _ = draw()
    mask, pair_mask = masks(existing=5)
    assert_close(stack(z, pair_mask), pairformer(s, z, mask, pair_mask)[1])


def test_fresh_stack_passes_its_input_through():
    stack = PairformerStack(PairformerConfig(blocks=2, c_s=12, heads=3, **SIZES)).eval()
    s, z, _ = draw()
    s_out, z_out = stack(s, z, *masks())
    assert torch.equal(s_out, s)
    assert torch.equal(z_out, z)

"""Modules, parameters and inputs on which structdiff and Boltz-2 are compared; needs no boltz.

Parameters and inputs are drawn from a seeded generator, so that the golden files hold Boltz's outputs only.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor, nn

from structdiff.model.msa_module import MSABlock, MSAConfig, MSAModule
from structdiff.model.pairformer import PairBlock, PairConfig, PairformerBlock, PairformerConfig, PairformerStack
from structdiff.nn.msa import OuterProductMean, PairWeightedAveraging
from structdiff.nn.transition import Transition
from structdiff.nn.triangle import TriangleAttention, TriangleMultiplication

C_MSA = 36  # Boltz-2: 33 letters, has_deletion, deletion_value, paired


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """Sizes that Boltz lets one choose; the rest (four-fold transitions, 8 averaging heads of 32) is fixed there."""

    batch: int = 2
    tokens: int = 7
    sequences: int = 5
    c_s: int = 16
    c_z: int = 8
    c_m: int = 12
    heads: int = 4
    triangle_heads: int = 2
    triangle_head_dim: int = 4
    blocks: int = 2

    def shared(self) -> dict[str, int | float]:
        return {
            "c_z": self.c_z,
            "triangle_heads": self.triangle_heads,
            "triangle_head_dim": self.triangle_head_dim,
            "c_hidden_mul": self.c_z,
            "dropout": 0.0,
        }

    def pairformer(self) -> PairformerConfig:
        return PairformerConfig(blocks=self.blocks, c_s=self.c_s, heads=self.heads, **self.shared())

    def msa(self) -> MSAConfig:
        return MSAConfig(blocks=self.blocks, c_m=self.c_m, msa_dropout=0.0, **self.shared())


TINY = Sizes()
FULL = Sizes(
    batch=1,
    tokens=48,
    sequences=24,
    c_s=384,
    c_z=128,
    c_m=64,
    heads=16,
    triangle_heads=4,
    triangle_head_dim=32,
)


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """What the modules take; the last two tokens and one sequence of the last batch entry do not exist."""

    s: Tensor
    z: Tensor
    m: Tensor
    mask: Tensor
    pair_mask: Tensor
    msa_mask: Tensor
    letters: Tensor
    has_deletion: Tensor
    deletion_value: Tensor
    paired: Tensor

    def msa_features(self) -> Tensor:
        one_hot = torch.nn.functional.one_hot(self.letters, C_MSA - 3).to(self.z.dtype)
        return torch.cat([one_hot, torch.stack([self.has_deletion, self.deletion_value, self.paired], -1)], -1)


def draw_inputs(sizes: Sizes) -> Inputs:
    rng = np.random.default_rng(20)

    def uniform(*shape: int) -> Tensor:
        return torch.from_numpy(rng.random(shape) * 4 - 2).float()

    b, n, q = sizes.batch, sizes.tokens, sizes.sequences
    mask = torch.ones(b, n, dtype=torch.bool)
    mask[-1, -2:] = False
    rows = torch.ones(b, q, dtype=torch.bool)
    rows[-1, -1] = False
    return Inputs(
        s=uniform(b, n, sizes.c_s),
        z=uniform(b, n, n, sizes.c_z),
        m=uniform(b, q, n, sizes.c_m),
        mask=mask,
        pair_mask=mask[:, :, None] & mask[:, None],
        msa_mask=rows[:, :, None] & mask[:, None],
        letters=torch.from_numpy(rng.integers(0, C_MSA - 3, (b, q, n))),
        has_deletion=torch.from_numpy(rng.integers(0, 2, (b, q, n))).float(),
        deletion_value=uniform(b, q, n),
        paired=torch.from_numpy(rng.integers(0, 2, (b, q, n))).float(),
    )


@torch.no_grad()
def fill_parameters(module: nn.Module) -> None:
    """Draws every parameter by its name: matrices that keep the scale of their input, norms near (1, 0)."""
    for name, parameter in module.named_parameters():
        rng = np.random.default_rng(zlib.crc32(name.encode()))
        values = torch.from_numpy(rng.random(tuple(parameter.shape)) * 2 - 1)
        if parameter.dim() == 2:
            values = values * (3 / parameter.shape[1]) ** 0.5
        elif ".norm" in f".{name}" and name.endswith("weight"):
            values = 1 + 0.3 * values
        parameter.copy_(values)


@dataclass(frozen=True, kw_only=True)
class Case:
    """One module of ours, how to call it, and which of the outputs' leading axes must exist to be compared."""

    build: Callable[[Sizes], nn.Module]
    call: Callable[[nn.Module, Inputs], Tensor | tuple[Tensor, ...]]
    exists: tuple[str, ...] = field(default=("pair_mask",))

    def outputs(self, sizes: Sizes) -> list[np.ndarray]:
        module = self.build(sizes).eval()
        fill_parameters(module)
        inputs = draw_inputs(sizes)
        with torch.no_grad():
            return self.select(self.call(module, inputs), inputs)

    def select(self, outputs: Tensor | tuple[Tensor, ...], inputs: Inputs) -> list[np.ndarray]:
        """The rows of each output that exist: what either program writes into padding is its own affair."""
        outputs = outputs if isinstance(outputs, tuple) else (outputs,)
        masks = [getattr(inputs, name) for name in self.exists]
        return [output[mask].numpy() for output, mask in zip(outputs, masks, strict=True)]


def _triangle_attention(sizes: Sizes, *, starting: bool) -> nn.Module:
    return TriangleAttention(sizes.c_z, heads=sizes.triangle_heads, head_dim=sizes.triangle_head_dim, starting=starting)


CASES: dict[str, Case] = {
    "triangle_multiplication_outgoing": Case(
        build=lambda sizes: TriangleMultiplication(sizes.c_z, c_hidden=sizes.c_z, outgoing=True),
        call=lambda module, x: module(x.z, x.pair_mask),
    ),
    "triangle_multiplication_incoming": Case(
        build=lambda sizes: TriangleMultiplication(sizes.c_z, c_hidden=sizes.c_z, outgoing=False),
        call=lambda module, x: module(x.z, x.pair_mask),
    ),
    "triangle_attention_starting": Case(
        build=lambda sizes: _triangle_attention(sizes, starting=True),
        call=lambda module, x: module(x.z, x.pair_mask),
    ),
    "triangle_attention_ending": Case(
        build=lambda sizes: _triangle_attention(sizes, starting=False),
        call=lambda module, x: module(x.z, x.pair_mask),
    ),
    "transition": Case(
        build=lambda sizes: Transition(sizes.c_z),
        call=lambda module, x: module(x.z),
    ),
    "outer_product_mean": Case(
        build=lambda sizes: OuterProductMean(sizes.c_m, sizes.c_z),
        call=lambda module, x: module(x.m, x.msa_mask),
    ),
    "pair_weighted_averaging": Case(
        build=lambda sizes: PairWeightedAveraging(sizes.c_m, sizes.c_z),
        call=lambda module, x: module(x.m, x.z, x.pair_mask),
        exists=("msa_mask",),
    ),
    "pair_block": Case(
        build=lambda sizes: PairBlock(PairConfig(**sizes.shared())),
        call=lambda module, x: module(x.z, x.pair_mask),
    ),
    "pairformer_block": Case(
        build=lambda sizes: PairformerBlock(sizes.pairformer()),
        call=lambda module, x: module(x.s, x.z, x.mask, x.pair_mask),
        exists=("mask", "pair_mask"),
    ),
    "pairformer_stack": Case(
        build=lambda sizes: PairformerStack(sizes.pairformer()),
        call=lambda module, x: module(x.s, x.z, x.mask, x.pair_mask),
        exists=("mask", "pair_mask"),
    ),
    "msa_block": Case(
        build=lambda sizes: MSABlock(sizes.msa()),
        call=lambda module, x: module(x.m, x.z, x.msa_mask, x.pair_mask),
        exists=("msa_mask", "pair_mask"),
    ),
    "msa_module": Case(
        build=lambda sizes: MSAModule(sizes.msa(), c_msa=C_MSA, c_s_inputs=sizes.c_s),
        call=lambda module, x: module(x.z, x.s, x.msa_features(), x.msa_mask, x.pair_mask),
    ),
}

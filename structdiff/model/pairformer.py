"""Pairformer: the trunk's main stack, which refines tokens (s) and pairs of tokens (z) together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from structdiff.nn.attention import AttentionPairBias
from structdiff.nn.dropout import SharedDropout
from structdiff.nn.transition import Transition
from structdiff.nn.triangle import TriangleAttention, TriangleMultiplication
from structdiff.typing import Bool, Float


@dataclass(frozen=True, kw_only=True)
class PairConfig:
    """Sizes of the blocks that refine the pair table; the defaults are AlphaFold 3's."""

    c_z: int = 128
    triangle_heads: int = 4
    triangle_head_dim: int = 32
    c_hidden_mul: int = 128
    transition_factor: int = 4
    dropout: float = 0.25
    checkpointing: bool = False
    """Recompute activations in the backward pass: about a third more time, far less memory."""


@dataclass(frozen=True, kw_only=True)
class PairformerConfig(PairConfig):
    """Sizes of the Pairformer; the defaults are AlphaFold 3's."""

    blocks: int = 48
    c_s: int = 384
    heads: int = 16


class PairBlock(nn.Module):
    """Refines the pair table by its triangles: two multiplications, two attentions, a transition.

    AlphaFold 3, Algorithm 17, lines 2 to 6; by itself it is the pair stack of the MSA module and template embedder.
    """

    def __init__(self, config: PairConfig) -> None:
        super().__init__()
        c_z, heads, head_dim = config.c_z, config.triangle_heads, config.triangle_head_dim
        self.multiply_outgoing = TriangleMultiplication(c_z, c_hidden=config.c_hidden_mul, outgoing=True)
        self.multiply_incoming = TriangleMultiplication(c_z, c_hidden=config.c_hidden_mul, outgoing=False)
        self.attend_starting = TriangleAttention(c_z, heads=heads, head_dim=head_dim, starting=True)
        self.attend_ending = TriangleAttention(c_z, heads=heads, head_dim=head_dim, starting=False)
        self.transition = Transition(c_z, factor=config.transition_factor)
        self.dropout_rows = SharedDropout(config.dropout, shared_axis=1)
        self.dropout_columns = SharedDropout(config.dropout, shared_axis=2)

    def forward(
        self, z: Float[Tensor, "batch token token c_z"], pair_mask: Bool[Tensor, "batch token token"]
    ) -> Float[Tensor, "batch token token c_z"]:
        """The refined pair table."""
        z = z + self.dropout_rows(self.multiply_outgoing(z, pair_mask))
        z = z + self.dropout_rows(self.multiply_incoming(z, pair_mask))
        z = z + self.dropout_rows(self.attend_starting(z, pair_mask))
        z = z + self.dropout_columns(self.attend_ending(z, pair_mask))
        return z + self.transition(z)


class PairStack(nn.Module):
    """Several pair blocks, one after the other, with no track of single tokens."""

    def __init__(self, config: PairConfig, *, blocks: int) -> None:
        super().__init__()
        self.checkpointing = config.checkpointing
        self.blocks = nn.ModuleList(PairBlock(config) for _ in range(blocks))

    def forward(
        self, z: Float[Tensor, "batch token token c_z"], pair_mask: Bool[Tensor, "batch token token"]
    ) -> Float[Tensor, "batch token token c_z"]:
        """The refined pair table."""
        for block in self.blocks:
            z = run_block(block, z, pair_mask, checkpointing=self.checkpointing and self.training)
        return z


class PairformerBlock(nn.Module):
    """Refines the pair table, then lets the tokens exchange what they know under its guidance.

    AlphaFold 3, Algorithm 17, lines 2 to 8.
    """

    def __init__(self, config: PairformerConfig) -> None:
        super().__init__()
        self.pair = PairBlock(config)
        self.attention = AttentionPairBias(config.c_s, config.c_z, heads=config.heads)
        self.transition = Transition(config.c_s, factor=config.transition_factor)

    def forward(
        self,
        s: Float[Tensor, "batch token c_s"],
        z: Float[Tensor, "batch token token c_z"],
        mask: Bool[Tensor, "batch token"],
        pair_mask: Bool[Tensor, "batch token token"],
    ) -> tuple[Float[Tensor, "batch token c_s"], Float[Tensor, "batch token token c_z"]]:
        """The refined tokens and pair table."""
        z = self.pair(z, pair_mask)
        s = s + self.attention(s, self.attention.pair_bias(z), mask)
        return s + self.transition(s), z


class PairformerStack(nn.Module):
    """Refines tokens (s) and pairs of tokens (z) together, block after block.

    ``mask`` says which tokens exist, ``pair_mask`` which pairs (both of its tokens). What does not exist changes
    nothing that does. AlphaFold 3, Algorithm 17.
    """

    def __init__(self, config: PairformerConfig) -> None:
        super().__init__()
        self.checkpointing = config.checkpointing
        self.blocks = nn.ModuleList(PairformerBlock(config) for _ in range(config.blocks))

    def forward(
        self,
        s: Float[Tensor, "batch token c_s"],
        z: Float[Tensor, "batch token token c_z"],
        mask: Bool[Tensor, "batch token"],
        pair_mask: Bool[Tensor, "batch token token"],
    ) -> tuple[Float[Tensor, "batch token c_s"], Float[Tensor, "batch token token c_z"]]:
        """The refined tokens and pair table."""
        for block in self.blocks:
            s, z = run_block(block, s, z, mask, pair_mask, checkpointing=self.checkpointing and self.training)
        return s, z


def run_block(block: nn.Module, *inputs: Tensor, checkpointing: bool) -> Any:
    """Runs a block, either keeping its activations for the backward pass or recomputing them there."""
    if checkpointing:
        return checkpoint(block, *inputs, use_reentrant=False)
    return block(*inputs)

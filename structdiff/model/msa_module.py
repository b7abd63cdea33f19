"""MSA module: lets the pair table learn from a multiple sequence alignment."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from structdiff.model.pairformer import PairBlock, PairConfig, run_block
from structdiff.nn.dropout import SharedDropout
from structdiff.nn.initialisation import linear
from structdiff.nn.msa import OuterProductMean, PairWeightedAveraging
from structdiff.nn.transition import Transition
from structdiff.typing import Bool, Float


@dataclass(frozen=True, kw_only=True)
class MSAConfig(PairConfig):
    """Sizes of the MSA module; the defaults are AlphaFold 3's, with Boltz-2's width of the averaging heads."""

    blocks: int = 4
    c_m: int = 64
    c_outer_product: int = 32
    averaging_heads: int = 8
    averaging_head_dim: int = 32
    msa_dropout: float = 0.15


class MSABlock(nn.Module):
    """Refines the alignment under the pair table's guidance, then the pair table from the alignment.

    AlphaFold 3, Algorithm 8, lines 6 to 13, in Boltz's order: the alignment first, so that its last update is used too.
    """

    def __init__(self, config: MSAConfig) -> None:
        super().__init__()
        self.averaging = PairWeightedAveraging(
            config.c_m, config.c_z, heads=config.averaging_heads, head_dim=config.averaging_head_dim
        )
        self.dropout_rows = SharedDropout(config.msa_dropout, shared_axis=1)
        self.transition = Transition(config.c_m, factor=config.transition_factor)
        self.outer_product_mean = OuterProductMean(config.c_m, config.c_z, c_hidden=config.c_outer_product)
        self.pair = PairBlock(config)

    def forward(
        self,
        m: Float[Tensor, "batch sequence token c_m"],
        z: Float[Tensor, "batch token token c_z"],
        msa_mask: Bool[Tensor, "batch sequence token"],
        pair_mask: Bool[Tensor, "batch token token"],
    ) -> tuple[Float[Tensor, "batch sequence token c_m"], Float[Tensor, "batch token token c_z"]]:
        """The refined alignment and pair table."""
        m = m + self.dropout_rows(self.averaging(m, z, pair_mask))
        m = m + self.transition(m)
        z = z + self.outer_product_mean(m, msa_mask)
        return m, self.pair(z, pair_mask)


class MSAModule(nn.Module):
    """Refines the pair table from an alignment; the alignment's own features are then forgotten.

    ``msa`` holds the features of each residue of each aligned sequence (``c_msa``: letter one-hot, deletions, paired or
    not), ``s_inputs`` those of each token (``c_s_inputs``). AlphaFold 3, Algorithm 8; the order is :class:`MSABlock`'s.
    """

    def __init__(self, config: MSAConfig, *, c_msa: int, c_s_inputs: int) -> None:
        super().__init__()
        self.checkpointing = config.checkpointing
        self.project_msa = linear(c_msa, config.c_m)
        self.project_s = linear(c_s_inputs, config.c_m)
        self.blocks = nn.ModuleList(MSABlock(config) for _ in range(config.blocks))

    def forward(
        self,
        z: Float[Tensor, "batch token token c_z"],
        s_inputs: Float[Tensor, "batch token c_s_inputs"],
        msa: Float[Tensor, "batch sequence token c_msa"],
        msa_mask: Bool[Tensor, "batch sequence token"],
        pair_mask: Bool[Tensor, "batch token token"],
    ) -> Float[Tensor, "batch token token c_z"]:
        """The refined pair table."""
        m = self.project_msa(msa) + self.project_s(s_inputs)[:, None]
        for block in self.blocks:
            m, z = run_block(block, m, z, msa_mask, pair_mask, checkpointing=self.checkpointing and self.training)
        return z

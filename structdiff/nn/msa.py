"""Exchange between a multiple sequence alignment and the pair table."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from structdiff.nn.initialisation import linear
from structdiff.nn.rowwise import PIECE
from structdiff.typing import Bool, Float


class OuterProductMean(nn.Module):
    """Tells each pair of columns of the alignment how they vary together.

    The outer product of two projected columns, averaged over the sequences that have both. AlphaFold 3, Algorithm 9,
    with the mean taken before the projection and over at least one sequence, as Boltz does.
    """

    def __init__(self, c_m: int, c_z: int, *, c_hidden: int = 32) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(c_m)
        self.project_a = linear(c_m, c_hidden)
        self.project_b = linear(c_m, c_hidden)
        self.project_out = linear(c_hidden * c_hidden, c_z, bias=True, start="zero")

    def forward(
        self, m: Float[Tensor, "batch sequence token c_m"], msa_mask: Bool[Tensor, "batch sequence token"]
    ) -> Float[Tensor, "batch token token c_z"]:
        """The update of the pair table (without the residual)."""
        m = self.norm(m)
        exists = msa_mask.to(m.dtype)
        a, b = self.project_a(m) * exists[..., None], self.project_b(m) * exists[..., None]
        n = a.shape[2]
        count = (exists.mT @ exists).clamp(min=1)
        piece = n if torch.is_grad_enabled() else max(1, PIECE // n)
        parts = [self._of_columns(a[:, :, i : i + piece], b, count[:, i : i + piece]) for i in range(0, n, piece)]
        return parts[0] if len(parts) == 1 else torch.cat(parts, 1)

    def _of_columns(
        self, a: Float[Tensor, "batch sequence column c"], b: Float[Tensor, "batch sequence token c"],
        count: Float[Tensor, "batch column token"],
    ) -> Float[Tensor, "batch column token c_z"]:  # fmt: skip
        """The update of the pairs of some columns with all."""
        columns, c = a.shape[2:]
        # One matrix product over the sequences: (column and channel) by (token and channel).
        product = a.flatten(2).mT @ b.flatten(2)
        product = product.view(-1, columns, c, b.shape[2], c).transpose(2, 3).flatten(-2)
        return self.project_out(product / count[..., None])


class PairWeightedAveraging(nn.Module):
    """Carries along each sequence of the alignment from token to token, with weights read from the pair table.

    AlphaFold 3, Algorithm 10. The weights are the same for all sequences of the alignment.
    """

    def __init__(self, c_m: int, c_z: int, *, heads: int = 8, head_dim: int = 32) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.LayerNorm(c_m)
        self.norm_pair = nn.LayerNorm(c_z)
        self.project_v = linear(c_m, heads * head_dim)
        self.gate = linear(c_m, heads * head_dim, start="zero")
        self.project_bias = linear(c_z, heads)
        self.project_out = linear(heads * head_dim, c_m, start="zero")

    def forward(
        self,
        m: Float[Tensor, "batch sequence token c_m"],
        z: Float[Tensor, "batch token token c_z"],
        pair_mask: Bool[Tensor, "batch token token"],
    ) -> Float[Tensor, "batch sequence token c_m"]:
        """The update of the alignment (without the residual)."""
        logits = self.project_bias(self.norm_pair(z)).permute(0, 3, 1, 2)
        weights = logits.masked_fill(~pair_mask[:, None], torch.finfo(logits.dtype).min / 2).softmax(-1)
        sequences, n = m.shape[1:3]
        piece = sequences if torch.is_grad_enabled() else max(1, PIECE // n)
        parts = [self._of_sequences(m[:, i : i + piece], weights) for i in range(0, sequences, piece)]
        return parts[0] if len(parts) == 1 else torch.cat(parts, 1)

    def _of_sequences(
        self, m: Float[Tensor, "batch sequence token c_m"], weights: Float[Tensor, "batch head token token"]
    ) -> Float[Tensor, "batch sequence token c_m"]:
        """The update of some of the sequences."""
        m = self.norm(m)
        batch, sequences, n, _ = m.shape
        values = self.project_v(m).view(batch, sequences, n, self.heads, -1).permute(0, 3, 2, 1, 4)
        averaged = (weights.to(values.dtype) @ values.flatten(3)).view(batch, self.heads, n, sequences, -1)
        averaged = averaged.permute(0, 3, 2, 1, 4).flatten(3)
        return self.project_out(self.gate(m).sigmoid() * averaged)

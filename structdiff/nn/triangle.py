"""Triangle modules: updates of the pair table that make its edges consistent with each other."""

from __future__ import annotations

from torch import Tensor, nn

from structdiff.kernels.triangle_attention import triangle_attention
from structdiff.kernels.triangle_multiplication import triangle_multiplication
from structdiff.nn.initialisation import linear
from structdiff.typing import Bool, Float


class TriangleMultiplication(nn.Module):
    """Updates each edge (i, j) from the edges that i and j share with every third token.

    Outgoing: edges (i, k) and (j, k), AlphaFold 3, Algorithm 12; incoming: (k, i) and (k, j), Algorithm 13.
    """

    def __init__(self, c_z: int, *, c_hidden: int, outgoing: bool) -> None:
        super().__init__()
        self.outgoing = outgoing
        self.norm_in = nn.LayerNorm(c_z)
        self.project_in = linear(c_z, 2 * c_hidden)
        self.gate_in = linear(c_z, 2 * c_hidden, start="zero")
        self.norm_out = nn.LayerNorm(c_hidden)
        self.project_out = linear(c_hidden, c_z, start="zero")
        self.gate_out = linear(c_z, c_z, start="zero")

    def forward(
        self, z: Float[Tensor, "batch token token c_z"], pair_mask: Bool[Tensor, "batch token token"]
    ) -> Float[Tensor, "batch token token c_z"]:
        """The update of the pair table (without the residual); pairs outside ``pair_mask`` give nothing."""
        return triangle_multiplication(
            z,
            pair_mask,
            self.norm_in.weight,
            self.norm_in.bias,
            self.project_in.weight,
            self.gate_in.weight,
            self.norm_out.weight,
            self.norm_out.bias,
            self.project_out.weight,
            self.gate_out.weight,
            self.outgoing,
            self.norm_in.eps,
        )


class TriangleAttention(nn.Module):
    """Lets each edge (i, j) gather from the edges around one of its ends, steered by the triangle's third side.

    Starting: from the edges (i, k) around its start, AlphaFold 3, Algorithm 14; ending: from the edges (k, j) around
    its end, Algorithm 15, which is the starting one on the transposed pair table.
    """

    def __init__(self, c_z: int, *, heads: int, head_dim: int, starting: bool) -> None:
        super().__init__()
        self.heads, self.starting = heads, starting
        self.norm = nn.LayerNorm(c_z)
        self.project_q = linear(c_z, heads * head_dim, start="glorot")
        self.project_k = linear(c_z, heads * head_dim, start="glorot")
        self.project_v = linear(c_z, heads * head_dim, start="glorot")
        self.project_bias = linear(c_z, heads, start="normal")
        self.gate = linear(c_z, heads * head_dim, start="zero")
        self.project_out = linear(heads * head_dim, c_z, start="zero")

    def forward(
        self, z: Float[Tensor, "batch token token c_z"], pair_mask: Bool[Tensor, "batch token token"]
    ) -> Float[Tensor, "batch token token c_z"]:
        """The update of the pair table (without the residual); pairs outside ``pair_mask`` give nothing."""
        x = self.norm(z)
        q, k, v = (self._heads(project(x)) for project in (self.project_q, self.project_k, self.project_v))
        bias = self.project_bias(x)
        if self.starting:
            gathered = triangle_attention(q, k, v, bias.permute(0, 3, 1, 2), pair_mask)
        else:
            # Transposed views: the operator takes any strides, so nothing is copied.
            q, k, v = (x.transpose(1, 2) for x in (q, k, v))
            gathered = triangle_attention(q, k, v, bias.permute(0, 3, 2, 1), pair_mask.mT).transpose(1, 2)
        return self.project_out(self.gate(x).sigmoid() * gathered.flatten(-2))

    def _heads(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.heads, -1))

"""Attention of tokens over tokens with a bias from the pair table."""

from __future__ import annotations

from torch import Tensor, nn

from structdiff.kernels.attention_pair_bias import attention_pair_bias
from structdiff.nn.initialisation import linear
from structdiff.nn.normalisation import AdaptiveLayerNorm, ConditionGate
from structdiff.typing import Bool, Float


class AttentionPairBias(nn.Module):
    """Lets every token gather from all tokens, steered by the pair table and, if there is one, by a condition.

    AlphaFold 3, Algorithm 24. With ``c_condition`` the layer norm and the output gate follow the condition; without,
    the layer norm is plain and there is no output gate. ``pair_bias`` is apart from ``forward`` because the sampler
    computes it once and uses it at every noise level. Raises ValueError where ``heads`` does not divide ``c_s`` and
    where a condition is missing or not wanted.
    """

    def __init__(self, c_s: int, c_z: int, *, heads: int, c_condition: int | None = None) -> None:
        super().__init__()
        if c_s % heads:
            raise ValueError(f"{heads} heads do not divide {c_s} channels")
        self.heads = heads
        self.norm = nn.LayerNorm(c_s) if c_condition is None else AdaptiveLayerNorm(c_s, c_condition)
        self.project_q = linear(c_s, c_s, bias=True, start="glorot")
        self.project_k = linear(c_s, c_s, start="glorot")
        self.project_v = linear(c_s, c_s, start="glorot")
        self.gate = linear(c_s, c_s, start="zero")
        self.norm_pair = nn.LayerNorm(c_z)
        self.project_bias = linear(c_z, heads, start="normal")
        self.project_out = linear(c_s, c_s, start="zero" if c_condition is None else "lecun")
        self.condition_gate = None if c_condition is None else ConditionGate(c_s, c_condition)

    def pair_bias(self, z: Float[Tensor, "batch token token c_z"]) -> Float[Tensor, "batch heads token token"]:
        """What the pair table adds to the attention logits of each head."""
        return self.project_bias(self.norm_pair(z)).permute(0, 3, 1, 2)

    def forward(
        self,
        s: Float[Tensor, "batch token c_s"],
        pair_bias: Float[Tensor, "batch heads token token"],
        mask: Bool[Tensor, "batch token"],
        condition: Float[Tensor, "batch token c_condition"] | None = None,
    ) -> Float[Tensor, "batch token c_s"]:
        """The update of each token (without the residual), given what :meth:`pair_bias` made of the pair table."""
        if (condition is None) != (self.condition_gate is None):
            raise ValueError("a condition goes with c_condition, and only with it")
        x = self.norm(s) if condition is None else self.norm(s, condition)
        q, k, v = (
            project(x).unflatten(-1, (self.heads, -1)) for project in (self.project_q, self.project_k, self.project_v)
        )
        gathered = attention_pair_bias(q, k, v, pair_bias, mask).flatten(-2)
        out = self.project_out(self.gate(x).sigmoid() * gathered)
        return out if self.condition_gate is None or condition is None else self.condition_gate(out, condition)

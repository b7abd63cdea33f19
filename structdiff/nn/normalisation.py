"""Layer norms and gates that a condition steers.

Everything else uses torch's own LayerNorm with its epsilon of 1e-5.
"""

from __future__ import annotations

from torch import Tensor, nn

from structdiff.nn.initialisation import linear
from structdiff.typing import Float


class AdaptiveLayerNorm(nn.Module):
    """Normalises features, then scales and shifts them as the condition says.

    AlphaFold 3, Algorithm 26. A fresh one is a plain layer norm, halved: the scale is a sigmoid that starts at 1/2.
    """

    def __init__(self, channels: int, c_condition: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels, elementwise_affine=False)
        self.norm_condition = nn.LayerNorm(c_condition, bias=False)
        self.scale = linear(c_condition, channels, bias=True, start="zero")
        self.shift = linear(c_condition, channels, start="zero")

    def forward(
        self, x: Float[Tensor, "*rows channels"], condition: Float[Tensor, "*rows c_condition"]
    ) -> Float[Tensor, "*rows channels"]:
        """The features, normalised, scaled and shifted."""
        condition = self.norm_condition(condition)
        return self.scale(condition).sigmoid() * self.norm(x) + self.shift(condition)


class ConditionGate(nn.Module):
    """Lets an update through as far as the condition says; a fresh gate is nearly shut (sigmoid(-2) = 0.12).

    The adaLN-Zero output gate of AlphaFold 3, Algorithms 24 and 25.
    """

    def __init__(self, channels: int, c_condition: int) -> None:
        super().__init__()
        self.gate = linear(c_condition, channels, bias=True, start="zero")
        nn.init.constant_(self.gate.bias, -2.0)

    def forward(
        self, x: Float[Tensor, "*rows channels"], condition: Float[Tensor, "*rows c_condition"]
    ) -> Float[Tensor, "*rows channels"]:
        """The part of the update that is let through."""
        return self.gate(condition).sigmoid() * x

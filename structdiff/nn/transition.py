"""Transitions: the two-layer network applied to each token or pair by itself."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from structdiff.nn.initialisation import linear
from structdiff.nn.normalisation import AdaptiveLayerNorm, ConditionGate
from structdiff.nn.rowwise import in_pieces
from structdiff.typing import Float


class Transition(nn.Module):
    """Mixes the channels of each token or pair by itself.

    Layer norm, then SwiGLU with ``factor`` times as many hidden channels. AlphaFold 3, Algorithm 11.
    """

    def __init__(self, channels: int, *, factor: int = 4) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels)
        self.project_gate = linear(channels, factor * channels)
        self.project_up = linear(channels, factor * channels)
        self.project_out = linear(factor * channels, channels, start="zero")

    def forward(self, x: Float[Tensor, "*rows channels"]) -> Float[Tensor, "*rows channels"]:
        """The update of each row (without the residual)."""
        return in_pieces(self._update, x)

    def _update(self, x: Float[Tensor, "*rows channels"]) -> Float[Tensor, "*rows channels"]:
        x = self.norm(x)
        return self.project_out(functional.silu(self.project_gate(x)) * self.project_up(x))


class ConditionedTransition(nn.Module):
    """Mixes the channels of each token by itself, as its condition says (in the denoiser: noise level and trunk).

    Adaptive layer norm, SwiGLU with ``factor`` times as many hidden channels, gate from the condition. AlphaFold 3,
    Algorithm 25.
    """

    def __init__(self, channels: int, c_condition: int, *, factor: int = 2) -> None:
        super().__init__()
        self.norm = AdaptiveLayerNorm(channels, c_condition)
        self.project_gate = linear(channels, factor * channels)
        self.project_up = linear(channels, factor * channels)
        self.project_out = linear(factor * channels, channels)
        self.condition_gate = ConditionGate(channels, c_condition)

    def forward(
        self, x: Float[Tensor, "*rows channels"], condition: Float[Tensor, "*rows c_condition"]
    ) -> Float[Tensor, "*rows channels"]:
        """The update of each row (without the residual)."""
        x = self.norm(x, condition)
        x = self.project_out(functional.silu(self.project_gate(x)) * self.project_up(x))
        return self.condition_gate(x, condition)

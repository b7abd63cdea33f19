"""The denoiser's transformers: attention and transition, steered by a condition that atoms keep from step to step."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from structdiff.nn.initialisation import linear
from structdiff.nn.normalisation import AdaptiveLayerNorm, ConditionGate
from structdiff.typing import Float

#: Lets queries gather from keys and values, [batch, row, heads, channels] each.
Attend = Callable[[Tensor, Tensor, Tensor], Tensor]


class Steering(NamedTuple):
    """What a condition makes of a norm and a gate: the norm's scale and shift, and how far the gate is open."""

    scale: Tensor
    shift: Tensor
    gate: Tensor


class Steered(nn.Module):
    """An update between a norm and a gate, both of which a condition steers (AlphaFold 3, Algorithm 26).

    What the condition says is apart from the update, as it is the same for many updates.
    """

    def __init__(self, channels: int, c_condition: int) -> None:
        super().__init__()
        self.norm = AdaptiveLayerNorm(channels, c_condition)
        self.condition_gate = ConditionGate(channels, c_condition)

    def steer(self, condition: Float[Tensor, "batch row c_condition"]) -> Steering:
        """What the condition says."""
        told = self.norm.norm_condition(condition)
        return Steering(
            scale=self.norm.scale(told).sigmoid(),
            shift=self.norm.shift(told),
            gate=self.condition_gate.gate(condition).sigmoid(),
        )

    def normed(self, x: Tensor, steering: Steering) -> Tensor:
        """The rows, normalised, scaled and shifted."""
        return torch.addcmul(steering.shift, steering.scale, self.norm.norm(x))


class SteeredAttention(Steered):
    """Lets rows gather from other rows (AlphaFold 3, Algorithm 24); the biases are computed elsewhere."""

    def __init__(self, channels: int, c_condition: int, *, heads: int) -> None:
        super().__init__(channels, c_condition)
        self.heads = heads
        self.project_q = linear(channels, channels, bias=True, start="glorot")
        self.project_k = linear(channels, channels, start="glorot")
        self.project_v = linear(channels, channels, start="glorot")
        self.gate = linear(channels, channels, start="zero")
        self.project_out = linear(channels, channels)

    def forward(self, x: Float[Tensor, "batch row c"], steering: Steering, attend: Attend) -> Tensor:
        """The update of each row (without the residual)."""
        x = self.normed(x, steering)
        q, k, v = (
            project(x).unflatten(-1, (self.heads, -1)) for project in (self.project_q, self.project_k, self.project_v)
        )
        return steering.gate * self.project_out(self.gate(x).sigmoid() * attend(q, k, v).flatten(-2))


class SteeredTransition(Steered):
    """Mixes the channels of each row by itself: Boltz's variant of AlphaFold 3's Algorithm 25, a product of three."""

    def __init__(self, channels: int, c_condition: int) -> None:
        super().__init__(channels, c_condition)
        self.project_gate = linear(channels, 4 * channels)
        self.project_up = linear(channels, 2 * channels)
        self.project_out = linear(2 * channels, channels)

    def forward(self, x: Float[Tensor, "batch row c"], steering: Steering) -> Tensor:
        """The update of each row (without the residual)."""
        x = self.normed(x, steering)
        value, gate = self.project_gate(x).chunk(2, -1)
        return steering.gate * self.project_out(functional.silu(gate) * value * self.project_up(x))


class SteeredBlock(nn.Module):
    """Attention over other rows, then a transition of each."""

    def __init__(self, channels: int, c_condition: int, *, heads: int) -> None:
        super().__init__()
        self.attention = SteeredAttention(channels, c_condition, heads=heads)
        self.transition = SteeredTransition(channels, c_condition)

    def steer(self, condition: Float[Tensor, "batch row c_condition"]) -> tuple[Steering, Steering]:
        """What the condition says to attention and transition."""
        return self.attention.steer(condition), self.transition.steer(condition)

    def forward(self, x: Float[Tensor, "batch row c"], steering: tuple[Steering, Steering], attend: Attend) -> Tensor:
        """The rows after both."""
        x = x + self.attention(x, steering[0], attend)
        return x + self.transition(x, steering[1])


def steered(block: nn.Module) -> SteeredBlock:
    """A block of a list of modules, which forgets what they are."""
    assert isinstance(block, SteeredBlock)
    return block


class PairBiases(nn.ModuleList):
    """What a pair table adds to the logits of each head of each layer, for all layers at once."""

    def __init__(self, c_z: int, *, heads: int, layers: int) -> None:
        super().__init__(nn.Sequential(nn.LayerNorm(c_z), linear(c_z, heads)) for _ in range(layers))

    def forward(self, z: Float[Tensor, "batch *pair c_z"]) -> list[Tensor]:
        """For each layer a table [batch, heads, *pair].

        The layers' norms differ by their weights alone: those are folded into the projections, so that the table is
        normalised once, and read once.
        """
        layers = [(norm, project) for norm, project in self]  # pyright: ignore[reportGeneralTypeIssues]
        norms, projections = zip(*layers, strict=True)
        weight = torch.cat([project.weight * norm.weight for norm, project in zip(norms, projections, strict=True)])
        constant = torch.cat([project.weight @ norm.bias for norm, project in zip(norms, projections, strict=True)])
        rows = functional.layer_norm(z, z.shape[-1:], eps=norms[0].eps).flatten(1, -2)
        biases = torch.baddbmm(constant[:, None], weight.expand(len(z), -1, -1), rows.mT)
        return list(biases.unflatten(-1, z.shape[1:-1]).chunk(len(self), 1))

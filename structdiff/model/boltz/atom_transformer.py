"""Atoms in windows between tokens and positions (AlphaFold 3, Algorithms 5 to 7)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from torch import Tensor, nn

from structdiff.model.boltz.transformer import SteeredBlock, Steering, steered
from structdiff.model.boltz.windows import attend_in_windows, key_penalty, shared
from structdiff.typing import Bool, Float


@dataclass(frozen=True, kw_only=True)
class AtomCondition:
    """What steers the blocks of an atom transformer, the same at every noise level: biases and steering of each."""

    biases: tuple[Float[Tensor, "group window_heads query key"], ...]
    steering: tuple[tuple[Steering, Steering], ...]


class AtomTransformer(nn.Module):
    """Lets the atoms of a window exchange what they know; each of them is steered by itself."""

    def __init__(self, c_atom: int, *, heads: int, depth: int) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(SteeredBlock(c_atom, c_atom, heads=heads) for _ in range(depth))

    def condition(
        self,
        c: Float[Tensor, "batch atom c_atom"],
        biases: list[Float[Tensor, "batch heads window query key"]],
        mask: Bool[Tensor, "batch atom"],
    ) -> AtomCondition:
        """All that does not change with the atoms' own features."""
        penalty = key_penalty(mask)[:, :, None, None]
        tables = (bias.transpose(1, 2) + penalty for bias in biases)
        return AtomCondition(
            biases=tuple(table.flatten(1, 2) for table in tables),
            steering=tuple(steered(block).steer(c) for block in self.blocks),
        )

    def forward(
        self, x: Float[Tensor, "batch atom c_atom"], condition: AtomCondition
    ) -> Float[Tensor, "batch atom c_atom"]:
        """The atoms after all blocks."""
        for block, bias, steering in zip(self.blocks, condition.biases, condition.steering, strict=True):
            attention, transition = (Steering(*(shared(each, len(x)) for each in one)) for one in steering)
            x = block(x, (attention, transition), partial(attend_in_windows, bias=shared(bias, len(x))))
        return x


def layer_biases(biases: list[Tensor], layers: int) -> list[Tensor]:
    """One table [batch, layers * heads, ...] as one for each layer."""
    return [part for table in biases for part in table.chunk(layers // len(biases), 1)]

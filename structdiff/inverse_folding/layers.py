"""Message passing on a graph of residues: the layers of ProteinMPNN's encoder and decoder.

Dauparas et al. 2022, Science 378, 49 (supplement, algorithms 1 to 6). The first linear map of a message acts on
the centre, the edge and the neighbour side by side. Here each part has its own product, so that what belongs to a
residue is multiplied once and not once an edge; and the last map, being linear, follows the sum over neighbours.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Generic, TypeVar, cast

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.functional import gelu, linear

#: Sums of messages are divided by this number.
MESSAGE_SCALE = 30.0


Layer = TypeVar("Layer", bound=nn.Module)


class Layers(nn.ModuleList, Generic[Layer]):
    """Layers one after another, all of one kind, which type checkers know."""

    def __iter__(self) -> Iterator[Layer]:
        return iter(cast("list[Layer]", list(self._modules.values())))


class Message(nn.Module):
    """Three linear maps with GELU between; the input of the first is several vectors side by side."""

    def __init__(self, width: int, num_inputs: int) -> None:
        super().__init__()
        self.width = width
        self.first = nn.Linear(num_inputs * width, width)
        self.second = nn.Linear(width, width)
        self.third = nn.Linear(width, width)

    def part(self, place: int, values: Float[Tensor, "*batch c"]) -> Float[Tensor, "*batch c"]:
        """The share of one of the inputs in the first map; the first input's share carries the bias."""
        weight = self.first.weight[:, place * self.width : (place + 1) * self.width]
        return linear(values, weight, self.first.bias if place == 0 else None)

    def hidden(self, first: Float[Tensor, "*batch c"]) -> Float[Tensor, "*batch c"]:
        """What the third map is applied to, given the sum of the shares."""
        return gelu(self.second(gelu(first)))

    def summed(
        self, first: Float[Tensor, "*batch neighbour c"], mask: Float[Tensor, "*batch neighbour"] | None = None
    ) -> Float[Tensor, "*batch c"]:
        """The sum of the messages of all neighbours (mask 1), divided by MESSAGE_SCALE."""
        hidden = self.hidden(first)
        if mask is None:
            return (linear(hidden.sum(-2), self.third.weight) + first.shape[-2] * self.third.bias) / MESSAGE_SCALE
        total = torch.einsum("...k,...kc->...c", mask, hidden)
        return (linear(total, self.third.weight) + mask.sum(-1, keepdim=True) * self.third.bias) / MESSAGE_SCALE


class Transition(nn.Module):
    """A perceptron on every residue, four times as wide inside."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.expand = nn.Linear(width, 4 * width)
        self.contract = nn.Linear(4 * width, width)

    def forward(self, values: Float[Tensor, "*batch c"]) -> Float[Tensor, "*batch c"]:
        """The update of the values."""
        return self.contract(gelu(self.expand(values)))


class NodeUpdate(nn.Module):
    """A residue takes in the messages of its neighbours: the layer of the decoder, of contexts, half of the encoder's.

    num_inputs: vectors side by side in a message (centre, edge, ...).
    """

    def __init__(self, width: int, num_inputs: int) -> None:
        super().__init__()
        self.message = Message(width, num_inputs)
        self.norm_1 = nn.LayerNorm(width)
        self.norm_2 = nn.LayerNorm(width)
        self.transition = Transition(width)

    def forward(
        self,
        nodes: Float[Tensor, "*batch c"],
        first: Float[Tensor, "*batch neighbour c"],
        mask: Float[Tensor, "*batch neighbour"] | None = None,
    ) -> Float[Tensor, "*batch c"]:
        """The new nodes. first: sum of all shares in the messages' first map but the centre's, which is added here."""
        first = first + self.message.part(0, nodes).unsqueeze(-2)
        nodes = self.norm_1(nodes + self.message.summed(first, mask))
        return self.norm_2(nodes + self.transition(nodes))


class EncoderLayer(NodeUpdate):
    """Residues and edges update each other."""

    def __init__(self, width: int) -> None:
        super().__init__(width, 3)
        self.edge_message = Message(width, 3)
        self.norm_3 = nn.LayerNorm(width)

    def encode(
        self,
        nodes: Float[Tensor, "residue c"],
        edges: Float[Tensor, "residue neighbour c"],
        neighbours: Int[Tensor, "residue neighbour"],
    ) -> tuple[Float[Tensor, "residue c"], Float[Tensor, "residue neighbour c"]]:
        """The new nodes and edges. neighbours: row of the residue at the other end of each edge."""
        first = self.message.part(1, edges) + self.message.part(2, nodes)[neighbours]
        nodes = self(nodes, first)
        message = self.edge_message
        first = message.part(1, edges) + message.part(2, nodes)[neighbours] + message.part(0, nodes).unsqueeze(1)
        return nodes, self.norm_3(edges + message.third(message.hidden(first)))

"""How noisy tokens lie to each other right now: a bias for attention, and messages between neighbours."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from structdiff.kernels.pair_geometry import PairReading, pair_geometry
from structdiff.nn.binning import DistanceBasis
from structdiff.nn.rowwise import RowwiseLinear
from structdiff.nn.vectors import VectorNorm
from structdiff.typing import Bool, Float

_MESSAGE_HEADS = 8
_LARGEST_DISTANCE = 600.0  # Å; beyond the largest distances of the noisiest step


class GeometryEmbedder(nn.Module):
    """Reads all pairs of tokens once: distances, directions against the tokens' own vectors, the trunk's pair table.

    Gives a bias to every head of the following attention layers and one round of messages. A message is e3nn's
    convolution, spherical harmonics (l = 1) times weights learned from the invariants, written as dense matrix
    products over all pairs; the softmax over neighbours takes the place of a cut-off.
    """

    def __init__(
        self, *, c_token: int, c_vector: int, c_geometry: int, c_noise: int, biases: int, messages: int, dots: int = 8
    ) -> None:
        super().__init__()
        self.messages = messages
        self.basis = DistanceBasis(28, largest=_LARGEST_DISTANCE)
        self.distance = nn.Linear(28, c_geometry, bias=False)
        self.distance_previous = nn.Linear(28, c_geometry, bias=False)
        self.norm_v = VectorNorm(c_vector)
        self.probe = nn.Linear(c_vector, 4 * dots, bias=False)
        self.dots = nn.Linear(3 * dots, c_geometry, bias=False)
        self.noise = RowwiseLinear(c_noise, c_geometry)
        self.hidden = nn.Linear(c_geometry, c_geometry)
        self.bias = nn.Linear(c_geometry, biases)
        self.message = nn.Linear(c_geometry, _MESSAGE_HEADS + messages)
        self.scalars_out = nn.Linear(_MESSAGE_HEADS * c_geometry, c_token, bias=False)
        self.vectors_out = nn.Linear(messages, c_vector, bias=False)

    def forward(
        self,
        s: Float[Tensor, "batch token c_token"],
        v: Float[Tensor, "batch token 3 c_vector"],
        centre: Float[Tensor, "batch token 3"],
        previous: Float[Tensor, "batch token 3"],
        z: Float[Tensor, "group token token c_geometry"],
        noise: Float[Tensor, "batch c_noise"],
        mask: Bool[Tensor, "batch token"],
    ) -> tuple[Tensor, Tensor, Float[Tensor, "batch bias token token"]]:
        """Updated s and v, and the attention biases, masked tokens at -1e9; centre and previous in Å.

        z may have fewer entries than the batch: each then serves several samples in a row.
        """
        reading = PairReading(
            read=torch.cat([self.distance.weight, self.distance_previous.weight, self.dots.weight], 1),
            hidden=self.hidden.weight,
            hidden_bias=self.hidden.bias,
            out=torch.cat([self.bias.weight, self.message.weight]),
            out_bias=torch.cat([self.bias.bias, self.message.bias]),
            heads=_MESSAGE_HEADS,
            messages=self.messages,
            largest=self.basis.largest,
            spacing=self.basis.scale,
        )
        probes, shift = self.probe(self.norm_v(v)), self.noise(noise)
        bias, gathered, arrows = pair_geometry(centre, previous, probes, z, shift, mask, reading)
        return s + self.scalars_out(gathered.flatten(2)), v + self.vectors_out(arrows), bias

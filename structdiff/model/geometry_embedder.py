"""How noisy tokens lie to each other right now: a bias for attention, and messages between neighbours."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from structdiff.nn.binning import DistanceBasis
from structdiff.nn.vectors import VectorNorm
from structdiff.typing import Bool, Float

_SOFTENING = 1.0  # Å; direction vectors fade below this distance, where they would jump
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
        self.noise = nn.Linear(c_noise, c_geometry)
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
        z: Float[Tensor, "batch token token c_geometry"],
        noise: Float[Tensor, "batch c_noise"],
        mask: Bool[Tensor, "batch token"],
    ) -> tuple[Tensor, Tensor, Float[Tensor, "batch bias token token"]]:
        """Updated s and v, and the attention biases, masked tokens at -1e9; centre and previous in Å."""
        arrow = centre[:, None] - centre[:, :, None]
        distance = torch.sqrt(arrow.square().sum(-1) + 1e-6)
        direction = arrow / (distance + _SOFTENING)[..., None]
        hidden = (
            self.distance(self.basis(distance))
            + self.distance_previous(self.basis(torch.cdist(previous, previous)))
            + self.dots(self._dots(self.norm_v(v), direction))
            + self.noise(noise)[:, None, None]
            + z
        )
        hidden = functional.silu(self.hidden(functional.silu(hidden)))
        hide = (~mask)[:, None, None] * -1e9
        bias = self.bias(hidden).permute(0, 3, 1, 2) + hide
        weight, radial = self.message(hidden).split([_MESSAGE_HEADS, self.messages], -1)
        weight = torch.softmax(weight.transpose(2, 3) + hide, -1)
        radial = (weight.transpose(2, 3)[..., None] * radial.unflatten(-1, (_MESSAGE_HEADS, -1))).flatten(-2)
        s = s + self.scalars_out((weight @ hidden).flatten(2))
        v = v + self.vectors_out(direction.transpose(2, 3) @ radial)
        return s, v, bias

    def _dots(self, v: Tensor, direction: Tensor) -> Float[Tensor, "batch token token dot"]:
        """Each pair's direction against vectors of both ends, and the vectors of both ends against each other."""
        own, other, left, right = self.probe(v).chunk(4, -1)
        to_own = direction @ own
        to_other = (direction.transpose(1, 2) @ other).transpose(1, 2)
        mutual = torch.einsum("bicd,bjcd->bijd", left, right)
        return torch.cat([to_own, to_other, mutual], -1)

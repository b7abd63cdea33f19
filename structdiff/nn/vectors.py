"""Building blocks for tokens that carry scalars and vectors (e3nn: C x 0e + V x 1o), turned along by a rotation.

Vectors are kept as [..., 3, channel]: a linear map of channels is then one matrix product. All maps here commute with
rotations; the cross product makes them tell left from right (it is the e3nn tensor product 1o x 1o -> 1e, whose parity
is dropped on purpose: proteins are chiral).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from structdiff.kernels.attention_pair_bias import attention_pair_bias
from structdiff.nn.initialisation import linear
from structdiff.nn.rowwise import RowwiseLinear
from structdiff.typing import Float

_WIDTH = 8  # numbers that a processor takes at once, at least


def cross_product(
    left: Float[Tensor, "*token 3 channel"], right: Float[Tensor, "*token 3 channel"]
) -> Float[Tensor, "*token 3 channel"]:
    """Cross products channel by channel.

    Where gradients are wanted it is written out: PyTorch's own goes through one vector after another on a CPU, which
    takes 2.7 times as long, forward and backward. The two differ by rounding, so designs keep to PyTorch's.
    """
    if not torch.is_grad_enabled():
        return torch.linalg.cross(left, right, dim=-2)
    x, y, z = left.unbind(-2)
    u, v, w = right.unbind(-2)
    return torch.stack([y * w - z * v, z * u - x * w, x * v - y * u], -2)


class VectorNorm(nn.Module):
    """Scales the vectors of a token so that their mean square length is one, with a gain per channel."""

    def __init__(self, channels: int, *, epsilon: float = 1e-4) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.epsilon = epsilon

    def forward(self, v: Float[Tensor, "*token 3 channel"]) -> Float[Tensor, "*token 3 channel"]:
        """Vectors of mean square length one, times a weight a channel."""
        mean_square = v.square().sum(-2, keepdim=True).mean(-1, keepdim=True)
        return v * (torch.rsqrt(mean_square + self.epsilon) * self.weight)


class NoiseModulation(nn.Module):
    """Layer norm whose scale and shift, and a gate for the branch's output, follow the noise level of the sample."""

    def __init__(self, channels: int, c_noise: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels, elementwise_affine=False)
        self.project = RowwiseLinear(c_noise, 3 * channels)
        nn.init.zeros_(self.project.weight)
        nn.init.zeros_(self.project.bias)

    def forward(
        self, s: Float[Tensor, "batch token channel"], noise: Float[Tensor, "batch c_noise"]
    ) -> tuple[Float[Tensor, "batch token channel"], Float[Tensor, "batch 1 channel"]]:
        """The scalars normalised, scaled and shifted by the noise level, and the gate of what is added back."""
        scale, shift, gate = self.project(noise)[:, None].chunk(3, -1)
        return self.norm(s) * (1 + scale) + shift, 1 + gate


class VectorTransition(nn.Module):
    """Mixes the scalars and vectors of each token by itself.

    Vectors reach the scalars by their dot products, scalars reach the vectors as gates, and cross products of vectors
    give the handedness.
    """

    def __init__(self, c_token: int, c_vector: int, c_noise: int, *, factor: int) -> None:
        super().__init__()
        hidden = factor * c_token
        self.modulation = NoiseModulation(c_token, c_noise)
        self.norm_v = VectorNorm(c_vector)
        self.mix = nn.Linear(c_vector, 3 * c_vector, bias=False)
        self.up = linear(c_token + c_vector, 2 * hidden, bias=True)
        self.down = linear(hidden, c_token + 2 * c_vector, bias=True)
        self.vectors_out = nn.Linear(2 * c_vector, c_vector, bias=False)
        self.c_token = c_token
        with torch.no_grad():
            self.down.weight[:c_token].zero_()
            self.vectors_out.weight.mul_(0.3)

    def forward(
        self, s: Float[Tensor, "batch token c_token"], v: Float[Tensor, "batch token 3 c_vector"], noise: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Scalars and vectors of each token, updated from its own."""
        normed, gate = self.modulation(s, noise)
        left, right, third = self.mix(self.norm_v(v)).chunk(3, -1)
        dots = (left * right).sum(-2)
        up, gated = self.up(torch.cat([normed, dots], -1)).chunk(2, -1)
        out = self.down(functional.silu(up) * gated)
        ds, gates = out[..., : self.c_token], out[..., None, self.c_token :]
        products = torch.cat([third, cross_product(left, right)], -1)
        return s + gate * ds, v + self.vectors_out(products * gates)


class PointAttention(nn.Module):
    """Attention over all tokens that sees scalars, a pair bias and distances between points the tokens place in space.

    The points of a token are its centre plus linear combinations of its vectors. |a - b|² is folded into the
    query-key product, where the query's own |a|² drops out of the softmax, so one fused attention call does it all.
    After invariant point attention (Jumper et al. 2021, Algorithm 22), without frames.
    """

    def __init__(self, c_token: int, c_vector: int, c_noise: int, *, heads: int, head_dim: int, points: int) -> None:
        super().__init__()
        self.heads, self.head_dim, self.points = heads, head_dim, points
        self.modulation = NoiseModulation(c_token, c_noise)
        self.norm_v = VectorNorm(c_vector)
        self.project = linear(c_token, 3 * heads * head_dim, bias=True)
        self.place = nn.Linear(c_vector, 3 * heads * points, bias=False)
        self.reach = nn.Parameter(torch.linspace(-1.0, 4.0, heads))
        self.out = linear(heads * head_dim + heads * points, c_token, bias=True, start="zero")
        self.out_v = nn.Linear(heads * points, c_vector, bias=False)
        with torch.no_grad():
            self.place.weight.mul_(0.3)
            self.out_v.weight.mul_(0.3)

    def forward(
        self,
        s: Float[Tensor, "batch token c_token"],
        v: Float[Tensor, "batch token 3 c_vector"],
        centre: Float[Tensor, "batch token 3"],
        bias: Float[Tensor, "batch head token token"],
        noise: Float[Tensor, "batch c_noise"],
    ) -> tuple[Tensor, Tensor]:
        """Scalars and vectors of each token, updated from all tokens."""
        normed, gate = self.modulation(s, noise)
        q, k, value = self.project(normed).unflatten(-1, (3, self.heads, self.head_dim)).unbind(2)
        with torch.autocast(s.device.type, enabled=False):
            exact = self.reach.dtype  # float32 also under autocast: |a - b|² is a small difference of large numbers
            placed = self.place(self.norm_v(v).to(exact)) + centre.to(exact)[..., None]
            q_point, k_point, v_point = self._by_head(placed)
            reach = functional.softplus(self.reach)[:, None]
            shortfall = -0.5 * reach * k_point.square().sum(-1, keepdim=True)
            # One column carries the shortfall, and the rest makes up a whole number of vectors for the processor.
            spare = -(self.head_dim + 3 * self.points + 1) % _WIDTH
            rest = shortfall.new_zeros(1).expand(*shortfall.shape[:-1], spare + 1)
            q_all = torch.cat([q.to(exact) / math.sqrt(self.head_dim), reach * q_point, rest + 1], -1)
            k_all = torch.cat([k.to(exact), k_point, shortfall, rest[..., 1:]], -1)
            v_all = torch.cat([value.to(exact), v_point, rest], -1)
            attended = attention_pair_bias(q_all, k_all, v_all, bias.to(exact), scale=1.0)
        scalars, points, _ = attended.split([self.head_dim, 3 * self.points, spare + 1], -1)
        arrows = points.unflatten(-1, (3, self.points)).transpose(2, 3).flatten(3) - centre[..., None]
        lengths = torch.sqrt(arrows.square().sum(-2) + 1e-6)
        update = self.out(torch.cat([scalars.flatten(2), lengths], -1))
        return s + gate * update, v + self.out_v(arrows)

    def _by_head(self, placed: Tensor) -> tuple[Tensor, ...]:
        """Points of queries, keys and values, each [batch, token, head, xyz and point]."""
        split = placed.unflatten(-1, (3, self.heads, self.points)).permute(3, 0, 1, 4, 2, 5)
        return split.flatten(-2).unbind(0)

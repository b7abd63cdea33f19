"""Attention of tokens over tokens with a bias from the pair table."""

from __future__ import annotations

from torch import Tensor

from structdiff.kernels.triangle_attention import triangle_attention
from structdiff.typing import Bool, Float


def attention_pair_bias(
    q: Float[Tensor, "batch i heads channels"],
    k: Float[Tensor, "batch j heads channels"],
    v: Float[Tensor, "batch j heads channels"],
    bias: Float[Tensor, "batch heads i j"],
    mask: Bool[Tensor, "batch j"],
    scale: float | None = None,
) -> Float[Tensor, "batch i heads channels"]:
    """Lets every token attend to every token that exists, biased by what is known of the pair.

    ``out[i] = sum_j softmax_j(scale * q[i] . k[j] + bias[i, j]) v[j]`` for each head, over the keys with ``mask[j]``;
    with no key at all, the plain mean of v. Inputs may have any strides; the output is contiguous. ``scale`` is
    1 / sqrt(channels) unless given. AlphaFold 3, Algorithm 24, lines 6 and 7.
    """
    # The same mathematics as triangle attention with a single row: the reference is shared, a native kernel need not be.
    return triangle_attention(q[:, None], k[:, None], v[:, None], bias, mask[:, None], scale)[:, 0]

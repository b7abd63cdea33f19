"""Attention of tokens over tokens with a bias from the pair table."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

from structdiff.kernels.triangle_attention import key_penalty
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
    with no key at all, the plain mean of v. Inputs may have any strides; the output is contiguous and of q's dtype.
    ``scale`` is 1 / sqrt(channels) unless given. AlphaFold 3, Algorithm 24, lines 6 and 7.
    """
    logits_bias = bias.to(q.dtype) + key_penalty(mask, q.dtype)[:, None, None]
    queries, keys, values = (x.transpose(1, 2) for x in (q, k, v))
    out = functional.scaled_dot_product_attention(queries, keys, values, attn_mask=logits_bias, scale=scale)
    return out.transpose(1, 2).contiguous()

"""The operators that cost the most, one file each.

Each is a PyTorch reference that runs everywhere, under a signature that a native kernel can share: plain tensors of any
strides, sizes and flags.
"""

from __future__ import annotations

from structdiff.kernels.attention_pair_bias import attention_pair_bias
from structdiff.kernels.triangle_attention import triangle_attention
from structdiff.kernels.triangle_multiplication import triangle_multiplication

__all__ = ["attention_pair_bias", "status", "triangle_attention", "triangle_multiplication"]


def status() -> dict[str, str]:
    """Says for each operator what runs it on this machine.

    >>> status()["triangle_attention"]
    'reference (PyTorch)'
    """
    operators = ("attention_pair_bias", "triangle_attention", "triangle_multiplication")
    return dict.fromkeys(operators, "reference (PyTorch)")

"""The operators that cost the most, one file each.

Each runs a native kernel where there is one for the device and the input (csrc/), and else its PyTorch reference, under
the same signature: plain tensors of any strides, sizes and flags. ``set_mode`` chooses between the two.
"""

from __future__ import annotations

from structdiff.kernels.attention_pair_bias import attention_pair_bias
from structdiff.kernels.native import mode, set_mode, where
from structdiff.kernels.pair_geometry import pair_geometry
from structdiff.kernels.triangle_attention import triangle_attention
from structdiff.kernels.triangle_multiplication import triangle_multiplication

_OPERATORS = (
    "attention_pair_bias",
    "pair_geometry",
    "relaxation_energy",
    "triangle_attention",
    "triangle_multiplication",
)

__all__ = [
    "attention_pair_bias",
    "mode",
    "pair_geometry",
    "set_mode",
    "status",
    "triangle_attention",
    "triangle_multiplication",
]


def status() -> dict[str, str]:
    """Says for each operator what runs it on each kind of device of this machine.

    >>> sorted(status())
    ['attention_pair_bias', 'pair_geometry', 'relaxation_energy', 'triangle_attention', 'triangle_multiplication']
    """
    return {name: where(name) for name in _OPERATORS}

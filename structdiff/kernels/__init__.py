"""The operators that cost the most, one file each.

Each runs a native kernel where there is one for the device and the input (csrc/), and else its PyTorch reference, under
the same signature: plain tensors of any strides, sizes and flags. ``set_mode`` chooses between the two.
"""

from __future__ import annotations

import torch

from structdiff.kernels.attention_pair_bias import attention_pair_bias
from structdiff.kernels.native import mode, prove_all, set_mode, where
from structdiff.kernels.pair_convolution import pair_convolution
from structdiff.kernels.pair_geometry import pair_geometry
from structdiff.kernels.triangle_attention import triangle_attention
from structdiff.kernels.triangle_multiplication import triangle_multiplication

_OPERATORS = (
    "attention_pair_bias",
    "ligand_docking",
    "pair_convolution",
    "pair_geometry",
    "relaxation_energy",
    "triangle_attention",
    "triangle_multiplication",
)

__all__ = [
    "attention_pair_bias",
    "check",
    "mode",
    "pair_convolution",
    "pair_geometry",
    "set_mode",
    "status",
    "triangle_attention",
    "triangle_multiplication",
]


def status() -> dict[str, str]:
    """Says for each operator what runs it on each kind of device of this machine.

    >>> sorted(status())
    ['attention_pair_bias', 'ligand_docking', 'pair_convolution', 'pair_geometry', 'relaxation_energy', \
'triangle_attention', 'triangle_multiplication']
    """
    return {name: where(name) for name in _OPERATORS}


def check(device: torch.device | str) -> dict[str, str]:
    """Has the native kernels of a device prove themselves now rather than at their first use, and returns ``status()``.

    To be called before a CUDA graph is captured: nothing can be checked meanwhile, and what was not checked runs in
    PyTorch. Each kernel solves a small problem of each kind (dtype, channels) and is compared with the reference in
    float64; one that fails is not used on that device. Raises KernelError where kernels are set to ``native`` and one
    fails.
    """
    prove_all(torch.device(device))
    return status()

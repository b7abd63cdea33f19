"""GNINA's networks: three-dimensional convolutions that read whether a ligand lies as it does in life, and how tightly.

Default2018 and Dense (Francoeur et al. 2020, J. Chem. Inf. Model. 60, 4200; McNutt et al. 2021, J. Cheminform. 13, 43),
for the weights that were published with them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

from structdiff.docking.gnina_atoms import NUM_CHANNELS
from structdiff.docking.gnina_grid import POINTS
from structdiff.typing import Float

_CHANNELS = 2 * NUM_CHANNELS


class Default2018(nn.Module):
    """Five convolutions after averages over two points a side."""

    def __init__(self) -> None:
        super().__init__()
        sizes = ((_CHANNELS, 32, 3), (32, 32, 1), (32, 64, 3), (64, 64, 1), (64, 128, 3))
        self.convolutions = nn.ModuleList(
            nn.Conv3d(one, other, width, padding=width // 2) for one, other, width in sizes
        )
        features = 128 * (POINTS // 8) ** 3
        self.pose, self.affinity = nn.Linear(features, 2), nn.Linear(features, 1)

    def forward(self, grid: Float[Tensor, "pose channel x y z"]) -> tuple[Tensor, Tensor]:
        """The probability that each pose is right [pose], and its pK if it is [pose]."""
        x = grid
        for number, convolve in enumerate(self.convolutions):
            x = functional.avg_pool3d(x, 2) if number % 2 == 0 else x
            x = functional.relu(convolve(x))
        return _read(self, x.flatten(1))


class DenseBlock(nn.Module):
    """Four convolutions, each of which reads all that came before it in the block."""

    def __init__(self, channels: int, growth: int = 16, depth: int = 4) -> None:
        super().__init__()
        widths = [channels + growth * number for number in range(depth)]
        self.norms = nn.ModuleList(nn.BatchNorm3d(width) for width in widths)
        self.convolutions = nn.ModuleList(nn.Conv3d(width, growth, 3, padding=1) for width in widths)

    def forward(self, x: Float[Tensor, "pose channel x y z"]) -> Float[Tensor, "pose more x y z"]:
        """What entered, and what each convolution found."""
        for norm, convolve in zip(self.norms, self.convolutions, strict=True):
            x = torch.cat([x, functional.relu(convolve(norm(x)))], 1)
        return x


class Dense(nn.Module):
    """Three dense blocks after maxima over two points a side, and the largest of each channel in the end."""

    def __init__(self) -> None:
        super().__init__()
        self.enter = nn.Conv3d(_CHANNELS, 32, 3, padding=1)
        self.blocks = nn.ModuleList(DenseBlock(width) for width in (32, 96, 160))
        self.bottlenecks = nn.ModuleList(nn.Conv3d(width, width, 1) for width in (96, 160))
        self.pose, self.affinity = nn.Linear(224, 2), nn.Linear(224, 1)

    def forward(self, grid: Float[Tensor, "pose channel x y z"]) -> tuple[Tensor, Tensor]:
        """The probability that each pose is right [pose], and its pK if it is [pose]."""
        x = functional.relu(self.enter(functional.max_pool3d(grid, 2)))
        for block, narrow in zip(self.blocks[:-1], self.bottlenecks, strict=True):
            x = functional.max_pool3d(functional.relu(narrow(block(x))), 2)
        return _read(self, self.blocks[-1](x).amax((2, 3, 4)))


def _read(network: Default2018 | Dense, features: Float[Tensor, "pose feature"]) -> tuple[Tensor, Tensor]:
    return torch.softmax(network.pose(features), -1)[:, 1], network.affinity(features)[:, 0]


#: Names of published tensors, and ours.
_NAMES = (
    (r"unit(\d)_conv\.", lambda found: f"convolutions.{int(found[1]) - 1}."),
    (r"data_enc_init_conv\.", lambda _: "enter."),
    (r"data_enc_level(\d)_bottleneck\.", r"bottlenecks.\1."),
    (r"dense_block_(\d)\.data_enc_level\d_batchnorm_conv(\d)\.", r"blocks.\1.norms.\2."),
    (r"dense_block_(\d)\.data_enc_level\d_conv(\d)\.", r"blocks.\1.convolutions.\2."),
    (r"(pose|affinity)_output\.", r"\1."),
)


def network_of(tensors: Mapping[str, Tensor]) -> Default2018 | Dense:
    """The network of published tensors, ready to be asked."""
    renamed = {}
    for name, tensor in tensors.items():
        for pattern, ours in _NAMES:
            name = re.sub(f"^{pattern}", ours, name)
        renamed[name] = tensor
    with torch.random.fork_rng(devices=[]):
        network = Dense() if "enter.weight" in renamed else Default2018()
    network.load_state_dict(renamed)
    return network.eval().requires_grad_(False)

"""Distances asked for between sets of atoms: contacts, hotspots, places to keep away from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from structdiff.typing import Float, Int

_SOFTNESS = 1.0  # Å, how far the smooth minimum looks beyond the nearest pair
_STEEPNESS = 1.0  # kT/Å²
_MARGIN = 0.9  # of the bound: what is aimed at, so that the bound itself is met


@dataclass(frozen=True, kw_only=True)
class Contact:
    """Asks that some atom of one set lies within ``bound`` (Å) of some atom of another; with ``avoid``, that none does.

    first, second: atom numbers. name: how the user wrote it.
    """

    name: str
    first: Int[Tensor, " m"]
    second: Int[Tensor, " n"]
    bound: float
    avoid: bool = False

    def distance(self, positions: Float[Tensor, "sample atom 3"]) -> Float[Tensor, " sample"]:
        """The shortest distance (Å) between the two sets."""
        return torch.cdist(positions[:, self.first], positions[:, self.second]).flatten(1).amin(1)

    def energy(self, positions: Float[Tensor, "sample atom 3"]) -> Float[Tensor, " sample"]:
        """Square of how far the smooth shortest distance is on the wrong side of the bound (kT)."""
        arrow = positions[:, self.first, None] - positions[:, None, self.second]
        distance = torch.sqrt(arrow.square().sum(-1) + 1e-6).flatten(1)
        nearest = -_SOFTNESS * torch.logsumexp(-distance / _SOFTNESS, 1)
        excess = self.bound / _MARGIN - nearest if self.avoid else nearest - _MARGIN * self.bound
        return _STEEPNESS * torch.relu(excess).square()


class Contacts:
    """Every sample's own contacts: an energy, nothing enforced."""

    def __init__(self, by_sample: Sequence[Sequence[Contact]]) -> None:
        self.by_sample = tuple(map(tuple, by_sample))

    def project(self, positions: Float[Tensor, "sample atom 3"], sigma: float) -> Float[Tensor, "sample atom 3"]:
        """Positions as they are."""
        return positions

    def energy(self, positions: Float[Tensor, "sample atom 3"]) -> Float[Tensor, " sample"]:
        """The sum of each sample's contact energies (kT)."""
        energies = []
        for sample, contacts in enumerate(self.by_sample):
            own = positions[sample : sample + 1]
            energies.append(sum((contact.energy(own) for contact in contacts), own.sum((1, 2)) * 0))
        return torch.cat(energies)

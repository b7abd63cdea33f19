"""What is not drawn but stands in the way: the part of a target that a crop leaves out."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from structdiff.constraints.energy_descent import Term
from structdiff.constraints.placed_atoms import PlacedAtoms
from structdiff.geometry.superposition import superposition
from structdiff.typing import Float

_DISTANCE, _TOLERANCE = 3.5, 0.3  # Å
_WEIGHT = 4.0


def obstacle_terms(placed: PlacedAtoms, obstacles: Float[np.ndarray, "atom 3"]) -> list[Term]:
    """The term that keeps new residues off atoms (Å) given in the frame of the first motif group, if there are any.

    What has come of it is for the verdict on the crop to say, which allows for hydrogen bonds.
    """
    held = torch.from_numpy(placed.held == 1)
    if not len(obstacles) or not bool(held.any()):
        return []
    reference = torch.from_numpy(placed.structure.atoms.positions).double()
    points = torch.from_numpy(obstacles).double()
    rows = torch.from_numpy(np.flatnonzero(placed.new[placed.structure.atoms.residue]))

    def overlaps(positions: Tensor) -> Tensor:
        pose = superposition(reference, positions.detach().double(), mask=held)
        laid = pose.apply(points).to(positions)
        distance = torch.cdist(positions[rows].detach(), laid)
        i, j = torch.nonzero(distance < _DISTANCE, as_tuple=True)
        apart = torch.sqrt((positions[rows[i]] - laid[j]).square().sum(-1) + 1e-6)
        return torch.relu(_DISTANCE - apart)

    def value(positions: Tensor) -> Tensor:
        found = overlaps(positions)
        if not len(found):
            return positions.sum() * 0
        return torch.sqrt(found.square().sum() + 1e-12) / _TOLERANCE

    return [
        Term(
            name="part of the target that was not drawn", asked=f"nothing nearer than {_DISTANCE:g} Å",
            weight=_WEIGHT, levels=(math.inf, 0.0), has_goal=True, value=value, reached=None,
        )
    ]  # fmt: skip

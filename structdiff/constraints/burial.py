"""How buried residues are: neighbours within 10 Å, counted as in training."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from structdiff.constraints.energy_descent import Reached, Term
from structdiff.constraints.placed_atoms import PlacedAtoms

#: CA atoms within this distance (Å) are neighbours; so many or more is buried, fewer than so many exposed.
NEIGHBOUR_DISTANCE, BURIED_FROM, EXPOSED_BELOW = 10.0, 20, 12
#: Share of the asked residues that must be as asked.
BURIAL_SHARE = 0.7
_SOFTNESS = 1.0  # Å
_MARGIN = 2.0  # neighbours beyond what is needed: what relaxation may take back
_RANGES = {"B": (BURIED_FROM, np.inf), "P": (EXPOSED_BELOW, BURIED_FROM - 1), "E": (0, EXPOSED_BELOW - 1)}


def burial_term(letters: str, placed: PlacedAtoms) -> Term | None:
    """The term for one letter B, P, E or ? for each residue; None where nothing is asked."""
    alphas = placed.backbone[:, 1]
    asked = [(row, letter) for row, letter in enumerate(letters) if letter != "?" and alphas[row] >= 0]
    if not asked:
        return None
    own = torch.from_numpy(alphas[[row for row, _ in asked]])
    centres = torch.from_numpy(alphas[alphas >= 0])
    low, high = (torch.tensor([_RANGES[letter][side] for _, letter in asked]) for side in (0, 1))

    def value(positions: Tensor) -> Tensor:
        distance = torch.sqrt((positions[own, None] - positions[None, centres]).square().sum(-1) + 1e-6)
        count = torch.sigmoid((NEIGHBOUR_DISTANCE - distance) / _SOFTNESS).sum(1) - 1
        missing = torch.relu(low + _MARGIN * (low > 0) - count) + torch.relu(count - high + _MARGIN * high.isfinite())
        return torch.sqrt(missing.square().mean() + 1e-12) * (missing > 0).any()

    def reached(positions: Tensor) -> Reached:
        count = (torch.cdist(positions[own], positions[centres]) < NEIGHBOUR_DISTANCE).sum(1) - 1
        share = float(((count >= low) & (count <= high)).double().mean())
        return Reached(text=f"{100 * share:.0f} %", met=share >= BURIAL_SHARE)

    return Term(
        name="burial", asked=f"at least {100 * BURIAL_SHARE:.0f} % of {len(asked)} residues", weight=1.0,
        levels=(np.inf, 0.0), has_goal=True, value=value, reached=reached,
    )  # fmt: skip

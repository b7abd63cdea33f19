"""A receptor's atoms themselves: what an atom of a ligand is worth among them, which maps only approach."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy.spatial import KDTree
from torch import Tensor

from structdiff.docking.maps import FARTHEST
from structdiff.evaluation.ligand_atom_types import AtomTypes
from structdiff.evaluation.vinardo import Kinds, energy, slope
from structdiff.typing import Float, Int


@dataclass(frozen=True, kw_only=True, eq=False)
class ReceptorAtoms:
    """Atoms of a receptor, where they are (Å) and what, and the kinds of a ligand's atoms."""

    kinds: AtomTypes
    types: AtomTypes
    positions: Float[Tensor, "other 3"]

    def read(
        self, positions: Float[Tensor, "pose atom 3"], kind: Int[Tensor, " atom"]
    ) -> tuple[Float[Tensor, "pose atom"], Float[Tensor, "pose atom 3"]]:
        """The energy of each atom (kcal/mol) and its gradient (kcal/mol/Å)."""
        found = [self._met(positions[:, row], number) for row, number in enumerate(kind.tolist())]
        value, gradient = zip(*found, strict=True)
        return torch.stack(value, 1), torch.stack(gradient, 1)

    def _met(self, place: Float[Tensor, "pose 3"], kind: int) -> tuple[Tensor, Tensor]:
        """Energy [pose] and gradient [pose, 3] of one atom: of all at once there would be too many numbers."""
        pairs = Kinds.of(self.kinds.rows(np.array([kind])), self.types)
        arrow = place[:, None] - self.positions
        distance = arrow.square().sum(-1).clamp(min=1e-6).sqrt()
        near = ~(distance >= FARTHEST)  # what is no number is not passed over
        value = torch.where(near, energy(distance, pairs), 0.0).sum(-1)
        push = torch.where(near, slope(distance, pairs) / distance, 0.0)
        return value, (push[..., None] * arrow).sum(1)

    def near(self, positions: Float[Tensor, "pose atom 3"], room: float) -> ReceptorAtoms:
        """Those that some poses have to do with, also when an atom has moved by so many Å."""
        places, end = positions.reshape(-1, 3).numpy(), FARTHEST + room
        rows = np.flatnonzero(KDTree(places).query(self.positions.numpy(), distance_upper_bound=end)[0] < end)
        return ReceptorAtoms(kinds=self.kinds, types=self.types.rows(rows), positions=self.positions[rows])

    def native(self) -> dict[str, Any]:
        """The same for the native kernel."""
        return {"atoms": (vars(self.kinds), vars(self.types), self.positions), "numbers": {"farthest": FARTHEST}}

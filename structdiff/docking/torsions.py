"""The bonds of a ligand that turn, and poses of a ligand that is moved, turned and bent about them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from structdiff.chemistry.contacts import three_bonds_apart
from structdiff.chemistry.rotatable_bonds import rotatable_bonds
from structdiff.evaluation.ligand_atom_types import AtomTypes
from structdiff.evaluation.vinardo import Kinds
from structdiff.geometry.rotations import rotation_from_vector
from structdiff.geometry.torsions import torsion
from structdiff.typing import Bool, Float, Int


@dataclass(frozen=True, kw_only=True, eq=False)
class Torsions:
    """What of a ligand turns: axes (torsion, 2), rows of two bonded atoms; ends (torsion, 2): an atom bonded to the
    first and one bonded to the second, which with them make the angle; side (torsion, atom): what turns, beyond the
    second; pairs (pair, 2): atoms whose distance turning changes and that are more than three bonds apart.

    What turns about one bond is a part of what turns about another that comes later, or has nothing in common with it.
    """

    axes: Int[Tensor, "torsion 2"]
    ends: Int[Tensor, "torsion 2"]
    side: Bool[Tensor, "torsion atom"]
    pairs: Int[Tensor, "pair 2"]

    @classmethod
    def of(cls, element: np.ndarray, bonds: np.ndarray, orders: np.ndarray) -> Torsions:
        """Of a molecule in one piece: its elements, bonds (bond, 2) as rows of atoms, and their orders."""
        count = len(element)
        turning = sorted(rotatable_bonds(element, bonds, orders), key=lambda each: len(each.side))
        axes = [(each.stays, each.leads) for each in turning]
        side = np.zeros((len(axes), count), bool)
        for number, each in enumerate(turning):
            side[number, list(each.side)] = True
        # Atoms lie alike where no torsion parts them; the ends of an axis stay where they are.
        turned = side.copy()
        for number, (_, other) in enumerate(axes):
            turned[number, other] = False
        apart = np.zeros((count, count), bool)
        for number, (one, other) in enumerate(axes):
            still = ~turned[number]
            still[[one, other]] = False
            apart |= turned[number][:, None] & still[None]
        apart |= apart.T
        ends = [(_neighbour(bonds, one, other), _neighbour(bonds, other, one)) for one, other in axes]
        near_by = three_bonds_apart(bonds, count).toarray() > 0 if len(bonds) else np.zeros((count, count), bool)
        pairs = np.argwhere(np.triu(apart & ~near_by, 1))
        return cls(
            axes=torch.from_numpy(np.array(axes, np.int64).reshape(-1, 2)),
            ends=torch.from_numpy(np.array(ends, np.int64).reshape(-1, 2)),
            side=torch.from_numpy(side),
            pairs=torch.from_numpy(pairs.reshape(-1, 2)),
        )

    def __len__(self) -> int:
        return len(self.axes)

    def kinds(self, types: AtomTypes) -> Kinds:
        """What the pairs are to each other."""
        first, second = (types.rows(self.pairs[:, end].numpy()) for end in (0, 1))
        return Kinds.of(first, second)

    def turned(
        self, positions: Float[Tensor, "pose atom 3"], angles: Float[Tensor, "pose torsion"]
    ) -> Float[Tensor, "pose atom 3"]:
        """Positions (Å) with each bond turned by an angle (radian)."""
        axis, end = self._axes(positions)
        # The smallest parts turn first, which leaves the axes of the others where they are.
        turns = rotation_from_vector(angles[..., None] * axis).mT
        positions = positions.clone()
        for number, side in enumerate(self._sides):
            middle = end[:, number, None]
            positions[:, side] = (positions[:, side] - middle) @ turns[:, number] + middle
        return positions

    def angles(self, positions: Float[Tensor, "pose atom 3"]) -> Float[Tensor, "pose torsion"]:
        """The torsion angle (radian) of each bond; ``turned`` adds to it."""
        (first, last), (one, other) = self.ends.unbind(-1), self.axes.unbind(-1)
        return torsion(*(positions[:, rows] for rows in (first, one, other, last)))

    @cached_property
    def _sides(self) -> list[Int[Tensor, " turning"]]:
        return [side.nonzero()[:, 0] for side in self.side]

    def _axes(self, positions: Float[Tensor, "pose atom 3"]) -> tuple[Tensor, Tensor]:
        """Unit vectors along the axes [pose, torsion, 3], and where their second atoms are (Å)."""
        end = positions[:, self.axes[:, 1]]
        axis = end - positions[:, self.axes[:, 0]]
        return axis / axis.norm(dim=-1, keepdim=True).clamp(min=1e-6), end

    def slopes(
        self, positions: Float[Tensor, "pose atom 3"], gradient: Float[Tensor, "pose atom 3"]
    ) -> Float[Tensor, "pose torsion"]:
        """How an energy changes with each angle (a radian), from its gradient at the atoms."""
        axis, end = self._axes(positions)
        side = self.side.to(positions)
        # The sum of (axis x (x - end)) . g over what turns is axis . (sum of x x g - end x sum of g).
        moment = torch.einsum("ta,pai->pti", side, torch.linalg.cross(positions, gradient))
        force = torch.einsum("ta,pai->pti", side, gradient)
        return (axis * (moment - torch.linalg.cross(end, force))).sum(-1)


def _neighbour(bonds: Int[np.ndarray, "bond 2"], atom: int, but: int) -> int:
    """The first atom bonded to one, other than ``but``: there is one at either end of a bond that turns."""
    bonded = np.concatenate([bonds[bonds[:, 0] == atom, 1], bonds[bonds[:, 1] == atom, 0]])
    return int(bonded[bonded != but].min())

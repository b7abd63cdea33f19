"""Maps of a receptor: what an atom of each kind is worth at the points of a grid, and between them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy.spatial import KDTree
from torch import Tensor

from structdiff.evaluation.ligand_atom_types import AtomTypes
from structdiff.evaluation.vinardo import SCORE, hydrogen_bond, hydrophobic, steric
from structdiff.kernels import ligand_docking
from structdiff.typing import Float, Int

#: Å between points of the grid by default.
SPACING = 0.4
_BLOCK = 3.2  # Å, the side of a cube of points whose distances are computed together
#: Å from a point to atoms that count: beyond it surfaces are 2.5 Å apart and more.
FARTHEST = 7.0
#: kcal/mol/Å² off the grid; kcal/mol within atoms.
OUTSIDE, MOST = 10.0, 100.0
#: Points of a grid about a whole receptor: where there would be more they lie farther apart.
MOST_POINTS = 10_000_000


@dataclass(frozen=True, kw_only=True, eq=False)
class Maps:
    """Energies (kcal/mol) of each kind of atom on a grid.

    origin: its first point (Å). spacing: of its points (Å). most: what no atom costs more than. outside: what it costs
    to be off the grid (kcal/mol/Å²).
    """

    values: Float[Tensor, "kind x y z"]
    origin: Float[Tensor, "3"]
    spacing: float = SPACING
    most: float = MOST
    outside: float = OUTSIDE

    def native(self) -> dict[str, Any]:
        """The same for the native kernel."""
        numbers = {"spacing": self.spacing, "most": self.most, "outside": self.outside}
        return {"grid": (self.values, self.origin), "numbers": numbers}

    def read(
        self, positions: Float[Tensor, "pose atom 3"], kind: Int[Tensor, " atom"]
    ) -> tuple[Float[Tensor, "pose atom"], Float[Tensor, "pose atom 3"]]:
        """The energy of each atom (kcal/mol) and its gradient (kcal/mol/Å), linear between the points of the grid."""
        size = torch.tensor(self.values.shape[1:])
        place = (positions - self.origin) / self.spacing
        inside = place.clamp(min=torch.zeros(3), max=(size - 1.001).to(place))
        off = (place - inside) * self.spacing
        low = inside.long()
        share = inside - low
        step_x, step_y = int(size[1] * size[2]), int(size[2])
        flat = self.values.reshape(-1).clamp(max=self.most)
        start = kind * int(size.prod()) + low[..., 0] * step_x + low[..., 1] * step_y + low[..., 2]
        corner = [
            [[flat[start + i * step_x + j * step_y + k] for k in (0, 1)] for j in (0, 1)] for i in (0, 1)
        ]  # fmt: skip
        x, y, z = share.unbind(-1)
        along_z = [[corner[i][j][0] + z * (corner[i][j][1] - corner[i][j][0]) for j in (0, 1)] for i in (0, 1)]
        along_y = [along_z[i][0] + y * (along_z[i][1] - along_z[i][0]) for i in (0, 1)]
        value = along_y[0] + x * (along_y[1] - along_y[0])
        slope_x = along_y[1] - along_y[0]
        by_y = [along_z[i][1] - along_z[i][0] for i in (0, 1)]
        slope_y = by_y[0] + x * (by_y[1] - by_y[0])
        by_z = [[corner[i][j][1] - corner[i][j][0] for j in (0, 1)] for i in (0, 1)]
        by_zy = [by_z[i][0] + y * (by_z[i][1] - by_z[i][0]) for i in (0, 1)]
        slope_z = by_zy[0] + x * (by_zy[1] - by_zy[0])
        slopes = torch.stack([slope_x, slope_y, slope_z], -1) / self.spacing
        return value + self.outside * off.square().sum(-1), slopes + 2 * self.outside * off


def kinds_of(types: AtomTypes) -> tuple[AtomTypes, Int[np.ndarray, " atom"]]:
    """The different kinds among atoms, and of each atom its kind."""
    table = np.stack([types.radius, types.hydrophobic, types.donor, types.acceptor], -1).astype(np.float64)
    _, first, kind = np.unique(table, axis=0, return_index=True, return_inverse=True)
    return types.rows(first), kind.reshape(-1)


def grid_size(
    low: Float[np.ndarray, "3"], high: Float[np.ndarray, "3"], spacing: float = SPACING
) -> Int[np.ndarray, "3"]:
    """How many points a grid has that begins at ``low`` and fills a box to ``high`` (Å)."""
    side = _side(spacing)
    return np.ceil((high - low) / (spacing * side)).astype(np.int64).clip(min=1) * side


def affordable_spacing(low: Float[np.ndarray, "3"], high: Float[np.ndarray, "3"], spacing: float) -> float:
    """The spacing (Å) of a grid from ``low`` to ``high`` (Å), or a wider one by which it has about `MOST_POINTS`."""
    return max(spacing, float(np.cbrt(np.prod(high - low, dtype=np.float64) / MOST_POINTS)))


def _side(spacing: float) -> int:
    return max(2, int(_BLOCK / spacing))


def occupied(
    receptor: Float[np.ndarray, "atom 3"], low: Float[np.ndarray, "3"], side: float
) -> Int[np.ndarray, "cube 3"]:
    """Numbers of the cubes of such a side from ``low`` on (Å) that have an atom of the receptor near, ascending.

    The others are worth nothing to any atom, and of a receptor that was drawn all apart there are any number of them.
    """
    corners = np.stack(np.meshgrid(*[(-FARTHEST, FARTHEST)] * 3), -1).reshape(-1, 1, 3)
    number = np.floor((receptor + corners - low) / side).astype(np.int64).reshape(-1, 3)
    return np.unique(number[(number >= 0).all(1)], axis=0)


def build_maps(
    kinds: AtomTypes,
    receptor: Float[np.ndarray, "atom 3"],
    types: AtomTypes,
    low: Float[np.ndarray, "3"],
    high: Float[np.ndarray, "3"],
    spacing: float = SPACING,
) -> Maps:
    """The maps of a box from ``low`` to ``high`` (Å) for atoms of ``kinds``; receptor: its atoms (Å), types: theirs."""
    count, side = grid_size(low, high, spacing), _side(spacing)
    origin = np.asarray(low, np.float32)
    if ligand_docking.available():
        size = (int(count[0]), int(count[1]), int(count[2]))
        found = ligand_docking.maps(
            SCORE, vars(kinds), vars(types), receptor, origin, size, spacing, FARTHEST, MOST
        )  # fmt: skip
        return Maps(values=found, origin=torch.from_numpy(origin), spacing=spacing)
    values = torch.zeros(len(kinds.radius), *count.tolist())
    tree, atoms = KDTree(receptor), torch.from_numpy(receptor).float()
    inner = spacing * np.stack(np.meshgrid(*[np.arange(side)] * 3, indexing="ij"), -1).reshape(-1, 3)
    middle = inner.mean(0)
    reach = FARTHEST + float(np.linalg.norm(middle))
    for block in np.ndindex(*(count // side)):
        corner = low + np.array(block) * spacing * side
        near = np.array(sorted(tree.query_ball_point(corner + middle, reach)), np.int64)
        if len(near):
            points = torch.from_numpy(inner + corner).float()
            distance = torch.cdist(points, atoms[near], compute_mode="donot_use_mm_for_euclid_dist")
            found = _energies(distance, kinds, types.rows(near)).clamp(max=MOST)
            x, y, z = (slice(each * side, (each + 1) * side) for each in block)
            values[:, x, y, z] = found.reshape(-1, side, side, side)
    return Maps(values=values, origin=torch.from_numpy(origin), spacing=spacing)


def _energies(distance: Float[Tensor, "point atom"], kinds: AtomTypes, types: AtomTypes) -> Float[Tensor, "kind point"]:
    """What an atom of each kind is worth (kcal/mol) at points so far (Å) from the atoms of a receptor."""
    surfaces = {}
    for radius in np.unique(kinds.radius).tolist():
        surface = distance - torch.from_numpy(types.radius + np.float32(radius))
        surfaces[radius] = surface, steric(surface).sum(1)
    rows = []
    for kind in range(len(kinds.radius)):
        surface, total = surfaces[float(kinds.radius[kind])]
        if kinds.hydrophobic[kind]:
            total = total + hydrophobic(surface[:, torch.from_numpy(types.hydrophobic)]).sum(1)
        bonding = (types.acceptor & kinds.donor[kind]) | (types.donor & kinds.acceptor[kind])
        if bonding.any():
            total = total + hydrogen_bond(surface[:, torch.from_numpy(bonding)]).sum(1)
        rows.append(total)
    return torch.stack(rows)

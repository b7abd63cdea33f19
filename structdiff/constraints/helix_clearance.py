"""Helices of nucleic acids keep out of each other, and other residues out of them, while they are drawn."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from structdiff.features.helices import HelixBody
from structdiff.geometry.superposition import superposition
from structdiff.structure.tables import Structure
from structdiff.typing import Float

_SIGMA = (0.3, 30.0)  # Å of noise: below, all has its place; above, nothing has a shape
_APART = 8.0  # Å between C1' or P atoms of two helices, and of the same atoms in neighbouring grooves
_CORE = 8.0  # Å from a helix's axis, within which only its own residues stand
_NEIGHBOURS = 3  # residues along a chain that may come near, where one helix follows another
_ROUNDS, _LONGEST = 12, 4.0  # of pushing, and Å that a push takes at most
_REACH, _INERTIA = 5.0, 0.5  # Å, how far a shift carries what is around along, and the weight of staying


class HelixClearance:
    """Pushes helices apart across their axes, and other residues outwards.

    A denoiser trained on proteins draws nucleic acids too compact, and forces between atoms do not part two rods that
    were drawn one through the other: their arrows cancel. The shortest way between the axes does not.

    Args:
        structure: the molecules whose atoms the constraint sees, all of them.
        bodies: the helices.
    """

    def __init__(self, structure: Structure, bodies: Sequence[HelixBody]) -> None:
        self.bodies, self.residue = tuple(bodies), structure.atoms.residue
        self.chain = structure.residues.chain
        marks = np.isin(structure.atoms.name, ("C1'", "P"))
        self.marks = [np.flatnonzero(marks[body.rows]) for body in self.bodies]
        owned = np.zeros(len(self.residue), bool)
        for body in self.bodies:
            owned[body.rows] = True
        self.free = np.setdiff1d(np.arange(len(self.chain)), self.residue[owned])
        self.free_rows = [np.flatnonzero(self.residue == number) for number in self.free]
        centre = np.isin(structure.atoms.name, ("CA", "C1'"))
        self.centres = [rows[centre[rows]] if centre[rows].any() else rows for rows in self.free_rows]

    def project(self, positions: Float[Tensor, "sample atom 3"], sigma: float) -> Float[Tensor, "sample atom 3"]:
        """Positions with helices as pieces of their own and nothing in them, while noise leaves room to move."""
        if not _SIGMA[0] <= sigma <= _SIGMA[1] or not self.bodies:
            return positions
        done = [self._cleared(own.detach().cpu().double()) for own in positions]
        return torch.stack(done).to(positions)

    def energy(self, positions: Float[Tensor, "sample atom 3"]) -> Float[Tensor, " sample"]:
        """Nothing is preferred of single atoms."""
        return positions.new_zeros(positions.shape[0])

    def _cleared(self, positions: Float[Tensor, "atom 3"]) -> Float[Tensor, "atom 3"]:
        laid, axes = [], []
        for body in self.bodies:
            places, axis = (torch.from_numpy(x) for x in (body.places, body.axis))
            pose = superposition(places, positions[torch.from_numpy(body.rows)])
            laid.append(pose.apply(places).numpy())
            axes.append(pose.apply(axis).numpy())
        shifts = self._shifts(laid, axes)
        moved = positions.numpy().copy()
        self._carry(moved, laid, shifts)
        for body, places, shift in zip(self.bodies, laid, shifts, strict=True):
            moved[body.rows] = places + shift
        self._push_out(moved, [axis + shift for axis, shift in zip(axes, shifts, strict=True)])
        return torch.from_numpy(moved)

    def _shifts(self, laid: list[np.ndarray], axes: list[np.ndarray]) -> np.ndarray:
        """How far each helix is moved (Å), so that none stands in another."""
        shifts = np.zeros((len(laid), 3))
        for _ in range(_ROUNDS):
            pushed = False
            for one in range(len(laid)):
                for other in range(one):
                    missing = _APART - self._nearest(one, other, laid, shifts)
                    if missing <= 0:
                        continue
                    pushed = True
                    across = _across(axes[one] + shifts[one], axes[other] + shifts[other])
                    sizes = len(laid[one]), len(laid[other])
                    length = min(missing, _LONGEST)
                    shifts[one] += across * length * sizes[1] / sum(sizes)
                    shifts[other] -= across * length * sizes[0] / sum(sizes)
            if not pushed:
                break
        return shifts

    def _nearest(self, one: int, other: int, laid: list[np.ndarray], shifts: np.ndarray) -> float:
        """The least distance (Å) between marks of two helices that are not neighbours along a chain."""
        rows = [self.bodies[number].rows[self.marks[number]] for number in (one, other)]
        points = [laid[number][self.marks[number]] + shifts[number] for number in (one, other)]
        residue = [self.residue[each] for each in rows]
        distance = np.linalg.norm(points[0][:, None] - points[1][None], axis=-1)
        along = np.abs(residue[0][:, None] - residue[1][None]) <= _NEIGHBOURS
        along &= self.chain[residue[0]][:, None] == self.chain[residue[1]][None]
        return float(np.where(along, np.inf, distance).min(initial=np.inf))

    def _carry(self, moved: np.ndarray, laid: list[np.ndarray], shifts: np.ndarray) -> None:
        """Other residues go along with the helices around them, less and less over some 5 Å."""
        if not len(self.free) or not shifts.any():
            return
        centres = np.array([moved[rows].mean(0) for rows in self.centres])
        marks = np.concatenate([places[mark] for places, mark in zip(laid, self.marks, strict=True)])
        shift = np.repeat(shifts, [len(mark) for mark in self.marks], axis=0)
        weight = np.exp(-0.5 * (np.linalg.norm(centres[:, None] - marks[None], axis=-1) / _REACH) ** 2)
        along = (weight @ shift) / (weight.sum(1, keepdims=True) + _INERTIA)
        for rows, own in zip(self.free_rows, along, strict=True):
            moved[rows] += own

    def _push_out(self, moved: np.ndarray, axes: list[np.ndarray]) -> None:
        for rows, centre in zip(self.free_rows, self.centres, strict=True):
            for start, stop in axes:
                arrow = stop - start
                away = moved[centre].mean(0) - start
                share = float(away @ arrow / max(arrow @ arrow, 1e-9))
                radial = away - share * arrow
                distance = float(np.linalg.norm(radial))
                if 0 <= share <= 1 and 1e-6 < distance < _CORE:
                    moved[rows] += radial * (_CORE / distance - 1)


def _across(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """The unit arrow from one line segment (its ends, in Å) to another's nearest point, the way that parts them."""
    u, v, w = one[1] - one[0], other[1] - other[0], one[0] - other[0]
    a, b, c, d, e = u @ u, u @ v, v @ v, u @ w, v @ w
    determinant = a * c - b * b
    s = np.clip((b * e - c * d) / determinant, 0, 1) if determinant > 1e-9 else 0.5
    t = np.clip((b * s + e) / c, 0, 1) if c > 1e-9 else 0.0
    s = np.clip((b * t - d) / a, 0, 1) if a > 1e-9 else 0.0
    arrow = w + s * u - t * v
    if np.linalg.norm(arrow) < 1e-3:
        arrow = np.cross(u, v)
    length = np.linalg.norm(arrow)
    return arrow / length if length > 1e-9 else np.array([1.0, 0.0, 0.0])

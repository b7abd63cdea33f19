"""A weak preference for the backbone torsions that natural residues have."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor

from structdiff.chemistry.ramachandran_density import CLASSES, GENERAL, log_density, loop_log_density, residue_class
from structdiff.geometry.torsions import torsion
from structdiff.structure.tables import ChainKind, Structure
from structdiff.typing import Float, Int

_LEAST = 1e-6  # of the greatest density, where a blurred one has none
#: Tables that are nature's: of all residues, then of those in loops, one a class each.
NATURAL_TABLES = 2 * len(CLASSES)


@dataclass(frozen=True, kw_only=True, eq=False)
class TorsionPreference:
    """Minus the log density of phi and psi in nature, smooth: a periodic cubic spline over the table of densities.

    atoms (residue, 5): C before, N, CA, C, N after. kind (residue): class of the density. table (class, bin, bin): kT,
    its lowest value in each class 0; the natural densities come first (NATURAL_TABLES), wells that are asked for after
    them.
    """

    atoms: Int[Tensor, "residue 5"]
    kind: Int[Tensor, " residue"]
    table: Float[Tensor, "kind bin bin"]

    @classmethod
    def from_structure(cls, structure: Structure, *, held: np.ndarray | None = None) -> TorsionPreference:
        """The residues of protein chains that are bonded on both sides; those held altogether are left out."""
        rows, kinds = [], []
        names = structure.residues.name
        backbone = _backbone_rows(structure)
        after = _next_residue(structure)
        before = {follower: row for row, follower in after.items()}
        for row in sorted(backbone):
            if row in after and row in before and after[row] in backbone and before[row] in backbone:
                n, ca, c = backbone[row]
                rows.append((backbone[before[row]][2], n, ca, c, backbone[after[row]][0]))
                kinds.append(residue_class(str(names[row]), str(names[after[row]])))
        atoms, kind = np.array(rows, np.int64).reshape(-1, 5), np.array(kinds, np.int64)
        if held is not None:
            free = ~held[atoms].all(axis=1)
            atoms, kind = atoms[free], kind[free]
        return cls(atoms=torch.from_numpy(atoms), kind=torch.from_numpy(kind), table=torch.from_numpy(_natural(0.0)))

    def with_loops(self, alphas: Collection[int]) -> TorsionPreference:
        """The same with the densities of loops for the residues of these CA atoms (rows).

        Those of all residues are mostly of helices and strands: in loops their maxima lie off those of turns.
        """
        own = torch.tensor([alpha in alphas for alpha in self.atoms[:, 2].tolist()], dtype=torch.bool)
        usual = self.kind < len(CLASSES)
        return dataclasses.replace(self, kind=torch.where(own & usual, self.kind + len(CLASSES), self.kind))

    def with_wells(
        self, kind: Int[Tensor, " residue"], wells: Float[np.ndarray, "well bin bin"], weight: float
    ) -> TorsionPreference:
        """The same with wells (kT) added to the density of any residue, as kinds after those that there are.

        kind: the new kind of each residue. weight: kT for each unit of log density, by which all is multiplied later.
        """
        table = torch.cat([self.table, torch.from_numpy(wells / weight) + self.table[GENERAL]])
        return dataclasses.replace(self, kind=kind, table=table)

    def smoothed(self, width: float) -> TorsionPreference:
        """The same with natural densities blurred by ``width`` (degrees): torsions that none has see where to go."""
        table = torch.cat([torch.from_numpy(_natural(width)), self.table[NATURAL_TABLES:]])
        return dataclasses.replace(self, table=table)

    def energy(self, positions: Float[Tensor, "sample atom 3"]) -> Float[Tensor, "sample residue"]:
        """Energy of each residue's torsions (kT), 0 at the commonest ones."""
        angles = backbone_torsions(self.atoms, positions).movedim(-1, 1)
        bins = self.table.shape[-1]
        place = (angles + torch.pi) * (bins / (2 * torch.pi)) - 0.5
        whole = place.detach().floor()
        weights = _spline_weights(place - whole)
        nodes = (whole.long().unsqueeze(-1) + torch.arange(-1, 3, device=place.device)) % bins
        kind = self.kind.view(1, -1, 1, 1)
        values = self.table.to(positions.dtype)[kind, nodes[:, 0].unsqueeze(-1), nodes[:, 1].unsqueeze(-2)]
        return torch.einsum("srpq,srp,srq->sr", values, weights[:, 0], weights[:, 1])


def backbone_torsions(
    atoms: Int[Tensor, "residue 5"], positions: Float[Tensor, "sample atom 3"]
) -> Float[Tensor, "sample residue 2"]:
    """phi and psi (radian) of residues by their atoms: C before, N, CA, C, N after."""
    before, n, ca, c, after = positions[:, atoms].unbind(2)
    first, second = torch.stack([before, n], -2), torch.stack([n, ca], -2)
    third, fourth = torch.stack([ca, c], -2), torch.stack([c, after], -2)
    return torsion(first, second, third, fourth)


def torsion_well(torsions: Sequence[float] | np.ndarray, depth: float) -> Float[np.ndarray, "bin bin"]:
    """A well about phi and psi (radian), in the bins of the density: depth (kT/radian²) is how steep it is."""
    count = log_density().shape[-1]
    angle = (np.arange(count) + 0.5) * 2 * np.pi / count - np.pi
    phi, psi = (1 - np.cos(angle - centre) for centre in torsions)
    return depth * (phi[:, None] + psi[None, :])


@lru_cache(maxsize=8)
def _natural(width: float) -> np.ndarray:
    """Minus the log densities (table, bin, bin), blurred by ``width`` (degrees), the lowest of each 0."""
    density = np.exp(np.concatenate([log_density(), loop_log_density()]))
    if width > 0:
        bins = width * density.shape[-1] / 360
        density = ndimage.gaussian_filter(density, (0, bins, bins), mode="wrap")
        density += _LEAST * density.max(axis=(1, 2), keepdims=True)
    energy = -np.log(density)
    return energy - energy.min(axis=(1, 2), keepdims=True)


def spline_weights(t: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Uniform cubic B-spline: what the four nodes around places t (place) in [0, 1) weigh, and the slopes of that."""
    rest = 1 - t
    weights = [rest**3, 3 * t**3 - 6 * t**2 + 4, 3 * rest**3 - 6 * rest**2 + 4, t**3]
    slopes = [-3 * rest**2, 9 * t**2 - 12 * t, 12 * rest - 9 * rest**2, 3 * t**2]
    return np.stack(weights, -1) / 6, np.stack(slopes, -1) / 6


def _spline_weights(t: Float[Tensor, "*batch"]) -> Float[Tensor, "*batch 4"]:
    """The same for tensors, differentiable."""
    rest = 1 - t
    weights = [rest**3, 3 * t**3 - 6 * t**2 + 4, 3 * rest**3 - 6 * rest**2 + 4, t**3]
    return torch.stack(weights, -1) / 6


def _backbone_rows(structure: Structure) -> dict[int, tuple[int, int, int]]:
    """Rows of N, CA and C of each protein residue that has them."""
    protein = structure.chains.kind[structure.atom_chain] == ChainKind.PROTEIN
    table: dict[int, dict[str, int]] = {}
    for atom in np.flatnonzero(protein & np.isin(structure.atoms.name, ("N", "CA", "C"))).tolist():
        table.setdefault(int(structure.atoms.residue[atom]), {})[str(structure.atoms.name[atom])] = atom
    return {row: (found["N"], found["CA"], found["C"]) for row, found in table.items() if len(found) == 3}


def _next_residue(structure: Structure) -> dict[int, int]:
    """The residue that each residue's C is bonded to by its N."""
    atoms, bonds = structure.atoms, structure.bonds
    following = {}
    for leave, enter in ((bonds.atom_1, bonds.atom_2), (bonds.atom_2, bonds.atom_1)):
        linked = (atoms.name[leave] == "C") & (atoms.name[enter] == "N")
        linked &= atoms.residue[leave] != atoms.residue[enter]
        following.update(zip(atoms.residue[leave[linked]].tolist(), atoms.residue[enter[linked]].tolist(), strict=True))
    return following

"""Atoms that are not bonded keep apart: soft van der Waals repulsion with neighbour lists."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy.spatial import KDTree
from torch import Tensor

from structdiff.chemistry.contacts import POLAR, contact_radii, three_bonds_apart
from structdiff.chemistry.residues import PROTEIN_THREE_TO_ONE
from structdiff.kernels import relaxation_energy
from structdiff.structure.tables import ChainKind, Structure
from structdiff.typing import Float, Int

_ION_RADIUS = 0.75  # Å, of elements that have no radius of their own
_OVERLAP = 0.30  # Å, what atoms may overlap before it costs
_POLAR_OVERLAP = 0.35  # two of N, O, S: as near as a short hydrogen bond
_SULPHUR_DISTANCE = 2.0  # two sulphurs may be a disulphide that nobody stated
#: CB of an L residue from N, CA and C: shares of b = CA - N, c = C - CA and b x c that are added to CA.
CB_ALONG_B, CB_ALONG_C, CB_ACROSS = 0.56802827, -0.54067466, -0.58273431
SKIN = 0.6  # Å that a neighbour list looks beyond the contact distance


@dataclass(frozen=True, kw_only=True, eq=False)
class Repulsion:
    """Which atoms repel each other, and from what distance on.

    Residues without side chains as yet, but glycine, get a virtual CB where an L residue has it, so that a design
    leaves room for its side chains. virtual (residue, 3): rows of N, CA, C; virtual atoms stand after the real ones.
    radius (atom) in Å, 0 for atoms that repel nothing. excluded: sorted keys first * atoms + second of pairs that are
    joined by up to three bonds or lie in one rigid plane. movable (atom): not held.
    """

    radius: np.ndarray
    polar: np.ndarray
    sulphur: np.ndarray
    excluded: np.ndarray
    movable: np.ndarray
    virtual: np.ndarray

    @classmethod
    def from_structure(
        cls, structure: Structure, bonds: np.ndarray, planes: tuple[np.ndarray, ...], *, held: np.ndarray | None = None
    ) -> Repulsion:
        """Repulsion between all heavy atoms but waters; pairs of held atoms are left out."""
        virtual = _without_cb(structure)
        count = len(structure.atoms) + len(virtual)
        element = np.concatenate([structure.atoms.element, np.full(len(virtual), 6)])
        movable = np.ones(len(structure.atoms), bool) if held is None else ~held
        to_virtual = np.stack([virtual[:, 1], np.arange(len(structure.atoms), count)], 1)
        bonds = np.concatenate([bonds, to_virtual])
        return cls(
            radius=_radii(structure, element, bonds),
            polar=np.isin(element, POLAR),
            sulphur=element == 16,
            excluded=_excluded(bonds, planes, count),
            movable=np.concatenate([movable, movable[virtual].any(axis=1)]),
            virtual=virtual,
        )

    def place_virtual(self, positions: np.ndarray, b: np.ndarray, c: np.ndarray) -> np.ndarray:
        """Virtual CB (residue, 3) in Å, from b = CA - N and c = C - CA."""
        across = np.cross(b, c)
        return positions[self.virtual[:, 1]] + CB_ALONG_B * b + CB_ALONG_C * c + CB_ACROSS * across

    def virtual_slopes(self, b: np.ndarray, c: np.ndarray, gradient: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The gradient at virtual CB brought to the arrows b and c."""
        return (
            CB_ALONG_B * gradient + CB_ACROSS * np.cross(c, gradient),
            CB_ALONG_C * gradient + CB_ACROSS * np.cross(gradient, b),
        )

    def with_virtual(self, positions: Float[Tensor, "sample atom 3"]) -> Float[Tensor, "sample site 3"]:
        """Positions with those of the virtual CB appended (Å), differentiable."""
        n, ca, c = positions[:, self.virtual].unbind(2)
        across = torch.linalg.cross(ca - n, c - ca)
        cb = ca + CB_ALONG_B * (ca - n) + CB_ALONG_C * (c - ca) + CB_ACROSS * across
        return torch.cat([positions, cb], 1)

    def neighbours(self, positions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Pairs (pair, 2) of atoms and virtual atoms at positions (site, 3) that nearly touch, and contact distances.

        Distances in Å.
        """
        if relaxation_energy.available():
            found = relaxation_energy.neighbours(
                positions, self.radius, (self.polar, self.sulphur, self.movable), self.excluded,
                (_OVERLAP, _POLAR_OVERLAP, _SULPHUR_DISTANCE), SKIN,
            )  # fmt: skip
            if found is not None:
                return found
        rows = np.flatnonzero(self.radius > 0)
        if len(rows) < 2:
            return np.zeros((0, 2), np.int64), np.zeros(0)
        reach = 2 * float(self.radius.max()) + SKIN
        pairs = rows[KDTree(positions[rows]).query_pairs(reach, output_type="ndarray")]
        i, j = pairs[:, 0], pairs[:, 1]
        contact = self.contact(i, j)
        distance = np.linalg.norm(positions[i] - positions[j], axis=1)
        keep = (distance < contact + SKIN) & (self.movable[i] | self.movable[j])
        pairs, contact = pairs[keep], contact[keep]
        key = pairs.min(axis=1) * len(self.radius) + pairs.max(axis=1)
        place = np.searchsorted(self.excluded, key)
        apart = self.excluded[np.minimum(place, len(self.excluded) - 1)] != key if len(self.excluded) else key >= 0
        # A fixed order, so that sums of forces do not depend on how the tree was walked.
        order = np.argsort(key[apart])
        return pairs[apart][order], contact[apart][order]

    def contact(self, i: np.ndarray, j: np.ndarray) -> np.ndarray:
        """Distance (Å) from which on two atoms repel each other."""
        polar = self.polar[i] & self.polar[j]
        distance = self.radius[i] + self.radius[j] - np.where(polar, _POLAR_OVERLAP, _OVERLAP)
        return np.where(self.sulphur[i] & self.sulphur[j], _SULPHUR_DISTANCE, distance)


@dataclass(frozen=True, kw_only=True, eq=False)
class NeighbourList:
    """The pairs of all samples that may touch: valid while no atom has moved by more than half of SKIN.

    first, second: rows in positions flattened over samples; sample: which one each pair is in; contact in Å.
    """

    repulsion: Repulsion
    first: Int[Tensor, " pair"]
    second: Int[Tensor, " pair"]
    sample: Int[Tensor, " pair"]
    contact: Float[Tensor, " pair"]

    @classmethod
    def build(cls, repulsion: Repulsion, positions: Float[Tensor, "sample atom 3"]) -> NeighbourList:
        """Neighbours by a k-d tree: memory grows with the number of atoms, not with its square."""
        points = repulsion.with_virtual(positions.detach()).cpu().double().numpy()
        pairs, contacts, samples = [], [], []
        for sample, own in enumerate(points):
            found, contact = repulsion.neighbours(own)
            pairs.append(found + sample * points.shape[1])
            contacts.append(contact)
            samples.append(np.full(len(found), sample))
        rows = torch.from_numpy(np.concatenate(pairs)).to(positions.device)
        return cls(
            repulsion=repulsion,
            first=rows[:, 0].contiguous(),
            second=rows[:, 1].contiguous(),
            sample=torch.from_numpy(np.concatenate(samples)).to(positions.device),
            contact=torch.from_numpy(np.concatenate(contacts)).to(positions),
        )

    def overlap(self, positions: Float[Tensor, "sample atom 3"]) -> Float[Tensor, " pair"]:
        """How much nearer (Å) than its contact distance each pair is, 0 where it is not."""
        flat = self.repulsion.with_virtual(positions).flatten(0, 1)
        arrow = flat.index_select(0, self.first) - flat.index_select(0, self.second)
        return torch.relu(self.contact - torch.sqrt(arrow.square().sum(-1) + 1e-8))

    def sum_by_sample(self, values: Float[Tensor, " pair"], samples: int) -> Float[Tensor, " sample"]:
        """The sum over the pairs of each sample."""
        return values.new_zeros(samples).index_add(0, self.sample, values)


def _radii(structure: Structure, element: np.ndarray, bonds: np.ndarray) -> np.ndarray:
    """Radius of each atom and virtual atom (Å), 0 for waters; flat carbons of C=O and the like are smaller."""
    radius = contact_radii(element, bonds, other=_ION_RADIUS)
    water = structure.chains.kind[structure.atom_chain] == ChainKind.WATER
    radius[: len(water)][water] = 0.0
    return radius


def _without_cb(structure: Structure) -> np.ndarray:
    """N, CA and C (residue, 3) of amino acids that lack a CB: of unknown type, or without side chain as yet."""
    atoms, names = structure.atoms, structure.residues.name
    bearers = np.isin(names, [*PROTEIN_THREE_TO_ONE, "UNK"]) & (names != "GLY")
    table: dict[int, dict[str, int]] = {}
    for atom in np.flatnonzero(bearers[atoms.residue]).tolist():
        table.setdefault(int(atoms.residue[atom]), {})[str(atoms.name[atom])] = atom
    lacking = [found for found in table.values() if "CB" not in found and {"N", "CA", "C"} <= set(found)]
    return np.array([[found[name] for name in ("N", "CA", "C")] for found in lacking], np.int64).reshape(-1, 3)


def _excluded(bonds: np.ndarray, planes: tuple[np.ndarray, ...], count: int) -> np.ndarray:
    near = three_bonds_apart(bonds, count).tocoo()
    i, j = near.coords
    keys = [(i * np.int64(count) + j)[i < j]]
    for plane in planes:
        first, second = np.triu_indices(len(plane), 1)
        rows = np.sort(plane.astype(np.int64))
        keys.append(rows[first] * count + rows[second])
    return np.unique(np.concatenate(keys))

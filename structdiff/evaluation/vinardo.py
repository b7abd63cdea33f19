"""Vinardo, an empirical scoring function of how well a ligand lies (Quiroga & Villarreal, PLoS ONE 11, e0155183, 2016).

It is a sum over pairs of heavy atoms of what depends on the distance of their surfaces: a Gaussian of contact,
repulsion, contacts of hydrophobic atoms and hydrogen bonds. Weights are those of AutoDock Vina 1.2 (Eberhardt et al.,
J. Chem. Inf. Model. 61, 3891, 2021), in kcal/mol.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.spatial import KDTree
from torch import Tensor

from structdiff.chemistry.rotatable_bonds import RotatableBond, rotatable_bonds
from structdiff.evaluation.ligand_atom_types import AtomTypes
from structdiff.structure.tables import ChainKind, Structure
from structdiff.typing import Float

_CONTACT, _REPULSION, _HYDROPHOBIC, _HYDROGEN_BOND = -0.045, 0.8, -0.035, -0.6
_WIDTH = 0.8  # Å, of contacts
_HYDROPHOBIC_END = 2.5  # Å between surfaces, where hydrophobic contacts end
_HYDROGEN_BOND_FULL = -0.6  # Å by which surfaces overlap in a hydrogen bond
#: The same by the names of the native kernel.
SCORE = {
    "contact": _CONTACT, "width": _WIDTH, "repulsion": _REPULSION, "hydrophobic": _HYDROPHOBIC,
    "hydrophobic_end": _HYDROPHOBIC_END, "hydrogen_bond": _HYDROGEN_BOND, "hydrogen_bond_full": _HYDROGEN_BOND_FULL,
}  # fmt: skip
#: Heavy atoms of the least ligand that is scored, and docked.
SMALLEST = 5
_OF_A_TORSION = 0.05846  # by how much each torsion that turns freely weakens binding
_FARTHEST = 8.0  # Å between atoms that are asked about


@dataclass(frozen=True, kw_only=True, eq=False)
class Kinds:
    """What pairs of atoms are to each other: Å at which their surfaces touch; 1 where both are hydrophobic, where one
    gives the other a hydrogen bond, else 0.
    """

    touching: Float[Tensor, "*pair"]
    hydrophobic: Float[Tensor, "*pair"]
    bonding: Float[Tensor, "*pair"]

    @classmethod
    def of(cls, first: AtomTypes, second: AtomTypes) -> Kinds:
        """Of atoms of both, pair by pair as their arrays are laid on each other."""
        both_hydrophobic = first.hydrophobic & second.hydrophobic
        bonding = (first.donor & second.acceptor) | (first.acceptor & second.donor)
        return cls(
            touching=torch.from_numpy(np.asarray(first.radius + second.radius, np.float32)),
            hydrophobic=torch.from_numpy(np.asarray(both_hydrophobic, np.float32)),
            bonding=torch.from_numpy(np.asarray(bonding, np.float32)),
        )


def steric(surface: Float[Tensor, "*pair"]) -> Float[Tensor, "*pair"]:
    """Contact and repulsion (kcal/mol) of atoms whose surfaces are so far apart (Å)."""
    return _CONTACT * torch.exp(-(surface / _WIDTH).square()) + _REPULSION * surface.clamp(max=0.0).square()


def hydrophobic(surface: Float[Tensor, "*pair"]) -> Float[Tensor, "*pair"]:
    """What two hydrophobic atoms are worth beside that (kcal/mol)."""
    return _HYDROPHOBIC * (1 - surface / _HYDROPHOBIC_END).clamp(0.0, 1.0)


def hydrogen_bond(surface: Float[Tensor, "*pair"]) -> Float[Tensor, "*pair"]:
    """What a donor and an acceptor are worth beside that (kcal/mol)."""
    return _HYDROGEN_BOND * (surface / _HYDROGEN_BOND_FULL).clamp(0.0, 1.0)


def energy(distance: Float[Tensor, "*pair"], kinds: Kinds) -> Float[Tensor, "*pair"]:
    """What pairs are worth (kcal/mol, below 0 is good) at their distances (Å)."""
    surface = distance - kinds.touching
    return steric(surface) + kinds.hydrophobic * hydrophobic(surface) + kinds.bonding * hydrogen_bond(surface)


def slope(distance: Float[Tensor, "*pair"], kinds: Kinds) -> Float[Tensor, "*pair"]:
    """How `energy` changes with the distance (kcal/mol/Å)."""
    surface = distance - kinds.touching
    total = -2 * _CONTACT / _WIDTH**2 * surface * torch.exp(-(surface / _WIDTH).square())
    total = total + 2 * _REPULSION * surface.clamp(max=0.0)
    falling = (surface > 0) & (surface < _HYDROPHOBIC_END)
    total = total - _HYDROPHOBIC / _HYDROPHOBIC_END * kinds.hydrophobic * falling
    bonding = (surface < 0) & (surface > _HYDROGEN_BOND_FULL)
    return total + _HYDROGEN_BOND / _HYDROGEN_BOND_FULL * kinds.bonding * bonding


@dataclass(frozen=True, kw_only=True)
class LigandScore:
    """How well one ligand lies, by Vinardo.

    chains, components: the names of its chains and the codes of its components. atoms: heavy ones. torsions: bonds that
    turn freely. affinity: kcal/mol, lower is better.
    """

    chains: tuple[str, ...]
    components: tuple[str, ...]
    atoms: int
    torsions: int
    affinity: float


def ligand_scores(structure: Structure) -> list[LigandScore]:
    """The score of every ligand of five heavy atoms or more that no bond ties to a polymer, at resolved positions."""
    types: AtomTypes | None = None
    found = []
    for rows, own, around in judged_ligands(structure):
        types = types or AtomTypes.of(structure)
        residues = np.unique(structure.atoms.residue[rows])
        torsions = len(ligand_torsions(structure, rows))
        between = _between(structure.atoms.positions, types, own, np.flatnonzero(around))
        found.append(
            LigandScore(
                chains=tuple(dict.fromkeys(structure.chains.name[structure.residues.chain[residues]].tolist())),
                components=tuple(structure.residues.name[residues].tolist()),
                atoms=len(own),
                torsions=torsions,
                affinity=between / (1 + _OF_A_TORSION * torsions),
            )
        )
    return found


def judged_ligands(structure: Structure) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Rows of the atoms of each ligand of five heavy atoms or more that no bond ties to a polymer, and of those of them
    that were seen; and whether each atom is some of what it lies at: all else that was seen but water.
    """
    resolved = structure.atoms.resolved
    dry = resolved & (structure.chains.kind[structure.atom_chain] != ChainKind.WATER)
    for rows in free_molecules(structure):
        own, around = rows[resolved[rows]], dry.copy()
        around[rows] = False
        if len(own) >= SMALLEST and around.any():
            yield rows, own, around


def free_molecules(structure: Structure) -> Iterator[np.ndarray]:
    """Rows of the atoms of each molecule of ligands that no bond ties to a polymer, resolved or not."""
    bonds, count = structure.bonds, len(structure.atoms)
    graph = coo_matrix((np.ones(len(bonds)), (bonds.atom_1, bonds.atom_2)), shape=(count, count))
    _, molecule = connected_components(graph, False)
    of_ligand = structure.chains.kind[structure.atom_chain] == ChainKind.LIGAND
    for number in np.unique(molecule[of_ligand]).tolist():
        own = molecule == number
        if (own <= of_ligand).all():
            yield np.flatnonzero(own)


def ligand_torsions(structure: Structure, rows: np.ndarray) -> list[RotatableBond]:
    """The bonds of a molecule that turn freely, by places among its rows."""
    bonds = structure.bonds
    inside = np.isin(bonds.atom_1, rows) & np.isin(bonds.atom_2, rows)
    ends = np.searchsorted(rows, np.stack([bonds.atom_1[inside], bonds.atom_2[inside]], -1))
    return rotatable_bonds(structure.atoms.element[rows], ends.reshape(-1, 2), bonds.order[inside])


def _between(positions: np.ndarray, types: AtomTypes, own: np.ndarray, around: np.ndarray) -> float:
    """The energy (kcal/mol) between atoms of a ligand and others near them."""
    near = KDTree(positions[around]).query_ball_point(positions[own], _FARTHEST)
    pairs = [(row, around[other]) for row, others in zip(own, near, strict=True) for other in others]
    if not pairs:
        return 0.0
    first, second = np.array(pairs).T
    distance = np.linalg.norm(positions[first].astype(np.float64) - positions[second], axis=1)
    kinds = Kinds.of(types.rows(first), types.rows(second))
    return float(energy(torch.from_numpy(distance), kinds).sum())

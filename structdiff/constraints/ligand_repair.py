"""Ligands drawn wrong: mirrored where most centres are inverted, turned about bonds that are E for Z, or laid anew.

Centres that rings fuse cannot be turned over one at a time: the rings hold them. The same holds for double bonds within
rings, and for cages that were drawn inside out.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy.spatial.transform import Rotation

from structdiff.chemistry.components import component
from structdiff.chemistry.double_bonds import has_form
from structdiff.chemistry.rotatable_bonds import atoms_beyond
from structdiff.constraints.stereochemistry import Stereochemistry, signed_volumes
from structdiff.geometry.distances import unit
from structdiff.geometry.superposition import superposed
from structdiff.geometry.torsions import torsion
from structdiff.structure.local_geometry import structure_double_bonds
from structdiff.structure.tables import ChainKind, Structure
from structdiff.typing import Bool, Float

_FEWEST_MIRRORED = 2  # centres: a single one is moved less by turning it over
_STRAINED = 0.15  # Å by which a bond is off that a cage holds so; relaxed ones are off by 0.05


@dataclass(frozen=True, kw_only=True, eq=False)
class TurnableBond:
    """A double bond that is E or Z: rows of four atoms as in ``DoubleBonds``, which of both it is, and what turns.

    side (atom): the atoms of the smaller side, where it is in no ring and all of it may move, else None.
    """

    atoms: np.ndarray  # int64 (4,)
    cis: bool
    side: Bool[np.ndarray, " atom"] | None

    def is_wrong(self, positions: Float[torch.Tensor, "atom 3"]) -> bool:
        """Whether it has the other form at positions (Å), or is twisted between both."""
        return not bool(has_form(positions.numpy()[self.atoms], self.cis))


def turnable_bonds(structure: Structure, free: Bool[torch.Tensor, " atom"]) -> list[TurnableBond]:
    """The double bonds that are E or Z and have an atom that may move."""
    found = structure_double_bonds(structure)
    near: dict[int, list[int]] = defaultdict(list)
    for first, second in zip(structure.bonds.atom_1.tolist(), structure.bonds.atom_2.tolist(), strict=True):
        near[first].append(second)
        near[second].append(first)
    may_move = free.numpy()
    bonds = []
    for atoms, cis in zip(found.atoms, found.cis.tolist(), strict=True):
        if may_move[atoms].any():
            sides = [atoms_beyond(near, int(there), int(here)) for here, there in (atoms[1:3], atoms[2:0:-1])]
            turning = [rows for rows in map(sorted, filter(None, sides)) if may_move[rows].all()]
            side = np.isin(np.arange(len(may_move)), min(turning, key=len)) if turning else None
            bonds.append(TurnableBond(atoms=atoms, cis=cis, side=side))
    return bonds


def turned_back(positions: Float[torch.Tensor, "atom 3"], bonds: list[TurnableBond]) -> Float[torch.Tensor, "atom 3"]:
    """Positions (Å) with the smaller side of each wrong double bond turned about it until it is right."""
    positions = positions.clone()
    for bond in bonds:
        if bond.side is None or not bond.is_wrong(positions):
            continue
        a, b, c, d = positions[torch.from_numpy(bond.atoms)]
        axis = unit(c - b)
        side = torch.from_numpy(bond.side)
        angle = (0.0 if bond.cis else torch.pi) - float(torsion(a, b, c, d))
        # Looking from b to c the torsion grows as the side of c turns clockwise, or that of b counterclockwise.
        turn = angle if bool(side[bond.atoms[2]]) else -angle
        rotation = torch.from_numpy(Rotation.from_rotvec(turn * axis.numpy()).as_matrix())
        positions[side] = (positions[side] - b) @ rotation.T + b
    return positions


@dataclass(frozen=True, kw_only=True, eq=False)
class FreeLigand:
    """One component of a ligand: its atoms, its ideal conformer (Å), its bonds, handed quadruples and double bonds."""

    rows: Bool[torch.Tensor, " atom"]
    ideal: Float[torch.Tensor, "own 3"]
    bonds: Bool[torch.Tensor, " bond"]
    handed: Bool[torch.Tensor, " quadruple"]
    double_bonds: tuple[TurnableBond, ...]


def free_ligands(
    structure: Structure,
    model: Stereochemistry,
    free: Bool[torch.Tensor, " atom"],
    double_bonds: Sequence[TurnableBond] = (),
) -> list[FreeLigand]:
    """The components of ligands that have bonds, and of which every atom may move."""
    return list(_free_ligands(structure, model, free, double_bonds))


def _free_ligands(
    structure: Structure, model: Stereochemistry, free: torch.Tensor, double_bonds: Sequence[TurnableBond]
) -> Iterator[FreeLigand]:
    centres = structure.atoms.residue[model.quadruples[: model.num_handed, 0].numpy()]
    isomers = [int(structure.atoms.residue[bond.atoms[0]]) for bond in double_bonds]
    first, second = structure.atoms.residue[model.pairs[: model.num_bonds].numpy()].T
    bonded = np.where(first == second, first, -1)
    kinds = structure.chains.kind[structure.residues.chain]
    for residue in np.unique(bonded[bonded >= 0]).tolist():
        span = structure.residue_atoms(residue)
        if kinds[residue] != ChainKind.LIGAND or not bool(free[span].all()):
            continue
        whole = component(str(structure.residues.name[residue]), structure.components)
        place = whole.atom_index
        ideal = whole.ideal_positions[[place[name] for name in structure.atoms.name[span].tolist()]]
        rows = torch.zeros(len(structure.atoms), dtype=torch.bool)
        rows[span] = True
        yield FreeLigand(
            rows=rows,
            ideal=torch.from_numpy(ideal).double(),
            bonds=torch.from_numpy(bonded == residue),
            handed=torch.from_numpy(centres == residue),
            double_bonds=tuple(bond for bond, own in zip(double_bonds, isomers, strict=True) if own == residue),
        )


def mirrored_back(
    model: Stereochemistry, positions: Float[torch.Tensor, "atom 3"], ligands: list[FreeLigand]
) -> Float[torch.Tensor, "atom 3"]:
    """Positions (Å) with each ligand of which most centres are inverted reflected through its own flattest plane."""
    positions, wrong = positions.clone(), inverted(model, positions)
    handed = model.quadruples[: model.num_handed, 0]
    for ligand in ligands:
        centres = handed[ligand.handed].unique()
        if len(centres) >= _FEWEST_MIRRORED and 2 * len(handed[ligand.handed & wrong].unique()) > len(centres):
            own = positions[ligand.rows]
            middle = own.mean(0)
            normal = torch.linalg.svd(own - middle, full_matrices=False)[2][2]
            positions[ligand.rows] = own - 2 * ((own - middle) @ normal)[:, None] * normal
    return positions


def stuck_ligands(
    model: Stereochemistry, positions: Float[torch.Tensor, "atom 3"], ligands: list[FreeLigand]
) -> list[FreeLigand]:
    """The ligands of which a centre, a double bond or the length of a bond is wrong at relaxed positions (Å)."""
    wrong = inverted(model, positions)
    strained = model.pair_errors(positions[None])[0, : model.num_bonds].abs() > _STRAINED
    return [
        ligand
        for ligand in ligands
        if bool(wrong[ligand.handed].any() or strained[ligand.bonds].any())
        or any(bond.is_wrong(positions) for bond in ligand.double_bonds)
    ]


def inverted(model: Stereochemistry, positions: Float[torch.Tensor, "atom 3"]) -> Bool[torch.Tensor, " quadruple"]:
    """Which handed quadruples have the wrong sign of volume."""
    volumes = signed_volumes(positions[None], model.quadruples[: model.num_handed])[0]
    return volumes * model.volume[: model.num_handed] <= 0


def laid_anew(positions: Float[torch.Tensor, "atom 3"], ligand: FreeLigand) -> Float[torch.Tensor, "atom 3"]:
    """Positions (Å) with the ligand's ideal conformer laid where it was drawn, by least squares over its atoms."""
    positions = positions.clone()
    positions[ligand.rows] = superposed(ligand.ideal, positions[ligand.rows])
    return positions

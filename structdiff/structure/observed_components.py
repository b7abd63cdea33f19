"""Components for residues that no dictionary knows, from the atoms that a file shows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from structdiff.chemistry.components import AROMATIC, DNA, OTHER, PEPTIDE, RNA, Component

#: Covalent radii (Å), Cordero et al. 2008, Dalton Trans. 2832.
COVALENT_RADII = {
    1: 0.31, 5: 0.84, 6: 0.76, 7: 0.71, 8: 0.66, 9: 0.57, 14: 1.11, 15: 1.07, 16: 1.05, 17: 1.02, 33: 1.19, 34: 1.20,
    35: 1.20, 53: 1.39,
}  # fmt: skip
OTHER_RADIUS = 1.5  # Å, of the rest, mostly metals
_TOLERANCE = 0.4  # Å beyond the sum of the radii, as in Open Babel's and RDKit's perception of bonds
_SHORTEST = 0.4


class ObservedAtom(NamedTuple):
    """A heavy atom as a file shows it: name, atomic number, charge, position (Å) and serial number."""

    name: str
    element: int
    charge: int
    position: tuple[float, float, float]
    serial: int


class ComponentBond(NamedTuple):
    """A bond inside a component as an mmCIF file tells it: names of its atoms, order, and whether it is aromatic."""

    names: tuple[str, str]
    order: int
    aromatic: bool


def rows_of_bonds(bonds: Sequence[ComponentBond], names: Sequence[str]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Bonds between atoms of these names: rows [bond, 2], orders with aromatic ones, and orders without."""
    row_of = {name: row for row, name in enumerate(names)}
    listed = [bond for bond in bonds if all(name in row_of for name in bond.names)]
    pairs = [sorted(row_of[name] for name in bond.names) for bond in listed]
    kekule = np.array([bond.order for bond in listed], np.uint8)
    aromatic = np.array([bond.aromatic for bond in listed], bool)
    orders = np.where(aromatic, AROMATIC, kekule).astype(np.uint8)
    return np.array(pairs, np.int32).reshape(-1, 2), orders, kekule


def observed_component(
    code: str,
    atoms: Sequence[ObservedAtom],
    conect: Mapping[int, Sequence[int]] | None = None,
    told: Sequence[ComponentBond] = (),
) -> Component:
    """A component with the atoms of a file.

    Its bonds are those told of it, or those of CONECT records, where they reach all atoms; else they come from
    distances and are single, because distances do not tell orders safely. The conformer in the file is its ideal one.
    """
    positions = np.array([atom.position for atom in atoms], np.float32).reshape(-1, 3)
    elements = np.array([atom.element for atom in atoms], np.uint8)
    names = np.array([atom.name for atom in atoms])
    bonds, orders, kekule = rows_of_bonds(told, names.tolist())
    if len(np.unique(bonds)) < len(atoms):
        bonds, orders = _conect_bonds(atoms, conect or {})
        kekule = orders
    if len(np.unique(bonds)) < len(atoms):
        bonds = _bonds_by_distance(elements, positions)
        orders = kekule = np.ones(len(bonds), np.uint8)
    return Component(
        name=code,
        description="as in the file",
        one_letter="",
        parent="",
        kind=_kind(set(names.tolist())),
        atom_names=names,
        elements=elements,
        charges=np.array([atom.charge for atom in atoms], np.int8),
        ideal_positions=np.nan_to_num(positions),
        bonds=bonds,
        bond_orders=orders,
        kekule_orders=kekule.copy(),
        leaving=np.isin(names, ("OXT", "OP3")),
        hydrogens=np.zeros(len(atoms), np.uint8),
        hydrogens_told=False,
        stereo=np.zeros(len(atoms), bool),
    )


def _kind(names: set[str]) -> str:
    if {"N", "CA", "C"} <= names:
        return PEPTIDE
    if {"C1'", "C3'", "O3'"} <= names:
        return RNA if "O2'" in names else DNA
    return OTHER


def _conect_bonds(atoms: Sequence[ObservedAtom], conect: Mapping[int, Sequence[int]]) -> tuple[np.ndarray, np.ndarray]:
    """Bonds of CONECT records; a bond that one of its atoms lists twice or three times is double or triple."""
    row_of = {atom.serial: row for row, atom in enumerate(atoms)}
    listed: Counter[tuple[int, int]] = Counter()
    for serial, row in row_of.items():
        partners = (row_of.get(partner) for partner in conect.get(serial, ()))
        listed.update((row, other) for other in partners if other is not None and other != row)
    counts = {(min(pair), max(pair)): max(count, listed[pair[1], pair[0]]) for pair, count in listed.items()}
    bonds = np.array(sorted(counts), np.int32).reshape(-1, 2)
    return bonds, np.array([min(counts[pair], 3) for pair in sorted(counts)], np.uint8)


def _bonds_by_distance(elements: np.ndarray, positions: np.ndarray) -> np.ndarray:
    radii = np.array([COVALENT_RADII.get(int(element), OTHER_RADIUS) for element in elements])
    distance = np.linalg.norm(positions[:, None] - positions[None], axis=-1)
    near = (distance < radii[:, None] + radii[None] + _TOLERANCE) & (distance > _SHORTEST)
    return np.argwhere(np.triu(near, 1)).astype(np.int32).reshape(-1, 2)

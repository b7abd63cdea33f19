"""The ligands of a structure as RDKit's molecules: bonds, charges and hydrogens, at the structure's positions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import gemmi
import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from structdiff.chemistry.components import AROMATIC, Component, component
from structdiff.structure.tables import ChainKind, Structure

if TYPE_CHECKING:
    from rdkit import Chem


_LIKE_OXYGENS = (15, 16)  # of phosphorus and sulphur


def ligand_rows(structure: Structure, smallest: int) -> Iterator[np.ndarray]:
    """Rows of the atoms, seen or not, of each ligand: a chain, or several that are bonded to each other.

    A glycan is one chain in mmCIF files, and one for each sugar in PDB files. smallest: atoms that must be seen.
    """
    chain = structure.atom_chain
    is_ligand = structure.chains.kind == ChainKind.LIGAND
    ends = np.stack([chain[structure.bonds.atom_1], chain[structure.bonds.atom_2]])
    one, other = ends[:, is_ligand[ends].all(0)]
    number = len(structure.chains)
    _, ligand = connected_components(coo_matrix((np.ones(len(one)), (one, other)), shape=(number, number)), False)
    for first in np.unique(ligand[is_ligand]).tolist():
        rows = np.flatnonzero(ligand[chain] == first)
        if structure.atoms.resolved[rows].sum() >= smallest:
            yield rows


def ligand_molecule(structure: Structure, rows: np.ndarray) -> Chem.Mol:
    """The molecule of some atoms of a structure at their positions (Å), in that order; it is not sanitized.

    Positions have three decimals, as files of structures have them.
    Bonds are single, double and triple ones, and dative ones from what a metal binds beyond its own valence. Where the
    component tells hydrogens, an atom has as many as it and bonds to others leave: one stands for each bond that leads
    out of these rows. Which of the like oxygens of a phosphate has the double bond is chosen by the hand that the
    component has.
    """
    from rdkit import Chem

    orders = _orders(structure, rows)
    metal = {row: gemmi.Element(int(structure.atoms.element[row])).is_metal for row in rows.tolist()}
    bound = {row for pair in orders if any(metal[end] for end in pair) for row in pair}
    hydrogens = _hydrogens(structure, rows, orders)
    charges = dict(zip(rows.tolist(), structure.atoms.charge[rows].tolist(), strict=True))
    for centre, double, single in _turned_oxygens(structure, rows, orders):
        for table in (hydrogens, charges):
            table[double], table[single] = table.get(single, 0), table.get(double, 0)
        one, other = ((min(centre, oxygen), max(centre, oxygen)) for oxygen in (double, single))
        orders[one], orders[other] = orders[other], orders[one]
    molecule = Chem.RWMol()
    place = {}
    for row in rows.tolist():
        atom = Chem.Atom(int(structure.atoms.element[row]))
        atom.SetFormalCharge(charges[row])
        if row in hydrogens or row in bound:
            atom.SetNoImplicit(True)
            atom.SetNumExplicitHs(hydrogens.get(row, 0))
        place[row] = molecule.AddAtom(atom)
    kinds = (Chem.BondType.ZERO, Chem.BondType.SINGLE, Chem.BondType.DOUBLE, Chem.BondType.TRIPLE)
    for (one, other), order in orders.items():
        if metal[one] != metal[other] and _is_full(structure, other if metal[one] else one, orders, hydrogens):
            giver, taker = (other, one) if metal[one] else (one, other)
            molecule.AddBond(place[giver], place[taker], Chem.BondType.DATIVE)
        else:
            molecule.AddBond(place[one], place[other], kinds[order])
    conformer = Chem.Conformer(len(rows))
    conformer.Set3D(True)
    for row, number in place.items():
        conformer.SetAtomPosition(number, np.round(structure.atoms.positions[row].astype(np.float64), 3).tolist())
    molecule.AddConformer(conformer)
    return molecule.GetMol()


def _is_full(structure: Structure, row: int, orders: dict[tuple[int, int], int], hydrogens: dict[int, int]) -> bool:
    """Whether an atom that a metal binds has more bonds than its valence allows, this one among them."""
    from rdkit import Chem

    atom = Chem.Atom(int(structure.atoms.element[row]))
    table = Chem.GetPeriodicTable()
    allowed = list(table.GetValenceList(atom.GetAtomicNum()))
    used = sum(order for pair, order in orders.items() if row in pair) + hydrogens.get(row, 0)
    return -1 not in allowed and used - int(structure.atoms.charge[row]) > max(allowed)


def _orders(structure: Structure, rows: np.ndarray) -> dict[tuple[int, int], int]:
    """Order (1, 2, 3) of every bond among the rows, by both in ascending order.

    Of aromatic bonds alone nothing would tell which nitrogens have a hydrogen: within residues components tell.
    """
    kekule = {}
    for whole, row_of in _components(structure, rows):
        names = whole.atom_names.tolist()
        for (first, second), order in zip(whole.bonds.tolist(), whole.kekule_orders.tolist(), strict=True):
            pair = sorted((row_of.get(names[first], -1), row_of.get(names[second], -1)))
            kekule[tuple(pair)] = order
    inside = np.isin(structure.bonds.atom_1, rows) & np.isin(structure.bonds.atom_2, rows)
    columns = (structure.bonds.atom_1[inside], structure.bonds.atom_2[inside], structure.bonds.order[inside])
    found = {}
    for one, other, order in zip(*(column.tolist() for column in columns), strict=True):
        pair = (min(one, other), max(one, other))
        found[pair] = kekule.get(pair, 1 if order == AROMATIC else order)
    return found


def _turned_oxygens(
    structure: Structure, rows: np.ndarray, orders: dict[tuple[int, int], int]
) -> Iterator[tuple[int, int, int]]:
    """Centre, oxygen with the double bond and oxygen without, where these lie as each other's in the component.

    Nothing but bonds on paper tells them apart, so that no structure is held to their hand.
    """
    points = structure.atoms.positions
    for whole, row_of in _components(structure, rows):
        near, names = whole.neighbours(), whole.atom_names.tolist()
        for centre in np.flatnonzero(whole.stereo & np.isin(whole.elements, _LIKE_OXYGENS)).tolist():
            own = [row_of.get(names[atom], -1) for atom in (centre, *near[centre])]
            ends = [row for atom, row in zip(near[centre], own[1:], strict=True)
                    if whole.elements[atom] == 8 and len(near[atom]) == 1]  # fmt: skip
            if len(own) != 5 or len(ends) != 2 or min(own) < 0:
                continue
            by_order = sorted(ends, key=lambda row: orders[min(row, own[0]), max(row, own[0])])
            ideal = whole.ideal_positions[[centre, *near[centre]]]
            if _hand(ideal) * _hand(points[own]) < 0:
                yield own[0], by_order[1], by_order[0]


def _hand(points: np.ndarray) -> float:
    """Sign of the volume that three neighbours span about a centre, which comes first."""
    return float(np.sign(np.linalg.det((points[1:4] - points[0]).astype(np.float64))))


def _hydrogens(structure: Structure, rows: np.ndarray, orders: dict[tuple[int, int], int]) -> dict[int, int]:
    """How many hydrogens atoms have, of those whose component tells it."""
    used: dict[int, int] = {}
    for pair, order in orders.items():
        for row in pair:
            used[row] = used.get(row, 0) + order
    found = {}
    for whole, row_of in _components(structure, rows):
        if not whole.hydrogens_told:
            continue
        valence = whole.hydrogens.astype(np.int64)
        np.add.at(valence, whole.bonds, whole.kekule_orders[:, None])
        for name, total in zip(whole.atom_names.tolist(), valence.tolist(), strict=True):
            if name in row_of:
                found[row_of[name]] = max(0, total - used.get(row_of[name], 0))
    return found


def _components(structure: Structure, rows: np.ndarray) -> Iterator[tuple[Component, dict[str, int]]]:
    """The component of each residue that has some of the rows, and these by the names of their atoms."""
    for residue in np.unique(structure.atoms.residue[rows]).tolist():
        own = rows[structure.atoms.residue[rows] == residue]
        names = structure.atoms.name[own].tolist()
        name = str(structure.residues.name[residue])
        yield component(name, structure.components), dict(zip(names, own.tolist(), strict=True))

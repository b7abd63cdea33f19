"""Are the ligands of a model sound molecules in a sound place: the checks of PoseBusters, where it is installed.

Buttenschoen, Morris & Deane, Chem. Sci. 15, 3130 (2024). It comes with ``pip install structdiff[evaluation]``.
"""

from __future__ import annotations

import importlib
import importlib.util
import tempfile
from pathlib import Path

import numpy as np

from structdiff.chemistry.components import component
from structdiff.chemistry.elements import element_symbol
from structdiff.structure.files import write_structure
from structdiff.structure.tables import ChainKind, Structure

_SMALLEST = 4  # heavy atoms
_ORDERS = {1: "SINGLE", 2: "DOUBLE", 3: "TRIPLE"}


def checks_passed(model: Structure) -> float:
    """Share of PoseBusters' checks that the model's ligands pass, mean over ligands.

    NaN where it is not installed, or no ligand of four atoms and more has known bonds.
    """
    ligands = [rows for rows in _ligand_atoms(model) if len(rows) >= _SMALLEST and _is_bonded(model, rows)]
    if importlib.util.find_spec("posebusters") is None or not ligands:
        return float("nan")
    from rdkit import rdBase

    posebusters = importlib.import_module("posebusters")

    polymer = np.isin(model.chains.kind[model.atom_chain], (ChainKind.PROTEIN, ChainKind.DNA, ChainKind.RNA))
    checker = posebusters.PoseBusters(config="dock" if polymer.any() else "mol")
    with tempfile.TemporaryDirectory() as folder, rdBase.BlockLogs():
        receptor = None
        if polymer.any():
            receptor = write_structure(model.select(polymer & model.atoms.resolved), Path(folder) / "receptor.pdb")
        shares = [
            float(np.mean(checker.bust([molecule_of(model, rows)], None, receptor).to_numpy(bool))) for rows in ligands
        ]
    return float(np.mean(shares))


def _ligand_atoms(model: Structure) -> list[np.ndarray]:
    chains = np.flatnonzero(model.chains.kind == ChainKind.LIGAND).tolist()
    return [np.flatnonzero((model.atom_chain == chain) & model.atoms.resolved) for chain in chains]


def _is_bonded(model: Structure, rows: np.ndarray) -> bool:
    """Whether bonds of these atoms are known at all; a file may name a ligand that nothing tells them of."""
    return bool((np.isin(model.bonds.atom_1, rows) & np.isin(model.bonds.atom_2, rows)).any())


def molecule_of(model: Structure, rows: np.ndarray):  # noqa: ANN201 - an RDKit molecule, loaded late
    """Some atoms of a model, by rows, as an RDKit molecule with their places, charges and bonds; not sanitized."""
    from rdkit import Chem
    from rdkit.Geometry import Point3D

    molecule = Chem.RWMol()
    place = {}
    for row in rows.tolist():
        atom = Chem.Atom(element_symbol(int(model.atoms.element[row])))
        atom.SetFormalCharge(int(model.atoms.charge[row]))
        place[row] = molecule.AddAtom(atom)
    kekule = _kekule_orders(model, rows)
    bonds = zip(model.bonds.atom_1.tolist(), model.bonds.atom_2.tolist(), strict=True)
    for one, two in bonds:
        if one in place and two in place:
            order = _ORDERS[kekule.get((min(one, two), max(one, two)), 1)]
            molecule.AddBond(place[one], place[two], getattr(Chem.BondType, order))
    conformer = Chem.Conformer(len(rows))
    for row, number in place.items():
        conformer.SetAtomPosition(number, Point3D(*map(float, model.atoms.positions[row])))
    molecule.AddConformer(conformer)
    return molecule.GetMol()


def _kekule_orders(model: Structure, rows: np.ndarray) -> dict[tuple[int, int], int]:
    """Single, double or triple (1, 2, 3) of the bonds within residues, by rows of atoms in ascending order.

    Of aromatic bonds alone nothing would tell which nitrogens have a hydrogen.
    """
    orders = {}
    for residue in np.unique(model.atoms.residue[rows]).tolist():
        whole, span = component(str(model.residues.name[residue]), model.components), model.residue_atoms(residue)
        row_of = dict(zip(model.atoms.name[span].tolist(), range(span.start, span.stop), strict=True))
        place = [row_of.get(name, -1) for name in whole.atom_names.tolist()]
        for (first, second), order in zip(whole.bonds.tolist(), whole.kekule_orders.tolist(), strict=True):
            one, two = sorted((place[first], place[second]))
            orders[one, two] = order
    return orders

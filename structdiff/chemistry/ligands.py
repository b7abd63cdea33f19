"""Components from SMILES strings and files of molecules, with stereo, charges and a three-dimensional conformer.

Call these through ``structdiff.chemistry.components``, which loads RDKit only then.
"""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import numpy as np
from rdkit import Chem, rdBase

from structdiff.chemistry.components import AROMATIC, OTHER, Component
from structdiff.chemistry.conformers import conformer
from structdiff.chemistry.molecule_files import NAME_KEYS, read_molecule, sanitize
from structdiff.chemistry.open_stereo import tell_open_stereo
from structdiff.chemistry.unheld_stereo import tell_unheld_stereo
from structdiff.errors import InputError

_MAX_ATOMS = 2000


def from_smiles(smiles: str, name: str, called: str = "") -> Component:
    """See ``components.component_from_smiles``."""
    called = called or name
    with rdBase.BlockLogs():
        given = _molecule(smiles, called)
        mol = _without_hydrogens(given)
        Chem.AssignStereochemistry(mol, cleanIt=True, force=True)
        _require_one_molecule(mol, called, repr(smiles))
        canonical, names = Chem.MolToSmiles(mol), _numbered_names(mol)
        positions = conformer(mol, called)
        tell_open_stereo(mol, names, positions, called)
        found = _component_of(mol, name, names, positions, canonical, called)
        tell_unheld_stereo(given, mol, found, called)
        return found


def numbered_atoms(smiles: str, called: str) -> dict[int, str]:
    """See ``components.numbered_smiles_atoms``."""
    with rdBase.BlockLogs():
        mol = _without_hydrogens(_molecule(smiles, called))
    names = _numbered_names(mol)
    mapped = {atom.GetAtomMapNum(): name for atom, name in zip(mol.GetAtoms(), names, strict=True)}
    mapped.pop(0, None)
    return mapped or dict(enumerate(names))


def ranked_atoms(smiles: str, called: str) -> dict[str, str]:
    """See ``components.ranked_smiles_atoms``."""
    with rdBase.BlockLogs():
        names = _numbered_names(_without_hydrogens(_molecule(smiles, called)))
        whole = Chem.AddHs(Chem.MolFromSmiles(smiles))
        ranked = [f"{atom.GetSymbol().upper()}{rank + 1}"
                  for atom, rank in zip(whole.GetAtoms(), Chem.CanonicalRankAtoms(whole), strict=True)
                  if atom.GetAtomicNum() != 1]  # fmt: skip
    return dict(zip(ranked, names, strict=True)) if len(ranked) == len(names) else {}  # hydrogen alone keeps its atoms


def _molecule(smiles: str, called: str) -> Chem.Mol:
    mol = Chem.MolFromSmiles(smiles.strip(), sanitize=False) if smiles.strip() else None
    if mol is None:
        raise InputError("this SMILES cannot be parsed", key=called, found=smiles)
    sanitize(mol, called, f"SMILES {smiles!r}")
    return mol


def from_sdf(path: str | Path, name: str, called: str = "") -> Component:
    """See ``components.component_from_sdf``."""
    called = called or name
    path = Path(path)
    with rdBase.BlockLogs():
        given = read_molecule(path, called)
        has_positions = given.GetConformer().Is3D() and np.ptp(given.GetConformer().GetPositions(), axis=0).all()
        if has_positions:
            Chem.AssignStereochemistryFrom3D(given)
        mol = _without_hydrogens(given)
        _require_one_molecule(mol, called, str(path))
        names = _file_names(mol) or _numbered_names(mol)
        positions = mol.GetConformer().GetPositions() if has_positions else conformer(mol, called)
        if not has_positions:
            tell_open_stereo(mol, names, positions, called)
        found = _component_of(mol, name, names, positions, Chem.MolToSmiles(mol), called)
        tell_unheld_stereo(given, mol, found, called)
        return found


def _without_hydrogens(given: Chem.Mol) -> Chem.Mol:
    """The molecule without explicit hydrogens, deuterium and tritium included, which RDKit keeps as atoms."""
    mol = Chem.Mol(given)
    for atom in mol.GetAtoms():
        if atom.GetAtomicNum() == 1:
            atom.SetIsotope(0)
    return Chem.RemoveHs(mol)


def _require_one_molecule(mol: Chem.Mol, called: str, source: str) -> None:
    if not any(atom.GetAtomicNum() > 1 for atom in mol.GetAtoms()):
        raise InputError(f"{source} has no heavy atom, so it cannot be modelled", key=called)
    wildcard = next((atom for atom in mol.GetAtoms() if atom.GetAtomicNum() == 0), None)
    if wildcard is not None:
        raise InputError(f"{source} holds a wildcard atom (*); every atom needs an element", key=called)
    fragments = len(Chem.GetMolFrags(mol))
    if fragments > 1:
        raise InputError(f"{source} holds {fragments} separate molecules; give each as a ligand of its own", key=called)
    if mol.GetNumAtoms() > _MAX_ATOMS:
        raise InputError(f"{source} has {mol.GetNumAtoms()} atoms; a ligand may have {_MAX_ATOMS}", key=called)


def _numbered_names(mol: Chem.Mol) -> list[str]:
    """Atom names as AlphaFold 3 gives them: the element and its number of appearance."""
    seen: Counter[str] = Counter()
    names = []
    for atom in mol.GetAtoms():
        symbol = atom.GetSymbol().upper()
        seen[symbol] += 1
        names.append(f"{symbol}{seen[symbol]}")
    return names


def _file_names(mol: Chem.Mol) -> list[str] | None:
    def told(atom: Chem.Atom) -> str:
        return next((atom.GetProp(key).strip() for key in NAME_KEYS if atom.HasProp(key)), "")

    names = [told(atom) for atom in mol.GetAtoms()]
    usable = all(re.fullmatch(r"[A-Za-z0-9'*_]{1,6}", name) for name in names)
    return names if usable and len(set(names)) == len(names) else None


def _has_hand(atom: Chem.Atom) -> bool:
    """Whether the definition states an atom's hand: by a descriptor, or as cis or trans on a ring, which has none."""
    return bool(atom.HasProp("_CIPCode")) or atom.GetChiralTag() != Chem.ChiralType.CHI_UNSPECIFIED


def _component_of(
    mol: Chem.Mol, name: str, atom_names: list[str], positions: np.ndarray, canonical_smiles: str, called: str
) -> Component:
    kekulized = Chem.Mol(mol)
    Chem.Kekulize(kekulized, clearAromaticFlags=True)
    orders = {Chem.BondType.SINGLE: 1, Chem.BondType.DOUBLE: 2, Chem.BondType.TRIPLE: 3, Chem.BondType.DATIVE: 1}
    unusual = next((b.GetBondType() for b in kekulized.GetBonds() if b.GetBondType() not in orders), None)
    if unusual is not None:
        raise InputError("this molecule has a bond of a kind that cannot be modelled", key=called, found=str(unusual))
    kekule = np.array([orders[bond.GetBondType()] for bond in kekulized.GetBonds()], np.uint8)
    aromatic = np.array([bond.GetIsAromatic() for bond in mol.GetBonds()], bool)
    ends = [sorted((bond.GetBeginAtomIdx(), bond.GetEndAtomIdx())) for bond in mol.GetBonds()]
    atoms = list(mol.GetAtoms())
    return Component(
        name=name,
        description=canonical_smiles,
        one_letter="",
        parent="",
        kind=OTHER,
        atom_names=np.array(atom_names),
        elements=np.array([atom.GetAtomicNum() for atom in atoms], np.uint8),
        charges=np.array([atom.GetFormalCharge() for atom in atoms], np.int8),
        ideal_positions=np.asarray(positions, np.float32),
        bonds=np.array(ends, np.int32).reshape(-1, 2),
        bond_orders=np.where(aromatic, AROMATIC, kekule).astype(np.uint8),
        kekule_orders=kekule,
        leaving=np.zeros(len(atoms), bool),
        hydrogens=np.array([atom.GetTotalNumHs() for atom in atoms], np.uint8),
        stereo=np.array([_has_hand(atom) for atom in atoms], bool),
        smiles=canonical_smiles,
    )

"""Components from SMILES strings and SDF files, with stereo, charges and a three-dimensional conformer.

Conformers come from RDKit's ETKDG (Riniker & Landrum 2015; Wang et al. 2020) with a fixed seed, so that the same
molecule always gets the same one; where that fails, from plain distance geometry. Call these through
``structdiff.chemistry.components``, which loads RDKit only then.
"""

from __future__ import annotations

import dataclasses
import re
import warnings
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from rdkit import Chem, rdBase
from rdkit.Chem import AllChem, rdDistGeom, rdForceFieldHelpers

from structdiff.chemistry.components import AROMATIC, OTHER, Component
from structdiff.errors import InputError

_SEED = 20240508
#: What is tried in turn for a conformer: settings of ETKDG and what is added to the seed. Plain distance geometry,
#: without the torsions and flat rings of known molecules, comes last: it finds strained cages that nothing else does.
_PLAIN = {"useBasicKnowledge": False, "useExpTorsionAnglePrefs": False, "ignoreSmoothingFailures": True}
_ATTEMPTS = (
    ({"useRandomCoords": False}, 0),
    ({"useRandomCoords": True}, 0),
    ({"useRandomCoords": True}, 1),
    ({"useRandomCoords": True, **_PLAIN}, 0),
    ({"useRandomCoords": True, **_PLAIN}, 1),
)
_MAX_ATOMS = 2000


class ConformerWarning(UserWarning):
    """No three-dimensional conformer could be made for a component."""


class OpenStereoWarning(UserWarning):
    """A molecule was given without the hand of some of its centres or double bonds."""


def from_smiles(smiles: str, name: str, called: str = "") -> Component:
    """See ``components.component_from_smiles``."""
    called = called or name
    with rdBase.BlockLogs():
        mol = _heavy_atoms(smiles, called)
        Chem.AssignStereochemistry(mol, cleanIt=True, force=True)
        _require_one_molecule(mol, called, repr(smiles))
        canonical, names = Chem.MolToSmiles(mol), _numbered_names(mol)
        positions = _conformer(mol, called)
        _tell_open_stereo(mol, names, positions, called)
        return _component_of(mol, name, names, positions, canonical, called)


def numbered_atoms(smiles: str, called: str) -> dict[int, str]:
    """See ``components.numbered_smiles_atoms``."""
    with rdBase.BlockLogs():
        mol = _heavy_atoms(smiles, called)
    names = _numbered_names(mol)
    mapped = {atom.GetAtomMapNum(): name for atom, name in zip(mol.GetAtoms(), names, strict=True)}
    mapped.pop(0, None)
    return mapped or dict(enumerate(names))


def _heavy_atoms(smiles: str, called: str) -> Chem.Mol:
    mol = Chem.MolFromSmiles(smiles.strip(), sanitize=False) if smiles.strip() else None
    if mol is None:
        raise InputError("this SMILES cannot be parsed", key=called, found=smiles)
    _sanitize(mol, called, f"SMILES {smiles!r}")
    return _without_hydrogens(mol)


def from_sdf(path: str | Path, name: str, called: str = "") -> Component:
    """See ``components.component_from_sdf``."""
    called = called or name
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", path=path) from None
    blocks = [block for block in re.split(r"^\$\$\$\$\s*$", text, flags=re.MULTILINE) if block.strip()]
    if len(blocks) != 1:
        raise InputError("one molecule expected", path=path, found=f"{len(blocks)} molecules")
    with rdBase.BlockLogs():
        draft = Chem.MolFromMolBlock(blocks[0], sanitize=False, removeHs=False)
        if draft is None or draft.GetNumAtoms() == 0:
            raise InputError("no valid molecule block in this SDF", path=path)
        _sanitize(draft, called, str(path))
        mol = Chem.MolFromMolBlock(blocks[0], removeHs=False)
        has_positions = mol.GetConformer().Is3D() and np.ptp(mol.GetConformer().GetPositions(), axis=0).all()
        if has_positions:
            Chem.AssignStereochemistryFrom3D(mol)
        mol = _without_hydrogens(mol)
        _require_one_molecule(mol, called, str(path))
        names = _file_names(mol) or _numbered_names(mol)
        positions = mol.GetConformer().GetPositions() if has_positions else _conformer(mol, called)
        if not has_positions:
            _tell_open_stereo(mol, names, positions, called)
        return _component_of(mol, name, names, positions, Chem.MolToSmiles(mol), called)


def with_conformer(component: Component) -> Component:
    """The component with RDKit's conformer in place of missing ideal positions."""
    with rdBase.BlockLogs():
        positions = _conformer(perceived(component), component.name)
    return dataclasses.replace(component, ideal_positions=np.asarray(positions, np.float32))


def perceived(component: Component) -> Chem.Mol:
    """An RDKit molecule without positions, sanitized; where RDKit refuses that, its rings and valences are known."""
    mol = to_rdkit(component, with_positions=False)
    try:
        Chem.SanitizeMol(mol)
    except Chem.MolSanitizeException:
        mol.UpdatePropertyCache(strict=False)
        Chem.FastFindRings(mol)
    return mol


def to_rdkit(component: Component, positions: np.ndarray | None = None, *, with_positions: bool = True) -> Chem.Mol:
    """An RDKit molecule of the heavy atoms, in the component's order, with explicit hydrogen counts.

    positions: (atom, 3) in Å, the ideal ones if None. The molecule is not sanitized.
    """
    mol = Chem.RWMol()
    for row in range(len(component)):
        atom = Chem.Atom(int(component.elements[row]))
        atom.SetFormalCharge(int(component.charges[row]))
        atom.SetNoImplicit(True)
        atom.SetNumExplicitHs(int(component.hydrogens[row]))
        mol.AddAtom(atom)
    orders = (None, Chem.BondType.SINGLE, Chem.BondType.DOUBLE, Chem.BondType.TRIPLE)
    for (first, second), order in zip(component.bonds.tolist(), component.kekule_orders.tolist(), strict=True):
        mol.AddBond(first, second, orders[order])
    if with_positions:
        conformer = Chem.Conformer(len(component))
        for row, point in enumerate(component.ideal_positions if positions is None else positions):
            conformer.SetAtomPosition(row, [float(value) for value in point])
        mol.AddConformer(conformer)
    return mol.GetMol()


def _sanitize(mol: Chem.Mol, called: str, source: str) -> None:
    problems = Chem.DetectChemistryProblems(mol)
    if problems:
        raise InputError(f"{source} is not a possible molecule: {problems[0].Message()}", key=called)
    Chem.SanitizeMol(mol)


def _without_hydrogens(mol: Chem.Mol) -> Chem.Mol:
    """The molecule without explicit hydrogens, deuterium and tritium included, which RDKit keeps as atoms."""
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


def _conformer(mol: Chem.Mol, called: str) -> np.ndarray:
    """Positions (atom, 3) in Å of the heavy atoms: ETKDG, plain distance geometry, then a flat drawing."""
    full = Chem.AddHs(mol)
    settings = rdDistGeom.ETKDGv3()
    settings.maxIterations = 20
    for changes, more in _ATTEMPTS:
        settings.randomSeed = _SEED + more
        for key, value in changes.items():
            setattr(settings, key, value)
        if _embedded(full, settings):
            _relax(full)
            return full.GetConformer().GetPositions()[: mol.GetNumAtoms()]
    warnings.warn(
        f"{called}: no three-dimensional conformer was found (is its stereochemistry possible?); a flat drawing stands "
        "in, its handedness means nothing",
        ConformerWarning,
        stacklevel=3,
    )
    flat = Chem.Mol(mol)
    AllChem.Compute2DCoords(flat, bondLength=1.45)  # type: ignore[attr-defined]
    return flat.GetConformer().GetPositions()


def _tell_open_stereo(mol: Chem.Mol, names: list[str], positions: np.ndarray, called: str) -> None:
    """Warns of centres and double bonds whose hand was not given, and says which molecule the conformer is."""
    drawn = _as_drawn(mol, positions)
    places = [
        "=".join(names[row] for row in atoms)
        for atoms in _open_stereo(mol)
        if len(atoms) == 2 or drawn.GetAtomWithIdx(atoms[0]).GetChiralTag() != Chem.ChiralType.CHI_UNSPECIFIED
    ]
    if places:
        warnings.warn(
            f"{called}: no stereochemistry is given for {', '.join(places)}; it is drawn as {Chem.MolToSmiles(drawn)} "
            "(write the one that is meant)",
            OpenStereoWarning,
            stacklevel=3,
        )


def _open_stereo(mol: Chem.Mol) -> Iterator[tuple[int, ...]]:
    """Rows of the centres (centre,) and of the double bonds (first, second) whose hand may be open."""
    for place in Chem.FindPotentialStereo(mol):
        if place.specified != Chem.StereoSpecified.Unspecified:
            continue
        if place.type == Chem.StereoType.Atom_Tetrahedral:
            if not _has_like_oxygens(mol.GetAtomWithIdx(place.centeredOn)):
                yield (place.centeredOn,)
        elif place.type == Chem.StereoType.Bond_Double:
            bond = mol.GetBondWithIdx(place.centeredOn)
            ends = (bond.GetBeginAtom(), bond.GetEndAtom())
            # The hydrogen of an imine or amidine is not modelled: both forms are the same atoms.
            imine = any(atom.GetAtomicNum() == 7 and atom.GetTotalNumHs() for atom in ends)
            if not imine and not any(map(_is_cumulated, ends)):
                yield tuple(atom.GetIdx() for atom in ends)


def _is_cumulated(atom: Chem.Atom) -> bool:
    """Whether two double bonds meet at an atom, as in allenes, whose hand SMILES does not write."""
    return sum(bond.GetBondType() == Chem.BondType.DOUBLE for bond in atom.GetBonds()) > 1


def _has_like_oxygens(centre: Chem.Atom) -> bool:
    """Whether a phosphate or sulphate has oxygens that only a proton tells apart."""
    ends = [atom for atom in centre.GetNeighbors() if atom.GetAtomicNum() == 8 and atom.GetDegree() == 1]
    return centre.GetAtomicNum() in (15, 16) and len(ends) > 1


def _as_drawn(mol: Chem.Mol, positions: np.ndarray) -> Chem.Mol:
    """A molecule with the stereochemistry that its positions (atom, 3) in Å show."""
    drawn, conformer = Chem.Mol(mol), Chem.Conformer(mol.GetNumAtoms())
    for row, point in enumerate(positions):
        conformer.SetAtomPosition(row, [float(value) for value in point])
    drawn.RemoveAllConformers()
    drawn.AddConformer(conformer)
    Chem.AssignStereochemistryFrom3D(drawn)
    return drawn


def _embedded(mol: Chem.Mol, settings: rdDistGeom.EmbedParameters) -> bool:
    try:
        return rdDistGeom.EmbedMolecule(mol, settings) == 0
    except (RuntimeError, ValueError):
        return False


def _relax(mol: Chem.Mol) -> None:
    """Brings bonds and angles to MMFF94's (UFF's) values; a molecule without parameters stays as embedded."""
    if rdForceFieldHelpers.MMFFHasAllMoleculeParams(mol) and not _has_guessed_bond(mol):
        rdForceFieldHelpers.MMFFOptimizeMolecule(mol, maxIters=500)
    elif rdForceFieldHelpers.UFFHasAllMoleculeParams(mol):
        rdForceFieldHelpers.UFFOptimizeMolecule(mol, maxIters=500)


def _has_guessed_bond(mol: Chem.Mol) -> bool:
    """Whether a double, triple or aromatic bond is not in MMFF94's tables.

    RDKit then takes the sum of the radii of single bonds: 1.40 Å in CO2, 1.80 for C=S of isothiocyanates, 1.54 between
    the pyrroles of porphyrins. The tables give force constants with three decimals, the rule gives others.
    """
    known = rdForceFieldHelpers.MMFFGetMoleculeProperties(mol)
    for bond in mol.GetBonds():
        found = known.GetMMFFBondStretchParams(mol, bond.GetBeginAtomIdx(), bond.GetEndAtomIdx())
        if found and bond.GetBondTypeAsDouble() > 1 and abs(found[1] - round(found[1], 3)) > 1e-6:
            return True
    return False


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
    aliases = [a.GetProp("molFileAlias").strip() if a.HasProp("molFileAlias") else "" for a in mol.GetAtoms()]
    usable = all(re.fullmatch(r"[A-Za-z0-9'*_]{1,6}", alias) for alias in aliases)
    return aliases if usable and len(set(aliases)) == len(aliases) else None


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

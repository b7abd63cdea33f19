"""Files of one molecule: SDF, MOL and MOL2, plain or packed, as RDKit reads them."""

from __future__ import annotations

import re
from pathlib import Path

from rdkit import Chem

from structdiff.errors import InputError
from structdiff.packed_files import PACKED_SUFFIXES, unpacked

#: What RDKit calls the names that atoms have in such files.
NAME_KEYS = ("molFileAlias", "_TriposAtomName")
_OF_PDB = ("HEADER", "TITLE", "REMARK", "COMPND", "CRYST1", "ATOM", "HETATM")  # how its files begin
_MOL2, _SECTION = ".mol2", "@<TRIPOS>"
#: Bonds of MOL2 that have an order; others are unknown, to dummies, or none at all.
_MOL2_BONDS = ("1", "2", "3", "am", "ar")


def read_molecule(path: Path, called: str) -> Chem.Mol:
    """The one molecule of a file, sanitized, with its hydrogens; by the ending MOL2, else SDF or MOL.

    called: what errors call the ligand. Raises InputError for a file that is missing, damaged, that holds several
    molecules, or that does not tell what its atoms are.
    """
    try:
        text = unpacked(path.read_bytes(), path).decode("utf-8", errors="replace")
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", path=path) from None
    name = Path(path.stem if path.suffix.lower() in PACKED_SUFFIXES else path.name)
    if name.suffix.lower() == _MOL2 or text.lstrip().startswith(_SECTION):
        return _of_mol2(text, path, called)
    return _of_sdf(text, path, called)


def sanitize(mol: Chem.Mol, called: str, source: str) -> None:
    """Has RDKit perceive rings and aromaticity; raises InputError for what is no possible molecule."""
    problems = Chem.DetectChemistryProblems(mol)
    if problems:
        raise InputError(f"{source} is not a possible molecule: {problems[0].Message()}", key=called)
    Chem.SanitizeMol(mol)


def _of_sdf(text: str, path: Path, called: str) -> Chem.Mol:
    blocks = [block for block in re.split(r"^\$\$\$\$\s*$", text, flags=re.MULTILINE) if block.strip()]
    if len(blocks) != 1:
        raise InputError("one molecule expected", path=path, found=f"{len(blocks)} molecules")
    draft = Chem.MolFromMolBlock(blocks[0], sanitize=False, removeHs=False)
    if draft is None or draft.GetNumAtoms() == 0:
        way = "; bonds and charges are not told by PDB: give its SDF" if text.startswith(_OF_PDB) else ""
        raise InputError(f"no valid molecule block in this file{way}", path=path,
                         allowed="SDF, MOL or MOL2; a SMILES string is written as smiles")  # fmt: skip
    sanitize(draft, called, str(path))
    return Chem.MolFromMolBlock(blocks[0], removeHs=False)


def _of_mol2(text: str, path: Path, called: str) -> Chem.Mol:
    count = text.count(f"{_SECTION}MOLECULE")
    if count != 1:
        raise InputError("one molecule expected", path=path, found=f"{count} molecules")
    _check_mol2_bonds(text, path)
    try:
        draft = Chem.MolFromMol2Block(text, sanitize=False, removeHs=False)
    except RuntimeError:  # of lines that are cut short
        draft = None
    if draft is None or draft.GetNumAtoms() == 0:
        raise InputError("no valid molecule in this MOL2 file: its atoms need SYBYL's types (C.3, N.am, O.co2); SDF "
                         "needs none", path=path)  # fmt: skip
    sanitize(draft, called, str(path))
    mol = Chem.MolFromMol2Block(text, removeHs=False)
    bare = next((atom for atom in mol.GetAtoms() if atom.GetNumRadicalElectrons()), None)
    if bare is not None:
        # MOL2 has no formal charges: the hydrogens are what tells them.
        raise InputError("this MOL2 file lacks hydrogens, which tell the charges of its atoms: add them (obabel -h) or "
                         "give an SDF file", path=path, found=f"{bare.GetProp(NAME_KEYS[1])} without")  # fmt: skip
    return mol


def _check_mol2_bonds(text: str, path: Path) -> None:
    inside = False
    for number, line in enumerate(text.splitlines(), start=1):
        if line.startswith("@"):
            inside = line.strip() == f"{_SECTION}BOND"
            continue
        cells = line.split()
        if inside and len(cells) >= 4 and cells[3] not in _MOL2_BONDS:
            raise InputError("this bond has no order", path=path, line=number, found=cells[3], allowed=_MOL2_BONDS)

"""Names of residues and atoms that force fields and old files use, brought to those of the dictionary."""

from __future__ import annotations

import gemmi

from structdiff.chemistry.components import component, is_known

_RESIDUES = {
    **dict.fromkeys(("HID", "HIE", "HIP", "HSD", "HSE", "HSP"), "HIS"), "CYX": "CYS", "CYM": "CYS", "ASH": "ASP",
    "GLH": "GLU", "LYN": "LYS", "ADE": "A", "CYT": "C", "GUA": "G", "URA": "U", "THY": "T",
    **{f"D{base}{end}": f"D{base}" for base in "ACGT" for end in "35"},
    **{f"{prefix}{base}{end}": base for base in "ACGU" for prefix in ("", "R") for end in "35"},
}  # fmt: skip
_WATERS = ("WAT", "TIP", "TIP3", "TP3", "SOL")
_ATOMS = {"O1P": "OP1", "O2P": "OP2", "O3P": "OP3"}
_NUCLEOTIDES = ("A", "C", "G", "U", "T", "I")
_LAST_OXYGENS = {"O1": "O", "OC1": "O", "OT1": "O", "O2": "OXT", "OC2": "OXT", "OT2": "OXT"}


def rename_foreign(structure: gemmi.Structure) -> None:
    """Renames residues and atoms of all models, from which hydrogens have been removed.

    A residue whose atoms the dictionary's residue does not have keeps its code, which is another molecule's then
    (HIP is a phosphohistidine too).
    """
    for model in structure:
        for chain in model:
            for residue in chain:
                _rename(residue)


def _rename(residue: gemmi.Residue) -> None:
    names = {atom.name for atom in residue}
    if residue.name in _WATERS and len(names) == 1 and next(iter(names)).startswith("O"):
        residue.name, residue.entity_type = "HOH", gemmi.EntityType.Water
        for atom in residue:
            atom.name = "O"
        return
    code = _RESIDUES.get(residue.name, residue.name)
    if {"N", "CA", "C"} <= names and "O" not in names:
        own = _atoms_of(code) if is_known(code) else set()
        _rename_atoms(residue, {old: new for old, new in _LAST_OXYGENS.items() if old not in own})
    if code in (*_NUCLEOTIDES, "DA", "DC", "DG", "DT", "DU", "DI"):
        _rename_nucleotide(residue, code)
    elif code != residue.name and {atom.name for atom in residue} <= _atoms_of(code):
        residue.name = code
    elif code == "ILE" and "CD" in names and "CD1" not in names:
        _rename_atoms(residue, {"CD": "CD1"})


def _rename_nucleotide(residue: gemmi.Residue, code: str) -> None:
    """Names of sugars and phosphates; a nucleotide of an old name, or a force field's, without O2' is DNA's."""
    new = {atom.name: _ATOMS.get(atom.name, atom.name).replace("*", "'") for atom in residue}
    names = set(new.values())
    if code in _NUCLEOTIDES and "C2'" in names and "O2'" not in names:
        code = f"D{code}"
    if code == "DT" and "C5M" in names:
        new["C5M"], names = "C7", names - {"C5M"} | {"C7"}
    if code != residue.name and residue.name not in _NUCLEOTIDES and not ("C1'" in names and names <= _atoms_of(code)):
        return  # a base alone, or another molecule
    residue.name = code
    _rename_atoms(residue, new)


def _rename_atoms(residue: gemmi.Residue, new: dict[str, str]) -> None:
    for atom in residue:
        atom.name = new.get(atom.name, atom.name)


def _atoms_of(code: str) -> set[str]:
    return set(component(code).atom_names.tolist())

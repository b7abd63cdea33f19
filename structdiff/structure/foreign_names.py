"""Names of residues and atoms that force fields and old files use, brought to those of the dictionary."""

from __future__ import annotations

import re

import gemmi

from structdiff.chemistry.components import OTHER, component, is_known
from structdiff.chemistry.residues import PROTEIN_THREE_TO_ONE
from structdiff.structure.foreign_caps import rename_caps
from structdiff.structure.foreign_sugars import rename_sugars

_PROTEIN = {
    **dict.fromkeys(("HID", "HIE", "HIP", "HSD", "HSE", "HSP"), "HIS"), "CYX": "CYS", "CYM": "CYS", "ASH": "ASP",
    "GLH": "GLU", "LYN": "LYS", "LSN": "LYS", "ARN": "ARG", "NLN": "ASN", "OLS": "SER", "OLT": "THR", "OLP": "HYP",
}  # fmt: skip
#: Amber, CHARMM and Maestro; names of four letters are those of the ends of chains in Amber's force fields (NALA, CALA)
#: and of protonation states in GROMOS's and OPLS's (residuetypes.dat and aminoacids.r2b of GROMACS).
_RESIDUES = {
    **_PROTEIN, "ADE": "A", "CYT": "C", "GUA": "G", "URA": "U", "THY": "T",
    **{f"D{base}{end}": f"D{base}" for base in "ACGT" for end in "35"},
    **{f"{prefix}{base}{end}": base for base in "ACGU" for prefix in ("", "R") for end in "35"},
    **{f"{end}{code}": _PROTEIN.get(code, code) for end in "NC" for code in (*PROTEIN_THREE_TO_ONE, *_PROTEIN)},
    **dict.fromkeys(("HISA", "HISB", "HISD", "HISE", "HISH", "HIS1", "HIS2"), "HIS"),
    **dict.fromkeys(("CYSH", "CYS1", "CYS2"), "CYS"), **dict.fromkeys(("ASPH", "ASPP"), "ASP"),
    **dict.fromkeys(("GLUH", "GLUP"), "GLU"), **dict.fromkeys(("LYSH", "LYSN"), "LYS"), "ARGN": "ARG",
}  # fmt: skip
_WATERS = (
    "WAT", "H2O", "SOL", "SOLV", "OPC", "SPC", "SPCE", "TIP", "TIP3", "TIP4", "TIP5", "TP3", "TP4", "TP5", "T3P", "T4P",
    "T5P",
)  # fmt: skip
#: Charges beside the oxygen in waters of four and five sites (Amber, GROMACS, CHARMM).
_WATER_SITES = {"EPW", "EP", "EP1", "EP2", "MW", "MW1", "MW2", "M", "OM", "LP", "LP1", "LP2"}
#: Ions that the dictionary does not call by their element's symbol: CHARMM's (toppar_water_ions.str), Amber's, its own.
_IONS = {
    "SOD": "NA", "CLA": "CL", "POT": "K", "CAL": "CA", "CES": "CS", "LIT": "LI", "RUB": "RB", "BAR": "BA", "CAD": "CD",
    "CIO": "CS", "I": "IOD", "FE2+": "FE2", "CU+": "CU1",
}  # fmt: skip
#: Letters of an ion's name, and its charge where that is there (Na+, MG2+); digits without a sign tell nothing.
_ION = re.compile(r"([A-Z]+)(?:(\d?[+-])|\d*)")
_ATOMS = {"O1P": "OP1", "O2P": "OP2", "O3P": "OP3"}
_NUCLEOTIDES = ("A", "C", "G", "U", "T", "I")
_LAST_OXYGENS = {"O1": "O", "OC1": "O", "OT1": "O", "O2": "OXT", "OC2": "OXT", "OT2": "OXT"}


def dictionary_code(code: str) -> str:
    """The code that the dictionary has for what a residue's name says, whatever its atoms are.

    Small letters tell GLYCAM's sugars apart (0fA), so that only residues of polymers may be written in them.
    """
    large = code.upper()
    in_small_letters = not is_known(code) and is_known(large) and component(large).kind != OTHER
    return _RESIDUES.get(code, large if in_small_letters else code)


def is_water(code: str) -> bool:
    """Whether a residue's name is one of waters; a few are ligands' too, which have more than one heavy atom."""
    return code in ("HOH", "DOD", *_WATERS)


def ion_code(residue: str, atom: str) -> str | None:
    """The dictionary's code of an ion whose residue is called as its one atom is (Na+, SOD), None where it is none."""
    if is_known(residue) and len(component(residue)) == 1:
        return residue
    letters, charge = _ION.fullmatch(residue.upper()), None
    if letters is None or _ION.sub(r"\1", atom.upper()) != letters[1]:
        return None
    if letters[2]:
        charge = int(f"{letters[2][-1]}{letters[2][:-1] or 1}")
    code = _IONS.get(residue.upper(), _IONS.get(letters[1], letters[1]))
    whole = component(code) if is_known(code) else None
    return code if whole is not None and len(whole) == 1 and charge in (None, int(whole.charges[0])) else None


def rename_foreign(structure: gemmi.Structure) -> None:
    """Renames residues and atoms of all models, from which hydrogens have been removed.

    A residue whose atoms the dictionary's residue does not have keeps its code, which is another molecule's then
    (HIP is a phosphohistidine too).
    """
    for model in structure:
        for chain in model:
            rename_caps(chain)
            for residue in chain:
                _rename(residue)
            rename_sugars(chain)


def _rename(residue: gemmi.Residue) -> None:
    names = {atom.name for atom in residue}
    oxygens = sorted(names - _WATER_SITES)
    if residue.name in _WATERS and len(oxygens) == 1 and oxygens[0].startswith("O"):
        _become_water(residue, oxygens[0])
        return
    ion = ion_code(residue.name, residue[0].name) if len(residue) == 1 else None
    if ion is not None:
        residue.name, residue[0].name = ion, str(component(ion).atom_names[0])
        residue[0].element = gemmi.Element(int(component(ion).elements[0]))
        return
    code = dictionary_code(residue.name)
    if code == "MET" and "SE" in names and "SD" not in names:
        code = "MSE"
    if {"N", "CA", "C"} <= names and "O" not in names:
        own = _atoms_of(code) if is_known(code) else set()
        _rename_atoms(residue, {old: new for old, new in _LAST_OXYGENS.items() if old not in own})
    if code in (*_NUCLEOTIDES, "DA", "DC", "DG", "DT", "DU", "DI"):
        _rename_nucleotide(residue, code)
    elif code != residue.name and {atom.name for atom in residue} <= _atoms_of(code):
        residue.name = code
    elif code == "ILE" and "CD" in names and "CD1" not in names:
        _rename_atoms(residue, {"CD": "CD1"})


def _become_water(residue: gemmi.Residue, oxygen: str) -> None:
    residue.name, residue.entity_type = "HOH", gemmi.EntityType.Water
    for row in reversed(range(len(residue))):
        if residue[row].name == oxygen:
            residue[row].name = "O"
        else:
            del residue[row]


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

"""Sugars as GLYCAM's and CHARMM's force fields call them, brought to the dictionary's names."""

from __future__ import annotations

import re

import gemmi

from structdiff.chemistry.components import Component, component, is_known

_BOND = 1.75  # Å; within a sugar
_RING = {"C1", "C2", "C3", "C4", "C5"}
#: Alpha and beta anomers by GLYCAM's letter (small: L), which stands between that of the linkage and that of the
#: anomer: 4YB is a beta-N-acetylglucosamine linked at O4 (glycam.org, residue naming; Kirschner et al. 2008).
_GLYCAM = {
    "G": ("GLC", "BGC"), "M": ("MAN", "BMA"), "L": ("GLA", "GAL"), "Y": ("NDG", "NAG"), "V": ("A2G", "NGA"),
    "f": ("FUC", "FUL"), "X": ("XYS", "XYP"), "h": ("RAM", "RM4"), "S": ("SIA", "SLB"), "Z": ("GCU", "BDP"),
    "O": ("ADA", "GTR"),
}  # fmt: skip
#: The same by CHARMM's name less the letter of the anomer (top_all36_carb.rtf). Four letters of the name fit into a PDB
#: file (BGLC of BGLCNA), so that the atoms tell which it is.
_CHARMM = {
    "GLC": ("G", "Y", "Z"), "MAN": ("M",), "GAL": ("L", "V"), "FUC": ("f",), "XYL": ("X",), "RHM": ("h",),
    "NE5": ("S",),
}  # fmt: skip
_GLYCAM_NAME = re.compile(r"[0-9A-Z]([A-Za-z])([AB])")
_CHARMM_NAME = re.compile(r"([AB])(GLC|MAN|GAL|FUC|XYL|RHM|NE5)\w*")


def rename_sugars(chain: gemmi.Chain) -> None:
    """Renames the sugars of a chain and their atoms; the hydroxyl of a glycan's end (ROH) becomes that of its sugar."""
    for residue in chain:
        if {atom.name for atom in residue} >= _RING:
            _rename_sugar(residue)
    for row in reversed(range(len(chain))):
        if chain[row].name == "ROH" and [atom.name for atom in chain[row]] == ["O1"] and _give_hydroxyl(chain, row):
            del chain[row]


def _rename_sugar(residue: gemmi.Residue) -> None:
    names = {atom.name for atom in residue}
    if is_known(residue.name) and names <= component(residue.name).atom_index.keys():
        return
    for code in _candidates(residue.name):
        new = _dictionary_names(residue, component(code))
        if new is not None:
            residue.name = code
            for atom in residue:
                atom.name = new[atom.name]
            return


def _candidates(name: str) -> list[str]:
    glycam, charmm = _GLYCAM_NAME.fullmatch(name), _CHARMM_NAME.fullmatch(name)
    if glycam is not None and glycam[1] in _GLYCAM:
        return [_GLYCAM[glycam[1]]["AB".index(glycam[2])]]
    return [_GLYCAM[letter]["AB".index(charmm[1])] for letter in _CHARMM[charmm[2]]] if charmm is not None else []


def _dictionary_names(residue: gemmi.Residue, whole: Component) -> dict[str, str] | None:
    """A name of the component for each atom's: its own, or by element and bonds; None where it is another molecule."""
    index, neighbours = whole.atom_index, whole.neighbours()
    new = {atom.name: atom.name for atom in residue if atom.name in index}
    rest = [atom for atom in residue if atom.name not in index]
    for _ in range(len(rest)):
        for atom in rest:
            bonded = [other for other in residue if other.name in new and other.pos.dist(atom.pos) < _BOND]
            places = [
                name
                for other in bonded
                for name in whole.atom_names[neighbours[index[new[other.name]]]].tolist()
                if name not in new.values() and whole.elements[index[name]] == atom.element.atomic_number
            ]
            if atom.name not in new and places:
                new[atom.name] = places[0]
    missing = {str(name) for name in whole.atom_names} - set(new.values())
    leaving = {str(name) for name in whole.atom_names[whole.leaving]}
    return new if len(new) == len(residue) and missing <= leaving else None


def _give_hydroxyl(chain: gemmi.Chain, row: int) -> bool:
    """Whether a sugar of the chain that lacks its O1 or O2 took the one atom of this residue."""
    oxygen = chain[row][0]
    for residue in chain:
        for carbon, name in (("C1", "O1"), ("C2", "O2")):
            end = residue.find_atom(carbon, "*")
            if end is not None and end.pos.dist(oxygen.pos) < _BOND and residue.find_atom(name, "*") is None:
                residue.add_atom(oxygen)
                residue[-1].name = name
                return True
    return False

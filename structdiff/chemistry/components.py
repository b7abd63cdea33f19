"""Chemical components: the residues, nucleotides, ligands and ions that structures are made of.

They come from the Chemical Component Dictionary (CCD), which biotite ships and which needs no network, or from a SMILES
string or an SDF file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from structdiff.chemistry.bundled import bundled_codes, read_bundled_component
from structdiff.chemistry.ccd import ComponentRecord, component_codes, has_component, read_dictionary_component
from structdiff.chemistry.elements import atomic_number
from structdiff.chemistry.residues import RESIDUE_ATOMS
from structdiff.errors import InputError, nearest_match

PEPTIDE, DNA, RNA, OTHER = "peptide", "dna", "rna", "other"
AROMATIC = 4
#: What other programs call waters.
_WATERS = ("H2O", "SOL", "TIP3", "WAT", "WATER")

#: CCD codes that the wwPDB reserves for ligands which are not in the dictionary.
FREE_CODES = ("LIG", "DRG", "INH", *(f"{number:02d}" for number in range(1, 100)))

#: Atoms by which residues of polymers are linked.
_LINKED = {PEPTIDE: ("N", "C"), DNA: ("P", "O3'"), RNA: ("P", "O3'"), OTHER: ()}
#: Heavy atoms that they lose then, beside what the CCD says, and those that stay where it lets several of one atom go.
_STAYING = ("O", "OP1", "OP2", "O1P", "O2P")
_LINK_LEAVING = {PEPTIDE: ("OXT",), DNA: ("OP3",), RNA: ("OP3",), OTHER: ()}


@dataclass(frozen=True, kw_only=True, eq=False)
class Component:
    """One chemical component with its heavy atoms, bonds and an ideal conformer.

    one_letter and parent: "" if none. kind: peptide, dna, rna or other. charges: formal, e. ideal_positions: Å, no NaN.
    bond_orders: 1, 2, 3, or 4 for aromatic; kekule_orders: the same bonds as 1, 2, 3. leaving: atoms that a link
    to another residue takes away. hydrogens: how many each atom carries in the dictionary's neutral form; where
    hydrogens_told is False nobody knows, as of what a file's atoms are made into. stereo: atoms whose handedness the
    definition states. type: the dictionary's own word for what it is ("D-saccharide, beta
    linking"), "" if none. All arrays are read-only, because components are shared.
    """

    name: str
    description: str
    one_letter: str
    parent: str
    kind: str
    atom_names: np.ndarray  # str (atom,)
    elements: np.ndarray  # uint8 (atom,)
    charges: np.ndarray  # int8 (atom,)
    ideal_positions: np.ndarray  # float32 (atom, 3), Å
    bonds: np.ndarray  # int32 (bond, 2), rows of atoms, first < second
    bond_orders: np.ndarray  # uint8 (bond,)
    kekule_orders: np.ndarray  # uint8 (bond,)
    leaving: np.ndarray  # bool (atom,)
    hydrogens: np.ndarray  # uint8 (atom,)
    stereo: np.ndarray  # bool (atom,)
    smiles: str = ""
    type: str = ""
    hydrogens_told: bool = True

    def __post_init__(self) -> None:
        for value in vars(self).values():
            if isinstance(value, np.ndarray):
                value.setflags(write=False)

    def __len__(self) -> int:
        return len(self.atom_names)

    @property
    def atom_index(self) -> dict[str, int]:
        """Row of each atom by its name."""
        return {str(name): row for row, name in enumerate(self.atom_names)}

    def neighbours(self) -> list[list[int]]:
        """Rows of the heavy atoms bonded to each atom, in ascending order."""
        table: list[list[int]] = [[] for _ in range(len(self))]
        for first, second in self.bonds:
            table[first].append(int(second))
            table[second].append(int(first))
        return [sorted(row) for row in table]

    def without(self, names: frozenset[str]) -> Component:
        """The component less some of its atoms and their bonds."""
        keep = ~np.isin(self.atom_names, list(names))
        return take_atoms(self, keep)


def component(code: str, extra: Mapping[str, Component] | None = None) -> Component:
    """The component of a CCD code such as ATP, MSE or ZN; codes in ``extra`` go first.

    Raises InputError for a code that the dictionary does not hold, with the nearest one that it does.
    """
    if extra and code in extra:
        return extra[code]
    try:
        return _ccd_component(code)
    except InputError as error:
        near = nearest_match(code, extra or ())
        if near is None:
            raise
        raise InputError(f"{error}; did you mean {near!r}, which the input defines?") from None


def component_from_smiles(smiles: str, name: str, called: str = "") -> Component:
    """The component that a SMILES string describes, its atoms named C1, C2, O1 ... in the order of the string.

    Stereo and formal charges are kept; a centre or double bond that the string leaves open gets the hand of the
    conformer, and a warning says so. called: what warnings call it, the name if "". Raises InputError for a string that
    RDKit cannot read, that holds several molecules, or that has no heavy atom.
    """
    from structdiff.chemistry.ligands import from_smiles

    return from_smiles(smiles, name, called)


def numbered_smiles_atoms(smiles: str, called: str) -> dict[int, str]:
    """The names of the atoms of a SMILES string by their map numbers (``[CH3:1]``), or else by their places from 0.

    Raises InputError as `component_from_smiles` does.
    """
    from structdiff.chemistry.ligands import numbered_atoms

    return numbered_atoms(smiles, called)


def ranked_smiles_atoms(smiles: str, called: str) -> dict[str, str]:
    """The names of the atoms of a SMILES string by those that Boltz gives them: element and RDKit's canonical rank.

    Raises InputError as `component_from_smiles` does.
    """
    from structdiff.chemistry.ligands import ranked_atoms

    return ranked_atoms(smiles, called)


def component_from_sdf(path: str | Path, name: str, called: str = "") -> Component:
    """The component of the one molecule in an SDF, MOL or MOL2 file, at its own positions where these are in space.

    Atom names are the file's (of SDF its aliases) where every atom has one of its own, else C1, C2, O1 ... called: what
    warnings call it, the name if "". Raises InputError for a file that is missing, cannot be parsed, or holds more than
    one molecule, and for MOL2 without hydrogens.
    """
    from structdiff.chemistry.ligands import from_sdf

    return from_sdf(path, name, called)


def is_known(code: str, extra: Mapping[str, Component] | None = None) -> bool:
    """Whether a code is in the CCD, with atoms, or in ``extra``."""
    return bool(extra and code in extra) or code in bundled_codes() or has_component(code)


def take_atoms(whole: Component, keep: np.ndarray) -> Component:
    """The component with only the atoms of a boolean mask; bonds are re-indexed."""
    new_row = np.cumsum(keep) - 1
    bond_kept = keep[whole.bonds].all(axis=1)
    per_atom = ("atom_names", "elements", "charges", "ideal_positions", "leaving", "hydrogens", "stereo")
    fields = dict(vars(whole))
    fields.update({name: getattr(whole, name)[keep] for name in per_atom})
    fields["bonds"] = new_row[whole.bonds[bond_kept]].astype(np.int32)
    fields["bond_orders"] = whole.bond_orders[bond_kept]
    fields["kekule_orders"] = whole.kekule_orders[bond_kept]
    return Component(**fields)


def leaving_in_chain(whole: Component) -> np.ndarray:
    """Which atoms (atom) the links of a polymer take away; what leaves for links of side chains (OD2 of OCS) stays.

    A carboxyl or phosphate loses one atom, also where the CCD lets any of its oxygens go.
    """
    near, names = whole.neighbours(), whole.atom_names.tolist()
    gone = np.zeros(len(whole), bool)
    for linked in (names.index(name) for name in _LINKED[whole.kind] if name in names):
        leaving = [row for row in near[linked] if whole.leaving[row] and len(near[row]) == 1]
        if len(leaving) > 1:
            usual = _LINK_LEAVING[whole.kind]
            leaving = [min(leaving, key=lambda row: (names[row] not in usual, names[row] in _STAYING, row))]
        leaving += [row for row in near[linked] if whole.leaving[row] and len(near[row]) > 1]
        while leaving:
            atom = leaving.pop()
            gone[atom] = True
            leaving += [row for row in near[atom] if whole.leaving[row] and not gone[row] and row != linked]
    return gone


@lru_cache(maxsize=4096)
def _ccd_component(code: str) -> Component:
    record = read_bundled_component(code) or read_dictionary_component(code)
    if record is None:
        raise _unknown_code(code)
    if not len(record.atom_names):
        raise InputError("this CCD component has no atoms in the dictionary, so it cannot be modelled", found=code)
    whole = component_of_record(code, record)
    if not len(whole):
        raise InputError("this CCD component has no heavy atom, so it cannot be modelled", found=code)
    if np.isfinite(whole.ideal_positions).all():
        return whole
    from structdiff.chemistry.conformers import with_conformer

    return with_conformer(whole)


def component_of_record(code: str, record: ComponentRecord) -> Component:
    """The heavy atoms of a dictionary's rows as a component; positions that these lack are NaN, which none may keep."""
    kind = kind_of_type(record.type)
    elements = np.array([atomic_number(symbol) for symbol in record.elements], np.uint8)
    heavy = elements != 1
    standard = RESIDUE_ATOMS.get(code)
    if standard is not None:
        heavy &= np.isin(record.atom_names, [*standard, *_LINK_LEAVING[kind]])
    new_row = np.cumsum(heavy) - 1
    first, second = (np.minimum(*record.bonds.T), np.maximum(*record.bonds.T))
    heavy_bond = heavy[first] & heavy[second]
    kekule = record.bond_orders[heavy_bond]
    return Component(
        name=code,
        description=record.description,
        one_letter=record.one_letter,
        parent=record.parent,
        kind=kind,
        atom_names=record.atom_names[heavy],
        elements=elements[heavy],
        charges=record.charges[heavy],
        ideal_positions=record.positions[heavy],
        bonds=np.stack([new_row[first], new_row[second]], axis=1)[heavy_bond].astype(np.int32),
        bond_orders=np.where(record.bond_aromatic[heavy_bond], AROMATIC, kekule).astype(np.uint8),
        kekule_orders=kekule.astype(np.uint8),
        leaving=record.leaving[heavy] | np.isin(record.atom_names[heavy], _LINK_LEAVING[kind]),
        hydrogens=_count_hydrogens(elements, record.bonds)[heavy],
        stereo=record.stereo[heavy],
        type=record.type,
    )


def kind_of_type(ccd_type: str) -> str:
    """The kind of a component by the dictionary's word for what it is.

    >>> kind_of_type("D-peptide linking"), kind_of_type("D-saccharide, beta linking")
    ('peptide', 'other')
    """
    upper = ccd_type.upper()
    if "LINKING" not in upper and "TERMINUS" not in upper:
        return OTHER
    return next((kind for kind in (PEPTIDE, DNA, RNA) if kind.upper() in upper), OTHER)


def _count_hydrogens(elements: np.ndarray, bonds: np.ndarray) -> np.ndarray:
    counts = np.zeros(len(elements), np.int64)
    for atom, other in ((bonds[:, 0], bonds[:, 1]), (bonds[:, 1], bonds[:, 0])):
        np.add.at(counts, atom, elements[other] == 1)
    return counts.astype(np.uint8)


def _unknown_code(code: str) -> InputError:
    codes = component_codes()
    folded = code.strip().upper()
    folded = "HOH" if folded in _WATERS else folded
    near = (
        folded
        if folded in codes and folded != code
        else nearest_match(folded, (c for c in codes if abs(len(c) - len(folded)) <= 1 and c != code))
    )
    hint = f"; did you mean {near!r}?" if near else ""
    return InputError(
        f"unknown CCD code {code!r}: not in the Chemical Component Dictionary that is installed{hint}; "
        "a component of your own can be given as SMILES, as SDF, or as mmCIF (components)"
    )

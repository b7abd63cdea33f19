"""The kinds of residues of a training set: which atoms each has, which of them are stored, and their bonds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from structdiff.chemistry.elements import atomic_number
from structdiff.chemistry.residues import (
    BACKBONE_ATOMS,
    DNA_NAMES,
    PROTEIN_ONE_TO_THREE,
    RESIDUE_ATOMS,
    RNA_NAMES,
    is_standard,
)
from structdiff.inverse_folding.alphabet import LETTERS, NUM_AMINO_ACIDS
from structdiff.structure.tables import BondTable
from structdiff.training.ranges import ranges


@dataclass(frozen=True, kw_only=True)
class ResidueKinds:
    """The kinds of residues of a set, flattened: what each lists, and where its stored atoms go among them."""

    name: np.ndarray
    standard: np.ndarray  # bool
    stored: np.ndarray  # atoms stored
    listed: np.ndarray  # atoms in the structure
    stored_start: np.ndarray
    listed_start: np.ndarray
    place: np.ndarray  # flat: slot of each stored atom
    atom_name: np.ndarray  # flat over listed atoms
    element: np.ndarray
    charge: np.ndarray
    bond_start: np.ndarray
    bonds: np.ndarray  # (bond, 3): slot, slot, order
    backbone: np.ndarray  # atoms that come first and are the same in all of its kind, up to CB or the base
    amino_acid: np.ndarray  # template of each of LETTERS, of which nothing is stored
    nucleotide: dict[str, int]  # template of each standard nucleotide, of which nothing is stored


def residue_kinds(rows: list, data: dict[str, np.ndarray]) -> ResidueKinds:
    """The kinds of a set from the rows of its description, and those that designed sequences and helices may need."""
    place: list[int] = []
    names: list[str] = []
    elements: list[int] = []
    charges: list[int] = []
    stored, listed, standard, backbone = [], [], [], []
    nucleotides = (*DNA_NAMES, *RNA_NAMES)
    others = [*(PROTEIN_ONE_TO_THREE[letter] for letter in LETTERS[:NUM_AMINO_ACIDS]), *nucleotides]
    for polymer, name, atom_text, element_text, charge_text in [*rows, *([True, each, "", "", ""] for each in others)]:
        atoms = atom_text.split(" ") if atom_text else []
        full = bool(polymer) and is_standard(name)
        if full:
            whole = RESIDUE_ATOMS[name]
            place += [whole.index(atom) for atom in atoms]
            names += whole
            elements += [atomic_number(atom[0]) for atom in whole]
            charges += [0] * len(whole)
        else:
            whole = atoms
            place += range(len(atoms))
            names += atoms
            elements += [atomic_number(element) for element in element_text.split(" ")]
            charges += [int(charge) for charge in charge_text.split(" ")]
        stored.append(len(atoms))
        listed.append(len(whole))
        standard.append(full)
        backbone.append(whole.index("C1'") + 1 if full and name in nucleotides else len(BACKBONE_ATOMS))
    stored_count, listed_count = np.array(stored, np.int64), np.array(listed, np.int64)
    return ResidueKinds(
        name=np.array([*(row[1] for row in rows), *others]),
        standard=np.array(standard, bool),
        stored=stored_count,
        listed=listed_count,
        stored_start=np.cumsum(stored_count) - stored_count,
        listed_start=np.cumsum(listed_count) - listed_count,
        place=np.array(place, np.int64),
        atom_name=np.array(names),
        element=np.array(elements, np.uint8),
        charge=np.array(charges, np.int8),
        bond_start=np.pad(np.array(data["bond_start"]).astype(np.int64), (0, len(others)), mode="edge"),
        bonds=np.array(data["bond_values"]).astype(np.int64),
        backbone=np.array(backbone, np.int64),
        amino_acid=len(rows) + np.arange(NUM_AMINO_ACIDS),
        nucleotide={name: len(rows) + others.index(name) for name in nucleotides},
    )


def bonds_within(kinds: ResidueKinds, template: np.ndarray, atom_start: np.ndarray) -> BondTable:
    """The bonds inside residues of these kinds, template (residue,), whose atoms begin at atom_start (residue,)."""
    count = np.diff(kinds.bond_start)[template]
    bonds = kinds.bonds[ranges(kinds.bond_start[template], count)]
    offset = np.repeat(atom_start, count)
    return BondTable(
        atom_1=(bonds[:, 0] + offset).astype(np.int32),
        atom_2=(bonds[:, 1] + offset).astype(np.int32),
        order=bonds[:, 2].astype(np.uint8),
    )

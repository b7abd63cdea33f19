"""Tokens: one for each standard residue or nucleotide, one for an atom of anything else (AlphaFold 3, section 2.6)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from structdiff.chemistry.residues import (
    CENTRE_ATOM,
    REPRESENTATIVE_ATOM,
    RESIDUE_ATOMS,
    RESTYPE_INDEX,
    UNK_PROTEIN,
)
from structdiff.structure.tables import ChainKind, Structure

#: Atoms whose plane gives a residue its frame (first axis point, origin, second axis point).
_FRAME_ATOMS = {"protein": ("N", "CA", "C"), "nucleic": ("C3'", "C1'", "C4'")}


@dataclass(frozen=True, kw_only=True)
class TokenTable:
    """One row a token; atoms are rows of the structure's atom table.

    atoms: (token, slot) rows, -1 where there is no atom. centre, representative: slots of the atom that stands for the
    token's place and of the one whose distances count (CB). frame: three slots, or -1 for tokens without a frame.
    """

    residue: np.ndarray  # int32
    chain: np.ndarray  # int32
    restype: np.ndarray  # int32
    atoms: np.ndarray  # int32, (token, slot)
    centre: np.ndarray  # int32, slot
    representative: np.ndarray  # int32, slot
    frame: np.ndarray  # int32, (token, 3) slots
    standard: np.ndarray  # bool

    def __len__(self) -> int:
        return len(self.residue)


def _template(name: str) -> tuple[int, int, int, tuple[int, int, int]]:
    atoms = RESIDUE_ATOMS[name]
    frame = _FRAME_ATOMS["protein" if "CA" in atoms else "nucleic"]
    first, middle, last = (atoms.index(atom) for atom in frame)
    return (
        RESTYPE_INDEX[name],
        atoms.index(CENTRE_ATOM[name]),
        atoms.index(REPRESENTATIVE_ATOM[name]),
        (first, middle, last),
    )


_TEMPLATES = {name: _template(name) for name in RESIDUE_ATOMS}
_STANDARD = np.array(sorted(RESIDUE_ATOMS))
_TEMPLATE_ROWS = [_TEMPLATES[name] for name in _STANDARD]
_RESTYPE, _CENTRE, _REPRESENTATIVE = (np.array([row[i] for row in _TEMPLATE_ROWS], np.int32) for i in range(3))
_FRAME = np.array([row[3] for row in _TEMPLATE_ROWS], np.int32)


def tokenise(structure: Structure) -> TokenTable:
    """The tokens of a structure in file order; waters get none.

    Standard residues are expected to list their atoms in the order of RESIDUE_ATOMS, as every reader and builder of
    structdiff does; a standard residue inside a ligand chain is split into atoms like any other ligand.
    """
    residues, chains = structure.residues, structure.chains
    kind = chains.kind[residues.chain]
    count = np.diff(np.append(residues.atom_start, len(structure.atoms)))
    row = np.clip(np.searchsorted(_STANDARD, residues.name), 0, len(_STANDARD) - 1)
    standard = (_STANDARD[row] == residues.name) & (kind != ChainKind.LIGAND) & (kind != ChainKind.WATER)
    tokens_in_residue = np.where(standard, 1, np.where(kind == ChainKind.WATER, 0, count))
    residue = np.repeat(np.arange(len(residues), dtype=np.int32), tokens_in_residue)
    first = np.cumsum(tokens_in_residue) - tokens_in_residue
    place = np.arange(len(residue), dtype=np.int32) - first[residue].astype(np.int32)
    is_residue = standard[residue]
    num_atoms = np.where(is_residue, count[residue], 1)
    slots = int(num_atoms.max(initial=1))
    slot = np.arange(slots)
    start = residues.atom_start[residue] + np.where(is_residue, 0, place)
    atoms = np.where(slot < num_atoms[:, None], start[:, None] + slot, -1).astype(np.int32)
    template = row[residue]
    return TokenTable(
        residue=residue,
        chain=residues.chain[residue].astype(np.int32),
        restype=np.where(is_residue, _RESTYPE[template], UNK_PROTEIN).astype(np.int32),
        atoms=atoms,
        centre=np.where(is_residue, _CENTRE[template], 0).astype(np.int32),
        representative=np.where(is_residue, _REPRESENTATIVE[template], 0).astype(np.int32),
        frame=np.where(is_residue[:, None], _FRAME[template], -1).astype(np.int32),
        standard=is_residue,
    )


def stand_for_residues(tokens: TokenTable, structure: Structure) -> np.ndarray:
    """Which tokens (token,) stand for a residue of a polymer: standard ones, and CA or C1' of modified residues."""
    polymer = np.isin(structure.chains.kind[tokens.chain], (ChainKind.PROTEIN, ChainKind.DNA, ChainKind.RNA))
    return polymer & (tokens.standard | np.isin(structure.atoms.name[tokens.atoms[:, 0]], ("CA", "C1'")))


def count_tokens(structure: Structure) -> int:
    """How many tokens a structure has, which decides memory and time."""
    return len(tokenise(structure))

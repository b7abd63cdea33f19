"""What inverse folding networks see of a structure: its backbone, its letters, and the atoms around."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from structdiff.chemistry.components import component
from structdiff.chemistry.residues import BACKBONE_ATOMS
from structdiff.errors import InputError
from structdiff.inverse_folding.alphabet import letter_index, residue_letter
from structdiff.structure.tables import ChainKind, Structure

#: The largest number of side-chain atoms beyond CB (tryptophan).
MAX_SIDE_CHAIN = 9
#: Å between the CA of two residues that are no neighbours along a chain.
_APART = 4.5


@dataclass(frozen=True, kw_only=True)
class Backbone:
    """The residues of all protein chains whose backbone was seen, in the order of the structure; positions in Å.

    rows: of the residues in the structure. positions: N, CA, C, O (zeros but for CA where ca_only). letters: numbers
    of ``LETTERS``. residue_index: place in the full sequence, by the author's numbers where it is not known.
    standard: one of the twenty amino acids.
    side_chains: atoms beyond CB, with side_chain_elements 0 where there is none. context: atoms that are no protein
    nor water, with context_elements (atomic numbers).
    """

    rows: np.ndarray  # int64 (residue,)
    positions: np.ndarray  # float32 (residue, 4, 3)
    letters: np.ndarray  # int64 (residue,)
    residue_index: np.ndarray  # int64 (residue,)
    chain: np.ndarray  # int64 (residue,)
    standard: np.ndarray  # bool (residue,)
    side_chain_positions: np.ndarray  # float32 (residue, MAX_SIDE_CHAIN, 3)
    side_chain_elements: np.ndarray  # int64 (residue, MAX_SIDE_CHAIN)
    context_positions: np.ndarray  # float32 (atom, 3)
    context_elements: np.ndarray  # int64 (atom,)

    def __len__(self) -> int:
        return len(self.rows)


def protein_backbone(structure: Structure, *, ca_only: bool = False) -> Backbone:
    """The backbone of a structure's protein chains, and what surrounds it.

    Residues that lack one of N, CA, C, O are left out (ca_only: those that lack CA). Raises InputError if none is left.
    """
    is_protein = structure.chains.kind[structure.residues.chain] == ChainKind.PROTEIN
    slots = _backbone_rows(structure)
    needed = slots[:, 1:2] if ca_only else slots
    rows = np.flatnonzero(is_protein & (needed >= 0).all(axis=1))
    if len(rows) == 0:
        wanted = "CA" if ca_only else "N, CA, C and O"
        only_ca = bool((is_protein & (slots[:, 1] >= 0)).any())
        message = f"no protein residue has {wanted}, so there is no backbone to design"
        raise InputError(
            message, allowed="proteinmpnn_ca without side chains (--no-pack), for CA alone" if only_ca else None
        )
    slots = slots[rows]
    positions = np.where((slots >= 0)[..., None], structure.atoms.positions[slots], np.float32(0))
    letters = [letter_of(structure, row) for row in rows.tolist()]
    names = structure.residues.name[rows].tolist()
    side_positions, side_elements = _side_chains(structure, rows)
    context = _context_atoms(structure)
    return Backbone(
        rows=rows,
        positions=positions.astype(np.float32),
        letters=np.array([letter_index(letter) for letter in letters], np.int64),
        residue_index=_places(structure, rows, positions[:, 1]),
        chain=structure.residues.chain[rows].astype(np.int64),
        standard=np.array([residue_letter(name, "") != "X" or name == "UNK" for name in names]),
        side_chain_positions=side_positions,
        side_chain_elements=side_elements,
        context_positions=structure.atoms.positions[context],
        context_elements=structure.atoms.element[context].astype(np.int64),
    )


def _places(structure: Structure, rows: np.ndarray, ca: np.ndarray) -> np.ndarray:
    """Places along the full sequences, (residue,) int64.

    Where that sequence is not known (no SEQRES), what follows a missing loop is numbered as if there were none; then
    the author's numbers tell how long it is, as in the published programs. ca: Å.
    """
    residues = structure.residues
    place, number = (column[rows].astype(np.int64) for column in (residues.label_seq_id, residues.author_seq_id))
    same = np.diff(residues.chain[rows]) == 0
    broken = same & (np.diff(place) == 1) & (np.linalg.norm(np.diff(ca, axis=0), axis=-1) > _APART)
    missing = np.where(broken, np.maximum(np.diff(number) - 1, 0), 0)
    return place + np.concatenate([[0], np.cumsum(missing)])


def _backbone_rows(structure: Structure) -> np.ndarray:
    """Atom row of N, CA, C, O of each residue; -1 where it was not seen."""
    atoms = structure.atoms
    slots = np.full((len(structure.residues), 4), -1, np.int64)
    for column, name in enumerate(BACKBONE_ATOMS):
        seen = np.flatnonzero(atoms.resolved & (atoms.name == name))
        slots[atoms.residue[seen], column] = seen
    return slots


def letter_of(structure: Structure, row: int) -> str:
    """The letter of a residue's amino acid, or of the one it derives from (MSE: M); X for any other."""
    name = str(structure.residues.name[row])
    letter = residue_letter(name, "")
    if letter != "X" or name == "UNK":
        return letter
    return residue_letter(name, component(name, structure.components).one_letter)


def chain_rows(structure: Structure) -> dict[str, np.ndarray]:
    """The rows of the residues of each protein chain by its name; chains of one name are one."""
    found: dict[str, list[int]] = {}
    for chain in np.flatnonzero(structure.chains.kind == ChainKind.PROTEIN).tolist():
        span = structure.chain_residues(chain)
        found.setdefault(str(structure.chains.name[chain]), []).extend(range(span.start, span.stop))
    return {name: np.array(rows, np.int64) for name, rows in found.items()}


def chain_letters(structure: Structure) -> dict[str, str]:
    """The letters of each protein chain by its name."""
    return {name: "".join(letter_of(structure, row) for row in rows.tolist())
            for name, rows in chain_rows(structure).items()}  # fmt: skip


def _side_chains(structure: Structure, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    atoms = structure.atoms
    beyond = atoms.resolved & ~np.isin(atoms.name, (*BACKBONE_ATOMS, "CB", "OXT"))
    positions = np.zeros((len(rows), MAX_SIDE_CHAIN, 3), np.float32)
    elements = np.zeros((len(rows), MAX_SIDE_CHAIN), np.int64)
    for place, row in enumerate(rows.tolist()):
        span = structure.residue_atoms(row)
        found = (span.start + np.flatnonzero(beyond[span]))[:MAX_SIDE_CHAIN]
        positions[place, : len(found)] = atoms.positions[found]
        elements[place, : len(found)] = atoms.element[found]
    return positions, elements


def _context_atoms(structure: Structure) -> np.ndarray:
    kind = structure.chains.kind[structure.atom_chain]
    around = (kind != ChainKind.PROTEIN) & (kind != ChainKind.WATER)
    return np.flatnonzero(around & structure.atoms.resolved & (structure.atoms.element > 1))

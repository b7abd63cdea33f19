"""From tables to tensors: the features of one structure under its conditions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from structdiff.chemistry.residues import BACKBONE_ATOMS, GAP, UNK_DNA, UNK_PROTEIN, UNK_RNA
from structdiff.errors import InputError
from structdiff.features.condition import Condition
from structdiff.features.schema import (
    AtomFeatures,
    ConditionFeatures,
    Features,
    MSAFeatures,
    PairFeatures,
    TokenFeatures,
)
from structdiff.features.tokens import TokenTable, tokenise
from structdiff.structure.tables import Structure

if TYPE_CHECKING:
    from structdiff.chemistry.components import Component

#: Restype of a token whose sequence is to be designed, by kind of chain.
_UNKNOWN_RESTYPE = np.array([UNK_PROTEIN, UNK_DNA, UNK_RNA, UNK_PROTEIN, UNK_PROTEIN], np.int32)
#: Atoms left to a token of unknown sequence: the backbone, sugar and phosphate included (slots come first).
_UNKNOWN_ATOMS = np.array([len(BACKBONE_ATOMS), 11, 12, 1, 1], np.int32)
_ATOM_NAME_LENGTH = 4


def build_features(
    structure: Structure,
    condition: Condition | None = None,
    *,
    tokens: TokenTable | None = None,
    msa: MSAFeatures | None = None,
    motif: np.ndarray | None = None,
    only_resolved: bool = False,
    conformers: bool = False,
) -> Features:
    """All the tensors of one structure.

    Args:
        structure: the molecules; positions are used as training targets and, where the condition says so, as motif.
        condition: what is asked; by default the sequence is known and nothing else.
        tokens: the structure's tokens if they are at hand.
        msa: aligned sequences; by default the query alone.
        motif: bool per atom of the structure, the atoms held in motif groups; by default all that are resolved.
        conformers: give the ideal conformers of residues and ligands too, which networks of others read.
        only_resolved: leave out atoms that were not observed, and mask tokens whose centre was not (for training).
    """
    tokens = tokens or tokenise(structure)
    condition = condition or Condition.unknown(len(tokens))
    kind = structure.chains.kind[tokens.chain]
    known = condition.sequence_known | ~tokens.standard
    atoms = _visible_atoms(tokens, known, kind)
    exists = atoms >= 0
    present = np.ones(len(tokens), bool)
    if only_resolved:
        exists &= structure.atoms.resolved[atoms]
        present = np.take_along_axis(exists, tokens.centre[:, None], 1)[:, 0]
        exists &= present[:, None]
    restype = np.where(known, tokens.restype, _UNKNOWN_RESTYPE[kind])
    resolved = exists & structure.atoms.resolved[atoms]
    positions = np.where(resolved[..., None], structure.atoms.positions[atoms], np.float32(0))
    held = resolved & (condition.motif_group > 0)[:, None]
    if motif is not None:
        held &= motif[atoms]
    ideal = _reference_positions(structure)[atoms] if conformers else np.zeros((*atoms.shape, 3), np.float32)
    representative = np.where(known, tokens.representative, np.minimum(tokens.representative, 1))
    return Features(
        token=_token_features(structure, tokens, present, restype, kind, representative),
        atom=AtomFeatures(
            mask=_flat(exists),
            element=_flat(np.where(exists, structure.atoms.element[atoms], 0).astype(np.int64)),
            charge=_flat(np.where(exists, structure.atoms.charge[atoms], 0).astype(np.float32)),
            name=_flat(_name_codes(structure)[atoms] * exists[..., None]),
            positions=_flat(positions),
            resolved=_flat(resolved),
            ref_positions=_flat(ideal * exists[..., None]),
        ),
        pair=_pair_features(structure, tokens, condition),
        msa=msa if msa is not None else query_alone(torch.from_numpy(restype.astype(np.int64))),
        condition=ConditionFeatures(
            sequence_known=torch.from_numpy(np.ascontiguousarray(known)),
            motif_group=_integers(condition.motif_group),
            structure_fixed=torch.from_numpy(np.ascontiguousarray(condition.structure_fixed)),
            hotspot=_integers(condition.hotspot),
            keep_away=_integers(condition.keep_away),
            secondary_structure=_integers(condition.secondary_structure),
            burial=_integers(condition.burial),
            motif_positions=_flat(np.where(held[..., None], positions, np.float32(0))),
            motif_mask=_flat(held),
        ),
    )


def query_alone(restype: Tensor) -> MSAFeatures:
    """An alignment that holds nothing but the query itself; restype [token]."""
    row = restype[None]
    zeros = torch.zeros(row.shape)
    return MSAFeatures(
        restype=row, has_deletion=zeros, deletion_value=zeros, paired=torch.ones(row.shape, dtype=torch.bool),
        mask=row != GAP,
    )  # fmt: skip


def _visible_atoms(tokens: TokenTable, known: np.ndarray, kind: np.ndarray) -> np.ndarray:
    """Atom rows (token, slot) without the side chains of tokens whose sequence is unknown."""
    limit = np.where(known, tokens.atoms.shape[1], _UNKNOWN_ATOMS[kind])
    return np.where(np.arange(tokens.atoms.shape[1]) < limit[:, None], tokens.atoms, -1)


def _token_features(
    structure: Structure,
    tokens: TokenTable,
    present: np.ndarray,
    restype: np.ndarray,
    kind: np.ndarray,
    representative: np.ndarray,
) -> TokenFeatures:
    chains, residues = structure.chains, structure.residues
    length = np.diff(np.append(chains.residue_start, len(residues)))
    return TokenFeatures(
        mask=torch.from_numpy(present),
        restype=_integers(restype),
        true_restype=_integers(tokens.restype),
        residue_index=_integers(residues.label_seq_id[tokens.residue]),
        asym_id=_integers(tokens.chain),
        entity_id=_integers(chains.entity_id[tokens.chain]),
        sym_id=_integers(chains.sym_id[tokens.chain]),
        kind=_integers(kind),
        cyclic_period=_integers(np.where(chains.cyclic, length, 0)[tokens.chain]),
        standard=torch.from_numpy(tokens.standard),
        centre=_integers(tokens.centre),
        representative=_integers(representative),
        frame=_integers(tokens.frame),
    )


def _pair_features(structure: Structure, tokens: TokenTable, condition: Condition) -> PairFeatures:
    count = len(tokens)
    bonds = np.zeros((count, count), np.int64)
    token_of = np.full(len(structure.atoms), -1, np.int64)
    rows, slots = np.nonzero(tokens.atoms >= 0)
    token_of[tokens.atoms[rows, slots]] = rows
    first, second = token_of[structure.bonds.atom_1], token_of[structure.bonds.atom_2]
    unusual = (first != second) & (first >= 0) & (second >= 0) & ~_polymer_link(tokens, structure, first, second)
    first, second, order = first[unusual], second[unusual], structure.bonds.order[unusual]
    bonds[first, second] = bonds[second, first] = order
    return PairFeatures(
        token_bonds=torch.from_numpy(bonds),
        ref_distance=torch.from_numpy(_reference_distances(structure, tokens)),
        contact_bound=torch.from_numpy(np.asarray(condition.contact_bound, np.float32)),
        pocket_bound=torch.from_numpy(np.asarray(condition.pocket_bound, np.float32)),
        fold_adjacency=_integers(condition.fold_adjacency),
    )


def _polymer_link(tokens: TokenTable, structure: Structure, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Bonds that relative positions tell already: those between neighbouring standard residues of a chain."""
    number = structure.residues.label_seq_id[tokens.residue]
    both_standard = tokens.standard[first] & tokens.standard[second]
    same_chain = tokens.chain[first] == tokens.chain[second]
    return both_standard & same_chain & (np.abs(number[first] - number[second]) == 1)


def _reference_distances(structure: Structure, tokens: TokenTable) -> np.ndarray:
    """Distances (Å) in the reference conformer between the tokens of one ligand or modified residue, 0 elsewhere."""
    distances = np.zeros((len(tokens), len(tokens)), np.float32)
    split = np.flatnonzero(~tokens.standard)
    for residue in np.unique(tokens.residue[split]):
        rows = split[tokens.residue[split] == residue]
        if len(rows) < 2:
            continue
        reference = _reference(structure, str(structure.residues.name[residue]))
        if reference is None:
            continue
        place = reference.atom_index
        found = [place.get(str(name), -1) for name in structure.atoms.name[tokens.atoms[rows, 0]]]
        kept = np.array([index >= 0 for index in found])
        points = reference.ideal_positions[np.array(found)[kept]]
        rows = rows[kept]
        distances[np.ix_(rows, rows)] = np.linalg.norm(points[:, None] - points[None], axis=-1)
    return distances


def _reference_positions(structure: Structure) -> np.ndarray:
    """Positions (atom, 3) in Å in the ideal conformer of each atom's residue or ligand; 0 where there is none."""
    names, places = np.unique(structure.residues.name, return_inverse=True)
    kind, positions = places[structure.atoms.residue], np.zeros((len(structure.atoms), 3), np.float32)
    for number, name in enumerate(names):
        reference = _reference(structure, str(name))
        if reference is None:
            continue
        place, atoms = reference.atom_index, np.flatnonzero(kind == number)
        found = np.array([place.get(str(atom), -1) for atom in structure.atoms.name[atoms]])
        positions[atoms[found >= 0]] = reference.ideal_positions[found[found >= 0]]
    return positions


def _reference(structure: Structure, name: str) -> Component | None:
    """The component of a residue's name; None for a name of the source that is no component."""
    from structdiff.chemistry.components import component

    try:
        return component(name, structure.components)
    except InputError:
        return None


def _name_codes(structure: Structure) -> np.ndarray:
    """Characters of each atom's name minus 32, four a name, 0 padded: (atom, 4)."""
    fixed = structure.atoms.name.astype(f"U{_ATOM_NAME_LENGTH}")
    codes = fixed.view(np.uint32).reshape(len(fixed), _ATOM_NAME_LENGTH).astype(np.int64)
    return np.clip(codes - 32, 0, 63)


def _flat(by_slot: np.ndarray) -> Tensor:
    """(token, slot, ...) to (token * slot, ...)."""
    return torch.from_numpy(np.ascontiguousarray(by_slot.reshape(-1, *by_slot.shape[2:])))


def _integers(values: np.ndarray) -> Tensor:
    return torch.from_numpy(np.asarray(values).astype(np.int64))

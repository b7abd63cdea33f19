"""A structure with other amino acids in some places: the backbone stays, side chains are new."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Mapping

import numpy as np

from structdiff.chemistry.components import component
from structdiff.chemistry.elements import atomic_number
from structdiff.chemistry.residues import BACKBONE_ATOMS, RESIDUE_ATOMS
from structdiff.structure.tables import AtomTable, BondTable, ChainTable, Structure


def with_residues(
    structure: Structure,
    names: Mapping[int, str],
    side_chains: Mapping[int, Mapping[str, np.ndarray]] | None = None,
) -> Structure:
    """The structure with these residues (row: name such as ALA) in place of its own.

    Their N, CA, C and O stay where they are; their other atoms are where side_chains has them (row: atom: position in
    Å), and not resolved where it does not. All other residues stay as they are.
    """
    parts = [_new_residue(structure, row, names[row], (side_chains or {}).get(row, {})) for row in sorted(names)]
    kept = ~np.isin(structure.atoms.residue, sorted(names))
    old_rows = np.flatnonzero(kept)
    columns = {
        field.name: np.concatenate([getattr(structure.atoms, field.name)[old_rows], *(p[field.name] for p in parts)])
        for field in dataclasses.fields(AtomTable)
    }
    order = np.argsort(columns["residue"], kind="stable")
    atoms = AtomTable(**{name: values[order] for name, values in columns.items()})
    residue_names = structure.residues.name.astype("U5")
    residue_names[list(names)] = list(names.values())
    residues = dataclasses.replace(
        structure.residues,
        name=residue_names,
        atom_start=np.searchsorted(atoms.residue, np.arange(len(structure.residues))).astype(np.int32),
    )
    renamed = dataclasses.replace(structure, residues=residues, atoms=atoms)
    return dataclasses.replace(
        renamed, bonds=_bonds(structure, renamed, names), chains=_with_entities(renamed, structure.chains)
    )


def _new_residue(
    structure: Structure, row: int, name: str, side_chain: Mapping[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """The atoms of one residue, as columns of the table."""
    own = structure.residue_atoms(row)
    table = structure.atoms
    where = {str(atom): own.start + place for place, atom in enumerate(table.name[own])}
    wanted = [atom for atom in RESIDUE_ATOMS[name] if atom in where or atom not in BACKBONE_ATOMS]
    old = np.array([where[atom] if atom in BACKBONE_ATOMS else -1 for atom in wanted])
    positions = np.where((old >= 0)[:, None], table.positions[old], np.float32(0))
    resolved = (old >= 0) & table.resolved[old]
    for place, atom in enumerate(wanted):
        if atom in side_chain:
            positions[place], resolved[place] = side_chain[atom], True
    seen = table.resolved[own]
    b_factor = np.float32(table.b_factor[own][seen].mean() if seen.any() else 0.0)
    return {
        "residue": np.full(len(wanted), row, np.int32),
        "name": np.array(wanted, dtype=table.name.dtype),
        "element": np.array([atomic_number(atom[0]) for atom in wanted], np.uint8),
        "charge": np.zeros(len(wanted), np.int8),
        "positions": positions.astype(np.float32),
        "resolved": resolved,
        "b_factor": np.where(old >= 0, table.b_factor[old], b_factor).astype(np.float32),
        "occupancy": np.ones(len(wanted), np.float32),
    }


def _bonds(old: Structure, new: Structure, names: Mapping[int, str]) -> BondTable:
    """The bonds between atoms that stay, and those inside the new residues."""
    place = {
        (int(residue), str(atom)): row
        for row, (residue, atom) in enumerate(zip(new.atoms.residue, new.atoms.name, strict=True))
    }
    changed = np.zeros(len(old.residues), bool)
    changed[list(names)] = True
    stays = ~changed[old.atoms.residue] | np.isin(old.atoms.name, BACKBONE_ATOMS)
    keys = list(zip(old.atoms.residue.tolist(), old.atoms.name.tolist(), strict=True))
    moved = np.array([place.get(key, -1) if stay else -1 for key, stay in zip(keys, stays, strict=True)], np.int64)
    first, second = old.bonds.atom_1, old.bonds.atom_2
    inside = changed[old.atoms.residue[first]] & (old.atoms.residue[first] == old.atoms.residue[second])
    keep = (moved[first] >= 0) & (moved[second] >= 0) & ~inside
    rows = [(moved[a], moved[b], order) for a, b, order in
            zip(first[keep], second[keep], old.bonds.order[keep], strict=True)]  # fmt: skip
    for row, name in names.items():
        part = component(name)
        atoms = [place.get((row, str(atom)), -1) for atom in part.atom_names]
        rows += [
            (atoms[a], atoms[b], order)
            for (a, b), order in zip(part.bonds.tolist(), part.bond_orders, strict=True)
            if atoms[a] >= 0 and atoms[b] >= 0
        ]
    table = np.array(rows, np.int64).reshape(-1, 3)
    return BondTable(
        atom_1=table[:, 0].astype(np.int32), atom_2=table[:, 1].astype(np.int32), order=table[:, 2].astype(np.uint8)
    )


def _with_entities(structure: Structure, chains: ChainTable) -> ChainTable:
    """Chains of the same kind and sequence are copies of one entity."""
    entities: dict[tuple, int] = {}
    copies: Counter[int] = Counter()
    entity_id, sym_id = np.zeros(len(chains), np.int32), np.zeros(len(chains), np.int32)
    for row in range(len(chains)):
        sequence = tuple(structure.residues.name[structure.chain_residues(row)].tolist())
        entity = entities.setdefault((int(chains.kind[row]), bool(chains.cyclic[row]), sequence), len(entities))
        entity_id[row], sym_id[row] = entity, copies[entity]
        copies[entity] += 1
    return dataclasses.replace(chains, entity_id=entity_id, sym_id=sym_id)

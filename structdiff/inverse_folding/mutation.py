"""A structure with other amino acids in some places: the backbone stays, side chains are new."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Mapping
from functools import lru_cache

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
    if not names:
        return structure
    rows = np.array(sorted(names), np.int64)
    templates = [_template(names[row]) for row in rows.tolist()]
    new = _new_atoms(structure, rows, templates, side_chains or {})
    kept = np.flatnonzero(~np.isin(structure.atoms.residue, rows))
    columns = {
        field.name: np.concatenate([getattr(structure.atoms, field.name)[kept], new[field.name]])
        for field in dataclasses.fields(AtomTable)
    }
    order = np.argsort(columns["residue"], kind="stable")
    atoms = AtomTable(**{name: values[order] for name, values in columns.items()})
    residue_names = structure.residues.name.astype("U5")
    residue_names[rows] = [names[row] for row in rows.tolist()]
    starts = np.searchsorted(atoms.residue, np.arange(len(structure.residues))).astype(np.int32)
    renamed = dataclasses.replace(
        structure,
        atoms=atoms,
        residues=dataclasses.replace(structure.residues, name=residue_names, atom_start=starts),
    )
    moved = np.full(len(structure.atoms), -1, np.int64)
    moved[kept] = np.argsort(order, kind="stable")[: len(kept)]
    return dataclasses.replace(
        renamed,
        bonds=_bonds(structure, moved, rows, starts, templates),
        chains=_with_entities(renamed, structure.chains),
    )


def lost_bonds(structure: Structure, changed: np.ndarray) -> np.ndarray:
    """Bonds of side chains that are changed to residues that are not (ligands, glycans), (bond, 2): rows of atoms.

    changed: (residue,) bool. ``with_residues`` leaves these bonds out.
    """
    atoms = structure.atoms
    ends = np.stack([structure.bonds.atom_1, structure.bonds.atom_2], axis=1)
    new = changed[atoms.residue[ends]]
    side_chain = ~np.isin(atoms.name[ends], (*BACKBONE_ATOMS, "OXT"))
    return ends[(new & side_chain).any(axis=1) & ~new.all(axis=1)]


@dataclasses.dataclass(frozen=True, eq=False)
class _Template:
    """The atoms of a residue inside a chain, backbone first, and the bonds between them."""

    names: np.ndarray
    elements: np.ndarray
    bonds: np.ndarray
    orders: np.ndarray


@lru_cache(maxsize=32)
def _template(name: str) -> _Template:
    atoms = RESIDUE_ATOMS[name]
    part = component(name)
    place = np.array([atoms.index(atom) if atom in atoms else -1 for atom in part.atom_names.tolist()])
    bonds = place[part.bonds]
    inside = (bonds >= 0).all(axis=1)
    return _Template(
        names=np.array(atoms),
        elements=np.array([atomic_number(atom[0]) for atom in atoms], np.uint8),
        bonds=bonds[inside],
        orders=part.bond_orders[inside],
    )


def _new_atoms(
    structure: Structure,
    rows: np.ndarray,
    templates: list[_Template],
    side_chains: Mapping[int, Mapping[str, np.ndarray]],
) -> dict[str, np.ndarray]:
    """The atoms of the new residues, as columns of the table."""
    table, count = structure.atoms, len(BACKBONE_ATOMS)
    sizes = np.array([len(template.names) for template in templates])
    starts = np.cumsum(sizes) - sizes
    total = int(sizes.sum())
    old = np.full(total, -1, np.int64)
    old[(starts[:, None] + np.arange(count)).ravel()] = _backbone_atoms(structure)[rows].ravel()
    known = old >= 0
    positions = np.where(known[:, None], table.positions[old], np.float32(0)).astype(np.float32)
    resolved = known & table.resolved[old]
    for row, start, template in zip(rows.tolist(), starts.tolist(), templates, strict=True):
        given = side_chains.get(row, {})
        for place, atom in enumerate(template.names.tolist()):
            if atom in given:
                positions[start + place], resolved[start + place] = given[atom], True
    # A side chain is as sure as its CA.
    anchor = np.repeat(old[starts + BACKBONE_ATOMS.index("CA")], sizes)
    b_factor = np.where(known, table.b_factor[old], np.where(anchor >= 0, table.b_factor[anchor], 0))
    return {
        "residue": np.repeat(rows, sizes).astype(np.int32),
        "name": np.concatenate([template.names for template in templates]),
        "element": np.concatenate([template.elements for template in templates]),
        "charge": np.zeros(total, np.int8),
        "positions": positions,
        "resolved": resolved,
        "b_factor": b_factor.astype(np.float32),
        "occupancy": np.ones(total, np.float32),
    }


def _backbone_atoms(structure: Structure) -> np.ndarray:
    """(residue, 4): rows of N, CA, C and O; -1 for one that is not listed."""
    found = np.full((len(structure.residues), len(BACKBONE_ATOMS)), -1, np.int64)
    for column, name in enumerate(BACKBONE_ATOMS):
        rows = np.flatnonzero(structure.atoms.name == name)
        found[structure.atoms.residue[rows], column] = rows
    return found


def _bonds(
    old: Structure, moved: np.ndarray, rows: np.ndarray, starts: np.ndarray, templates: list[_Template]
) -> BondTable:
    """The bonds between atoms that stay, and those inside the new residues. moved: new rows of atoms that were kept."""
    backbone = _backbone_atoms(old)[rows]
    places = starts[rows][:, None] + np.arange(len(BACKBONE_ATOMS))
    moved = moved.copy()
    moved[backbone[backbone >= 0]] = places[backbone >= 0]
    first, second = old.bonds.atom_1, old.bonds.atom_2
    changed = np.isin(old.atoms.residue, rows)
    inside = changed[first] & (old.atoms.residue[first] == old.atoms.residue[second])
    keep = (moved[first] >= 0) & (moved[second] >= 0) & ~inside
    pairs = [np.stack([moved[first[keep]], moved[second[keep]]], axis=1)]
    pairs += [template.bonds + start for template, start in zip(templates, starts[rows].tolist(), strict=True)]
    table = np.concatenate(pairs).astype(np.int32)
    orders = np.concatenate([old.bonds.order[keep], *(template.orders for template in templates)])
    return BondTable(atom_1=table[:, 0], atom_2=table[:, 1], order=orders.astype(np.uint8))


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

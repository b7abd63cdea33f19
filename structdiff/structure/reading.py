"""From a parsed file to the tables: full sequences first, then the atoms that were seen.

The chains are built whole from their sequences (``build``), and each atom of the file is then put in its place. So
missing residues and atoms are there, unresolved, and a structure that was read looks like one that was asked for.
"""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Mapping

import gemmi
import numpy as np

from structdiff.chemistry.components import Component, component, is_known
from structdiff.errors import InputError
from structdiff.structure.build import build_structure
from structdiff.structure.file_bonds import extra_bonds
from structdiff.structure.file_chains import FileChain, file_chain, residue_groups
from structdiff.structure.file_components import chosen_atoms, unknown_components, warn_of_foreign_atoms
from structdiff.structure.parsed_file import ParsedFile
from structdiff.structure.tables import BondTable, ChainKind, Structure

BROKEN_LINK = 3.0  # Å; residues further apart than this may not be neighbours in the chain


class LostAtomsWarning(UserWarning):
    """Atoms of a file without coordinates."""


def structure_of(parsed: ParsedFile, *, model: int | None, keep_waters: bool) -> Structure:
    """The tables of a model (None: the first). Raises InputError where the model is not there or has no atoms."""
    chosen = _model(parsed.structure, model)
    groups = residue_groups(chosen, keep_waters)
    if not groups:
        raise InputError("no atoms in this file")
    if len({residues[0].subchain for _, residues in groups}) < len(groups):
        parsed = dataclasses.replace(parsed, labelled=False)
    components = (
        unknown_components(parsed.structure, groups, parsed.components, parsed.component_bonds) | parsed.components
    )
    chains = [file_chain(parsed, row, auth, residues) for row, (auth, residues) in enumerate(groups)]
    structure = build_structure(
        [chain.sequence for chain in chains],
        bonds=extra_bonds(parsed, chains, components),
        components=components,
        name=parsed.name,
        metadata={**parsed.metadata, "model": chosen.num, "models": len(parsed.structure)},
    )
    own = {code: whole for code, whole in structure.components.items() if not _is_dictionary_component(code, whole)}
    seen = [(chain.auth_chain, chain.residues.values()) for chain in chains if chain.sequence.kind != ChainKind.WATER]
    warn_of_foreign_atoms(parsed.name, seen, components)
    placed = _place(dataclasses.replace(structure, components=own), chains)
    if not placed.atoms.resolved.any():
        raise InputError("no atoms in this file")
    return _without_absent_leaving_atoms(_without_broken_links(placed, chains), components)


def _is_dictionary_component(code: str, whole: Component) -> bool:
    return is_known(code) and component(code) is whole


def _model(structure: gemmi.Structure, number: int | None) -> gemmi.Model:
    if len(structure) == 0:
        raise InputError("no atoms in this file")
    if number is None:
        return structure[0]
    numbers = [model.num for model in structure]
    if number not in numbers:
        raise InputError("this model is not in the file", key="model", found=number, allowed=_ranges(numbers))
    return structure[numbers.index(number)]


def _ranges(numbers: list[int]) -> str:
    consecutive = numbers == list(range(numbers[0], numbers[0] + len(numbers))) and len(numbers) > 1
    return f"{numbers[0]} to {numbers[-1]}" if consecutive else ", ".join(map(str, numbers))


def _place(structure: Structure, chains: list[FileChain]) -> Structure:
    """The structure with the file's atoms at their positions."""
    rows, values, kept = [], [], structure.atoms
    names, starts = kept.name.tolist(), [*structure.residues.atom_start.tolist(), len(kept)]
    for chain_row, chain in enumerate(chains):
        first = int(structure.chains.residue_start[chain_row])
        for place, residue in chain.residues.items():
            start, stop = starts[first + place], starts[first + place + 1]
            row_of = {name: row for row, name in enumerate(names[start:stop], start)}
            for atom in chosen_atoms(residue):
                row = row_of.get(atom.name)
                if row is not None:
                    rows.append(row)
                    values.append((*atom.pos.tolist(), atom.b_iso, atom.occ))
    table = np.array(values, np.float64).reshape(-1, 5)
    finite = np.isfinite(table[:, :3]).all(axis=1)
    _warn_of_lost_atoms(structure, np.array(rows, np.int64)[~finite])
    index, table = np.array(rows, np.int64)[finite], table[finite]
    positions, b_factor = kept.positions.copy(), kept.b_factor.copy()
    occupancy, resolved = np.zeros(len(kept), np.float32), kept.resolved.copy()
    positions[index], b_factor[index], occupancy[index] = table[:, :3], table[:, 3], table[:, 4]
    resolved[index] = True
    atoms = dataclasses.replace(kept, positions=positions, b_factor=b_factor, occupancy=occupancy, resolved=resolved)
    return dataclasses.replace(structure, atoms=atoms)


def _warn_of_lost_atoms(structure: Structure, rows: np.ndarray) -> None:
    """Warns of atoms of a file whose coordinates are no numbers."""
    if not len(rows):
        return
    residue = int(structure.atoms.residue[rows[0]])
    chain = structure.chains.name[structure.residues.chain[residue]]
    place = f"{structure.residues.name[residue]} {structure.residues.author_seq_id[residue]} of chain {chain}"
    more = f" and {len(rows) - 1} more" if len(rows) > 1 else ""
    warnings.warn(
        f"{structure.name}: atoms whose coordinates are no numbers are taken for not seen: "
        f"{structure.atoms.name[rows[0]]} of {place}{more}", LostAtomsWarning, stacklevel=2,
    )  # fmt: skip


def _without_broken_links(structure: Structure, chains: list[FileChain]) -> Structure:
    """Drops long links where the chain is broken: the full sequence is unknown, the author's numbers jump, or one of
    the two atoms is bonded to another residue instead (a lactone's ester).
    """
    atoms, residues = structure.atoms, structure.residues
    first, second = structure.bonds.atom_1, structure.bonds.atom_2
    residue_1, residue_2 = atoms.residue[first], atoms.residue[second]
    guessed = np.array([not chain.complete for chain in chains])[residues.chain[residue_1]]
    jump = np.abs(residues.author_seq_id[residue_2] - residues.author_seq_id[residue_1]) > 1
    same_chain = residues.chain[residue_1] == residues.chain[residue_2]
    crossing = residue_1 != residue_2
    degree = np.bincount(np.concatenate([first[crossing], second[crossing]]), minlength=len(atoms))
    engaged = (degree[first] > 1) | (degree[second] > 1)
    between = crossing & same_chain & (guessed | jump | engaged)
    seen = atoms.resolved[first] & atoms.resolved[second]
    length = np.linalg.norm(atoms.positions[first] - atoms.positions[second], axis=1)
    keep = ~(between & seen & (length > BROKEN_LINK))
    bonds = BondTable(atom_1=first[keep], atom_2=second[keep], order=structure.bonds.order[keep])
    return dataclasses.replace(structure, bonds=bonds)


def _without_absent_leaving_atoms(structure: Structure, components: Mapping[str, Component]) -> Structure:
    """Drops leaving atoms of ligands that the file lacks: a link that it does not state took them away."""
    ligand = structure.chains.kind[structure.atom_chain] == ChainKind.LIGAND
    keep = np.ones(len(structure.atoms), bool)
    for residue in np.unique(structure.atoms.residue[ligand & ~structure.atoms.resolved]):
        span = structure.residue_atoms(int(residue))
        whole = component(str(structure.residues.name[residue]), components)
        leaving = np.isin(structure.atoms.name[span], whole.atom_names[whole.leaving])
        keep[span] = ~(leaving & ~structure.atoms.resolved[span])
    return structure if keep.all() else structure.select(keep)

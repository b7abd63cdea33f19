"""Biological assemblies: the copies of chains that a file's operators make."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping

import gemmi
import numpy as np

from structdiff.errors import InputError
from structdiff.geometry.point_groups import SymmetryGroup
from structdiff.structure.build import chain_letters
from structdiff.structure.parsed_file import ParsedFile
from structdiff.structure.tables import AtomTable, BondTable, ChainTable, ResidueTable, Structure
from structdiff.typing import Float


def build_assembly(structure: Structure, parsed: ParsedFile, assembly: str) -> Structure:
    """One of a file's biological assemblies.

    The first copy of a chain keeps its chain id, further ones get free letters; metadata ``assembly_chains`` says which
    chain each was made from. Raises InputError for an assembly that the file does not describe.
    """
    listed = {entry.name: entry for entry in parsed.structure.assemblies}
    if assembly not in listed:
        allowed = list(listed) or "none, the file describes no assembly"
        raise InputError("this assembly is not in the file", key="assembly", found=assembly, allowed=allowed)
    copies = [
        _moved(_part(structure, chains), operator)
        for chains, operators in _generators(structure, parsed, listed[assembly])
        for operator in operators
    ]
    copies = [copy for copy in copies if copy is not None]
    if not copies:
        raise InputError("this assembly has no chain that the file holds", key="assembly", found=assembly)
    named, origins = _with_free_names(copies)
    whole = concatenated(named)
    metadata = {**structure.metadata, "assembly": assembly, "assembly_chains": origins}
    return dataclasses.replace(whole, metadata=metadata)


def copied(positions: Float[np.ndarray, "atom 3"], group: SymmetryGroup) -> Float[np.ndarray, "copy atom 3"]:
    """Positions (Å) of all copies of a unit, which is rounded to 0.001 Å first, as files hold it."""
    return group.apply(np.round(positions.astype(np.float64), 3))


def symmetric_assembly(unit: Structure, group: SymmetryGroup) -> Structure:
    """All copies of a structure that a group makes, copy after copy; the first one is the structure itself.

    Positions of the unit are rounded to 0.001 Å first, as files hold them, so that copies in a file are equal to
    0.001 Å. Chains of the first copy keep their ids, the others get free letters; metadata ``assembly_chains`` says
    which chain each was made from.
    """
    copies = [
        unit.with_positions(np.where(unit.atoms.resolved[:, None], moved, 0.0), resolved=unit.atoms.resolved)
        for moved in copied(unit.atoms.positions, group)
    ]
    named, origins = _with_free_names(copies)
    whole = concatenated(named)
    return dataclasses.replace(whole, metadata={**unit.metadata, "assembly": group.name, "assembly_chains": origins})


def _generators(
    structure: Structure, parsed: ParsedFile, assembly: gemmi.Assembly
) -> Iterator[tuple[np.ndarray, list[gemmi.Transform]]]:
    """Mask of chains and transforms of each generator; PDB files name author chains, mmCIF label chains."""
    for generator in assembly.generators:
        if parsed.labelled and generator.subchains:
            chains = np.isin(structure.chains.label_id, list(generator.subchains))
        else:
            chains = np.isin(structure.chains.name, list(generator.chains))
        yield chains, [operator.transform for operator in generator.operators]


def _part(structure: Structure, chains: np.ndarray) -> Structure | None:
    return structure.select(chains[structure.atom_chain]) if chains.any() else None


def _moved(part: Structure | None, operator: gemmi.Transform) -> Structure | None:
    if part is None:
        return None
    rotation, shift = np.array(operator.mat.tolist()), np.array(operator.vec.tolist())
    moved = part.atoms.positions.astype(np.float64) @ rotation.T + shift
    positions = np.where(part.atoms.resolved[:, None], moved, 0.0).astype(np.float32)
    return dataclasses.replace(part, atoms=dataclasses.replace(part.atoms, positions=positions))


def _with_free_names(copies: list[Structure]) -> tuple[list[Structure], dict[str, str]]:
    """The copies with chain ids of their own, and the original chain of each id."""
    taken = {str(name) for copy in copies for name in copy.chains.name}
    taken_labels = {str(label) for copy in copies for label in copy.chains.label_id}
    used: set[str] = set()
    used_labels: set[str] = set()
    origins: dict[str, str] = {}
    named = []
    for copy in copies:
        new = {name: _free(name, used, taken) for name in dict.fromkeys(copy.chains.name.tolist())}
        labels = [_free(label, used_labels, taken_labels) for label in copy.chains.label_id.tolist()]
        origins.update({fresh: name for name, fresh in new.items()})
        names = np.array([new[name] for name in copy.chains.name.tolist()])
        chains = dataclasses.replace(copy.chains, name=names, label_id=np.array(labels))
        named.append(dataclasses.replace(copy, chains=chains))
    return named, origins


def _free(name: str, used: set[str], taken: set[str]) -> str:
    """The name itself the first time, then the first letters that no chain has."""
    number = 0
    fresh = name
    while fresh in used or (fresh != name and fresh in taken):
        fresh, number = chain_letters(number), number + 1
    used.add(fresh)
    return fresh


def concatenated(parts: list[Structure]) -> Structure:
    """One structure of several whose chains have names and labels of their own; what else is said is of the first."""
    chain_shift = _starts([len(part.chains) for part in parts])
    residue_shift = _starts([len(part.residues) for part in parts])
    atom_shift = _starts([len(part.atoms) for part in parts])
    chains = _joined(ChainTable, [part.chains for part in parts], {"residue_start": residue_shift})
    residues = _joined(
        ResidueTable, [part.residues for part in parts], {"chain": chain_shift, "atom_start": atom_shift}
    )
    atoms = _joined(AtomTable, [part.atoms for part in parts], {"residue": residue_shift})
    bonds = _joined(BondTable, [part.bonds for part in parts], {"atom_1": atom_shift, "atom_2": atom_shift})
    chains = dataclasses.replace(chains, sym_id=_copies(chains.entity_id))
    return dataclasses.replace(parts[0], chains=chains, residues=residues, atoms=atoms, bonds=bonds,
                               components=_all_components(parts))  # fmt: skip


def _all_components(parts: list[Structure]) -> dict[str, object]:
    return {code: value for part in parts for code, value in part.components.items()}


def _joined(kind: type, tables: list, shifts: Mapping[str, list[int]]):  # noqa: ANN202 - the kind of table given
    columns = {}
    for column in dataclasses.fields(kind):
        pieces = [getattr(table, column.name) for table in tables]
        if column.name in shifts:
            pieces = [piece + piece.dtype.type(shift) for piece, shift in zip(pieces, shifts[column.name], strict=True)]
        columns[column.name] = np.concatenate(pieces)
    return kind(**columns)


def _starts(lengths: list[int]) -> list[int]:
    return [sum(lengths[:index]) for index in range(len(lengths))]


def _copies(entity_id: np.ndarray) -> np.ndarray:
    """How many chains of the same entity come before each."""
    seen: dict[int, int] = {}
    copies = []
    for entity in entity_id.tolist():
        copies.append(seen.get(entity, 0))
        seen[entity] = copies[-1] + 1
    return np.array(copies, np.int32)

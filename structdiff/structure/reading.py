"""From a parsed file to the tables: full sequences first, then the atoms that were seen.

The chains are built whole from their sequences (``build``), and each atom of the file is then put in its place. So
missing residues and atoms are there, unresolved, and a structure that was read looks like one that was asked for.
"""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import gemmi
import numpy as np

from structdiff.chemistry.components import Component, component, is_known
from structdiff.errors import InputError
from structdiff.structure.build import AtomAddress, ChainSequence, build_structure, chain_letters
from structdiff.structure.file_components import chosen_atoms, unknown_components, warn_of_foreign_atoms
from structdiff.structure.observed_components import ComponentBond
from structdiff.structure.tables import BondTable, ChainKind, Structure
from structdiff.structure.unstated_bonds import SeenResidue, unstated_bonds

BROKEN_LINK = 3.0  # Å; residues further apart than this may not be neighbours in the chain
_ONE_OF_THEM = 1.01  # the occupancy of all that alternate at one place, with what rounding adds
_RING_CLOSURE = 1.65  # Å; the two ends of a chain nearer than this are bonded
_POLYMERS = {
    gemmi.PolymerType.PeptideL: ChainKind.PROTEIN,
    gemmi.PolymerType.PeptideD: ChainKind.PROTEIN,
    gemmi.PolymerType.CyclicPseudoPeptide: ChainKind.PROTEIN,
    gemmi.PolymerType.Pna: ChainKind.PROTEIN,
    gemmi.PolymerType.Dna: ChainKind.DNA,
    gemmi.PolymerType.Rna: ChainKind.RNA,
    gemmi.PolymerType.DnaRnaHybrid: ChainKind.RNA,
}


@dataclass(kw_only=True)
class ParsedFile:
    """What a format's reader hands on: gemmi's structure and what gemmi does not keep.

    components: those that the file defines. component_bonds: what it tells of bonds inside components, by their code.
    numbering: author number and insertion code of a residue, by label chain id and place, also of residues that were
    not seen. labelled: the label chain ids are the file's own. confident: the file says that its B-factors are a
    prediction's confidence.
    """

    structure: gemmi.Structure
    name: str
    labelled: bool
    confident: bool = False
    components: dict[str, Component] = field(default_factory=dict)
    component_bonds: Mapping[str, Sequence[ComponentBond]] = field(default_factory=dict)
    numbering: Mapping[str, Mapping[int, tuple[int, str]]] = field(default_factory=dict)
    metadata: dict[str, object] = field(default_factory=dict)


@dataclass(kw_only=True)
class _Chain:
    """One chain of the file: its residues by place in the full sequence (from 0)."""

    sequence: ChainSequence
    residues: dict[int, gemmi.Residue]
    auth_chain: str
    complete: bool


def structure_of(parsed: ParsedFile, *, model: int | None, keep_waters: bool) -> Structure:
    """The tables of a model (None: the first). Raises InputError where the model is not there or has no atoms."""
    chosen = _model(parsed.structure, model)
    groups = _residue_groups(chosen, keep_waters)
    if not groups:
        raise InputError("no atoms in this file")
    if len({residues[0].subchain for _, residues in groups}) < len(groups):
        parsed = dataclasses.replace(parsed, labelled=False)
    components = (
        unknown_components(parsed.structure, groups, parsed.components, parsed.component_bonds) | parsed.components
    )
    chains = [_chain(parsed, row, auth, residues) for row, (auth, residues) in enumerate(groups)]
    chains = [_closed(chain) for chain in chains]
    structure = build_structure(
        [chain.sequence for chain in chains],
        bonds=_extra_bonds(parsed, chains, components),
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


def _residue_groups(model: gemmi.Model, keep_waters: bool) -> list[tuple[str, list[gemmi.Residue]]]:
    """Author chain name and residues of each label chain, in file order.

    Chains that their author calls otherwise are several, though programs may have given them one label.
    """
    groups: dict[tuple[str, str], tuple[str, list[gemmi.Residue]]] = {}
    for chain in model:
        for residue in chain:
            is_water = residue.entity_type == gemmi.EntityType.Water
            if len(residue) == 0 or (is_water and not keep_waters):
                continue
            groups.setdefault((chain.name, residue.subchain), (chain.name, []))[1].append(residue)
    return list(groups.values())


def _chain(parsed: ParsedFile, row: int, auth_chain: str, residues: list[gemmi.Residue]) -> _Chain:
    kind, full = _kind_and_sequence(parsed.structure, residues)
    residues = _one_residue_per_place(residues)
    subchain = residues[0].subchain
    placed = {residue.label_seq - 1: residue for residue in residues if residue.label_seq}
    fits = bool(full) and len(placed) == len(residues) and max(placed) < len(full)
    if not fits:
        placed, full = dict(enumerate(residues)), [residue.name for residue in residues]
    names = [placed[place].name if place in placed else full[place] for place in range(len(full))]
    numbers = _author_numbers(placed, len(full), parsed.numbering.get(subchain, {}))
    sequence = ChainSequence(
        name=auth_chain,
        kind=kind,
        residues=tuple(names),
        author_seq_ids=tuple(number for number, _ in numbers),
        insertion_codes=tuple(code for _, code in numbers),
        label_id=subchain if parsed.labelled else chain_letters(row),
    )
    return _Chain(sequence=sequence, residues=placed, auth_chain=auth_chain, complete=fits)


def _kind_and_sequence(structure: gemmi.Structure, residues: list[gemmi.Residue]) -> tuple[ChainKind, list[str]]:
    first = residues[0]
    if first.entity_type == gemmi.EntityType.Water:
        return ChainKind.WATER, []
    entity = next((entity for entity in structure.entities if first.subchain in entity.subchains), None)
    if first.entity_type != gemmi.EntityType.Polymer:
        return ChainKind.LIGAND, []
    polymer = entity.polymer_type if entity is not None else gemmi.PolymerType.Unknown
    told, seen = _POLYMERS.get(polymer), _kind_by_residues(residues)
    # Programs that give all chains one entity have the kind of the first of them told of all.
    kind = seen if told is None or (seen != ChainKind.LIGAND and ChainKind.PROTEIN in {told, seen}) else told
    full = [gemmi.Entity.first_mon(name) for name in entity.full_sequence] if entity is not None else []
    return kind, full


def _kind_by_residues(residues: Iterable[gemmi.Residue]) -> ChainKind:
    kinds = {"peptide": ChainKind.PROTEIN, "dna": ChainKind.DNA, "rna": ChainKind.RNA}
    votes = [component(residue.name).kind for residue in residues if is_known(residue.name)]
    known = [kinds[kind] for kind in votes if kind in kinds]
    return max(set(known), key=known.count) if known else ChainKind.LIGAND


def _one_residue_per_place(residues: list[gemmi.Residue]) -> list[gemmi.Residue]:
    """Of several residue types at one place (microheterogeneity) the one of the highest occupancy, or the first."""
    places: dict[tuple[int, str], list[gemmi.Residue]] = defaultdict(list)
    for residue in residues:
        places[residue.seqid.num or 0, residue.seqid.icode].append(residue)
    for group in places.values():
        _require_alternates(group)
    return [max(group, key=_occupancy) for group in places.values()]


def _require_alternates(group: list[gemmi.Residue]) -> None:
    """Raises InputError for residues of a polymer with one number that are all there at once, none an alternate."""
    whole = [
        residue
        for residue in group
        if residue.entity_type == gemmi.EntityType.Polymer and all(atom.altloc == "\0" for atom in residue)
    ]
    if len(whole) > 1 and sum(map(_occupancy, whole)) > _ONE_OF_THEM:
        raise InputError(
            "residues of one chain have the same number, and are no alternates of each other",
            found=", ".join(f"{residue.name} {residue.seqid}" for residue in whole[:5]),
        )


def _occupancy(residue: gemmi.Residue) -> float:
    return max((atom.occ for atom in residue), default=0.0)


def _author_numbers(
    placed: dict[int, gemmi.Residue], count: int, listed: Mapping[int, tuple[int, str]]
) -> list[tuple[int, str]]:
    """Author numbers of all places: the residue's own, else the file's table, else counted on from the one before."""
    own = {place: (residue.seqid.num or 0, residue.seqid.icode.strip()) for place, residue in placed.items()}
    known = {place - 1: number for place, number in listed.items()} | own
    first = min(known, default=0)
    start = known.get(first, (1, ""))[0]
    numbers: list[tuple[int, str]] = []
    for place in range(count):
        if place in known:
            numbers.append(known[place])
        elif place < first:
            numbers.append((start - first + place, ""))
        else:
            numbers.append((numbers[-1][0] + 1 if numbers else 1, ""))
    return numbers


def _closed(chain: _Chain) -> _Chain:
    """The chain, cyclic if its last residue is bonded to its first."""
    sequence = chain.sequence
    ends = {ChainKind.PROTEIN: ("C", "N"), ChainKind.DNA: ("O3'", "P"), ChainKind.RNA: ("O3'", "P")}.get(sequence.kind)
    last = len(sequence.residues) - 1
    if ends is None or last < 2 or 0 not in chain.residues or last not in chain.residues:
        return chain
    leave, enter = chain.residues[last].find_atom(ends[0], "*"), chain.residues[0].find_atom(ends[1], "*")
    if leave is None or enter is None or leave.pos.dist(enter.pos) > _RING_CLOSURE:
        return chain
    return dataclasses.replace(chain, sequence=dataclasses.replace(sequence, cyclic=True))


def _extra_bonds(
    parsed: ParsedFile, chains: list[_Chain], components: Mapping[str, Component]
) -> list[tuple[AtomAddress, AtomAddress]]:
    """Covalent bonds between residues that the sequences do not imply: what the file states, and what it left out.

    In a file of ours, a metal within a ligand (haem) that is linked was asked to be bonded.
    """
    types = {gemmi.ConnectionType.Covale, gemmi.ConnectionType.Disulf}
    if "provenance" in parsed.metadata:
        types.add(gemmi.ConnectionType.MetalC)
    structure = parsed.structure
    places = {
        (chain.auth_chain, residue.seqid.num, residue.seqid.icode, residue.name): (chain.sequence.label_id, place + 1)
        for chain in chains
        for place, residue in chain.residues.items()
    }
    bonds = []
    for link in structure.connections:
        if link.type not in types or link.asu == gemmi.Asu.Different:
            continue
        ends = []
        for partner in (link.partner1, link.partner2):
            key = (partner.chain_name, partner.res_id.seqid.num, partner.res_id.seqid.icode, partner.res_id.name)
            if key in places and _has_atom(key[3], partner.atom_name, components):
                ends.append((*places[key], partner.atom_name))
        codes = {partner.res_id.name for partner in (link.partner1, link.partner2)}
        if len(ends) == 2 and ends[0] != ends[1] and not any(_is_metal_ion(code, components) for code in codes):
            bonds.append((ends[0], ends[1]))
    bonds += _conect_bonds(structure, chains, components)
    seen = [
        SeenResidue(chain=chain.sequence.label_id, place=place + 1, residue=residue,
                    component=component(residue.name, components))
        for chain in chains if chain.sequence.kind != ChainKind.WATER
        for place, residue in chain.residues.items()
    ]  # fmt: skip
    return bonds + unstated_bonds(seen, bonds)


def _has_atom(code: str, atom_name: str, components: Mapping[str, Component]) -> bool:
    return atom_name in component(code, components).atom_index


def _is_metal_ion(code: str, components: Mapping[str, Component]) -> bool:
    """Whether a residue is a lone metal ion, whose bonds are coordination, not covalent."""
    whole = component(code, components)
    return len(whole) == 1 and gemmi.Element(int(whole.elements[0])).is_metal


def _conect_bonds(
    structure: gemmi.Structure, chains: list[_Chain], components: Mapping[str, Component]
) -> list[tuple[AtomAddress, AtomAddress]]:
    """Bonds of CONECT records between two residues of which at least one is no polymer's."""
    if not structure.conect_map:
        return []
    owner: dict[int, tuple[int, AtomAddress, bool]] = {}
    for row, chain in enumerate(chains):
        for place, residue in chain.residues.items():
            for atom in residue:
                address = (chain.sequence.label_id, place + 1, atom.name)
                owner[atom.serial] = (row, address, atom.element.is_metal)
    bonds = []
    for serial, partners in structure.conect_map.items():
        for partner in partners:
            if serial not in owner or partner not in owner or serial > partner:
                continue
            (row_1, end_1, metal_1), (row_2, end_2, metal_2) = owner[serial], owner[partner]
            polymers = [chains[row].sequence.kind not in (ChainKind.LIGAND, ChainKind.WATER) for row in (row_1, row_2)]
            known = all(
                _has_atom(chains[row].sequence.residues[end[1] - 1], end[2], components)
                for row, end in ((row_1, end_1), (row_2, end_2))
            )
            if end_1[:2] != end_2[:2] and not (metal_1 or metal_2 or all(polymers)) and known:
                bonds.append((end_1, end_2))
    return bonds


def _place(structure: Structure, chains: list[_Chain]) -> Structure:
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
    index, table = np.array(rows, np.int64)[finite], table[finite]
    positions, b_factor = kept.positions.copy(), kept.b_factor.copy()
    occupancy, resolved = np.zeros(len(kept), np.float32), kept.resolved.copy()
    positions[index], b_factor[index], occupancy[index] = table[:, :3], table[:, 3], table[:, 4]
    resolved[index] = True
    atoms = dataclasses.replace(kept, positions=positions, b_factor=b_factor, occupancy=occupancy, resolved=resolved)
    return dataclasses.replace(structure, atoms=atoms)


def _without_broken_links(structure: Structure, chains: list[_Chain]) -> Structure:
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

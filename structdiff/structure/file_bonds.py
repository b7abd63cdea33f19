"""Covalent bonds between residues that a file's sequences do not imply: stated, or left out and plain to see."""

from __future__ import annotations

from collections.abc import Mapping

import gemmi

from structdiff.chemistry.components import Component, component
from structdiff.structure.build import AtomAddress
from structdiff.structure.file_chains import FileChain
from structdiff.structure.parsed_file import ParsedFile
from structdiff.structure.tables import ChainKind
from structdiff.structure.unstated_bonds import SeenResidue, unstated_bonds


def extra_bonds(
    parsed: ParsedFile, chains: list[FileChain], components: Mapping[str, Component]
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
    structure: gemmi.Structure, chains: list[FileChain], components: Mapping[str, Component]
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
    # As a rule both atoms list a bond, but some programs write it with one of them, which may be either.
    pairs = dict.fromkeys(
        (min(serial, partner), max(serial, partner))
        for serial, partners in structure.conect_map.items()
        for partner in partners
    )
    bonds = []
    for serial, partner in pairs:
        if serial not in owner or partner not in owner:
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

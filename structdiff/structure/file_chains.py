"""The chains of a file: their kinds, full sequences and numbers, and which residue stands where in them."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import gemmi

from structdiff.chemistry.components import component, is_known
from structdiff.errors import InputError
from structdiff.structure.build import POLYMER_LINK, ChainSequence, chain_letters
from structdiff.structure.parsed_file import ParsedFile
from structdiff.structure.tables import ChainKind

_ONE_OF_THEM = 1.01  # the occupancy of all that alternate at one place, with what rounding adds
_RING_CLOSURE = 1.65  # Å; the two ends of a chain nearer than this are bonded
_SHORTEST_BOND = 0.5  # Å
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
class FileChain:
    """One chain of the file: its residues by place in the full sequence (from 0)."""

    sequence: ChainSequence
    residues: dict[int, gemmi.Residue]
    auth_chain: str
    complete: bool


def residue_groups(model: gemmi.Model, keep_waters: bool) -> list[tuple[str, list[gemmi.Residue]]]:
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


def file_chain(parsed: ParsedFile, row: int, auth_chain: str, residues: list[gemmi.Residue]) -> FileChain:
    """The chain of these residues, cyclic if its last is bonded to its first. row: its number in the file, from 0."""
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
    return _closed(FileChain(sequence=sequence, residues=placed, auth_chain=auth_chain, complete=fits))


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


def _closed(chain: FileChain) -> FileChain:
    """The chain, cyclic if its last residue is bonded to its first."""
    sequence = chain.sequence
    ends = POLYMER_LINK.get(sequence.kind)
    last = len(sequence.residues) - 1
    if ends is None or last < 2 or 0 not in chain.residues or last not in chain.residues:
        return chain
    leave, enter = chain.residues[last].find_atom(ends[0], "*"), chain.residues[0].find_atom(ends[1], "*")
    # Neither ends without coordinates nor those of a file whose atoms are all at one place are bonded.
    if leave is None or enter is None or not _SHORTEST_BOND < leave.pos.dist(enter.pos) <= _RING_CLOSURE:
        return chain
    return dataclasses.replace(chain, sequence=dataclasses.replace(sequence, cyclic=True))

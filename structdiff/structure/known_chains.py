"""Chains of a structure's file as programs count them that go by mmCIF's labels, and motifs put together from parts."""

from __future__ import annotations

import dataclasses
import string
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from structdiff.chemistry.components import component, component_from_smiles
from structdiff.chemistry.residues import CENTRE_ATOM, PROTEIN_THREE_TO_ONE
from structdiff.packed_files import plain_name
from structdiff.spec.imported import KnownChain, KnownResidue, MotifPart
from structdiff.spec.segments import ResidueId
from structdiff.structure.assembly import concatenated
from structdiff.structure.build import ChainSequence, build_structure, chain_letters
from structdiff.structure.files import PDB_SUFFIXES, read_structure
from structdiff.structure.motif_residues import ligand_residues, motif_residues
from structdiff.structure.tables import ChainKind, Structure

_FREE_LIGAND = "LIG"
#: In the order in which ligands of PDB files are named, whose chains have one letter.
_SPARE = string.ascii_uppercase[::-1] + string.digits[::-1]


def known_chains(path: Path) -> tuple[KnownChain, ...]:
    """The chains of a structure's file, without waters, with residues that were not seen. Raises InputError.

    Those of mmCIF files are called by their labels. Of PDB files the first of a letter has it, as its polymer does
    where it has one, and each other (a ligand) the last letter of the alphabet that is free, as BoltzGen 0.3.2 calls
    them.
    """
    structure = read_structure(path)
    is_pdb = Path(plain_name(path)).suffix.lower() in PDB_SUFFIXES
    labels = structure.chains.label_id.tolist()
    names = _spare_names(structure.chains.name.tolist()) if is_pdb else labels
    seen = {row: residue for residue, row in (motif_residues(structure) | ligand_residues(structure)).items()}
    return tuple(
        KnownChain(
            name=str(name),
            kind=ChainKind(structure.chains.kind[row]).name.lower(),
            residues=tuple(_known_residue(structure, each, seen) for each in _rows(structure, row)),
        )
        for row, name in enumerate(names)
    )


def _rows(structure: Structure, chain: int) -> Iterator[int]:
    span = structure.chain_residues(chain)
    return iter(range(span.start, span.stop))


def _spare_names(names: Sequence[str]) -> list[str]:
    letters, found = [name[:1] for name in names], []
    for letter in letters:
        spare = (each for each in _SPARE if each not in letters and each not in found)
        found.append(next(spare, letter) if letter in found else letter)
    return found


def _known_residue(structure: Structure, row: int, seen: dict[int, ResidueId]) -> KnownResidue:
    residues, name = structure.residues, str(structure.residues.name[row])
    unseen = ResidueId(
        chain=str(structure.chains.name[residues.chain[row]]),
        number=int(residues.author_seq_id[row]),
        insertion_code=str(residues.insertion_code[row]),
    )
    return KnownResidue(
        id=seen.get(row, unseen),
        letter=PROTEIN_THREE_TO_ONE.get("MET" if name == "MSE" else name, ""),
        seen=row in seen,
        centre=_centre(structure, row, CENTRE_ATOM.get(name)),
    )


def _centre(structure: Structure, row: int, wanted: str | None) -> tuple[float, float, float] | None:
    """Where the atom of that name is, or without a name the first that was seen (Å)."""
    atoms, rows = structure.atoms, np.arange(len(structure.atoms))[structure.residue_atoms(row)]
    there = rows[atoms.resolved[rows] & ((atoms.name[rows] == wanted) | (wanted is None))]
    return tuple(atoms.positions[there[0]].tolist()) if len(there) else None


def motif_of_parts(parts: Sequence[MotifPart], name: str) -> Structure:
    """One structure of several files, each where its own file has it, or a ligand alone in its ideal conformer.

    Raises InputError for a file that cannot be read, or a component that does not exist.
    """
    found, chains, entities = [], 0, 0
    for part in parts:
        structure = _free_ligand(part) if part.path is None else read_structure(part.path)
        names = [part.renamed.get(each, each) for each in structure.chains.name.tolist()]
        table = dataclasses.replace(
            structure.chains,
            name=np.array(names),
            label_id=np.array([chain_letters(chains + row) for row in range(len(names))]),
            entity_id=structure.chains.entity_id + np.int32(entities),
        )
        found.append(dataclasses.replace(structure, chains=table))
        chains, entities = chains + len(names), int(table.entity_id.max()) + 1
    return dataclasses.replace(concatenated(found), name=name, metadata={})


def _free_ligand(part: MotifPart) -> Structure:
    code = part.ccd or _FREE_LIGAND
    whole = component_from_smiles(part.smiles, code, f"the ligand {part.smiles}") if part.smiles else component(code)
    chain = ChainSequence(name=part.chain, kind=ChainKind.LIGAND, residues=(code,))
    structure = build_structure([chain], components={code: whole} if part.smiles else {}, name=code)
    places = [whole.atom_index[name] for name in structure.atoms.name.tolist()]
    return structure.with_positions(whole.ideal_positions[places])

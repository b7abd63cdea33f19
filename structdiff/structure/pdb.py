"""What a PDB file holds, as gemmi reads it, with the names of old files brought to today's."""

from __future__ import annotations

import gemmi

from structdiff.errors import InputError
from structdiff.structure.entities import set_up_entities
from structdiff.structure.foreign_names import rename_foreign
from structdiff.structure.mmcif import metadata_of
from structdiff.structure.parsed_file import ParsedFile
from structdiff.structure.pdb_chains import with_own_chain_ids
from structdiff.structure.pdb_lines import lines_in_columns
from structdiff.structure.repeated_names import number_repeated_names


def parse_pdb(text: str, name: str) -> ParsedFile:
    """What a PDB file holds, hydrogens dropped; each chain of a polymer has an id of its own.

    Raises InputError for text that is no PDB file or has no atoms.
    """
    lines, long_names = lines_in_columns(text)
    try:
        structure = _read(with_own_chain_ids(lines))
    except (ValueError, RuntimeError) as error:
        raise InputError(f"this is not a whole PDB file: {' '.join(str(error).split())[:160]}") from None
    if len(structure) == 0:
        raise InputError("no atoms in this file (no ATOM or HETATM records)")
    structure.remove_hydrogens()
    for residue in (residue for model in structure for chain in model for residue in chain):
        residue.name = long_names.get(residue.name, residue.name)
    number_repeated_names(structure, name)
    rename_foreign(structure)
    set_up_entities(structure)
    structure.assign_label_seq_id()
    provenance = _provenance(structure)
    if "spec" in provenance:
        _take_waters_for_ligands(structure)
    return ParsedFile(
        structure=structure,
        name=dict(structure.info).get("_entry.id", name),
        labelled=False,
        metadata=metadata_of(structure) | ({"provenance": provenance} if provenance else {}),
    )


def _read(text: str) -> gemmi.Structure:
    try:
        return gemmi.read_pdb_string(text)
    except (ValueError, RuntimeError):
        # Before 1996 the last columns of every line held the entry's name and a line number, not element and charge.
        lines = [line[:72] if line.startswith(("ATOM", "HETATM")) else line for line in text.splitlines()]
        return gemmi.read_pdb_string("\n".join(lines))


def _take_waters_for_ligands(structure: gemmi.Structure) -> None:
    """As mmCIF has them: a structure of ours has only the waters that were asked for."""
    for residue in (residue for model in structure for chain in model for residue in chain):
        if residue.entity_type == gemmi.EntityType.Water:
            residue.entity_type = gemmi.EntityType.NonPolymer


def _provenance(structure: gemmi.Structure) -> dict[str, str]:
    """The entries that ``pdb_text`` puts into REMARK 99: ``key: value``, continued on lines that begin with a plus."""
    entries: dict[str, str] = {}
    key = ""
    for line in structure.raw_remarks:
        body = line.rstrip()[11:].ljust(69)  # a line may end in a blank of the value
        if not line.startswith("REMARK  99") or not body.strip():
            continue
        if body.startswith("+"):
            entries[key] += body[1:]
        elif ": " in body:
            key, _, value = body.partition(": ")
            entries[key] = value
    return {key: value.rstrip() for key, value in entries.items()}

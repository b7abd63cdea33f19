"""What a PDB file holds, as gemmi reads it, with the names of old files brought to today's."""

from __future__ import annotations

import gemmi

from structdiff.errors import InputError
from structdiff.structure.build import chain_letters
from structdiff.structure.mmcif import metadata_of
from structdiff.structure.reading import ParsedFile

#: Residue names of force fields and old files.
_RESIDUES = {
    **dict.fromkeys(("HID", "HIE", "HIP", "HSD", "HSE", "HSP"), "HIS"), "CYX": "CYS", "CYM": "CYS", "ASH": "ASP",
    "GLH": "GLU", "LYN": "LYS", "WAT": "HOH", "TIP": "HOH", "TP3": "HOH", "SOL": "HOH",
}  # fmt: skip
_ATOMS = {"O1P": "OP1", "O2P": "OP2", "O3P": "OP3"}
_NUCLEOTIDES = ("A", "C", "G", "U", "T", "I")


def parse_pdb(text: str, name: str) -> ParsedFile:
    """What a PDB file holds, hydrogens dropped. Raises InputError for text that is no PDB file or has no atoms."""
    try:
        structure = _read(text)
    except (ValueError, RuntimeError) as error:
        raise InputError(f"this is not a whole PDB file: {' '.join(str(error).split())[:160]}") from None
    if len(structure) == 0:
        raise InputError("no atoms in this file (no ATOM or HETATM records)")
    structure.remove_hydrogens()
    for model in structure:
        names = [chain.name for chain in model]
        for chain in model:
            chain.name = chain.name.strip() or _free_letter(names)
            for residue in chain:
                _rename(residue)
    structure.setup_entities()
    structure.assign_label_seq_id()
    provenance = _provenance(structure)
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


def _free_letter(names: list[str]) -> str:
    """A chain id for a chain that has none."""
    return next(letter for letter in map(chain_letters, range(len(names) + 1)) if letter not in names)


def _rename(residue: gemmi.Residue) -> None:
    residue.name = _RESIDUES.get(residue.name, residue.name)
    nucleotide = residue.name in (*_NUCLEOTIDES, "DA", "DC", "DG", "DT", "DU", "DI")
    names = {atom.name for atom in residue}
    if nucleotide:
        for atom in residue:
            atom.name = _ATOMS.get(atom.name, atom.name).replace("*", "'")
        names = {atom.name for atom in residue}
    if residue.name in _NUCLEOTIDES and "C2'" in names and "O2'" not in names:
        residue.name = f"D{residue.name}"
    if residue.name == "DT" and "C5M" in names:
        next(atom for atom in residue if atom.name == "C5M").name = "C7"
    if residue.name == "ILE" and "CD" in names and "CD1" not in names:
        next(atom for atom in residue if atom.name == "CD").name = "CD1"


def _provenance(structure: gemmi.Structure) -> dict[str, str]:
    """The entries that ``pdb_text`` puts into REMARK 99: ``key: value``, continued on lines that begin with a plus."""
    entries: dict[str, str] = {}
    key = ""
    for line in structure.raw_remarks:
        body = line.rstrip()[11:]
        if not line.startswith("REMARK  99") or not body:
            continue
        if body.startswith("+"):
            entries[key] += body[1:]
        elif ": " in body:
            key, _, value = body.partition(": ")
            entries[key] = value
    return entries

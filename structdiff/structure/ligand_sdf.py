"""Ligands of structures as SDF: bonds, charges and positions, for docking and for checks of molecules."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from structdiff.errors import InputError
from structdiff.structure.files import write_atomically
from structdiff.structure.ligand_molecules import ligand_molecule, ligand_rows
from structdiff.structure.tables import Structure

#: What the file of a structure's ligands is called, after its name.
LIGANDS_SUFFIX = ".ligands.sdf"
_WIDTH = 200  # characters of a line of a field, at most
_SMALLEST = 2  # heavy atoms: an ion has no bonds to tell


def write_ligands(structure: Structure, folder: Path, name: str) -> tuple[Path | None, str]:
    """Writes NAME.ligands.sdf, or removes one of before where there are no ligands; its path, and what it lacks.

    Raises InputError where it cannot be written.
    """
    path = folder / f"{name}{LIGANDS_SUFFIX}"
    text, missing = ligands_sdf(structure)
    note = f"not in {path.name}: {'; '.join(missing)}" if missing else ""
    if text:
        return write_atomically(path, text), note
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise InputError(f"cannot be replaced: {error.strerror or error}", path=path) from None
    return None, note


def ligands_sdf(structure: Structure) -> tuple[str, tuple[str, ...]]:
    """The ligands of a structure as the text of an SDF file, "" without any; and why those are missing that are.

    A record is a ligand of two heavy atoms or more that bonds hold together, named by its chains and components.
    Hydrogens are left to what reads it. Fields tell chains, components, numbers of residues, names of atoms, atoms of
    the polymer that it is bonded to (where each bond counts as one to a hydrogen), and the mean pLDDT (its B-factors).
    """
    records, missing = [], []
    for rows in ligand_rows(structure, _SMALLEST):
        for part in _molecules(structure, rows[structure.atoms.resolved[rows]]):
            record = _record(structure, part)
            if isinstance(record, str):
                records.append(record)
            else:
                missing.append(f"ligand {_title(structure, part)}: {record.reason}")
    return "".join(records), tuple(missing)


def _molecules(structure: Structure, rows: np.ndarray) -> Iterator[np.ndarray]:
    """The parts of a ligand that bonds hold together: several components of one may be none of them bonded."""
    place = np.full(len(structure.atoms), -1)
    place[rows] = np.arange(len(rows))
    ends = place[np.stack([structure.bonds.atom_1, structure.bonds.atom_2])]
    one, other = ends[:, (ends >= 0).all(0)]
    _, part = connected_components(coo_matrix((np.ones(len(one)), (one, other)), shape=(len(rows),) * 2), False)
    for number in range(part.max() + 1):
        if (part == number).sum() >= _SMALLEST:
            yield rows[part == number]


class _Refused:
    """A ligand that RDKit takes for no molecule, and why."""

    def __init__(self, reason: str) -> None:
        self.reason = reason


def _record(structure: Structure, rows: np.ndarray) -> str | _Refused:
    from rdkit import Chem, rdBase

    with rdBase.BlockLogs():
        molecule = ligand_molecule(structure, rows)
        problems = Chem.DetectChemistryProblems(molecule)
        if problems:
            return _Refused(problems[0].Message())
        Chem.SanitizeMol(molecule)
        Chem.AssignStereochemistryFrom3D(molecule)
        molecule.SetProp("_Name", _title(structure, rows))
        block = Chem.MolToMolBlock(molecule)
    fields = [
        "\n".join([f">  <{name}>", *textwrap.wrap(value, _WIDTH, break_long_words=False), "", ""])
        for name, value in _fields(structure, rows).items()
        if value
    ]
    return f"{block}{''.join(fields)}$$$$\n"


def _residues(structure: Structure, rows: np.ndarray) -> list[int]:
    return np.unique(structure.atoms.residue[rows]).tolist()


def _title(structure: Structure, rows: np.ndarray) -> str:
    residues = _residues(structure, rows)
    chains = dict.fromkeys(structure.chains.name[structure.residues.chain[residues]].tolist())
    return f"{'+'.join(chains)} {'-'.join(structure.residues.name[residues].tolist())}"


def _fields(structure: Structure, rows: np.ndarray) -> dict[str, str]:
    atoms, residues = structure.atoms, _residues(structure, rows)
    chains = structure.chains.name[structure.residues.chain[residues]].tolist()
    return {
        "chains": " ".join(dict.fromkeys(chains)),
        "components": " ".join(structure.residues.name[residues].tolist()),
        "residue_numbers": " ".join(map(str, structure.residues.author_seq_id[residues].tolist())),
        "atom_names": " ".join(atoms.name[rows].tolist()),
        "bonded_to": " ".join(_partners(structure, rows)),
        "mean_plddt_0_to_100": f"{float(atoms.b_factor[rows].mean()):.2f}",
    }


def _partners(structure: Structure, rows: np.ndarray) -> list[str]:
    """Both ends of each bond that leads out of a ligand: ``C1-A/4/ND2``."""
    bonds, atoms, found = structure.bonds, structure.atoms, []
    for ends in np.stack([bonds.atom_1, bonds.atom_2], axis=1):
        inside = np.isin(ends, rows)
        if inside.sum() == 1:
            own, other = int(ends[inside][0]), int(ends[~inside][0])
            residue = int(atoms.residue[other])
            chain = structure.chains.name[structure.residues.chain[residue]]
            number = structure.residues.author_seq_id[residue]
            found.append(f"{atoms.name[own]}-{chain}/{number}/{atoms.name[other]}")
    return found

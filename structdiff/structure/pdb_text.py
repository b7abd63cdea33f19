"""The text of a PDB file (format 3.3); what the format cannot hold is an error that names mmCIF."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping

import numpy as np

from structdiff.chemistry.elements import element_symbol
from structdiff.chemistry.residues import is_standard
from structdiff.errors import InputError
from structdiff.structure.residue_bonds import bonds_between_residues
from structdiff.structure.tables import ChainKind, Structure

_POLYMERS = (ChainKind.PROTEIN, ChainKind.DNA, ChainKind.RNA)
_WAY_OUT = "write mmCIF instead (a file name that ends in .cif)"


def pdb_text(structure: Structure, *, provenance: Mapping[str, str] | None = None) -> str:
    """The PDB file of a structure: its resolved atoms, sequences, bonds of ligands, links and disulfides.

    provenance goes into REMARK 99. Raises InputError, naming mmCIF as the way out, for chain ids longer than a letter,
    component codes longer than three, more than 99999 atoms, and numbers and positions that do not fit their columns.
    """
    if not structure.atoms.resolved.any():
        raise InputError(f"structure {structure.name!r} has no atom with a position, so there is nothing to write")
    _check(structure)
    kept = structure.metadata.get("provenance")
    entries = provenance if provenance is not None else kept if isinstance(kept, Mapping) else {}
    serials, atom_lines = _atom_lines(structure)
    lines = [
        *_header_lines(structure),
        *_remark_lines(entries),
        *_sequence_lines(structure),
        *_link_lines(structure),
        *atom_lines,
        *_conect_lines(structure, serials),
        "END",
    ]
    return "".join(f"{line:<80}\n" for line in lines)


def _check(structure: Structure) -> None:
    atoms, residues, chains = structure.atoms, structure.residues, structure.chains
    present = np.unique(atoms.residue[atoms.resolved])
    used = np.unique(residues.chain[present])
    terminators = int(np.isin(chains.kind[used], _POLYMERS).sum())
    names, codes = chains.name[used].tolist(), residues.name[present].tolist()
    numbers = residues.author_seq_id[present]
    positions = atoms.positions[atoms.resolved]
    problems = [
        *(f"PDB chain ids are one character, found {name!r}" for name in names if len(name) != 1),
        *(f"PDB component codes are at most three characters, found {code!r}" for code in codes if len(code) > 3),
        *(f"PDB residue numbers are -999 to 9999, found {n}" for n in numbers[(numbers < -999) | (numbers > 9999)]),
    ]
    if int(atoms.resolved.sum()) + terminators > 99999:
        problems.append(f"PDB holds at most 99999 atoms, found {int(atoms.resolved.sum())}")
    if positions.min() < -999.0 or positions.max() > 9999.0:
        problems.append("PDB positions are -999 to 9999 Å")
    problems += [f"PDB atom names are at most four characters, found {n!r}" for n in atoms.name.tolist() if len(n) > 4]
    problems += [f"two residues would both be {text}" for text in _repeated(structure, present)]
    if problems:
        raise InputError(f"{problems[0]}; {_WAY_OUT}")


def _repeated(structure: Structure, present: np.ndarray) -> list[str]:
    residues = structure.residues
    names = structure.chains.name[residues.chain[present]].tolist()
    keys = list(
        zip(names, residues.author_seq_id[present].tolist(), residues.insertion_code[present].tolist(), strict=True)
    )
    seen: set[tuple[str, int, str]] = set()
    return [f"chain {k[0]} residue {k[1]}{k[2]}" for k in keys if k in seen or seen.add(k)]


def _header_lines(structure: Structure) -> Iterator[str]:
    known = structure.metadata
    yield f"HEADER    {'':40}{'':9}   {_ascii(structure.name.upper(), '_')[:4]:<4}"
    if known.get("method"):
        yield f"EXPDTA    {str(known['method'])[:69]}"
    if isinstance(known.get("resolution"), float):
        yield f"REMARK   2 RESOLUTION. {known['resolution']:7.2f} ANGSTROMS."


def _ascii(text: str, sign: str | None = None) -> str:
    """A text with ``sign``, or the escape of JSON, in the place of each letter that is not ASCII."""
    return re.sub(r"[^\x00-\x7f]", lambda found: sign or json.dumps(found[0])[1:-1], text)


def _remark_lines(entries: Mapping[str, str]) -> Iterator[str]:
    """REMARK 99 lines: ``key: value``; a long value goes on in lines that begin with a plus.

    The format is ASCII: other letters stand as JSON escapes them, as most values are JSON.
    """
    for key, value in entries.items():
        text = " ".join(_ascii(f"{key}: {value}").splitlines())
        yield f"REMARK  99 {text[:69]}"
        for start in range(69, len(text), 68):
            yield f"REMARK  99 +{text[start : start + 68]}"


def _sequence_lines(structure: Structure) -> Iterator[str]:
    for row in np.flatnonzero(np.isin(structure.chains.kind, _POLYMERS)):
        codes = structure.residues.name[structure.chain_residues(int(row))].tolist()
        for number, start in enumerate(range(0, len(codes), 13), 1):
            listed = " ".join(f"{code:>3}" for code in codes[start : start + 13])
            yield f"SEQRES {number:3d} {structure.chains.name[row]} {len(codes):4d}  {listed}"


def _residue_place(structure: Structure, residue: int) -> tuple[str, str, int, str]:
    table = structure.residues
    chain = str(structure.chains.name[table.chain[residue]])
    code = str(table.insertion_code[residue]) or " "
    return str(table.name[residue]), chain, int(table.author_seq_id[residue]), code


def _link_lines(structure: Structure) -> Iterator[str]:
    """SSBOND and LINK records of the bonds between residues that the sequence does not imply."""
    atoms, bonds = structure.atoms, structure.bonds
    links = []
    disulfides = 0
    for row in bonds_between_residues(structure):
        first, second = int(bonds.atom_1[row]), int(bonds.atom_2[row])
        if not (atoms.resolved[first] and atoms.resolved[second]):
            continue
        ends = [_residue_place(structure, int(atoms.residue[end])) for end in (first, second)]
        length = float(np.linalg.norm(atoms.positions[first] - atoms.positions[second]))
        if all(end[0] == "CYS" for end in ends) and atoms.element[first] == atoms.element[second] == 16:
            disulfides += 1
            (_, c1, n1, i1), (_, c2, n2, i2) = ends
            sides = f"CYS {c1} {n1:4d}{i1}   CYS {c2} {n2:4d}{i2}"
            yield f"SSBOND {disulfides:3d} {sides}{'':25}1555   1555 {length:5.2f}"
        else:
            sides = [
                f"{_atom_field(structure, end)} {code:>3} {chain}{number:4d}{icode}"
                for end, (code, chain, number, icode) in zip((first, second), ends, strict=True)
            ]
            links.append(f"LINK        {sides[0]}{'':15}{sides[1]}    1555   1555 {length:5.2f}")
    yield from links


def _atom_field(structure: Structure, atom: int) -> str:
    """The four columns of an atom name: one-letter elements begin in the second."""
    name, symbol = str(structure.atoms.name[atom]), element_symbol(int(structure.atoms.element[atom]))
    return f" {name:<3}" if len(symbol) == 1 and len(name) < 4 else f"{name:<4}"


def _atom_lines(structure: Structure) -> tuple[dict[int, int], list[str]]:
    """Serial number of each written atom, and the ATOM, HETATM and TER lines."""
    atoms, chains = structure.atoms, structure.chains
    serials: dict[int, int] = {}
    lines: list[str] = []
    serial = 0
    for chain_row in range(len(chains)):
        polymer = int(chains.kind[chain_row]) in _POLYMERS
        last = None
        for residue in range(*structure.chain_residues(chain_row).indices(len(structure.residues))):
            place = _residue_place(structure, residue)
            record = "ATOM  " if polymer and is_standard(place[0]) else "HETATM"
            span = structure.residue_atoms(residue)
            for atom in np.flatnonzero(atoms.resolved[span]) + span.start:
                serial += 1
                serials[int(atom)] = serial
                lines.append(_atom_line(structure, int(atom), record, serial, place))
                last = place
        if polymer and last is not None:
            serial += 1
            lines.append(f"TER   {serial:5d}      {last[0]:>3} {last[1]}{last[2]:4d}{last[3]}")
    return serials, lines


def _atom_line(structure: Structure, atom: int, record: str, serial: int, place: tuple[str, str, int, str]) -> str:
    atoms = structure.atoms
    x, y, z = atoms.positions[atom].tolist()
    symbol = element_symbol(int(atoms.element[atom])).upper()
    charge = int(atoms.charge[atom])
    sign = f"{abs(charge)}{'+' if charge > 0 else '-'}" if charge else "  "
    code, chain, number, icode = place
    b_factor = min(max(float(atoms.b_factor[atom]), -99.99), 999.99)
    return (
        f"{record}{serial:5d} {_atom_field(structure, atom)} {code:>3} {chain}{number:4d}{icode}   "
        f"{x:8.3f}{y:8.3f}{z:8.3f}{float(atoms.occupancy[atom]):6.2f}{b_factor:6.2f}          {symbol:>2}{sign}"
    )


def _conect_lines(structure: Structure, serials: Mapping[int, int]) -> Iterator[str]:
    """Bonds of everything that is no standard residue, and bonds between residues; double ones are listed twice."""
    atoms, bonds = structure.atoms, structure.bonds
    standard = np.array([is_standard(name) for name in structure.residues.name.tolist()])
    first, second = atoms.residue[bonds.atom_1], atoms.residue[bonds.atom_2]
    wanted = ~(standard[first] & standard[second])
    wanted[bonds_between_residues(structure)] = True
    partners: dict[int, list[int]] = defaultdict(list)
    for row in np.flatnonzero(wanted):
        ends = serials.get(int(bonds.atom_1[row])), serials.get(int(bonds.atom_2[row]))
        if ends[0] is None or ends[1] is None:
            continue
        repeats = int(bonds.order[row]) if bonds.order[row] in (2, 3) else 1
        partners[ends[0]] += [ends[1]] * repeats
        partners[ends[1]] += [ends[0]] * repeats
    for serial in sorted(partners):
        listed = sorted(partners[serial])
        for start in range(0, len(listed), 4):
            yield f"CONECT{serial:5d}" + "".join(f"{partner:5d}" for partner in listed[start : start + 4])

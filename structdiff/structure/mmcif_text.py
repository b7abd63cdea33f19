"""The text of an mmCIF file: atoms, sequences, bonds, both numberings, confidence and provenance.

Categories and items follow the PDBx/mmCIF dictionary and ModelCIF; ``structdiff_provenance`` is our own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import gemmi
import numpy as np

from structdiff.chemistry.components import AROMATIC
from structdiff.chemistry.elements import element_symbol
from structdiff.chemistry.residues import is_standard
from structdiff.errors import InputError
from structdiff.structure.mmcif_components import write_components
from structdiff.structure.mmcif_items import ORDER_NAMES, POLYMER_TYPES, label_places, write_loop
from structdiff.structure.mmcif_quality import write_quality
from structdiff.structure.residue_bonds import bonds_between_residues
from structdiff.structure.tables import ChainKind, Structure
from structdiff.version import __version__


def mmcif_text(
    structure: Structure, *, provenance: Mapping[str, str] | None = None, confidence: bool = False,
    mean_plddt: float | None = None,
) -> str:  # fmt: skip
    """The mmCIF file of a structure: its resolved atoms, sequences, bonds and both numberings.

    provenance: what made the structure, kept as ``_structdiff_provenance``. confidence: the B-factors are pLDDT (0-100)
    and are listed by residue as a quality metric too. mean_plddt: that of the whole, where only a part was judged; else
    the mean over the file's tokens. Raises InputError where no atom has a position.
    """
    if not structure.atoms.resolved.any():
        raise InputError(f"structure {structure.name!r} has no atom with a position, so there is nothing to write")
    document = gemmi.cif.Document()
    title = structure.name or "structdiff"
    block = document.add_new_block("".join(c if (c.isascii() and c.isalnum()) or c in "-_." else "_" for c in title))
    block.set_pair("_entry.id", gemmi.cif.quote(title))
    _write_provenance(block, structure, title, provenance)
    _write_entities(block, structure)
    write_components(block, structure)
    _write_connections(block, structure)
    if confidence:
        write_quality(block, structure, mean_plddt)
    _write_atoms(block, structure)
    return document.as_string()


def _write_provenance(
    block: gemmi.cif.Block, structure: Structure, title: str, provenance: Mapping[str, str] | None
) -> None:
    known = structure.metadata
    if known.get("method"):
        write_loop(block, "exptl", {"entry_id": [title], "method": [known["method"]]})
    if known.get("resolution"):
        write_loop(
            block, "refine", {"entry_id": [title], "pdbx_refine_id": ["1"], "ls_d_res_high": [known["resolution"]]}
        )
    if known.get("deposited"):
        item = "recvd_initial_deposition_date"
        write_loop(block, "pdbx_database_status", {"entry_id": [title], item: [known["deposited"]]})
    write_loop(
        block,
        "software",
        {"pdbx_ordinal": [1], "name": ["structdiff"], "version": [__version__], "classification": ["model building"]},
    )
    kept = known.get("provenance")
    entries = provenance if provenance is not None else kept if isinstance(kept, Mapping) else {}
    write_loop(
        block, "structdiff_provenance", {"key": list(entries), "value": [str(value) for value in entries.values()]}
    )


def _write_entities(block: gemmi.cif.Block, structure: Structure) -> None:
    chains, residues = structure.chains, structure.residues
    entity_ids, first_rows = np.unique(chains.entity_id, return_index=True)
    spans = [structure.chain_residues(int(row)) for row in first_rows]
    kinds = [ChainKind(int(chains.kind[row])) for row in first_rows]
    polymers = [index for index, kind in enumerate(kinds) if kind in POLYMER_TYPES]
    types = [_entity_type(kind, span.stop - span.start) for kind, span in zip(kinds, spans, strict=True)]
    write_loop(block, "entity", {"id": entity_ids + 1, "type": types})
    write_loop(
        block,
        "entity_poly",
        {
            "entity_id": [entity_ids[i] + 1 for i in polymers],
            "type": [POLYMER_TYPES[kinds[i]] for i in polymers],
            "pdbx_strand_id": [",".join(chains.name[chains.entity_id == entity_ids[i]]) for i in polymers],
        },
    )
    places = [
        (entity_ids[i] + 1, place, name)
        for i in polymers
        for place, name in enumerate(residues.name[spans[i]].tolist(), 1)
    ]
    columns = list(zip(*places, strict=True)) or [(), (), ()]
    tags = ("entity_id", "num", "mon_id")
    hetero = {"hetero": ["n"] * len(places)}
    write_loop(block, "entity_poly_seq", dict(zip(tags, columns, strict=True)) | hetero)
    write_loop(block, "struct_asym", {"id": chains.label_id, "entity_id": chains.entity_id + 1})
    rows = np.flatnonzero(np.isin(chains.kind, list(POLYMER_TYPES))[residues.chain])
    write_loop(
        block,
        "pdbx_poly_seq_scheme",
        {
            "asym_id": chains.label_id[residues.chain[rows]],
            "entity_id": chains.entity_id[residues.chain[rows]] + 1,
            "seq_id": residues.label_seq_id[rows],
            "mon_id": residues.name[rows],
            "pdb_seq_num": residues.author_seq_id[rows],
            "pdb_strand_id": chains.name[residues.chain[rows]],
            "pdb_ins_code": [code or "." for code in residues.insertion_code[rows].tolist()],
            "hetero": ["n"] * len(rows),
        },
    )


def _entity_type(kind: ChainKind, length: int) -> str:
    if kind in POLYMER_TYPES:
        return "polymer"
    if kind == ChainKind.WATER:
        return "water"
    return "non-polymer" if length == 1 else "branched"


def _write_connections(block: gemmi.cif.Block, structure: Structure) -> None:
    atoms, bonds = structure.atoms, structure.bonds
    rows = bonds_between_residues(structure)
    rows = rows[atoms.resolved[bonds.atom_1[rows]] & atoms.resolved[bonds.atom_2[rows]]]
    ends = (bonds.atom_1[rows], bonds.atom_2[rows])
    sulphur = (atoms.element[ends[0]] == 16) & (atoms.element[ends[1]] == 16)
    metal = [any(gemmi.Element(int(each)).is_metal for each in pair) for pair in atoms.element[np.stack(ends, 1)]]
    kinds = ["metalc" if one else "disulf" if both else "covale" for one, both in zip(metal, sulphur, strict=True)]
    columns: dict[str, Sequence[object] | np.ndarray] = {
        "id": [f"{kind}{number}" for number, kind in enumerate(kinds, 1)],
        "conn_type_id": kinds,
    }
    for number, end in enumerate(ends, 1):
        columns.update({f"ptnr{number}_{tag}": values for tag, values in _address_columns(structure, end).items()})
        columns[f"pdbx_ptnr{number}_PDB_ins_code"] = columns.pop(f"ptnr{number}_ins_code")
    distance = np.linalg.norm(atoms.positions[ends[0]] - atoms.positions[ends[1]], axis=1)
    columns["pdbx_dist_value"] = [f"{value:.3f}" for value in distance]
    columns["pdbx_value_order"] = [ORDER_NAMES[order] if order < AROMATIC else "sing" for order in bonds.order[rows]]
    write_loop(block, "struct_conn", columns)
    present = sorted(set(kinds))
    write_loop(block, "struct_conn_type", {"id": present})


def _address_columns(structure: Structure, atoms: np.ndarray) -> dict[str, Sequence[object] | np.ndarray]:
    residues, chains = structure.residues, structure.chains
    residue = structure.atoms.residue[atoms]
    chain = residues.chain[residue]
    return {
        "label_asym_id": chains.label_id[chain],
        "label_comp_id": residues.name[residue],
        "label_seq_id": label_places(structure, residue),
        "label_atom_id": structure.atoms.name[atoms],
        "auth_asym_id": chains.name[chain],
        "auth_seq_id": residues.author_seq_id[residue],
        "ins_code": [code or "?" for code in residues.insertion_code[residue].tolist()],
    }


def _write_atoms(block: gemmi.cif.Block, structure: Structure) -> None:
    atoms, residues, chains = structure.atoms, structure.residues, structure.chains
    rows = np.flatnonzero(atoms.resolved)
    residue = atoms.residue[rows]
    address = _address_columns(structure, rows)
    standard = np.array([is_standard(name) for name in residues.name.tolist()])
    polymer = np.isin(chains.kind, list(POLYMER_TYPES))[residues.chain]
    charges = atoms.charge[rows].tolist()
    write_loop(
        block,
        "atom_site",
        {
            "group_PDB": np.where((standard & polymer)[residue], "ATOM", "HETATM"),
            "id": range(1, len(rows) + 1),
            "type_symbol": [element_symbol(number).upper() for number in atoms.element[rows].tolist()],
            "label_atom_id": address["label_atom_id"],
            "label_alt_id": ["."] * len(rows),
            "label_comp_id": address["label_comp_id"],
            "label_asym_id": address["label_asym_id"],
            "label_entity_id": chains.entity_id[residues.chain[residue]] + 1,
            "label_seq_id": address["label_seq_id"],
            "pdbx_PDB_ins_code": address["ins_code"],
            **{f"Cartn_{axis}": [f"{value:.3f}" for value in atoms.positions[rows, column].tolist()]
               for column, axis in enumerate("xyz")},
            "occupancy": [f"{value:.2f}" for value in atoms.occupancy[rows].tolist()],
            "B_iso_or_equiv": [f"{value:.2f}" for value in atoms.b_factor[rows].tolist()],
            "pdbx_formal_charge": [str(charge) if charge else "?" for charge in charges],
            "auth_seq_id": address["auth_seq_id"],
            "auth_comp_id": address["label_comp_id"],
            "auth_asym_id": address["auth_asym_id"],
            "auth_atom_id": address["label_atom_id"],
            "pdbx_PDB_model_num": ["1"] * len(rows),
        },
    )  # fmt: skip

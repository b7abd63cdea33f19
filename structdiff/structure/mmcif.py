"""What an mmCIF file holds: gemmi's structure, and what gemmi does not keep of the file."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import gemmi
import numpy as np

from structdiff.chemistry.components import Component, component, is_known, kind_of_type
from structdiff.chemistry.elements import atomic_number
from structdiff.errors import InputError
from structdiff.structure.entities import set_up_entities
from structdiff.structure.foreign_names import rename_foreign
from structdiff.structure.observed_components import ComponentBond, rows_of_bonds
from structdiff.structure.parsed_file import ParsedFile
from structdiff.structure.repeated_names import number_repeated_names

_COLUMNS = ("id", "type_symbol", "label_asym_id", "Cartn_y", "Cartn_z")
_ALTERNATE = "_atom_site.label_alt_id"
_ORDER_NUMBERS = {"SING": 1, "DOUB": 2, "TRIP": 3}
#: What our own files say of components that came with the request.
_ABOUT_OWN = ("?mon_nstd_parent_comp_id", "?one_letter_code", "?structdiff_own")
#: mmCIF's type of a component, by our kind.
COMPONENT_TYPES = {"peptide": "L-peptide linking", "dna": "DNA linking", "rna": "RNA linking", "other": "non-polymer"}


def parse_mmcif(text: str, name: str) -> ParsedFile:
    """What an mmCIF file holds, hydrogens dropped. Raises InputError for text that is no mmCIF or has no atoms."""
    try:
        document = gemmi.cif.read_string(text)
    except (ValueError, RuntimeError) as error:
        place = re.match(r"string:(\d+):\S*: ", str(error))  # where gemmi names the place in the text
        line, reason = (int(place[1]), str(error)[place.end() :]) if place else (None, _reason(error))
        raise InputError(f"this is not a whole mmCIF file: {reason}", line=line) from None
    blocks = [block for block in document if block.find_loop("_atom_site.Cartn_x")]
    if not blocks:
        raise InputError("no atoms in this file (no _atom_site category)")
    if len(blocks) > 1:
        found = ", ".join(f"data_{block.name}" for block in blocks)
        raise InputError("this file holds several structures", found=found, allowed="one, in a data block")
    block = blocks[0]
    _complete(block.find_loop("_atom_site.Cartn_x").get_loop())
    _name_chains(block)
    _number_residues(block)
    require_all_listed(block, ends_in_mark=text.rstrip().endswith("#"))
    try:
        structure = gemmi.make_structure_from_block(block)
    except (ValueError, RuntimeError) as error:
        raise InputError(f"the atoms of this mmCIF file cannot be read: {_reason(error)}") from None
    structure.remove_hydrogens()
    number_repeated_names(structure, name)
    rename_foreign(structure)
    own_labels = not set_up_entities(structure)
    bonds = _component_bonds(block)
    return ParsedFile(
        structure=structure,
        name=structure.name or name,
        labelled=own_labels,
        confident=bool(block.find_mmcif_category("_ma_qa_metric.")),
        components=_defined_components(block, bonds),
        component_bonds=bonds,
        numbering=_numbering(block),
        metadata=metadata_of(structure) | _provenance(block),
    )


def _complete(atoms: gemmi.cif.Loop) -> None:
    """Without one of these columns gemmi finds no atoms; alternate locations may be left out where there are none."""
    missing = [name for name in _COLUMNS if f"_atom_site.{name}" not in atoms.tags]
    if missing:
        raise InputError(
            "the atoms of this mmCIF file lack columns", key="_atom_site", found=f"no {', '.join(missing)}"
        )
    if _ALTERNATE not in atoms.tags:
        atoms.add_columns([_ALTERNATE], value=".")


def _name_chains(block: gemmi.cif.Block) -> None:
    """Has chains whose author's name is a blank called by their labels, as those without one are."""
    names = block.find_values("_atom_site.auth_asym_id")
    if not any(gemmi.cif.is_null(name) or gemmi.cif.as_string(name).strip() for name in set(names)):
        for row in range(len(names)):
            names[row] = "?"


def _number_residues(block: gemmi.cif.Block) -> None:
    """Gives residues without an author's number the number that they have in their sequence; ligands are counted.

    Raises InputError where residues of a polymer have neither.
    """
    atoms = block.find_loop("_atom_site.Cartn_x").get_loop()
    for name, usual in (("auth_seq_id", "?"), ("label_seq_id", "?"), ("group_PDB", "ATOM")):
        if f"_atom_site.{name}" not in atoms.tags:
            atoms.add_columns([f"_atom_site.{name}"], value=usual)
    if not set(block.find_values("_atom_site.auth_seq_id")) & {"?", "."}:
        return
    alternate = _ALTERNATE.removeprefix("_atom_site.")
    columns = ["auth_seq_id", "label_seq_id", "label_asym_id", "group_PDB", "id", "label_atom_id", alternate,
               "?label_comp_id", "?pdbx_PDB_model_num", "?auth_asym_id", "?pdbx_PDB_ins_code"]  # fmt: skip
    ligands: dict[tuple[str, ...], _Unnumbered] = defaultdict(_Unnumbered)
    seen: set[tuple[str, ...]] = set()
    for row in block.find("_atom_site.", columns):
        if row[0] not in "?.":
            continue
        name, model, auth_chain, code = (row[column] if row.has(column) else "" for column in range(7, 11))
        chain, atom, is_told = (row[2], auth_chain, model), (row[5], row[6]), row[1] not in "?."
        row[0] = row[1] if is_told else str(ligands[chain].number_of(name, atom))
        place = (*chain, row[0], code, name, *atom)
        if row[3] != "HETATM" and (place in seen if is_told else row[0] != "1"):
            raise InputError(
                f"the residues of chain {auth_chain or row.str(2)} cannot be told apart: they have no numbers",
                key="_atom_site", found=f"atom {row.str(4)} without auth_seq_id", allowed="auth_seq_id or label_seq_id",
            )  # fmt: skip
        seen.add(place)


@dataclass
class _Unnumbered:
    """The ligands of one chain that have no numbers: the present one's, its name, and the atoms seen of it."""

    number: int = 0
    name: str = ""
    atoms: set[tuple[str, str]] = field(default_factory=set)

    def number_of(self, name: str, atom: tuple[str, str]) -> int:
        """The number of the ligand of this name that an atom belongs to; with an atom that was there begins another."""
        if self.number == 0 or name != self.name or atom in self.atoms:
            self.number, self.name, self.atoms = self.number + 1, name, set()
        self.atoms.add(atom)
        return self.number


def require_all_listed(block: gemmi.cif.Block, *, ends_in_mark: bool) -> None:
    """Raises InputError where the chains or residues listed last have no atoms: the file was cut, between two lines.

    ends_in_mark: its last line is the ``#`` that ends a category, so that this was its end. Where another category
    follows the atoms it was not cut among them. What is missing amid others, and waters, was left out by whoever wrote
    the file.
    """
    last = list(block)[-1]
    if ends_in_mark or last.loop is None or not last.loop.tags[0].startswith("_atom_site."):
        return
    places = ["label_asym_id", "label_seq_id"]
    there = {(row.str(0), row[1]) for row in block.find("_atom_site.", places)}
    chains = {chain for chain, _ in there}
    if not chains:
        return
    numbered = {chain for chain, place in there if place.isdigit()}
    waters = {row.str(0) for row in block.find("_entity.", ["id", "type"]) if row.str(1) == "water"}
    listed = block.find("_struct_asym.", ["id", "?entity_id"])
    asyms = [row.str(0) for row in listed if not (row.has(1) and row.str(1) in waters)]
    residues = [(row.str(0), row[1]) for row in block.find("_ma_qa_metric_local.", places)]
    if asyms and asyms[-1] not in chains:
        raise InputError(f"this is not a whole mmCIF file: it has no atoms of its last chain, {asyms[-1]}")
    if residues and residues[-1][0] in numbered and residues[-1] not in there:
        chain, place = residues[-1]
        raise InputError(f"this is not a whole mmCIF file: it has no atoms of its last residue, {place} of {chain}")


def metadata_of(structure: gemmi.Structure) -> dict[str, object]:
    """Method, resolution (Å) and date of deposition, where the file has them."""
    info = dict(structure.info)
    metadata: dict[str, object] = {}
    for key, item in (
        ("method", "_exptl.method"),
        ("deposited", "_pdbx_database_status.recvd_initial_deposition_date"),
    ):
        if info.get(item, "") not in ("", "?", "."):
            metadata[key] = info[item]
    if structure.resolution > 0:
        metadata["resolution"] = float(structure.resolution)
    return metadata


def _reason(error: Exception) -> str:
    return " ".join(str(error).split())[:160]


def _provenance(block: gemmi.cif.Block) -> dict[str, object]:
    rows = block.find("_structdiff_provenance.", ["key", "value"])
    entries = {row.str(0): row.str(1) for row in rows}
    return {"provenance": entries} if entries else {}


def _numbering(block: gemmi.cif.Block) -> dict[str, dict[int, tuple[int, str]]]:
    """Author number and insertion code of every place of the polymers, seen or not."""
    table: dict[str, dict[int, tuple[int, str]]] = {}
    for row in block.find("_pdbx_poly_seq_scheme.", ["asym_id", "seq_id", "pdb_seq_num", "pdb_ins_code"]):
        try:
            place, number = int(row[1]), int(row[2])
        except ValueError:
            continue
        code = row.str(3)
        table.setdefault(row.str(0), {})[place] = (number, "" if code in (".", "?") else code)
    return table


def _component_bonds(block: gemmi.cif.Block) -> dict[str, list[ComponentBond]]:
    """The bonds inside components that the file tells, by the component's code."""
    bonds: dict[str, list[ComponentBond]] = {}
    items = ["comp_id", "atom_id_1", "atom_id_2", "?value_order", "?pdbx_aromatic_flag"]
    for row in block.find("_chem_comp_bond.", items):
        order, aromatic = (row.str(column) if row.has(column) else "" for column in (3, 4))
        bond = ComponentBond((row.str(1), row.str(2)), _ORDER_NUMBERS.get(order.upper(), 1), aromatic == "Y")
        bonds.setdefault(row.str(0), []).append(bond)
    return bonds


def _defined_components(block: gemmi.cif.Block, bonds: Mapping[str, Sequence[ComponentBond]]) -> dict[str, Component]:
    """Components that the file itself defines; the CCD's own where it has the same atoms."""
    items = [
        "comp_id", "atom_id", "type_symbol", "?charge", "?pdbx_leaving_atom_flag", "?structdiff_stereo",
        "?structdiff_hydrogens", "pdbx_model_Cartn_x_ideal", "pdbx_model_Cartn_y_ideal", "pdbx_model_Cartn_z_ideal",
    ]  # fmt: skip
    atoms: dict[str, list[list[str]]] = {}
    for row in block.find("_chem_comp_atom.", items):
        cells = [row.str(column) if row.has(column) else "" for column in range(len(items))]
        if atomic_number(cells[2]) != 1:
            atoms.setdefault(cells[0], []).append(cells)
    about = {row.str(0): _about(row) for row in block.find("_chem_comp.", ["id", "type", "name", *_ABOUT_OWN])}
    smiles = {row.str(0): row.str(1) for row in block.find("_pdbx_chem_comp_descriptor.", ["comp_id", "descriptor"])}
    defined = {}
    for code, rows in atoms.items():
        said = about.get(code, _About())
        listed = not said.own and is_known(code)
        if listed and {row[1] for row in rows} == set(component(code).atom_names.tolist()):
            defined[code] = component(code)
        else:
            defined[code] = _defined_component(code, rows, bonds.get(code, []), said, smiles.get(code, ""))
    return defined


@dataclass(frozen=True, kw_only=True)
class _About:
    """What a file says of a component as a whole; own: that it is not the dictionary's, even where it looks like it."""

    type: str = ""
    description: str = ""
    parent: str = ""
    one_letter: str = ""
    own: bool = False


def _about(row: gemmi.cif.Table.Row) -> _About:
    parent, letter, own = (row.str(column).strip("?.") if row.has(column) else "" for column in (3, 4, 5))
    return _About(type=row.str(1), description=row.str(2), parent=parent, one_letter=letter, own=own == "Y")


def _defined_component(
    code: str, atoms: list[list[str]], bonds: Sequence[ComponentBond], about: _About, smiles: str
) -> Component:
    names = [row[1] for row in atoms]
    pairs, orders, kekule = rows_of_bonds(bonds, names)
    positions = np.array([[gemmi.cif.as_number(cell) for cell in row[7:10]] for row in atoms], np.float32)
    return Component(
        name=code,
        description=about.description,
        one_letter=about.one_letter if about.own else "",
        parent=about.parent if about.own else "",
        kind=kind_of_type(about.type),
        atom_names=np.array(names),
        elements=np.array([atomic_number(row[2]) for row in atoms], np.uint8),
        charges=np.array([gemmi.cif.as_int(row[3] or "0", 0) for row in atoms], np.int8),
        ideal_positions=np.nan_to_num(positions),
        bonds=pairs,
        bond_orders=orders,
        kekule_orders=kekule,
        leaving=np.array([row[4] == "Y" for row in atoms], bool),
        hydrogens=np.array([gemmi.cif.as_int(row[6] or "0", 0) for row in atoms], np.uint8),
        stereo=np.array([row[5] == "Y" for row in atoms], bool),
        smiles=smiles,
        type=about.type,
        hydrogens_told=all(row[6].isdigit() for row in atoms),
    )

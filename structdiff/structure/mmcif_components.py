"""The components of a structure in its mmCIF text: names, atoms and bonds."""

from __future__ import annotations

from collections.abc import Sequence

import gemmi

from structdiff.chemistry.components import AROMATIC, FREE_CODES, Component, component, is_known
from structdiff.chemistry.elements import element_symbol
from structdiff.chemistry.residues import is_standard
from structdiff.structure.mmcif import COMPONENT_TYPES
from structdiff.structure.mmcif_items import ORDER_NAMES, write_loop
from structdiff.structure.tables import Structure


def write_components(block: gemmi.cif.Block, structure: Structure) -> None:
    """All components by name and with their bonds; atoms of those that are no standard residue.

    Programs take the table of bonds as complete (biotite): of what is not in it they know no bonds at all.
    """
    codes = sorted(set(structure.residues.name.tolist()))
    wholes = {code: component(code, structure.components) for code in codes}
    types = [_component_type(wholes[code]) for code in codes]
    names = [wholes[code].description for code in codes]
    write_loop(block, "chem_comp", {"id": codes, "type": types, "name": names} | _own_columns(structure, codes))
    own = [whole for code, whole in wholes.items() if whole.smiles]
    write_loop(
        block,
        "pdbx_chem_comp_descriptor",
        {
            "comp_id": [whole.name for whole in own],
            "type": ["SMILES_CANONICAL"] * len(own),
            "program": ["RDKit"] * len(own),
            "descriptor": [whole.smiles for whole in own],
        },
    )
    others = [(code, whole) for code, whole in wholes.items() if not is_standard(code)]
    _write_component_atoms(block, others)
    bonds = [
        (code, *whole.atom_names[[first, second]], ORDER_NAMES[kekule], "Y" if order == AROMATIC else "N")
        for code, whole in wholes.items()
        for (first, second), kekule, order in zip(
            whole.bonds.tolist(), whole.kekule_orders.tolist(), whole.bond_orders.tolist(), strict=True
        )
    ]
    tags = ("comp_id", "atom_id_1", "atom_id_2", "value_order", "pdbx_aromatic_flag")
    if bonds:
        write_loop(block, "chem_comp_bond", dict(zip(tags, zip(*bonds, strict=True), strict=True)))


def _own_columns(structure: Structure, codes: Sequence[str]) -> dict[str, list[str]]:
    """What is said of components that came with a request: whose definition counts, and what modified residues are.

    Nothing where no reader would take the dictionary's own in their place, or miss their parents.
    """
    own = structure.components
    if not any(whole.parent or whole.one_letter or _looks_listed(whole) for whole in own.values()):
        return {}
    return {
        "mon_nstd_parent_comp_id": [own[code].parent or "?" if code in own else "?" for code in codes],
        "one_letter_code": [own[code].one_letter or "?" if code in own else "?" for code in codes],
        "structdiff_own": ["Y" if code in own else "N" for code in codes],
    }


def _looks_listed(whole: Component) -> bool:
    """Whether the dictionary has another component of this code with the same names of atoms."""
    if whole.name in FREE_CODES or not is_known(whole.name):  # asked first, since it need not read the dictionary
        return False
    return set(component(whole.name).atom_names.tolist()) == set(whole.atom_names.tolist())


def _component_type(whole: Component) -> str:
    """The dictionary's own type, in the letters of the mmCIF dictionary where these are small."""
    spelt = {text.upper(): text for text in (*COMPONENT_TYPES.values(), "peptide linking")}
    return spelt.get(whole.type.upper(), whole.type) or COMPONENT_TYPES[whole.kind]


def _write_component_atoms(block: gemmi.cif.Block, components: Sequence[tuple[str, Component]]) -> None:
    rows = [
        (
            code,
            whole.atom_names[row],
            element_symbol(int(whole.elements[row])).upper(),
            whole.charges[row],
            "Y" if whole.leaving[row] else "N",
            "Y" if whole.stereo[row] else "N",
            whole.hydrogens[row] if whole.hydrogens_told else "?",
            *(f"{value:.3f}" for value in whole.ideal_positions[row]),
        )
        for code, whole in components
        for row in range(len(whole))
    ]
    tags = (
        "comp_id", "atom_id", "type_symbol", "charge", "pdbx_leaving_atom_flag", "structdiff_stereo",
        "structdiff_hydrogens", "pdbx_model_Cartn_x_ideal", "pdbx_model_Cartn_y_ideal", "pdbx_model_Cartn_z_ideal",
    )  # fmt: skip
    if rows:
        write_loop(block, "chem_comp_atom", dict(zip(tags, zip(*rows, strict=True), strict=True)))

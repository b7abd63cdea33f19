"""Sugars as GLYCAM's and CHARMM's force fields call them."""

import gemmi
import pytest

from structdiff.chemistry.components import component
from structdiff.structure.files import read_structure
from tests.structure.comparison import DATA
from tests.structure.test_unstated_bonds import crossing

ACETYL = {"glycam": {"C7": "C2N", "O7": "O2N", "C8": "CME"}, "charmm": {"N2": "N", "C7": "C", "O7": "O", "C8": "CT"}}
NAMES = {"glycam": {"NAG": "4YB", "BMA": "VMB", "MAN": "0MA"}, "charmm": {"NAG": "BGLC", "BMA": "BMAN", "MAN": "AMAN"}}


def line(name, residue, number, place, element):
    x, y, z = place
    start = f"ATOM      1  {name:<3} {residue:<4} {number:4d}    "
    return f"{start}{x:8.3f}{y:8.3f}{z:8.3f}  1.00  0.00          {element:>2}"


@pytest.mark.parametrize("dialect", ["glycam", "charmm"])
def test_a_glycan_of_a_force_field_is_that_of_the_dictionary(tmp_path, dialect):
    """1gya: nine sugars at an asparagine, each a residue of its own after TER, nothing said of bonds."""
    structure = gemmi.read_structure(str(DATA / "1gya_1_model.cif.gz"))
    structure.remove_hydrogens()
    lines = []
    for residue in [each for chain in structure[0] for each in chain][60:]:
        sugar = residue.name in NAMES[dialect]
        called = NAMES[dialect].get(residue.name, residue.name)
        if dialect == "glycam" and residue.name == "ASN" and residue.seqid.num == 65:
            called = "NLN"
        other = ACETYL[dialect] if residue.name == "NAG" else {}
        number = residue.seqid.num + 200 * sugar
        lines += [line(other.get(atom.name, atom.name), called, number, atom.pos.tolist(), atom.element.name)
                  for atom in residue] + ["TER"] * sugar  # fmt: skip
    path = tmp_path / "glycan.pdb"
    path.write_text("\n".join([*lines, "END", ""]))
    found = read_structure(path)
    assert found.residues.name[-9:].tolist() == ["NAG", "NAG", "BMA", *["MAN"] * 6]
    assert found.components == {}
    assert found.atoms.resolved.all()
    bonds = crossing(found)
    assert len(bonds) == 9
    assert {frozenset({(65, "ND2"), (201, "C1")}), frozenset({(201, "O4"), (202, "C1")})} <= bonds


@pytest.mark.parametrize(
    ("called", "code", "other"),
    [
        ("0SA", "SIA", {"C10": "C5N", "O10": "O5N", "C11": "CME"}),
        ("ANE5", "SIA", {"N5": "N", "C10": "C", "O10": "O", "C11": "CT", "O1A": "O11", "O1B": "O12"}),
        ("0fA", "FUC", {}),
        ("BGLC", "BGC", {}),
        ("AGAL", "GLA", {}),
        ("4YB", "4YB", None),
    ],
)
def test_each_sugar_by_name_and_atoms(tmp_path, called, code, other):
    """The dictionary has a 4YB that is no sugar; it stays what it is."""
    whole = component(code)
    anomeric = {"O2"} if code == "SIA" else {"O1"} if other is not None else set()
    lines = [
        line((other or {}).get(str(name), str(name)), called, 1, place, str(name)[0])
        for name, place in zip(whole.atom_names, whole.ideal_positions, strict=True)
        if name not in anomeric
    ]
    path = tmp_path / "sugar.pdb"
    path.write_text("\n".join([*lines, "END", ""]))
    found = read_structure(path)
    assert found.residues.name.tolist() == [code]
    assert found.components == {}


def test_the_hydroxyl_of_the_end_belongs_to_its_sugar(tmp_path):
    whole = component("NAG")
    atoms = {str(name): place for name, place in zip(whole.atom_names, whole.ideal_positions, strict=True)}
    lines = [line("O1", "ROH", 1, atoms.pop("O1"), "O")]
    lines += [line(ACETYL["glycam"].get(name, name), "0YB", 2, place, name[0]) for name, place in atoms.items()]
    path = tmp_path / "sugar.pdb"
    path.write_text("\n".join([*lines, "END", ""]))
    found = read_structure(path)
    assert found.residues.name.tolist() == ["NAG"]
    assert found.atoms.resolved.all()
    assert "O1" in found.atoms.name

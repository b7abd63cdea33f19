"""Ligands that the dictionary does not know, or knows as other molecules: their atoms and bonds are the file's."""

import gemmi
import pytest

from structdiff.structure.files import read_structure, write_structure
from structdiff.structure.repeated_names import RepeatedNamesWarning
from structdiff.structure.tables import ChainKind
from tests.structure.comparison import named_bonds


def test_unknown_ligand_gets_its_atoms_and_bonds_from_the_file(tmp_path):
    lines = [
        "HETATM    1  C1  QQQ L   1       0.000   0.000   0.000  1.00 10.00           C",
        "HETATM    2  C2  QQQ L   1       1.530   0.000   0.000  1.00 10.00           C",
        "HETATM    3  O1  QQQ L   1       2.100   1.300   0.000  1.00 10.00           O",
    ]
    path = tmp_path / "ligand.pdb"
    path.write_text("\n".join(lines) + "\nEND\n")
    structure = read_structure(path)
    assert list(structure.components) == ["QQQ"]
    assert [(b[0][4], b[1][4], b[2]) for b in sorted(named_bonds(structure))] == [("C1", "C2", 1), ("C2", "O1", 1)]
    path.write_text("\n".join(lines) + "\nCONECT    1    2    2\nCONECT    2    1    1    3\nCONECT    3    2\nEND\n")
    bonds = sorted(named_bonds(read_structure(path)))
    assert [(b[0][4], b[1][4], b[2]) for b in bonds] == [("C1", "C2", 2), ("C2", "O1", 1)]


def test_bonds_of_an_unknown_ligand_are_those_that_the_file_tells(tmp_path):
    """Other programs write no ideal coordinates, so no whole definition, but bonds."""
    lines = [
        "HETATM    1  C1  QQQ L   1       0.000   0.000   0.000  1.00 10.00           C",
        "HETATM    2  C2  QQQ L   1       1.530   0.000   0.000  1.00 10.00           C",
        "HETATM    3  O1  QQQ L   1       2.100   1.300   0.000  1.00 10.00           O",
    ]
    (tmp_path / "ligand.pdb").write_text("\n".join(lines) + "\nEND\n")
    structure = gemmi.read_structure(str(tmp_path / "ligand.pdb"))
    structure.setup_entities()
    document = structure.make_mmcif_document()
    columns = ["comp_id", "atom_id_1", "atom_id_2", "value_order", "pdbx_aromatic_flag"]
    loop = document.sole_block().init_loop("_chem_comp_bond.", columns)
    loop.add_row(["QQQ", "C2", "C1", "doub", "Y"])
    loop.add_row(["QQQ", "C2", "O1", "trip", "N"])
    document.write_file(str(tmp_path / "ligand.cif"))
    found = read_structure(tmp_path / "ligand.cif")
    assert [(b[0][4], b[1][4], b[2]) for b in sorted(named_bonds(found))] == [("C1", "C2", 4), ("C2", "O1", 3)]
    assert found.components["QQQ"].kekule_orders.tolist() == [2, 3]


def test_code_that_means_another_molecule_in_the_dictionary(tmp_path):
    """LIG is a real CCD code; a docking file's LIG is something else and keeps the file's atoms."""
    lines = [
        "HETATM    1  C1  LIG L   1       0.000   0.000   0.000  1.00 10.00           C",
        "HETATM    2  C99 LIG L   1       1.530   0.000   0.000  1.00 10.00           C",
    ]
    path = tmp_path / "ligand.pdb"
    path.write_text("\n".join(lines) + "\nEND\n")
    structure = read_structure(path)
    assert structure.atoms.name.tolist() == ["C1", "C99"]
    assert len(structure.bonds) == 1


def test_two_molecules_of_one_code_are_both_whole(tmp_path):
    """Programs call every ligand LIG: the second molecule gets the next code that is free, also where it is linked."""
    lines = [
        "LINK         CB  SER A   9                 C1  LIG M   1     1555   1555  1.50",
        "ATOM      1  CB  SER A   9       0.000   1.500   5.000  1.00 10.00           C",
        "HETATM    2  C1  LIG L   1       0.000   0.000   0.000  1.00 10.00           C",
        "HETATM    3  C2  LIG L   1       1.530   0.000   0.000  1.00 10.00           C",
        "HETATM    4  O1  LIG L   1       2.100   1.300   0.000  1.00 10.00           O",
        "HETATM    5  C1  LIG M   1       0.000   0.000   5.000  1.00 10.00           C",
        "HETATM    6  N9  LIG M   1       1.470   0.000   5.000  1.00 10.00           N",
        "HETATM    7  C1  LIG N   1       0.000   0.000   9.000  1.00 10.00           C",
        "HETATM    8  C2  LIG N   1       1.530   0.000   9.000  1.00 10.00           C",
    ]
    path = tmp_path / "ligands.pdb"
    path.write_text("\n".join(lines) + "\nEND\n")
    structure = read_structure(path)
    assert structure.residues.name.tolist() == ["SER", "LIG", "DRG", "LIG"]
    ligand = structure.residues.name[structure.atoms.residue] != "SER"
    seen = structure.atoms.resolved & ligand
    assert structure.atoms.name[seen].tolist() == ["C1", "C2", "O1", "C1", "N9", "C1", "C2"]
    bonds = {(one[4], other[4]) for one, other, _ in named_bonds(structure)}
    assert {("C1", "N9"), ("CB", "C1")} <= bonds | {(b, a) for a, b in bonds}


def test_one_code_for_molecules_of_the_same_atom_names(tmp_path):
    lines = [
        "HETATM    1  C1  UNL L   1       0.000   0.000   0.000  1.00 10.00           C",
        "HETATM    2  C2  UNL L   1       1.530   0.000   0.000  1.00 10.00           C",
        "HETATM    3  C3  UNL L   1       2.100   1.300   0.000  1.00 10.00           C",
        "HETATM    4  O1  UNL L   1       3.500   1.300   0.000  1.00 10.00           O",
        "HETATM    5  C1  UNL M   1       0.000   0.000   5.000  1.00 10.00           C",
        "HETATM    6  O1  UNL M   1       1.430   0.000   5.000  1.00 10.00           O",
        "HETATM    7  C2  UNL M   1       2.100   1.300   5.000  1.00 10.00           C",
        "HETATM    8  C3  UNL M   1       3.500   1.300   5.000  1.00 10.00           C",
    ]
    path = tmp_path / "isomers.pdb"
    path.write_text("\n".join(lines) + "\nEND\n")
    bonds = sorted((one[4], other[4]) for one, other, _ in named_bonds(read_structure(path)))
    assert bonds == [("C1", "C2"), ("C1", "O1"), ("C2", "C3"), ("C2", "C3"), ("C2", "O1"), ("C3", "O1")]


@pytest.mark.parametrize("kind", ["pdb", "cif"])
def test_the_code_of_an_unknown_ligand_which_has_no_atoms_in_the_dictionary(tmp_path, kind):
    """UNL is what RDKit and Open Babel call a ligand, and what the PDB calls one that was not identified."""
    lines = [
        "HETATM    1  C1  UNL L   1       0.000   0.000   0.000  1.00 10.00           C",
        "HETATM    2  O1  UNL L   1       1.430   0.000   0.000  1.00 10.00           O",
    ]
    path = tmp_path / "ligand.pdb"
    path.write_text("\n".join(lines) + "\nEND\n")
    if kind == "cif":
        write_structure(read_structure(path), tmp_path / "ligand.cif")
    structure = read_structure(tmp_path / f"ligand.{kind}")
    assert structure.chains.kind.tolist() == [ChainKind.LIGAND]
    assert structure.atoms.name.tolist() == ["C1", "O1"]
    assert len(structure.bonds) == 1


def test_atoms_that_are_called_after_their_elements_are_numbered_and_none_is_lost(tmp_path):
    """As Open Babel writes ligands."""
    lines = [
        "HETATM    1  C   UNL L   1       0.000   0.000   0.000  1.00 10.00           C",
        "HETATM    2  C   UNL L   1       1.530   0.000   0.000  1.00 10.00           C",
        "HETATM    3 CL   UNL L   1       2.400   1.500   0.000  1.00 10.00          CL",
        "HETATM    4  H   UNL L   1       0.000   1.000   0.000  1.00 10.00           H",
        "HETATM    5  H   UNL L   1       0.000  -1.000   0.000  1.00 10.00           H",
        "CONECT    1    2    2\nCONECT    2    1    1    3\nCONECT    3    2",
    ]
    (tmp_path / "ligand.pdb").write_text("\n".join(lines) + "\nEND\n")
    with pytest.warns(RepeatedNamesWarning, match="numbered in their order: UNL 1 of chain L"):
        structure = read_structure(tmp_path / "ligand.pdb")
    assert structure.atoms.name.tolist() == ["C1", "C2", "CL1"]
    assert [(b[0][4], b[1][4], b[2]) for b in sorted(named_bonds(structure))] == [("C1", "C2", 2), ("C2", "CL1", 1)]


def test_atoms_of_one_name_are_warned_of_where_one_is_read(tmp_path):
    lines = [
        "HETATM    1  C1  QQQ L   1       0.000   0.000   0.000  1.00 10.00           C",
        "HETATM    2  C1  QQQ L   1       1.530   0.000   0.000  1.00 10.00           C",
        "HETATM    3  O1  QQQ L   1       2.100   1.300   0.000  1.00 10.00           O",
        "HETATM    4  O1  QQQ L   1       2.100   1.300   0.000  1.00 10.00           O",
    ]
    (tmp_path / "ligand.pdb").write_text("\n".join(lines) + "\nEND\n")
    with pytest.warns(RepeatedNamesWarning, match="only the first of each is read: C1 of QQQ 1 of chain L"):
        structure = read_structure(tmp_path / "ligand.pdb")
    assert structure.atoms.name.tolist() == ["C1", "O1"]


def test_a_link_to_an_atom_that_is_numbered_goes_to_the_nearest_of_its_element(tmp_path):
    lines = [
        "LINK         O1  QQQ L   1                 C   UNL L   2     1555   1555  1.40",
        "HETATM    1  C1  QQQ L   1      -2.600   0.000   0.000  1.00 10.00           C",
        "HETATM    2  O1  QQQ L   1      -1.400   0.000   0.000  1.00 10.00           O",
        "HETATM    3  C   UNL L   2       1.530   0.000   0.000  1.00 10.00           C",
        "HETATM    4  C   UNL L   2       0.000   0.000   0.000  1.00 10.00           C",
    ]
    (tmp_path / "ligand.pdb").write_text("\n".join(lines) + "\nEND\n")
    with pytest.warns(RepeatedNamesWarning):
        structure = read_structure(tmp_path / "ligand.pdb")
    assert ("C2", "O1") in {tuple(sorted((b[0][4], b[1][4]))) for b in named_bonds(structure)}

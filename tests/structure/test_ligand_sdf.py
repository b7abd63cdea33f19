"""Ligands of predictions as SDF: what RDKit reads there is the molecule that was asked for."""

import dataclasses

import numpy as np
import pytest
from rdkit import Chem

from structdiff.chemistry.components import component
from structdiff.chemistry.smiles import smiles_of
from structdiff.spec.yaml import from_dict
from structdiff.structure.complex import build_complex
from structdiff.structure.files import read_structure, write_structure
from structdiff.structure.ligand_sdf import ligands_sdf, write_ligands


def placed(spec):
    """A complex with every residue at the positions of its component."""
    structure = build_complex(from_dict(spec))
    positions = np.zeros((len(structure.atoms), 3), np.float32)
    for residue in range(len(structure.residues)):
        whole, span = (
            component(str(structure.residues.name[residue]), structure.components),
            structure.residue_atoms(residue),
        )
        rows = [whole.atom_index[name] for name in structure.atoms.name[span].tolist()]
        positions[span] = whole.ideal_positions[rows] + 50 * residue
    return structure.with_positions(positions, b_factor=np.full(len(positions), 70.0))


def ligand(**given):
    return {"sequences": [{"ligand": {"id": "L", **given}}]}


def read(text):
    supplier = Chem.SDMolSupplier()
    supplier.SetData(text)
    return list(supplier)


@pytest.mark.parametrize(
    "given",
    [
        {"ccd": "NAG"}, {"ccd": "ATP"}, {"ccd": "RET"}, {"ccd": "PO4"},
        {"smiles": "C[C@H]([NH3+])C(=O)[O-]"}, {"smiles": "C/C=C\\[C@@H](F)[N+](=O)[O-]"},
        {"smiles": "c1ccc2[nH]ccc2c1"}, {"smiles": "OB(O)c1ccccc1"},
        {"smiles": "CC1(C)CCCC(C)(C)N1[O]"}, {"smiles": "[CH2]C"}, {"smiles": "[N]=O"}, {"smiles": "[O][O]"},
        {"ccd": "NO"},
    ],
)  # fmt: skip
def test_what_is_read_back_is_the_same_molecule(given):
    structure = placed(ligand(**given))
    text, missing = ligands_sdf(structure)
    (molecule,) = read(text)
    whole = next(iter(structure.components.values()), None) or component(given["ccd"])
    assert (Chem.MolToSmiles(molecule), missing) == (smiles_of(whole), ())
    np.testing.assert_allclose(molecule.GetConformer().GetPositions(), structure.atoms.positions, atol=1e-3)
    assert molecule.GetProp("atom_names").split() == structure.atoms.name.tolist()
    assert molecule.GetProp("mean_plddt_0_to_100") == "70.00"


def test_of_atoms_of_a_file_hydrogens_are_left_to_the_reader(tmp_path):
    """Nobody told them: they are no radicals."""
    structure = placed(ligand(smiles="CCO"))
    observed = read_structure(write_structure(structure, tmp_path / "ethanol.pdb"))
    again = read_structure(write_structure(observed, tmp_path / "ethanol.cif"))
    for each in (observed, again):
        assert [Chem.MolToSmiles(molecule) for molecule in read(ligands_sdf(each)[0])] == ["CCO"]


def test_an_sdf_ligand_with_charges_comes_out_as_it_went_in(tmp_path):
    given = Chem.MolFromSmiles("C[N+](C)(C)C[C@H](O)CC(=O)[O-]")
    (tmp_path / "l.sdf").write_text(Chem.MolToMolBlock(given) + "$$$$\n")
    (molecule,) = read(ligands_sdf(placed(ligand(sdf=str(tmp_path / "l.sdf"))))[0])
    assert Chem.MolToSmiles(molecule) == Chem.MolToSmiles(given)


def test_what_a_metal_binds_beyond_its_valence_is_a_dative_bond():
    structure = placed(ligand(ccd="HEM"))
    (molecule,) = read(ligands_sdf(structure)[0])
    iron = next(atom for atom in molecule.GetAtoms() if atom.GetSymbol() == "Fe")
    kinds = sorted(str(bond.GetBondType()) for bond in iron.GetBonds())
    assert kinds == ["DATIVE", "DATIVE", "SINGLE", "SINGLE"]
    assert iron.GetTotalNumHs() == 0
    assert molecule.GetNumAtoms() == len(structure.atoms)


def test_which_oxygen_of_a_phosphate_has_the_double_bond_follows_the_hand_that_is_asked_for():
    structure = placed(ligand(ccd="ATP"))
    names, positions = structure.atoms.name.tolist(), structure.atoms.positions.copy()
    pair = [names.index("O1A"), names.index("O2A")]
    positions[pair] = positions[pair[::-1]]  # no structure is held to where these two lie
    (molecule,) = read(ligands_sdf(structure.with_positions(positions))[0])
    assert Chem.MolToSmiles(molecule) == smiles_of(component("ATP"))
    assert molecule.GetBondBetweenAtoms(names.index("PA"), pair[1]).GetBondTypeAsDouble() == 2


def test_bonds_to_the_polymer_are_cut_and_told_and_those_between_sugars_kept():
    structure = placed(
        {
            "sequences": [
                {"protein": {"id": "A", "sequence": "GNG"}},
                {"ligand": {"id": "G", "ccd": ["NAG", "NAG"]}},
                {"ligand": {"id": "Z", "ccd": "ZN"}},
            ],
            "constraints": [
                {"bond": {"atom1": ["A", 2, "ND2"], "atom2": ["G", 1, "C1"]}},
                {"bond": {"atom1": ["G", 1, "O4"], "atom2": ["G", 2, "C1"]}},
            ],
        }
    )
    (molecule,) = read(ligands_sdf(structure)[0])  # no record of the ion
    assert molecule.GetProp("_Name") == "G NAG-NAG"
    assert (molecule.GetProp("bonded_to"), molecule.GetProp("residue_numbers")) == ("C1-A/2/ND2", "1 2")
    first = molecule.GetAtomWithIdx(0)
    assert (first.GetSymbol(), first.GetTotalNumHs()) == ("C", 2)  # one stands for the asparagine
    assert len(Chem.GetMolFrags(molecule)) == 1


@pytest.mark.filterwarnings("ignore:ligand L. no bond joins")
def test_components_that_nothing_bonds_are_records_of_their_own():
    found = read(ligands_sdf(placed(ligand(ccd=["NAG", "ZN", "NAG"])))[0])
    assert [molecule.GetProp("residue_numbers") for molecule in found] == ["1", "3"]
    assert {Chem.MolToSmiles(molecule) for molecule in found} == {smiles_of(component("NAG"))}


def test_what_is_no_molecule_is_told_and_the_others_written(tmp_path):
    structure = placed({"sequences": [{"ligand": {"id": "L", "ccd": "NAG"}}, {"ligand": {"id": "M", "ccd": "IMD"}}]})
    charge = np.where(structure.atoms.name == "C7", -1, structure.atoms.charge).astype(np.int8)
    wrong = dataclasses.replace(structure, atoms=dataclasses.replace(structure.atoms, charge=charge))
    path, note = write_ligands(wrong, tmp_path, "x")
    assert [molecule.GetProp("_Name") for molecule in Chem.SDMolSupplier(str(path))] == ["M IMD"]
    assert note.startswith("not in x.ligands.sdf: ligand L NAG: ")
    protein = placed({"sequences": [{"protein": {"id": "A", "sequence": "GG"}}]})
    assert write_ligands(protein, tmp_path, "x") == (None, "")
    assert not path.exists()


def test_a_file_read_again_gives_the_same_record(tmp_path):
    structure = placed(ligand(smiles="C[C@H]([NH3+])C(=O)[O-]"))
    again = read_structure(write_structure(structure, tmp_path / "x.cif"))
    assert ligands_sdf(again) == ligands_sdf(structure)

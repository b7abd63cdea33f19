"""Components from the dictionary, SMILES and SDF."""

import gzip
import re

import numpy as np
import pytest
from rdkit import Chem
from rdkit.Chem import AllChem

from structdiff.chemistry.bundled import bundled_codes, read_bundled_component, write_bundled_components
from structdiff.chemistry.ccd import component_codes, read_dictionary_component
from structdiff.chemistry.components import component, component_from_sdf, component_from_smiles, is_known
from structdiff.chemistry.conformers import ConformerWarning, with_conformer
from structdiff.chemistry.elements import SYMBOLS, atomic_number, element_symbol
from structdiff.chemistry.open_stereo import OpenStereoWarning
from structdiff.chemistry.rdkit_molecules import to_rdkit
from structdiff.chemistry.residues import RESIDUE_ATOMS
from structdiff.chemistry.unheld_stereo import UnheldStereoWarning
from structdiff.errors import InputError
from structdiff.soundness import handedness_verdicts
from structdiff.spec.chain import ChainSpec
from structdiff.spec.complex import ComplexSpec
from structdiff.structure.complex import build_complex

FULLERENE = (
    "c12c3c4c5c1c1c6c7c2c2c8c3c3c9c4c4c%10c5c5c1c1c6c6c%11c7c2c2c7c8c3c3c8c9c4c4c9c%10c5c5c1c1c6c6c%11c2c2c7c3c3c8c4c4c9"
    "c5c1c1c6c2c3c41"
)


@pytest.mark.parametrize("name", RESIDUE_ATOMS)
def test_standard_residues_agree_with_the_dictionary(name):
    whole = component(name)
    assert tuple(whole.atom_names[~whole.leaving]) == RESIDUE_ATOMS[name]
    assert set(whole.atom_names[whole.leaving]) == ({"OXT"} if whole.kind == "peptide" else {"OP3"})


def test_atp():
    atp = component("ATP")
    assert (len(atp), len(atp.bonds), atp.kind, atp.parent) == (31, 33, "other", "")
    assert np.bincount(atp.elements)[[6, 7, 8, 15]].tolist() == [10, 5, 13, 3]
    assert {str(atp.atom_names[row]) for row in np.flatnonzero(atp.stereo)} >= {"C1'", "C2'", "C3'", "C4'"}
    lengths = np.linalg.norm(np.subtract(*atp.ideal_positions[atp.bonds.T]), axis=1)
    assert 1.2 < lengths.min() < lengths.max() < 1.75
    aromatic = atp.bonds[atp.bond_orders == 4]
    assert len(aromatic) == 10
    assert set(atp.kekule_orders[atp.bond_orders == 4]) == {1, 2}


@pytest.mark.parametrize(
    ("code", "kind", "letter", "parent"),
    [("MSE", "peptide", "M", "MET"), ("SEP", "peptide", "S", "SER"), ("5MC", "rna", "C", "C"), ("ZN", "other", "", "")],
)
def test_kind_and_parent(code, kind, letter, parent):
    whole = component(code)
    assert (whole.kind, whole.one_letter, whole.parent) == (kind, letter, parent)


def test_charges_and_ions():
    assert component("ZN").charges.tolist() == [2]
    arginine = component("ARG")
    assert arginine.charges[arginine.atom_index["NH2"]] == 1


def test_glycan_oxygen_leaves():
    assert component("NAG").atom_names[component("NAG").leaving].tolist() == ["O1"]


def test_arrays_are_read_only():
    with pytest.raises(ValueError, match="read-only"):
        component("ALA").ideal_positions[0] = 0


def test_extra_components_go_first():
    mine = component_from_smiles("CCO", "ALA")
    assert component("ALA", {"ALA": mine}) is mine
    assert is_known("XX1", {"XX1": mine})
    assert not is_known("XX1-")


def test_bundled_records_are_copies_of_the_dictionary(tmp_path):
    for code in ("ATP", "HEM", "MSE", "DT"):
        ours, theirs = read_bundled_component(code), read_dictionary_component(code)
        for field in vars(theirs):
            np.testing.assert_array_equal(getattr(ours, field), getattr(theirs, field), err_msg=f"{code} {field}")
    assert set(RESIDUE_ATOMS) <= set(bundled_codes())
    assert write_bundled_components(["ATP", "no such code"], tmp_path / "few.json.gz") == 1


def test_a_component_beyond_the_bundle():
    assert "0G6" not in bundled_codes()
    assert component("0G6").kind == "other"
    assert len(component_codes()) > 40000


@pytest.mark.parametrize("code", ["CCC", "HCY", "SIA", "B12", "CLF"])
def test_positions_are_finite(code):
    assert np.isfinite(component(code).ideal_positions).all()


def test_missing_conformer_is_made():
    aspirin = with_conformer(component("AIN"))
    lengths = np.linalg.norm(np.subtract(*aspirin.ideal_positions[aspirin.bonds.T]), axis=1)
    assert 1.15 < lengths.min() < lengths.max() < 1.6


@pytest.mark.parametrize(
    ("code", "near"), [("atp", "'ATP'"), ("WAT", "'HOH'"), ("ATPX", "did you mean"), ("", "unknown CCD code")]
)
def test_unknown_code(code, near):
    with pytest.raises(InputError, match=near):
        component(code)


def test_smiles_keeps_stereo_and_charges():
    for smiles in ("C[C@H](N)C(=O)[O-]", "C[C@@H](N)C(=O)[O-]"):
        whole = component_from_smiles(smiles, "LIG")
        assert whole.atom_names.tolist() == ["C1", "C2", "N1", "C3", "O1", "O2"]
        assert whole.charges.tolist() == [0, 0, 0, 0, 0, -1]
        assert whole.stereo.tolist() == [False, True, False, False, False, False]
        mol = to_rdkit(whole)
        Chem.SanitizeMol(mol)
        Chem.AssignStereochemistryFrom3D(mol)
        assert Chem.MolToSmiles(mol) == Chem.CanonSmiles(smiles)


@pytest.mark.parametrize(
    "smiles", ["CC(=O)Oc1ccccc1C(=O)O", "Cn1cnc2c1c(=O)n(C)c(=O)n2C", "C/C=C/C", "C/C=C\\C", "N#Cc1ccncc1"]
)
def test_smiles_conformer_shows_the_molecule(smiles):
    whole = component_from_smiles(smiles, "LIG")
    mol = to_rdkit(whole)
    Chem.SanitizeMol(mol)
    Chem.AssignStereochemistryFrom3D(mol)
    assert Chem.MolToSmiles(mol) == Chem.CanonSmiles(smiles)
    again = component_from_smiles(smiles, "LIG")
    np.testing.assert_array_equal(whole.ideal_positions, again.ideal_positions)


@pytest.mark.parametrize(
    ("smiles", "ends", "length"),
    [
        ("O=C=O", "C1 O1", 1.16),
        ("N#N", "N1 N2", 1.10),
        ("C[N]=C=S", "C2 S1", 1.56),
        ("[N-]=[N+]=[N-]", "N1 N2", 1.18),
        ("C1=CC2=CC3=CC=C(N3)C=C4C=CC(=N4)C=C5C=CC(=N5)C=C1N2", "C3 C4", 1.39),
    ],
)
def test_multiple_bonds_that_mmff_does_not_know_are_not_long(smiles, ends, length):
    whole = component_from_smiles(smiles, "LIG")
    one, other = (whole.ideal_positions[whole.atom_index[name]] for name in ends.split())
    assert np.linalg.norm(one - other) == pytest.approx(length, abs=0.09)


@pytest.mark.parametrize(
    ("smiles", "message"),
    [
        ("C1CC", "cannot be parsed"),
        ("", "cannot be parsed"),
        ("CC(C)(C)(C)C", "valence"),
        ("c1cccc1", "kekulize"),
        ("[Na+].[Cl-]", "2 separate molecules"),
        ("*C", "wildcard"),
        ("[H][H]", "no heavy atom"),
    ],
)
def test_bad_smiles(smiles, message, capfd):
    with pytest.raises(InputError, match=message) as caught:
        component_from_smiles(smiles, "LIG")
    assert "\n" not in str(caught.value)
    assert capfd.readouterr().err == ""


def test_flat_fallback_says_so(monkeypatch):
    monkeypatch.setattr("structdiff.chemistry.conformers._embedded", lambda mol, settings: False)
    with pytest.warns(ConformerWarning, match="flat drawing"):
        whole = component_from_smiles("CCCO", "LIG")
    assert np.ptp(whole.ideal_positions[:, 2]) == 0
    assert np.ptp(whole.ideal_positions[:, 0]) > 2


@pytest.mark.parametrize(
    ("smiles", "place"),
    [
        ("C[C@@H]([2H])O", r"C2 \(a centre by its isotopes"),
        ("[3H][C@@](C)(O)[2H]", r"C1 \(a centre by its isotopes"),
        ("CC=[C@]=CC", r"C2=C3=C4 \(the hand of an allene"),
        ("CC(CC)=C=C(C)CC", r"C2=C5=C6 \(the hand of an allene"),
        ("C/C=C=C=C/C", r"C2=C3=C4=C5 \(E or Z of a cumulene"),
        ("[Pt@SP1](Cl)(Br)(N)O", r"PT1 \(the arrangement about an atom"),
        ("Cc1cccc(C(=O)O)c1-c1c(C)cccc1O |wU:9.8|", r"C8-C9 \(the hand about a bond"),
    ],
)
def test_stereochemistry_that_is_not_held_is_told(smiles, place):
    with pytest.warns(UnheldStereoWarning, match=f"^ligand L: this stereochemistry is not held, .*: {place}"):
        component_from_smiles(smiles, "LIG", "ligand L")


@pytest.mark.parametrize(
    "smiles",
    ["C[C@H](O)C(=O)O", "CC(C)=C=CC", "C=C=CC", "CC=C=O", "O=C=O", "CN=C=NC", "CC([2H])O", "[2H]C([2H])([2H])Cl",
     "C[P@](=O)(O)OC", "C[As@](=O)(O)CC", "C[S@](=O)CC", "C[N@+](CC)(CCC)[O-]", "C[N@]1C[C@H]1C"],
)  # fmt: skip
def test_of_what_is_held_or_has_no_hand_nothing_is_said(smiles, recwarn):
    component_from_smiles(smiles, "LIG")
    assert not [each for each in recwarn if each.category is UnheldStereoWarning]


def test_an_axis_or_deuterium_in_a_file_is_told(tmp_path):
    molecule = Chem.AddHs(Chem.MolFromSmiles("C[C@@H]([2H])O"))
    AllChem.EmbedMolecule(molecule, randomSeed=1)
    (tmp_path / "l.sdf").write_text(Chem.MolToMolBlock(molecule))
    with pytest.warns(UnheldStereoWarning, match="C2 .a centre by its isotopes"):
        component_from_sdf(tmp_path / "l.sdf", "LIG")


@pytest.mark.parametrize(
    ("smiles", "places"),
    [
        ("CC(O)C(=O)O", "C2;"),
        ("CC=CC", "C2=C3;"),
        ("CC1CCC(C)CC1", "C2, C5;"),
        ("C[C@H](O)C(F)Cl", "C3;"),
        ("CP(=O)([O-])OC=NO", "C2=N1;"),
    ],
)
def test_open_stereochemistry_is_told_with_what_is_drawn(smiles, places):
    with pytest.warns(
        OpenStereoWarning, match=f"^ligand L: no stereochemistry is given for {places} it is drawn"
    ) as told:
        whole = component_from_smiles(smiles, "LIG", "ligand L")
    written = re.search(r"drawn as (\S+)", str(told[0].message)).group(1)
    mol = to_rdkit(whole)
    Chem.SanitizeMol(mol)
    Chem.AssignStereochemistryFrom3D(mol)
    assert Chem.MolToSmiles(mol) == written
    component_from_smiles(written, "LIG")  # says nothing


@pytest.mark.parametrize(
    "smiles", ["C[C@H](O)C(=O)O", "NC(=N)c1ccccc1", "CCOP(=O)([O-])O", "C12C3C4C1C5C2C3C45", "C1CN2CCC1CC2", "CS(C)=O"]
)
def test_what_cannot_be_open_is_not_told(smiles):
    component_from_smiles(smiles, "LIG")


def test_strained_cages_get_a_conformer():
    """ETKDG finds none for fullerene, nor for a diastereomer of morphine, which strain flattens at one centre."""
    fullerene = component_from_smiles(FULLERENE, "LIG")
    assert np.ptp(fullerene.ideal_positions, axis=0).min() > 6
    chain = ChainSpec(ids=("L",), kind="ligand", smiles="CN1CC[C@]23[C@@H]4[C@H]1Cc5ccc(O)c(O[C@H]2[C@@H](O)C=C4)c35")
    structure = build_complex(ComplexSpec(chains=(chain,)))
    drawn = structure.with_positions(structure.components["LIG"].ideal_positions)
    assert np.ptp(drawn.atoms.positions, axis=0).min() > 2
    (verdict,) = handedness_verdicts(drawn)
    assert not verdict.met
    assert verdict.reached == "4 of 4 centres; no sound conformer to judge chain L by"


def test_a_conformer_that_cannot_be_names_the_users_chain():
    chain = ChainSpec(ids=("X", "Y"), kind="ligand", smiles="C[C@]12CC[C@@H](C1(C)C)CC2=O")
    with pytest.warns(ConformerWarning, match="^ligand X,Y: no three-dimensional conformer"):
        structure = build_complex(ComplexSpec(chains=(chain,)))
    (verdict,) = handedness_verdicts(structure.with_positions(np.ones((len(structure.atoms), 3), np.float32)))
    assert not verdict.met
    assert "no sound conformer to judge chain X, Y by" in verdict.reached


def test_cis_and_trans_on_rings_are_stereocentres():
    assert component_from_smiles("C[C@H]1CC[C@@H](C)CC1", "LIG").stereo.sum() == 2


def _sdf(mol):
    return Chem.MolToMolBlock(mol) + "$$$$\n"


def test_sdf_positions_and_names(tmp_path):
    source = component_from_smiles("C[C@H](F)C(=O)[O-]", "LIG")
    mol = to_rdkit(source)
    Chem.SanitizeMol(mol)
    path = tmp_path / "ligand.sdf"
    path.write_text(_sdf(mol))
    whole = component_from_sdf(path, "LIG")
    np.testing.assert_allclose(whole.ideal_positions, source.ideal_positions, atol=1e-3)
    assert whole.smiles == source.smiles
    assert whole.charges.tolist() == source.charges.tolist()
    for atom, name in zip(mol.GetAtoms(), ("CM", "CA", "F", "CB", "OA", "OB"), strict=True):
        atom.SetProp("molFileAlias", name)
    path.write_text(_sdf(mol))
    assert component_from_sdf(path, "LIG").atom_names.tolist() == ["CM", "CA", "F", "CB", "OA", "OB"]


def test_flat_sdf_gets_a_conformer_with_its_wedges(tmp_path):
    path = tmp_path / "flat.sdf"
    mol = Chem.MolFromSmiles("C[C@H](F)C(=O)O")
    Chem.rdDepictor.Compute2DCoords(mol)
    path.write_text(_sdf(mol))
    whole = component_from_sdf(path, "LIG")
    assert np.ptp(whole.ideal_positions, axis=0).min() > 0.5
    assert whole.smiles == Chem.CanonSmiles("C[C@H](F)C(=O)O")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("garbage\n", "no valid molecule .*allowed: SDF, MOL or MOL2"),
        ("HETATM    1  C1  UNL     1       0.000   0.000   0.000\n", "not told by PDB: give its SDF"),
        ("", "0 molecules"),
        (None, "read"),
    ],
)
def test_bad_sdf(tmp_path, content, message, capfd):
    path = tmp_path / "bad.sdf"
    if content is not None:
        path.write_text(content)
    with pytest.raises(InputError, match=message) as caught:
        component_from_sdf(path, "LIG")
    assert str(path) in str(caught.value)
    assert capfd.readouterr().err == ""


def test_two_molecules_in_an_sdf(tmp_path):
    path = tmp_path / "two.sdf"
    path.write_text(_sdf(Chem.MolFromSmiles("CCO")) * 2)
    with pytest.raises(InputError, match="2 molecules"):
        component_from_sdf(path, "LIG")


def test_elements():
    assert all(atomic_number(symbol) == number for number, symbol in enumerate(SYMBOLS))
    assert (len(SYMBOLS), element_symbol(92), element_symbol(200), atomic_number("D")) == (119, "U", "X", 1)
    with pytest.raises(InputError, match="unknown chemical element"):
        atomic_number("Qq")


def test_what_is_wrong_with_a_ligand_is_told_with_its_chain():
    with pytest.raises(InputError, match=r"^ligand B: .*2 separate molecules"):
        component_from_smiles("[Na+].[Cl-]", "DRG", "ligand B")


@pytest.mark.parametrize("smiles", ["[2H]C([2H])([2H])O", "CO[3H]"])
def test_heavy_hydrogens_are_hydrogens(smiles):
    assert component_from_smiles(smiles, "LIG").elements.tolist() == [6, 8]


MOL2 = """@<TRIPOS>MOLECULE
alanine
 13 12 1 0 0
SMALL
NO_CHARGES

@<TRIPOS>ATOM
  1 CA    1.2  0.1  0.0 C.3   1 ALA 0.0
  2 CB    2.6 -0.4  0.3 C.3   1 ALA 0.0
  3 NZ    0.3 -0.6  0.9 N.4   1 ALA 0.0
  4 C     0.8  0.0 -1.5 C.2   1 ALA 0.0
  5 O1    1.5 -0.6 -2.3 O.co2 1 ALA 0.0
  6 O2   -0.3  0.5 -1.8 O.co2 1 ALA 0.0
  7 H1    1.1  1.1  0.3 H     1 ALA 0.0
  8 H2    2.6 -1.5  0.3 H     1 ALA 0.0
  9 H3    3.1  0.0 -0.6 H     1 ALA 0.0
 10 H4    3.1  0.0  1.2 H     1 ALA 0.0
 11 H5    0.3 -1.6  0.7 H     1 ALA 0.0
 12 H6    0.6 -0.5  1.9 H     1 ALA 0.0
 13 H7   -0.7 -0.3  0.9 H     1 ALA 0.0
@<TRIPOS>BOND
  1 1 2 1
  2 1 3 1
  3 1 4 1
  4 4 5 ar
  5 4 6 ar
  6 1 7 1
  7 2 8 1
  8 2 9 1
  9 2 10 1
 10 3 11 1
 11 3 12 1
 12 3 13 1
"""


def test_mol2_positions_names_charges_and_hand(tmp_path):
    for name, pack in (("l.mol2", bytes), ("l.mol2.gz", gzip.compress), ("l.sdf", bytes)):
        (tmp_path / name).write_bytes(pack(MOL2.encode()))
        whole = component_from_sdf(tmp_path / name, "LIG")
        assert whole.atom_names.tolist() == ["CA", "CB", "NZ", "C", "O1", "O2"]
        assert whole.smiles == "C[C@H]([NH3+])C(=O)[O-]"
        assert whole.charges.sum() == 0
        assert whole.stereo.tolist() == [True, False, False, False, False, False]
        np.testing.assert_allclose(whole.ideal_positions[0], [1.2, 0.1, 0.0], atol=1e-6)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (MOL2 + MOL2, "one molecule expected.*2 molecules"),
        (MOL2.replace("4 4 5 ar", "4 4 5 un"), r"l.mol2:25: this bond has no order.*'un'.*allowed: 1, 2, 3, am, ar"),
        (MOL2.replace(" 13 12 1", "  6  5 1").partition("  7 H1")[0]
         + MOL2[MOL2.index("@<TRIPOS>BOND") : MOL2.index("  6 1 7")], "lacks hydrogens.*CA without"),
        (MOL2.replace("C.3", "Cq"), "no valid molecule in this MOL2 file"),
        ("@<TRIPOS>MOLECULE\nx\n", "no valid molecule in this MOL2 file"),
    ],
)  # fmt: skip
def test_bad_mol2(tmp_path, text, message):
    (tmp_path / "l.mol2").write_text(text)
    with pytest.raises(InputError, match=message):
        component_from_sdf(tmp_path / "l.mol2", "LIG")

"""Components that come with an input: userCCD of AlphaFold 3, and ``components`` of our YAML."""

import json
import lzma
import re

import numpy as np
import pytest

from structdiff.chemistry.bundled import read_bundled_component
from structdiff.chemistry.component_completion import ContraryStereoWarning
from structdiff.chemistry.component_files import parse_components
from structdiff.chemistry.components import component
from structdiff.chemistry.open_stereo import OpenStereoWarning
from structdiff.chemistry.smiles import smiles_of
from structdiff.complex_jobs import complex_request
from structdiff.errors import InputError
from structdiff.spec.read import read_complex
from structdiff.spec.yaml import from_dict
from structdiff.spec.yaml_writing import to_dict, write_yaml
from structdiff.structure.complex import DoubtfulComponentWarning, build_complex
from structdiff.structure.files import read_structure, write_structure

# (R)-1-aminoethanol, protonated, without hydrogens and positions.
CHIRAL = """data_LIG-1
_chem_comp.id LIG-1
_chem_comp.name '(1R)-1-aminoethanol'
_chem_comp.type non-polymer
loop_
_chem_comp_atom.atom_id
_chem_comp_atom.type_symbol
_chem_comp_atom.charge
_chem_comp_atom.pdbx_stereo_config
CA C 0 R
CB C 0 N
N N 1 N
O O 0 N
loop_
_chem_comp_bond.atom_id_1
_chem_comp_bond.atom_id_2
_chem_comp_bond.value_order
CA CB SING
CA N SING
CA O SING
"""
ATOMS = (
    "atom_id", "type_symbol", "charge", "pdbx_leaving_atom_flag", "pdbx_model_Cartn_x_ideal",
    "pdbx_model_Cartn_y_ideal", "pdbx_model_Cartn_z_ideal",
)  # fmt: skip
BONDS = ("atom_id_1", "atom_id_2", "value_order", "pdbx_aromatic_flag")


def definition(code, name, *, hydrogens=True, positions=True):
    """The block of a component of the dictionary under another name."""
    record = read_bundled_component(code)
    lines = [f"data_{name}", f"_chem_comp.id {name}", f"_chem_comp.type '{record.type}'",
             f"_chem_comp.mon_nstd_parent_comp_id {record.parent or '?'}", "loop_"]  # fmt: skip
    lines += [f"_chem_comp_atom.{tag}" for tag in (ATOMS if positions else ATOMS[:4])]
    kept = [hydrogens or element not in ("H", "D") for element in record.elements]
    for row in np.flatnonzero(kept):
        where = [f"{value:.3f}" for value in record.positions[row]] if positions else []
        leaving = "Y" if record.leaving[row] else "N"
        cells = (f'"{record.atom_names[row]}"', record.elements[row], str(record.charges[row]), leaving, *where)
        lines.append(" ".join(cells))
    lines += ["loop_", *(f"_chem_comp_bond.{tag}" for tag in BONDS)]
    for pair, order, aromatic in zip(record.bonds, record.bond_orders, record.bond_aromatic, strict=True):
        if all(kept[row] for row in pair):
            ends = " ".join(f'"{record.atom_names[row]}"' for row in pair)
            lines.append(f"{ends} {('', 'SING', 'DOUB', 'TRIP')[order]} {'Y' if aromatic else 'N'}")
    return "\n".join(lines) + "\n"


def arrays(whole):
    return {key: value for key, value in vars(whole).items() if isinstance(value, np.ndarray)}


@pytest.mark.parametrize("code", ["NAG", "ATP", "HEM", "SEP", "ZN"])
def test_a_definition_as_the_dictionary_has_it_is_the_dictionarys_component(code):
    own, listed = parse_components(definition(code, "MY-1"))["MY-1"], component(code)
    for key, value in arrays(listed).items():
        if key != "stereo":  # told by the positions here, which know no phosphorus of diphosphates
            np.testing.assert_array_equal(getattr(own, key), value, err_msg=key)
    assert (own.kind, own.parent, own.type) == (listed.kind, listed.parent, listed.type)
    if code != "HEM":  # whose nitrogens have four bonds
        assert smiles_of(own) == smiles_of(listed)


@pytest.mark.parametrize("code", ["NAG", "ATP", "HEM", "SEP"])
def test_hydrogens_that_are_not_given_are_as_many_as_the_bonds_leave_room_for(code):
    own = parse_components(definition(code, "MY-1", hydrogens=False))["MY-1"]
    np.testing.assert_array_equal(own.hydrogens, component(code).hydrogens)
    assert own.stereo.sum() == {"NAG": 5, "ATP": 4, "HEM": 0, "SEP": 1}[code]


@pytest.mark.parametrize("hand", ["R", "S"])
def test_without_positions_the_conformer_has_the_hand_that_is_told(hand):
    own = parse_components(CHIRAL.replace("CA C 0 R", f"CA C 0 {hand}"))["LIG-1"]
    assert smiles_of(own) == {"R": "C[C@H]([NH3+])O", "S": "C[C@@H]([NH3+])O"}[hand]
    assert own.stereo.tolist() == [True, False, False, False]
    assert own.charges.tolist() == [0, 0, 1, 0]


def test_without_positions_a_double_bond_has_the_form_that_is_told():
    text = CHIRAL.replace("CA C 0 R", "CA C 0 N")
    text = text.replace("N N 1 N", "N C 0 N").replace(
        "value_order\n", "value_order\n_chem_comp_bond.pdbx_stereo_config\n"
    )
    for form, smiles in (("E", "C/C=C/O"), ("Z", "C/C=C\\O")):
        bonds = f"CA CB DOUB {form}\nCB N SING N\nCA O SING N\n"
        own = parse_components(text.partition("CA CB SING")[0] + bonds)["LIG-1"]
        assert smiles_of(own) == smiles


def test_what_is_left_open_is_told():
    with pytest.warns(OpenStereoWarning, match="LIG-1: no stereochemistry is given for CA"):
        parse_components(CHIRAL.replace("CA C 0 R", "CA C 0 ?"))


def test_positions_go_before_what_centres_are_called():
    stereo = "_chem_comp_atom.charge\n_chem_comp_atom.pdbx_stereo_config\n"
    text = definition("SEP", "MY-1").replace("_chem_comp_atom.charge\n", stereo)
    text = re.sub(r'^("\S+" \S+ -?\d)(?= [YN] )', r"\1 N", text, flags=re.MULTILINE).replace('"CA" C 0 N', '"CA" C 0 R')
    with pytest.warns(ContraryStereoWarning, match="CA is S, not R"):
        own = parse_components(text)["MY-1"]
    assert smiles_of(own) == smiles_of(component("SEP"))


def test_bonds_that_are_called_aromatic_alternate():
    text = definition("IMD", "MY-1")
    loose = parse_components(text.replace("SING Y", "AROM Y").replace("DOUB Y", "AROM Y"))["MY-1"]
    told = parse_components(text)["MY-1"]
    assert sorted(loose.kekule_orders) == sorted(told.kekule_orders)
    np.testing.assert_array_equal(loose.bond_orders, told.bond_orders)


def edit(*changes):
    text = definition("NAG", "MY-1")
    for old, new in changes:
        assert old in text
        text = text.replace(old, new, 1)
    return text


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("data_x\n_cell.a 1\n", ["no component is defined", "data_x"]),
        ("hello", ["line 1", "mmCIF"]),
        (edit(("_chem_comp_atom.charge", "_chem_comp_atom.q")), ["line 5", "_chem_comp_atom.charge", "missing"]),
        (edit(("_chem_comp.type", "_chem_comp.kind")), ["_chem_comp.type", "missing"]),
        (edit(("_chem_comp_bond.value_order", "_chem_comp_bond.x")), ["_chem_comp_bond.value_order", "missing"]),
        (edit(("Cartn_y_ideal", "Cartn_u_ideal")), ["_chem_comp_atom.pdbx_model_Cartn_y_ideal", "missing"]),
        (edit(('"C1" C 0', '"C1" Cq 0')), ["type_symbol", "'Cq'", "did you mean 'C'"]),
        (edit(('"C1" C 0', '"C1" C 0.5')), ["charge", "0.5", "whole number"]),
        (edit(('"C1" C 0', '"C2" C 0')), ["atom_id", "name of its own", "'C2'"]),
        (edit(('"C1" "C2" SING', '"C1" "C22" SING')), ["atom_id_2", "not there", "'C22'", "did you mean 'C2'"]),
        (edit(('"C1" "C2" SING', '"C1" "C2" HALF')), ["value_order", "'HALF'", "SING, DOUB, TRIP, AROM"]),
        (edit(('"C1" "C2" SING', '"C1" "C1" SING')), ["bonded to itself"]),
        (edit(("_chem_comp.id MY-1", "_chem_comp.id MY_1")), ["_chem_comp.id", "'MY_1'", "letters, digits and -"]),
        (edit(("_chem_comp.id MY-1", "_chem_comp.id ALA")), ["standard residue", "'ALA'"]),
        (definition("NAG", "MY-1") + definition("NAG", "my-1"), ["duplicate block"]),
        (CHIRAL.replace("CB C 0 N", "CB C 0 S"), ["no molecule", "pdbx_stereo_config", "CB S"]),
    ],
)  # fmt: skip
def test_what_is_wrong_is_one_line_that_names_the_place(text, words):
    with pytest.raises(InputError) as error:
        parse_components(text)
    assert all(word in str(error.value) for word in words), str(error.value)


YAML = """name: own
components: own.cif.xz
sequences:
  - protein: {id: A, sequence: MKTNX(MY-SEP)AKQR}
  - ligand: {id: G, ccd: [my-1, LIG-1]}
constraints:
  - bond: {atom1: [A, 4, ND2], atom2: [G, 1, C1]}
"""


@pytest.fixture
def complex_file(tmp_path):
    text = definition("NAG", "MY-1") + definition("SEP", "MY-SEP") + CHIRAL
    (tmp_path / "own.cif.xz").write_bytes(lzma.compress(text.encode()))
    (tmp_path / "own.yaml").write_text(YAML)
    return tmp_path / "own.yaml"


def test_ligands_modifications_and_bonds_take_them_and_files_carry_them(complex_file, tmp_path):
    spec = read_complex(complex_file)
    assert spec.chains[0].sequence == "MKTNXSAKQR"  # the letter of its parent
    assert spec.chains[1].ccd == ("MY-1", "LIG-1")
    with pytest.warns(DoubtfulComponentWarning, match="no bond joins LIG-1"):
        structure = build_complex(spec)
    assert "O1" not in structure.atoms.name[structure.atoms.residue == 10]  # left for the bond
    positions = np.random.default_rng(0).normal(size=(len(structure.atoms), 3))
    again = read_structure(write_structure(structure.with_positions(positions), tmp_path / "out.cif"))
    for code, whole in structure.components.items():
        found = again.components[code]
        assert (found.parent, found.one_letter, found.kind) == (whole.parent, whole.one_letter, whole.kind)
        for key, value in arrays(whole).items():
            compare = np.testing.assert_allclose if key == "ideal_positions" else np.testing.assert_array_equal
            compare(getattr(found, key), value, **({"atol": 1e-3} if key == "ideal_positions" else {}))
    charges = again.atoms.charge[again.atoms.residue == 11]
    assert charges.tolist() == [0, 0, 1, 0]


def test_written_inputs_and_records_name_them(complex_file, tmp_path):
    spec = read_complex(complex_file)
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    write_yaml(spec, folder / "w.yaml")
    assert read_complex(folder / "w.yaml") == spec
    request = complex_request(spec)
    assert list(request["components_sha256"]) == [str(tmp_path / "own.cif.xz")]
    assert from_dict(request) == spec
    with (tmp_path / "own.cif.xz").open("ab") as stream:
        stream.write(lzma.compress(b"#\n"))
    with pytest.raises(InputError, match="changed since its SHA-256 was recorded"):
        from_dict(request)
    assert from_dict(to_dict(spec)) == spec


def test_the_inputs_own_component_goes_before_the_dictionarys(tmp_path):
    (tmp_path / "own.cif").write_text(definition("NAG", "ATP"))
    (tmp_path / "a.yaml").write_text("components: [own.cif]\nsequences:\n  - ligand: {id: L, ccd: ATP}\n")
    with pytest.warns(DoubtfulComponentWarning, match=r"ATP is the component of .*own.cif, not the one"):
        structure = build_complex(read_complex(tmp_path / "a.yaml"))
    assert structure.atoms.name.tolist() == component("NAG").atom_names.tolist()


def test_one_with_the_names_of_the_dictionarys_is_still_the_inputs_when_it_is_read_again(tmp_path):
    own = definition("IMD", "IMD").replace("N 1", "N 0")
    (tmp_path / "own.cif").write_text(own)
    (tmp_path / "a.yaml").write_text("components: [own.cif]\nsequences:\n  - ligand: {id: L, ccd: IMD}\n")
    with pytest.warns(DoubtfulComponentWarning):
        structure = build_complex(read_complex(tmp_path / "a.yaml"))
    positions = np.random.default_rng(0).normal(size=(len(structure.atoms), 3))
    again = read_structure(write_structure(structure.with_positions(positions), tmp_path / "out.cif"))
    assert not again.components["IMD"].charges.any()
    assert component("IMD").charges.any()


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("- ligand: {id: L, ccd: MY-11}", ["MY-11", "did you mean 'MY-1'"]),
        ("- protein: {id: A, sequence: MKT(MY-1)AA}", ["a.yaml:3", "MY-1", "cannot stand in protein A"]),
    ],
)
def test_codes_that_do_not_fit(tmp_path, body, words):
    (tmp_path / "own.cif").write_text(definition("NAG", "MY-1"))
    (tmp_path / "a.yaml").write_text(f"components: own.cif\nsequences:\n  {body}\n")
    with pytest.raises(InputError) as error:
        build_complex(read_complex(tmp_path / "a.yaml"))
    assert all(word in str(error.value) for word in words), str(error.value)


def test_a_bond_to_an_atom_that_the_component_has_not_names_its_line(complex_file):
    complex_file.write_text(YAML.replace("[G, 1, C1]", "[G, 1, C11]"))
    with pytest.raises(InputError, match=r"own.yaml:7: .*MY-1.*'C11'.*did you mean 'C1'"):
        read_complex(complex_file)


def test_two_files_may_not_define_one_code(complex_file, tmp_path):
    (tmp_path / "more.cif").write_text(CHIRAL)
    complex_file.write_text(YAML.replace("own.cif.xz", "[own.cif.xz, more.cif]"))
    with pytest.raises(InputError, match=r"more.cif.*another file defines.*LIG-1"):
        read_complex(complex_file)


JOB = {
    "name": "own", "modelSeeds": [1], "dialect": "alphafold3", "version": 3,
    "sequences": [{"ligand": {"id": "L", "ccdCodes": ["LIG-1"]}}],
}  # fmt: skip


def test_alphafold3_has_them_as_a_text_or_as_a_file(tmp_path):
    (tmp_path / "own.cif.xz").write_bytes(lzma.compress(CHIRAL.encode()))
    for number, own in enumerate(({"userCCD": CHIRAL}, {"userCCDPath": "own.cif.xz", "userCCD": ""})):
        path = tmp_path / f"{number}.json"
        path.write_text(json.dumps(JOB | own))
        spec = read_complex(path)
        assert build_complex(spec).components["LIG-1"].charges.tolist() == [0, 0, 1, 0]
        assert complex_request(spec)["components_sha256"] == {
            str(path) + "#userCCD" if not number else str(tmp_path / "own.cif.xz"): next(
                iter(complex_request(spec)["components_sha256"].values())
            )
        }
        assert from_dict(to_dict(spec)) == spec


@pytest.mark.parametrize(
    ("own", "words"),
    [
        ({"userCCD": CHIRAL, "userCCDPath": "own.cif"}, ["userCCDPath", "either"]),
        ({"userCCDPath": "none.cif"}, ["userCCDPath", "no such file", "none.cif"]),
        ({"userCCD": "data_X"}, ["job.json:", "userCCD", "no component is defined", "data_X"]),
    ],
)
def test_alphafold3_errors(tmp_path, own, words):
    (tmp_path / "own.cif").write_text(CHIRAL)
    path = tmp_path / "job.json"
    path.write_text(json.dumps(JOB | own, indent=1))
    with pytest.raises(InputError) as error:
        read_complex(path)
    assert all(word in str(error.value) for word in words), str(error.value)

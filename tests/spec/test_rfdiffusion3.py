"""RFdiffusion3's JSON becomes designs, or errors that say what cannot be done."""

from __future__ import annotations

import json
import re

import pytest

from structdiff.errors import InputError
from structdiff.spec.design import design_from_dict
from structdiff.spec.imported import Imported
from structdiff.spec.rfdiffusion3 import design_from_rfdiffusion3, read_designs


def imported(**spec):
    return design_from_dict(design_from_rfdiffusion3(spec, name="x").data)


def test_an_enzyme():
    spec = imported(
        input="5an7.pdb", ligand="LLK,ZN", unindex="A1083,A1051-1053", length="80-100",
        select_fixed_atoms={"A1083": "TIP", "A1051": "ALL", "A1052": "N,CA,C,O", "A1053": "ND2,CG", "LLK": "O1"},
    )  # fmt: skip
    assert [(str(residue), atoms) for residue, atoms in spec.held_atoms] == [("A1053", ("ND2", "CG"))]
    assert [str(each) for each in spec.unindexed] == ["A1083", "A1051-1053"]
    assert [str(each) for each in spec.tip] == ["A1083"]
    assert [str(each) for each in spec.backbone_only] == ["A1052"]
    assert spec.ligands == ("LLK", "ZN")
    assert str(spec.contigs) == "80-100"


def test_a_binder_and_its_hotspots():
    found = design_from_rfdiffusion3(
        {"input": "t.pdb", "contig": "50-80,/0,A1-150", "select_hotspots": {"A59": "CD1", "A60": ""},
         "infer_ori_strategy": "hotspots", "dialect": 2}, name="x"
    )  # fmt: skip
    spec = design_from_dict(found.data)
    assert str(spec.contigs) == "50-80 A1-150"
    assert [str(each) for each in spec.hotspots] == ["A59", "A60"]
    assert any("single atoms" in note for note in found.notes)


def test_symmetry_and_partial_diffusion():
    assert imported(length=100, symmetry={"id": "D4"}).symmetry.group == "D4"
    symmetry = {"id": "C3", "is_symmetric_motif": True}
    assert str(imported(input="x.pdb", contig="10,A5-9,10", symmetry=symmetry).symmetry) == "C3:motif=copies"
    spec = imported(input="x.pdb", partial_t=8.5, select_fixed_atoms="A1-7")
    assert (str(spec.noise), [str(each) for each in spec.hold]) == ("8.5", ["A1-7"])


@pytest.mark.parametrize(
    ("field", "says"),
    [
        ({"select_buried": "A5"}, "burial"),
        ({"ori_token": [0, 0, 1]}, "hotspots"),
        ({"lenght": 5}, "did you mean 'length'"),
        ({"dialect": 1}, "dialect 2"),
        ({"symmetry": {"id": "C3", "is_unsym_motif": "B1-5"}}, "out of its symmetry"),
        ({"select_fixed_atoms": {"A5": ""}}, "nothing is held"),
        ({"infer_ori_strategy": "hotspots"}, "select_hotspots beside it"),
        ({"infer_ori_strategy": "best"}, "unknown strategy"),
        ({"select_fixed_atoms": False}, "always held"),
    ],
)
def test_what_cannot_be_done_is_an_error(field, says):
    with pytest.raises(InputError, match=says):
        imported(**{"input": "x.pdb", "contig": "10,A5-9,10"} | field)


def test_a_file_of_several_designs(tmp_path):
    path = tmp_path / "in.json"
    path.write_text(json.dumps({"one": {"length": 60}, "two": {"length": "70-80"}}))
    assert list(read_designs(path)) == ["one", "two"]
    path.write_text(json.dumps({"one": {"length": 60, "select_exposed": "A1"}, "two": {"length": 60}}))
    one, two = read_designs(path).values()
    assert re.search(r"in\.json.*one.*select_exposed", str(one))
    assert isinstance(two, Imported)


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("in.json", '{"a": {"length": 60,\n\t"length": 70}}', r"in\.json:2: .*length"),
        ("in.json", '{"a": {"length": 60,,}}', r"in\.json:1: this is not JSON"),
        ("in.yaml", "a:\n  length: 60\na:\n  length: 70\n", r"in\.yaml:3: .*'a' stands twice"),
        ("in.yaml", "a:\n\tlength: 60\n", r"in\.yaml:2: this is not YAML"),
    ],
)
def test_damaged_files_are_told_with_the_line(tmp_path, name, text, says):
    (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match=says):
        read_designs(tmp_path / name)


def test_json_may_have_tabs_and_yaml_references(tmp_path):
    (tmp_path / "in.json").write_text('{\n\t"a":\t{"length": 60}}')
    (tmp_path / "in.yaml").write_text("a: &a {length: 60}\nb:\n  <<: *a\n  symmetry: {id: C2}\n")
    assert list(read_designs(tmp_path / "in.json")) == ["a"]
    b = read_designs(tmp_path / "in.yaml")["b"]
    assert isinstance(b, Imported)
    assert b.data["contigs"] == "60"


def test_a_ligand_of_which_nothing_is_held_is_held_with_a_note():
    spec = {"input": "x.pdb", "contig": "10,A5-9,10", "ligand": "NAI", "select_fixed_atoms": {"NAI": ""}}
    found = design_from_rfdiffusion3(spec, name="x")
    assert found.notes == ["select_fixed_atoms: NAI is held with all its atoms"]


def test_atoms_may_be_a_list():
    found = imported(
        input="x.pdb", contig="10,A5-9,10", select_fixed_atoms={"A5": ["CB", "OG"], "A6": ["N", "CA", "C", "O"]}
    )
    assert [(str(residue), atoms) for residue, atoms in found.held_atoms] == [("A5", ("CB", "OG"))]
    assert [str(each) for each in found.backbone_only] == ["A6"]

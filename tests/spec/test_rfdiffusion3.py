"""RFdiffusion3's JSON becomes designs, or errors that say what cannot be done."""

from __future__ import annotations

import json

import pytest

from structdiff.errors import InputError
from structdiff.spec.design import design_from_dict
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
    path.write_text(json.dumps({"one": {"length": 60, "select_exposed": "A1"}}))
    with pytest.raises(InputError, match=r"in\.json.*one.*select_exposed"):
        read_designs(path)

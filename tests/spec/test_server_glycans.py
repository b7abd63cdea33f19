"""Glycans of AlphaFold Server jobs."""

import json

import pytest

from structdiff.errors import InputError
from structdiff.spec.af3_json import read_af3_json
from structdiff.spec.server_glycans import GlycanWarning


def read(tmp_path, *glycans, **extra):
    own = [{"residues": residues, "position": position} for residues, position in glycans]
    protein = {"sequence": "PREACHINGS", "glycans": own}
    molecules = [{"proteinChain": protein | extra}, {"ion": {"ion": "MG"}}]
    path = tmp_path / "job.json"
    path.write_text(json.dumps([{"name": "x", "sequences": molecules}]))
    return read_af3_json(path)[0]


def bonds_of(spec):
    ends = [(bond.atom1, bond.atom2) for bond in spec.bonds]
    return [" ".join(f"{end.chain}{end.residue}@{end.atom}" for end in both) for both in ends]


def test_sugars_are_bonded_by_their_commonest_oxygens_which_is_told(tmp_path):
    core = "NAG(FUC)(NAG(BMA(MAN(NAG))(MAN(MAN)(MAN))))"
    with pytest.warns(GlycanWarning, match=r"NAG\(6-1 FUC\)\(4-1 NAG\(4-1 BMA\(3-1 MAN\(2-1 NAG\)\)\(6-1 MAN\(3-1 MAN"):
        spec = read(tmp_path, (core, 8))
    assert spec.component_names("C") == ("NAG", "FUC", "NAG", "BMA", "MAN", "NAG", "MAN", "MAN", "MAN")
    assert bonds_of(spec) == [
        "A8@ND2 C1@C1", "C1@O6 C2@C1", "C1@O4 C3@C1", "C3@O4 C4@C1", "C4@O3 C5@C1", "C5@O2 C6@C1", "C4@O6 C7@C1",
        "C7@O3 C8@C1", "C7@O6 C9@C1",
    ]  # fmt: skip


def test_two_equal_sugars_take_two_oxygens_and_spaces_are_nothing(tmp_path):
    with pytest.warns(GlycanWarning):
        spec = read(tmp_path, (" NAG ( NAG ) (BMA) ", 8), ("NAG(NAG)(NAG)", 8))
    assert bonds_of(spec) == [
        "A8@ND2 C1@C1", "C1@O4 C2@C1", "C1@O3 C3@C1", "A8@ND2 D1@C1", "D1@O4 D2@C1", "D1@O6 D3@C1",
    ]  # fmt: skip


def test_each_copy_of_a_protein_has_its_own_behind_all_other_chains(tmp_path):
    spec = read(tmp_path, ("BMA", 10), ("NAG", 8), count=2)
    assert [chain.ids for chain in spec.chains] == [("A", "B"), ("C",), ("D", "E"), ("F", "G")]
    assert bonds_of(spec) == ["A10@OG D1@C1", "B10@OG E1@C1", "A8@ND2 F1@C1", "B8@ND2 G1@C1"]


@pytest.mark.parametrize(
    ("residues", "position", "says"),
    [
        ("NAG(NAG", 8, ["residues", "no glycan", "NAG(NAG"]),
        ("NAG)", 8, ["no glycan"]),
        ("NAG()", 8, ["no glycan"]),
        ("(NAG)", 8, ["no glycan"]),
        ("NAG NAG", 8, ["no glycan"]),
        ("NAG(4-1 NAG)", 8, ["no glycan, at character 6"]),
        ("FUC(NAG)", 8, ["FUC(NAG) is not known", "bonds"]),
        ("GAL(FUC)(FUC)", 8, ["GAL(FUC)(FUC) is not known"]),
        ("NAG", 11, ["position", "no such residue", "1 to 10"]),
        ("NAG", 1, ["asparagine, serine or threonine", "P1"]),
    ],
)
def test_what_cannot_be_bonded_is_refused_in_one_line(tmp_path, residues, position, says):
    with pytest.raises(InputError) as caught:
        read(tmp_path, (residues, position))
    message = str(caught.value)
    assert "\n" not in message
    assert "job.json:1" in message
    for part in says:
        assert part in message


def test_a_modified_residue_bears_no_glycan(tmp_path):
    with pytest.raises(InputError, match=r"unmodified asparagine, serine or threonine.*found 'S10'"):
        read(tmp_path, ("NAG", 10), modifications=[{"ptmType": "CCD_SEP", "ptmPosition": 10}])

"""Tables of restraints that Chai takes beside its FASTA files."""

import warnings

import pytest

from structdiff.errors import InputError
from structdiff.spec.read import read_complex
from structdiff.spec.restraints import RestraintWarning
from structdiff.spec.yaml import read_yaml

FASTA = """>protein|name=one
MKTN(SEP)SAKQRCF
>protein|name=two
ACDEF
>ligand|name=three
CCC(=O)Nc1ccccc1
>glycan|name=four
NAG(4-1 NAG)
"""
COLUMNS = (
    "chainA,res_idxA,chainB,res_idxB,connection_type,confidence,min_distance_angstrom,max_distance_angstrom,comment,"
    "restraint_id\n"
)
SHORT = "chainA,res_idxA,chainB,res_idxB,connection_type,max_distance_angstrom\n"


def read(folder, table):
    (folder / "x.fasta").write_text(FASTA)
    (folder / "x.restraints").write_text(table)
    return read_complex(folder / "x.fasta", restraints=folder / "x.restraints")


def test_a_table_says_what_yaml_says(tmp_path):
    table = f"""{COLUMNS}A,C11@SG,C,@C1,covalent,1.0,0.0,0.0,"bound, by addition",bond1
A,N4@ND2,D,@C1,covalent,1.0,0.0,0.0,glycan,bond2

A,S5,B,E4,contact,1.0,0.0,8,modified,r1
A,K2@NZ,B,D3@CG,contact,,,5.5,,r2
C,,A,T3,pocket,1.0,0.0,5.5,,r3
"""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = read(tmp_path, table)
    (tmp_path / "x.yaml").write_text("""sequences:
- protein: {id: A, sequence: MKTN(SEP)SAKQRCF}
- protein: {id: B, sequence: ACDEF}
- ligand: {id: C, smiles: 'CCC(=O)Nc1ccccc1'}
- ligand: {id: D, ccd: [NAG, NAG]}
constraints:
- bond: {atom1: [D, 1, O4], atom2: [D, 2, C1]}
- bond: {atom1: [A, 11, SG], atom2: [C, C1]}
- bond: {atom1: [A, 4, ND2], atom2: [D, 1, C1]}
- contact: {token1: [A, 5], token2: [B, 4], max_distance: 8}
- contact: {token1: [A, 2, NZ], token2: [B, 3, CG], max_distance: 5.5}
- pocket: {binder: C, contacts: [[A, 3]], max_distance: 5.5}
""")
    assert found == read_yaml(tmp_path / "x.yaml")


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ("A,N4@N,D,@C1,covalent,1,0,0,,r", ":2: N of residue 4 of chain A .* backbone; a glycan .* ND2"),
        ("A,K2,B,D3,contact,0.5,0,8,,r", "confidence: not made use of, as in Chai"),
        ("A,K2,B,D3,contact,1,2,8,,r", "min_distance_angstrom: not made use of"),
    ],
)  # fmt: skip
def test_what_may_not_be_meant_is_warned_of(tmp_path, row, says):
    with pytest.warns(RestraintWarning, match=says):
        read(tmp_path, f"{COLUMNS}{row}\n")


@pytest.mark.parametrize(
    ("table", "says"),
    [
        (SHORT, ["x.restraints: there are no restraints"]),
        (SHORT.replace("chainB", "chain_B"), ["x.restraints:1", "'chain_B'", "did you mean 'chainB'"]),
        ("chainA,res_idxA,chainB,res_idxB\n", ["x.restraints:1", "'connection_type' is missing"]),
        (f"{SHORT}A,K2,B,D3,contact\n", ["x.restraints:2", "'5 cells'", "allowed: 6"]),
        (f"{SHORT}A,K2,B,D3,contcat,8\n", ["x.restraints:2: connection_type", "did you mean 'contact'"]),
        (f"{SHORT}A,K2,B,D3,,8\n", ["x.restraints:2", "no connection_type", "covalent, contact, pocket"]),
        (f"{SHORT}A,K3,B,D3,contact,8\n", ["x.restraints:2: res_idxA", "3 of chain A is T", "'K3'", "allowed: T3"]),
        (f"{SHORT}A,2,B,D3,contact,8\n", ["x.restraints:2: res_idxA", "no place", "'2'", "R84"]),
        (f"{SHORT}A,@SG,B,D3,contact,8\n", ["x.restraints:2: res_idxA", "a letter and its number"]),
        (f"{SHORT}A,K2,C,C1,contact,8\n", ["x.restraints:2: res_idxB", "has no letter", "allowed: X1"]),
        (f"{SHORT}A,K20,B,D3,contact,8\n", ["x.restraints:2: res_idxA", "no such residue", "1 to 12"]),
        (f"{SHORT}Z,K2,B,D3,contact,8\n", ["x.restraints:2: chainA", "no such chain", "A, B, C, D"]),
        (f"{SHORT}A,K2,B,D3,pocket,8\n", ["x.restraints:2: res_idxA", "leave this empty"]),
        (f"{SHORT}A,,B,D3,contact,8\n", ["x.restraints:2", "a contact restraint needs res_idxA"]),
        (f"{SHORT}A,K2,B,D3,contact,\n", ["x.restraints:2", "needs max_distance_angstrom"]),
        (f"{SHORT}A,K2,B,D3,contact,99\n", ["x.restraints:2: max_distance", "99", "1 to 30"]),
        (f"{SHORT}A,K2,B,D3,covalent,0\n", ["x.restraints:2", "a bond joins atoms: name both"]),
        (f"{SHORT}A,K2@ZZ,B,D3@CG,covalent,0\n", ["x.restraints:2", "(LYS) has no such atom", "'ZZ'"]),
        (f"{SHORT}A,K2,B,D3,contact,8\nA,K2,B,D3,contact,8\n", ["x.restraints:3", "asked for twice"]),
    ],
)  # fmt: skip
def test_a_bad_table_gives_one_line_that_names_the_place(tmp_path, table, says):
    with pytest.raises(InputError) as caught:
        read(tmp_path, table)
    assert "\n" not in str(caught.value)
    for words in says:
        assert words in str(caught.value)


@pytest.mark.parametrize("name", ["x.restraints", "x.csv"])
def test_a_table_alone_is_no_input(tmp_path, name):
    (tmp_path / name).write_text(f"{SHORT}A,K2,B,D3,contact,8\n")
    with pytest.raises(InputError, match=f"structdiff predict COMPLEX.fasta --restraints {name}"):
        read_complex(tmp_path / name)

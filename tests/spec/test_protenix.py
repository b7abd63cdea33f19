"""What Protenix' jobs have beside those of the AlphaFold Server."""

import json

import pytest

from structdiff.errors import InputError
from structdiff.spec.complex import ContactSpec, PocketSpec, Site
from structdiff.spec.read import read_complex

SDF = """
  made by hand

  3  2  0  0  0  0  0  0  0  0999 V2000
    0.0000    0.0000    0.1000 C   0  0
    1.5000    0.1000    0.0000 C   0  0
    2.1000    1.3000    0.0000 N   0  0
  1  2  1  0
  2  3  1  0
M  END
"""
#: Entities 1 to 5.
SEQUENCES = [
    {"proteinChain": {"sequence": "MKTNCSAKQRCF", "count": 2}},
    {"ligand": {"ligand": "CCD_NAG_BMA", "count": 2}},
    {"ligand": {"ligand": "CCC(=O)Nc1ccccc1", "count": 1}},
    {"ligand": {"ligand": "FILE_l.sdf", "count": 1}},
    {"ion": {"ion": "MG", "count": 1, "id": ["B"]}},
]


def read(folder, sequences=SEQUENCES, **job):
    path = folder / "job.json"
    (folder / "l.sdf").write_text(SDF)
    path.write_text(json.dumps([{"name": "job", "modelSeeds": [], "sequences": sequences, **job}], indent=1))
    return read_complex(path)


def ends(one, other, **more):
    """Two ends, each an entity, a copy (None: not told), a position and maybe an atom, as Protenix has them."""
    parts = ("entity", "copy", "position", "atom")
    named = {
        f"{part}{number}": value
        for number, end in ((1, one), (2, other))
        for part, value in zip(parts, end, strict=False)
    }
    return {key: value for key, value in (named | more).items() if value is not None}


def shown(spec):
    return [f"{bond.atom1} {bond.atom2}" for bond in spec.bonds]


def test_ligands_of_three_kinds_and_names_that_are_free(tmp_path):
    spec = read(tmp_path, assembly_id="1")
    assert [chain.ids for chain in spec.chains] == [("A", "C"), ("D", "E"), ("F",), ("G",), ("B",)]
    sugar, smiles, file = spec.chains[1:4]
    assert (sugar.ccd, smiles.smiles, file.sdf) == (("NAG", "BMA"), "CCC(=O)Nc1ccccc1", str(tmp_path / "l.sdf"))
    assert read(tmp_path, [{"ligand": {"ligand": "CCCC"}}]).chains[0].smiles == "CCCC"


def test_bonds(tmp_path):
    old = {"left_entity": 1, "left_copy": 1, "left_position": 11, "left_atom": "SG",
           "right_entity": 3, "right_copy": 1, "right_position": 1, "right_atom": 2}  # fmt: skip
    spec = read(
        tmp_path,
        covalent_bonds=[
            ends(("1", None, "4", "ND2"), ("2", None, "1", "C1")),
            ends((2, 2, 1, "O4"), (2, 2, 2, "C1")),
            old,
            ends((1, 2, 11, "SG"), (4, 1, 1, "2")),
            ends((1, None, 5, "SG"), (1, None, 11, "CB")),
        ],
    )
    assert shown(spec) == [
        "A/4/ND2 D/1/C1", "C/4/ND2 E/1/C1", "E/1/O4 E/2/C1", "A/11/SG F/1/C3", "C/11/SG G/1/N1",
        "A/5/SG A/11/CB", "C/5/SG C/11/CB",
    ]  # fmt: skip


def test_atoms_of_smiles_go_by_their_map_numbers_where_there_are_some(tmp_path):
    bond = ends((1, 1, 2, "NZ"), (2, 1, 1, 1))
    ligand = {"ligand": {"ligand": "CC[CH3:1]"}}
    assert shown(read(tmp_path, [SEQUENCES[0], ligand], covalent_bonds=[bond])) == ["A/2/NZ C/1/C3"]


def test_a_bond_of_both_ends_makes_a_ring_of_that_copy(tmp_path):
    bond = ends((1, 2, 12, "C"), (1, 2, 1, "N"))
    spec = read(tmp_path, SEQUENCES[:1], covalent_bonds=[bond])
    assert [(chain.ids, chain.cyclic) for chain in spec.chains] == [(("A",), False), (("B",), True)]
    assert spec.bonds == ()
    both = read(tmp_path, SEQUENCES[:1], covalent_bonds=[ends((1, None, 1, "N"), (1, None, 12, "C"))])
    assert [(chain.ids, chain.cyclic) for chain in both.chains] == [(("A", "B"), True)]


def test_contacts_and_pockets(tmp_path):
    contacts = [
        ends((1, 1, 3), (1, 2, 9), max_distance=8, min_distance=0),
        ends((1, 1, 3, "CB"), (3, 1, 1, 4), max_distance=6.5),
    ]
    residues = [{"entity": 1, "copy": 2, "position": 7}, {"entity": 1, "copy": 1, "position": 2}]
    pocket = {"binder_chain": {"entity": 2, "copy": 1}, "contact_residues": residues, "max_distance": 6}
    spec = read(tmp_path, constraint={"contact": contacts, "pocket": pocket})
    assert spec.constraints == (
        ContactSpec(token1=Site(chain="A", residue=3), token2=Site(chain="C", residue=9), max_distance=8),
        ContactSpec(
            token1=Site(chain="A", residue=3, atom="CB"), token2=Site(chain="F", residue=1, atom="N1"), max_distance=6.5
        ),
        PocketSpec(
            binder="D", contacts=(Site(chain="C", residue=7), Site(chain="A", residue=2)), max_distance=6
        ),
    )  # fmt: skip


CONTACT = ends((1, 1, 3), (1, 2, 9), max_distance=8)


@pytest.mark.parametrize(
    ("job", "says"),
    [
        ({"covalent_bond": []}, "found 'covalent_bond'.*did you mean 'covalent_bonds'"),
        ({"covalent_bonds": [ends((6, 1, 1, "C"), (2, 1, 1, "C1"))]}, r"\.entity1: there is no such entity .*1 to 5"),
        ({"covalent_bonds": [ends((1, 3, 1, "C"), (2, 1, 1, "C1"))]}, r"\.copy1: this entity has no such copy .*to 2"),
        ({"covalent_bonds": [ends((1, 1, 13, "C"), (2, 1, 1, "C1"))]}, "no such position .*found 13; allowed: 1 to 12"),
        ({"covalent_bonds": [ends((1, 1, 1, "CX"), (2, 1, 1, "C1"))]}, r"job.json:\d+: bonds\[1\]: .*no such atom"),
        ({"covalent_bonds": [ends((1, 1, 1, 0), (2, 1, 1, "C1"))]}, "atom1: atoms of this entity go by their names"),
        ({"covalent_bonds": [ends((1, 1, 1, "CB"), (3, 1, 1, 11))]}, "no atom of that number .*0 to 10, .*such as C1"),
        ({"covalent_bonds": [ends((1, 1, 1, "CB"), (2, None, 1, "C1"))]}, "a copy is named of one end alone"),
        ({"covalent_bonds": [ends((1, None, 1, "CB"), (3, None, 1, "C1"))]}, "not equally many copies.*'2 and 1'"),
        ({"covalent_bonds": [{"entity1": 1}]}, "the key 'position1' is missing"),
        ({"covalent_bonds": [{"left_entity": 1, "entity2": 2}]}, "found 'entity2'; allowed: left_entity"),
        ({"constraint": {"contacts": []}}, "found 'contacts'; allowed: contact, pocket"),
        ({"constraint": {"contact": [CONTACT | {"min_distance": 3}]}}, "min_distance: contacts have no least distance"),
        ({"constraint": {"contact": [CONTACT | {"max_distance": 99}]}}, r"job.json:\d+: max_distance: .*found 99"),
        ({"constraint": {"contact": [ends((1, 1, 3), (1, 2, 9))]}}, "the key 'max_distance' is missing"),
        ({"constraint": {"contact": [ends((1, None, 3), (1, 2, 9), max_distance=8)]}}, "the key 'copy1' is missing"),
        ({"constraint": {"contact": [CONTACT, CONTACT]}}, r"constraints\[2\]: this is asked for twice"),
        ({"constraint": {"pocket": {"binder_chain": [2, 1]}}}, "'contact_residues' is missing"),
        ({"assembly_id": ["1"]}, "assembly_id: expected a text"),
        ({"sequences": [{"ligand": {"ligand": "ATP"}}]}, "no SMILES; .*allowed: CCD_ATP"),
        ({"sequences": [{"ligand": {"ligand": "FILE_l.pdb"}}]}, "SDF, MOL and MOL2 files .*allowed: .sdf, .mol, .mol2"),
        ({"sequences": [{"ligand": {"ligand": "FILE_gone.sdf"}}]}, "ligand: no such file"),
        ({"sequences": [{"ligand": {"ligand": "CCD_NAG-NAG"}}]}, "not a code .*'NAG-NAG'"),
        ({"sequences": [{"proteinChain": {"sequence": "MK", "templatesPath": "x"}}]}, "alignments to templates"),
        (
            {"sequences": [{"proteinChain": {"sequence": "MK"}}],
             "covalent_bonds": [ends((1, 1, 2, "C"), (1, 1, 1, "N"))]},
            r"job.json:\d+: cyclic: .*too few residues",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_honoured_is_one_line_that_names_the_place(tmp_path, job, says):
    with pytest.raises(InputError, match=says) as caught:
        read(tmp_path, **job)
    assert "job.json:" in str(caught.value)

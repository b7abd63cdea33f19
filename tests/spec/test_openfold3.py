"""JSON of OpenFold 3, as its documentation and its own logs (`inference_query_set.json`) have it."""

import json

import pytest

from structdiff.errors import InputError
from structdiff.spec.alignment_source import PairedAlignmentWarning, warn_of_pairing
from structdiff.spec.chain import ChainSpec, Modification
from structdiff.spec.complex import BondSpec, PocketSpec, Site
from structdiff.spec.design import read_design
from structdiff.spec.read import read_complex, read_complexes, read_each_complex

SEQUENCE = "MKVLAC"
CIF = """data_t
loop_
_atom_site.group_PDB
_atom_site.id
_atom_site.type_symbol
_atom_site.label_atom_id
_atom_site.label_asym_id
_atom_site.auth_asym_id
_atom_site.Cartn_x
_atom_site.Cartn_y
_atom_site.Cartn_z
ATOM 1 C CA A H 0 0 0
ATOM 2 C CA B L 0 0 9
HETATM 3 CA CA C H 9 0 0
"""


def write(folder, *chains, name="queries.json", top=None, **query):
    path = folder / name
    path.write_text(json.dumps({"queries": {"one": {"chains": chains, **query}}, **(top or {})}, indent=1))
    return path


def protein(**more):
    return {"molecule_type": "protein", "chain_ids": "A", "sequence": SEQUENCE, **more}


LIGAND = {"molecule_type": "ligand", "chain_ids": "L", "smiles": "CC(=O)Cl"}


def test_all_kinds_of_molecules(tmp_path):
    (tmp_path / "l.sdf").write_text("")
    path = write(
        tmp_path,
        protein(chain_ids=["A", "B"], non_canonical_residues={"1": "MHO", "5": "SEP"}, description="x", cyclic=True),
        {"molecule_type": "DNA", "chain_ids": "C", "sequence": "ATUC", "non_canonical_residues": {"3": "PSU"}},
        {"molecule_type": "rna", "chain_ids": ["R"], "sequence": "AGCU"},
        {"molecule_type": "ligand", "chain_ids": ["F", "G"], "ccd_codes": "ATP"},
        {"molecule_type": "LIGAND", "chain_ids": "H", "ccd_codes": ["NAG", "NAG"], "sequence": None, "smiles": None},
        LIGAND,
        {"molecule_type": "ligand", "chain_ids": "S", "sdf_file_path": "l.sdf"},
        covalent_bonds=[[["A", 6, "SG"], ["L", 1, "C2"]], {"atom1": ["A", 2, "NZ"], "atom2": ["B", 6, "SG"]}],
        pocket_constraint={"ligand_chain_id": "F", "pocket_residues": [["A", 2], ["B", 4]]},
        top={"seeds": [42, 7]},
        query_name="one", leaving_atoms=None,
    )  # fmt: skip
    spec = read_complex(path)
    assert (spec.name, spec.seeds) == ("one", (42, 7))
    assert spec.chains == (
        ChainSpec(
            ids=("A", "B"), kind="protein", sequence=SEQUENCE, cyclic=True,
            modifications=(Modification(position=1, ccd="MHO"), Modification(position=5, ccd="SEP")),
        ),
        ChainSpec(ids=("C",), kind="dna", sequence="ATNC", modifications=(Modification(position=3, ccd="PSU"),)),
        ChainSpec(ids=("R",), kind="rna", sequence="AGCU"),
        ChainSpec(ids=("F", "G"), kind="ligand", ccd=("ATP",)),
        ChainSpec(ids=("H",), kind="ligand", ccd=("NAG", "NAG")),
        ChainSpec(ids=("L",), kind="ligand", smiles="CC(=O)Cl"),
        ChainSpec(ids=("S",), kind="ligand", sdf=str(tmp_path / "l.sdf")),
    )  # fmt: skip
    assert [str(bond.atom1) + " " + str(bond.atom2) for bond in spec.bonds] == ["A/6/SG L/1/C2", "A/2/NZ B/6/SG"]
    assert isinstance(spec.bonds[0], BondSpec)
    contacts = (Site(chain="A", residue=2), Site(chain="B", residue=4))
    assert spec.constraints == (PocketSpec(binder="F", contacts=contacts, max_distance=4.0),)


def test_each_query_is_a_complex_and_a_wrong_one_stops_no_other(tmp_path):
    path = tmp_path / "q.json"
    bad = protein(sequence="MKJ")
    queries = {name: {"chains": [chain]} for name, chain in (("a", protein()), ("b", bad), ("c", protein()))}
    path.write_text(json.dumps({"queries": queries}, indent=1))
    first, wrong, last = read_each_complex(path)
    assert (first.name, last.name) == ("a", "c")
    assert "q.json:17: " in str(wrong)
    assert "'J'" in str(wrong)
    with pytest.raises(InputError, match="which structdiff predict reads"):
        read_design(path)


def alignments(folder, **chain):
    (read,) = read_complexes(write(folder, protein(**chain)))
    return [name.removeprefix(f"{folder}/") for name in read.chains[0].msa]


def test_alignments(tmp_path):
    folder = tmp_path / "chain_A"
    folder.mkdir()
    for name in ("mgnify_hits.sto", "uniref90_hits.a3m.gz", "hmm_output.sto", "query.hmm", "colabfold_paired.a3m"):
        (folder / name).touch()
    (tmp_path / "x.a3m").touch()
    both = {"main_msa_file_paths": ["x.a3m", "chain_A/mgnify_hits.sto"], "paired_msa_file_paths": "chain_A/query.hmm"}
    assert alignments(tmp_path, main_msa_file_paths="chain_A") == [
        "chain_A/colabfold_paired.a3m", "chain_A/uniref90_hits.a3m.gz", "chain_A/mgnify_hits.sto",
    ]  # fmt: skip
    assert alignments(tmp_path, **both) == ["chain_A/query.hmm", "x.a3m", "chain_A/mgnify_hits.sto"]
    assert alignments(tmp_path, **both, use_main_msas=False) == ["chain_A/query.hmm"]
    assert alignments(tmp_path, **both, use_paired_msas=False) == ["x.a3m", "chain_A/mgnify_hits.sto"]
    assert alignments(tmp_path, **both, use_msas=False) == ["empty"]
    assert alignments(tmp_path, use_main_msas=False) == ["empty"]
    assert alignments(tmp_path) == []
    off = write(tmp_path, protein(**both), protein(chain_ids="B"), LIGAND, use_msas=False)
    assert [chain.msa for chain in read_complex(off).chains] == [("empty",), ("empty",), ()]


@pytest.mark.filterwarnings("error")
def test_paired_alignments_of_several_chains_are_told(tmp_path):
    (tmp_path / "x.a3m").touch()
    chains = [protein(chain_ids=name, paired_msa_file_paths="x.a3m") for name in "AB"]
    spec = read_complex(write(tmp_path, *chains))
    assert [chain.paired_msa for chain in spec.chains] == 2 * [(str(tmp_path / "x.a3m"),)]
    with pytest.raises(PairedAlignmentWarning, match="one: how chains lie"):
        warn_of_pairing(spec)
    unpaired = read_complex(write(tmp_path, *chains, use_paired_msas=False))
    assert [chain.paired_msa for chain in unpaired.chains] == [(), ()]
    warn_of_pairing(unpaired)


def test_templates_are_named_as_authors_do_and_serve_each_copy(tmp_path):
    (tmp_path / "t.cif").write_text(CIF)
    chain = protein(chain_ids=["A", "B"], template_cif_paths=["t.cif"], template_cif_chain_ids=["B"])
    found = read_complex(write(tmp_path, chain)).templates
    assert [(each.chains, each.template_chains) for each in found] == [(("A",), ("L",)), (("B",), ("L",))]
    assert found[0].path == str(tmp_path / "t.cif")
    (tmp_path / "u.cif").write_text(CIF.replace("ATOM 2", "HETATM 2"))
    chain = protein(template_cif_paths=["t.cif", "u.cif"], template_cif_chain_ids=["A", None])
    both = read_complex(write(tmp_path, chain)).templates
    assert [(each.path, each.template_chains) for each in both] == [
        (str(tmp_path / "t.cif"), ("H",)), (str(tmp_path / "u.cif"), ("H",)),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("chain", "query", "says"),
    [
        ({"molecule_type": "lipid"}, {}, "molecule_type: unknown kind .*found 'lipid'; allowed: protein, dna"),
        ({"chain_id": "A"}, {}, ":9: .*unknown key .*did you mean 'chain_ids'"),
        ({"chain_ids": ["A", "A"]}, {}, "queries.json:7: id: two copies"),
        ({"smiles": "C"}, {}, ":9: smiles: protein A cannot have 'smiles'"),
        ({"ligand_name": "DRG"}, {}, "ligand_name: components are not named"),
        ({"starting_residue_number": 3}, {}, "numbered from 1; leave the key out"),
        ({"non_canonical_residues": {"x": "MSE"}}, {}, "counted from 1 .*found 'x'"),
        ({"non_canonical_residues": {"9": "MSE"}}, {}, ":9: modifications: .*found 9; allowed: 1 to 6"),
        ({"non_canonical_residues": ["MSE"]}, {}, "expected CCD codes by position"),
        ({"main_msa_file_paths": "a.npz"}, {}, "main_msa_file_paths: tables of OpenFold 3"),
        ({"main_msa_file_paths": ["gone.a3m"]}, {}, r"main_msa_file_paths\[1\]: no such file"),
        ({"main_msa_file_paths": "other"}, {}, "name the files themselves .*found 'mine.a3m'"),
        ({"paired_msa_file_paths": "none"}, {}, "no alignment in this folder .*uniref90_hits"),
        ({"molecule_type": "rna", "sequence": "AC", "main_msa_file_paths": "x"}, {}, "alignments of RNA .*'use_msas'"),
        ({"molecule_type": "dna", "sequence": "AC", "main_msa_file_paths": "t.cif"}, {}, ":9: msa: DNA chains"),
        ({"use_msas": "no"}, {}, "use_msas: expected true or false"),
        ({"template_alignment_file_path": "x.sto"}, {}, "alignments to templates .*'template_cif_paths'"),
        ({"template_entry_chain_ids": ["1abc_A"]}, {}, "alignments to templates are not read"),
        ({"molecule_type": "rna", "sequence": "A", "template_cif_paths": "t.cif"}, {}, "templates are of proteins"),
        ({"template_cif_paths": ["t.cif"]}, {}, "say under 'template_cif_chain_ids' .*allowed: A, B"),
        ({"template_cif_paths": ["t.cif"], "template_cif_chain_ids": ["H"]}, {}, "label_asym_id .*allowed: A, B"),
        ({"template_cif_paths": ["t.cif"], "template_cif_chain_ids": []}, {}, "for each of .*allowed: 1"),
        ({"template_cif_paths": ["no.cif"]}, {}, "this is no mmCIF file"),
        ({}, {"chain": []}, ":11: .*found 'chain'; .*did you mean 'chains'"),
        ({}, {"query_name": "two"}, "query_name: a query is called after its key.*allowed: one"),
        ({}, {"leaving_atoms": [["A", 1, "CB"]]}, r"leaving_atoms\[1\]: which atoms leave is not chosen"),
        ({}, {"covalent_bonds": [[["A", 1, "CB"], ["B", 1, "CB"]]]}, r":12: bonds\[1\]: there is no such chain"),
        ({}, {"covalent_bonds": [[["A", 1, "CB"]]]}, "a bond joins two atoms"),
        ({}, {"covalent_bonds": [[["A", 1, 5], ["A", 2, "CB"]]]}, "no such atom .*found '5'"),
        ({}, {"pocket_constraint": {"ligand_chain_id": "L", "pocket_residues": [["A", 1]]}}, "no such chain"),
        ({}, {"pocket_constraint": {"ligand_chain_id": "A", "pocket_residues": [["A"]]}}, r"\[chain, residue\]"),
    ],
)  # fmt: skip
def test_what_cannot_be_honoured_is_one_line_that_names_the_place(tmp_path, chain, query, says):
    for name in ("other", "none"):
        (tmp_path / name).mkdir()
    (tmp_path / "other/mine.a3m").touch()
    (tmp_path / "t.cif").write_text(CIF)
    (tmp_path / "no.cif").write_text("ATOM      1  CA")
    with pytest.raises(InputError, match=says) as caught:
        read_complexes(write(tmp_path, protein(**chain), **query))
    assert "\n" not in str(caught.value)
    assert "queries.json:" in str(caught.value)


@pytest.mark.parametrize(
    ("top", "says"),
    [
        ({"queries": {}}, "queries: expected the chains of at least one query"),
        ({"queries": {"a/b": {"chains": [protein()]}}}, "q.json:1: name: .*found 'a/b'"),
        ({"queries": {"a": {"chains": []}}}, "sequences: there are no chains"),
        ({"queries": {"a": {"chains": [protein()]}}, "seeds": [1, 1]}, "seeds: a seed is given more than once"),
        ({"queries": {"a": {"chains": [protein()]}}, "ccd_file_path": "x.cif"}, "ccd_file_path: whole dictionaries"),
        ({"queries": {"a": {"chains": [protein()]}}, "seed": [1]}, "found 'seed'; allowed: queries, seeds"),
    ],
)
def test_the_whole_file(tmp_path, top, says):
    (tmp_path / "q.json").write_text(json.dumps(top))
    with pytest.raises(InputError, match=says):
        read_complexes(tmp_path / "q.json")
